/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two hashes that cipher suites of TLS 1.2 and 1.3 name, and HMAC (RFC 2104) by them. OpenSSL's HMAC looks for
 * its algorithms by name and copies contexts; here they are found once. Any thread; a context is one's own.
 */
#ifndef TLS_HASH_H
#define TLS_HASH_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#define TLS_HASH_MAX 48 /* bytes of what a hash gives */

enum tls_hash { TLS_SHA256, TLS_SHA384, TLS_HASH_COUNT };

/* Before any of the others, once. False: OpenSSL failed. */
bool tls_hash_init(void);

size_t tls_hash_len(enum tls_hash hash); /* bytes */

/* By one of OpenSSL's names, in whatever case. False: it is neither. */
bool tls_hash_find(const char *name, enum tls_hash *ret_hash);

struct tls_piece {
	const void *bytes; /* may be NULL where len is 0 */
	size_t len;
};

/* Of the pieces one behind the other. out: tls_hash_len() bytes, which may be part of what is read. False: OpenSSL
 * failed. */
bool tls_hash_digest(EVP_MD_CTX *ctx, enum tls_hash hash, const struct tls_piece *pieces,
		     size_t count, unsigned char *out);
bool tls_hash_hmac(EVP_MD_CTX *ctx, enum tls_hash hash, struct tls_piece key,
		   const struct tls_piece *pieces, size_t count, unsigned char *out);

#endif
