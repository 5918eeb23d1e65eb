/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates and OCSP responses that somebody should renew. Main thread. */
#ifndef CONTROL_CERT_NEAR_H
#define CONTROL_CERT_NEAR_H

#include <stdint.h>

#include "tls/cert.h"
#include "tls/staple.h"

/* What is the matter, in a few words; NULL: nothing. now: seconds since 1970. A certificate ends soon
 * when two weeks are left, or a quarter of its life where that is less; an OCSP response likewise, by
 * a quarter alone. */
const char *cert_warning(const struct tls_cert *c, int64_t now);
const char *staple_warning(struct tls_staple *s, int64_t now);

#endif
