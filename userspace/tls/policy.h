/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be negotiated, by name: versions, cipher suites, groups, signatures. Pure, but for the
 * context that is set up. Any thread.
 */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "tls/cert.h"
#include "tls/policy_words.h"

/* For either side of a connection. False: OpenSSL refused it. */
bool tls_policy_apply(enum tls_policy policy, SSL_CTX *ctx);

/* May a server have such a key? NULL, or what is expected. */
const char *tls_policy_refuses(enum tls_policy policy, const struct tls_cert *cert);

#endif
