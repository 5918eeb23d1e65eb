/* SPDX-License-Identifier: BSD-2-Clause */
/* Hashes and HMAC: see hash.h. */
#include "tls/hash.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define BLOCK_MAX 128 /* bytes that a hash takes at once */

static const struct hash {
	const char *name, *other_name;
	uint8_t len, block;
} hashes[] = {
	[TLS_SHA256] = {"SHA256", "SHA2-256", 32, 64},
	[TLS_SHA384] = {"SHA384", "SHA2-384", 48, 128},
};

static EVP_MD *digests[TLS_HASH_COUNT]; /* kept until the process ends */

bool tls_hash_init(void)
{
	for (int i = 0; i < TLS_HASH_COUNT; i++) {
		digests[i] = EVP_MD_fetch(NULL, hashes[i].name, NULL);
		if (!digests[i])
			return false;
	}
	return true;
}

size_t tls_hash_len(enum tls_hash hash)
{
	return hashes[hash].len;
}

bool tls_hash_find(const char *name, enum tls_hash *ret_hash)
{
	for (int i = 0; i < TLS_HASH_COUNT; i++)
		if (!strcasecmp(name, hashes[i].name) || !strcasecmp(name, hashes[i].other_name)) {
			*ret_hash = (enum tls_hash)i;
			return true;
		}
	return false;
}

/* pad: a block that is first; NULL: none. */
static bool digest(EVP_MD_CTX *ctx, enum tls_hash hash, const unsigned char *pad,
		   const struct tls_piece *pieces, size_t count, unsigned char *out)
{
	bool ok = EVP_DigestInit_ex(ctx, digests[hash], NULL) &&
		  (!pad || EVP_DigestUpdate(ctx, pad, hashes[hash].block));

	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, pieces[i].bytes, pieces[i].len);
	return ok && EVP_DigestFinal_ex(ctx, out, NULL);
}

bool tls_hash_digest(EVP_MD_CTX *ctx, enum tls_hash hash, const struct tls_piece *pieces,
		     size_t count, unsigned char *out)
{
	return digest(ctx, hash, NULL, pieces, count, out);
}

bool tls_hash_hmac(EVP_MD_CTX *ctx, enum tls_hash hash, struct tls_piece key,
		   const struct tls_piece *pieces, size_t count, unsigned char *out)
{
	const struct hash *h = &hashes[hash];
	unsigned char pad[BLOCK_MAX] = {0}, inner[TLS_HASH_MAX];
	struct tls_piece last = {inner, h->len};
	bool ok = true;

	if (key.len > h->block)
		ok = digest(ctx, hash, NULL, &key, 1, pad);
	else if (key.len)
		memcpy(pad, key.bytes, key.len);
	for (size_t i = 0; i < h->block; i++)
		pad[i] ^= 0x36;
	ok = ok && digest(ctx, hash, pad, pieces, count, inner);
	for (size_t i = 0; i < h->block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	ok = ok && digest(ctx, hash, pad, &last, 1, out);
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(inner, sizeof(inner));
	return ok;
}
