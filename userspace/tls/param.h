/* SPDX-License-Identifier: BSD-2-Clause */
/* What OpenSSL hands over to a key derivation of ours, see OSSL_PARAM(3). Any thread. */
#ifndef TLS_PARAM_H
#define TLS_PARAM_H

#include <openssl/core.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes of that name, if there are any; else nothing changes, as where it is false: they are no bytes, or more than
 * max. */
bool tls_param_bytes(const OSSL_PARAM params[], const char *name, unsigned char *out, size_t max,
		     size_t *ret_len, bool *ret_has);
/* The digest, if one is named; else nothing changes. *ret_hash: enum tls_hash. False: it is none of hash.h. */
bool tls_param_hash(const OSSL_PARAM params[], int *ret_hash);

#endif
