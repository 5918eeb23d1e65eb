/* SPDX-License-Identifier: BSD-2-Clause */
/* The PRF of TLS 1.2: see prf.h. */
#include "tls/prf.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "tls/param.h"

#define SECRET_MAX 1088 /* bytes: what ffdhe8192 agrees on, and more */
#define SEED_MAX   1024 /* as OpenSSL's own */

/* P_hash: each piece of the output is keyed by the next of a chain that begins with the seed. */
static bool expand(EVP_MD_CTX *ctx, enum tls_hash hash, struct tls_piece secret,
		   struct tls_piece seed, unsigned char *out, size_t len)
{
	size_t hash_len = tls_hash_len(hash);
	unsigned char link[TLS_HASH_MAX], piece[TLS_HASH_MAX];
	const struct tls_piece chain = {link, hash_len}, both[] = {chain, seed};
	bool ok = tls_hash_hmac(ctx, hash, secret, &seed, 1, link);

	for (size_t done = 0; ok && done < len; done += hash_len) {
		size_t n = len - done < hash_len ? len - done : hash_len;

		ok = (!done || tls_hash_hmac(ctx, hash, secret, &chain, 1, link)) &&
		     tls_hash_hmac(ctx, hash, secret, both, 2, piece);
		if (ok)
			memcpy(out + done, piece, n);
	}
	if (!ok)
		OPENSSL_cleanse(out, len);
	OPENSSL_cleanse(link, sizeof(link));
	OPENSSL_cleanse(piece, sizeof(piece));
	return ok;
}

bool tls_prf(enum tls_hash hash, struct tls_piece secret, struct tls_piece seed, unsigned char *out,
	     size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && expand(ctx, hash, secret, seed, out, len);

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* ---- as OpenSSL asks for it ---------------------------------------------------------------- */

struct kdf {
	int hash; /* enum tls_hash, or -1 */
	bool has_secret;
	size_t secret_len, seed_len;
	unsigned char secret[SECRET_MAX], seed[SEED_MAX];
};

static void kdf_reset(void *kdf)
{
	struct kdf *k = kdf;

	OPENSSL_cleanse(k->secret, k->secret_len);
	OPENSSL_cleanse(k->seed, k->seed_len);
	k->hash = -1;
	k->has_secret = false;
	k->secret_len = k->seed_len = 0;
}

static void kdf_free(void *kdf)
{
	if (kdf)
		kdf_reset(kdf);
	free(kdf);
}

static void *kdf_new(void *of)
{
	struct kdf *k = malloc(sizeof(*k)); /* what is in use of the arrays says their length */

	(void)of;
	if (!k)
		return NULL;
	k->secret_len = k->seed_len = 0;
	kdf_reset(k);
	return k;
}

/* Each is put behind those before, also those of an earlier call. */
static bool take_seeds(const OSSL_PARAM params[], struct kdf *k)
{
	const OSSL_PARAM *p = params;

	while ((p = OSSL_PARAM_locate_const(p, OSSL_KDF_PARAM_SEED))) {
		size_t len = 0;
		bool has;

		if (!tls_param_bytes(p, OSSL_KDF_PARAM_SEED, k->seed + k->seed_len,
				     SEED_MAX - k->seed_len, &len, &has))
			return false;
		k->seed_len += len;
		p++;
	}
	return true;
}

/* In place of one before. None at all is no empty one, of which anybody has the keys. */
static bool take_secret(const OSSL_PARAM params[], struct kdf *k)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SECRET);

	if (!p)
		return true;
	OPENSSL_cleanse(k->secret, k->secret_len);
	k->secret_len = 0;
	k->has_secret = false;
	return p->data && tls_param_bytes(p, OSSL_KDF_PARAM_SECRET, k->secret, sizeof(k->secret),
					  &k->secret_len, &k->has_secret);
}

static int kdf_set(void *kdf, const OSSL_PARAM params[])
{
	struct kdf *k = kdf;

	return !params || (tls_param_hash(params, &k->hash) && take_secret(params, k) &&
			   take_seeds(params, k));
}

static int kdf_derive(void *kdf, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
	struct kdf *k = kdf;

	return kdf_set(k, params) && k->hash >= 0 && k->has_secret && k->seed_len && len &&
	       tls_prf((enum tls_hash)k->hash, (struct tls_piece){k->secret, k->secret_len},
		       (struct tls_piece){k->seed, k->seed_len}, out, len);
}

static const OSSL_PARAM *kdf_settable(void *kdf, void *of)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SECRET, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SEED, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)kdf;
	(void)of;
	return known;
}

const OSSL_DISPATCH tls_prf_functions[] = {
	{OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new},
	{OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free},
	{OSSL_FUNC_KDF_RESET, (void (*)(void))kdf_reset},
	{OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive},
	{OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))kdf_set},
	{OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))kdf_settable},
	{0, NULL},
};
