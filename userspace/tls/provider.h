/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What OpenSSL is offered of ours, as a provider(7) in this process: the key schedule of TLS 1.3 (schedule.h), the
 * PRF of TLS 1.2 (prf.h), random bytes (random.h). A handshake asks for each of them several times, and its own ways
 * look for every algorithm by name every time, or ask the kernel for the process's number. Any thread.
 */
#ifndef TLS_PROVIDER_H
#define TLS_PROVIDER_H

#include <openssl/core.h>
#include <stdbool.h>
#include <stddef.h>

#define TLS_PROVIDER "shunt"

/* What SSL_CTX_new_ex() is to be told to have the first two. */
#define TLS_PROVIDER_PROPERTIES "?provider=" TLS_PROVIDER

/*
 * Before anything else of tls/, and before OpenSSL's first random bytes, which come from us then. Again: nothing.
 * False: it has its own of everything and its connections keep their records; it is set up for FIPS 140, or failed,
 * which is logged.
 */
bool tls_provider_init(void);

/* ---- for its parts: what OpenSSL hands over ---- */

/* Bytes of that name, if there are any; else nothing changes, as where it is false: they are no bytes, or more than
 * max. */
bool tls_param_bytes(const OSSL_PARAM params[], const char *name, unsigned char *out, size_t max,
		     size_t *ret_len, bool *ret_has);
/* The digest, if one is named; else nothing changes. *ret_hash: enum tls_hash. False: it is none of ours. */
bool tls_param_hash(const OSSL_PARAM params[], int *ret_hash);

#endif
