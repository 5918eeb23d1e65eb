/* SPDX-License-Identifier: BSD-2-Clause */
/* The PRF of TLS 1.2 (RFC 5246, 5): keys of records, the master secret, Finished. Any thread. */
#ifndef TLS_PRF_H
#define TLS_PRF_H

#include <openssl/core.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/hash.h"

/* seed: what RFC 5246 calls label and seed, one behind the other. False: memory or OpenSSL failed. */
bool tls_prf(enum tls_hash hash, struct tls_piece secret, struct tls_piece seed, unsigned char *out,
	     size_t len);

/* As OpenSSL's TLS1-PRF, of which it takes the hashes of hash.h: no TLS before 1.2. */
extern const OSSL_DISPATCH tls_prf_functions[];

#endif
