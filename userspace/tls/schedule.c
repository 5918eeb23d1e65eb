/* SPDX-License-Identifier: BSD-2-Clause */
/* The key schedule of TLS 1.3, and the provider that OpenSSL finds it in: see schedule.h. */
#include "tls/schedule.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROVIDER   "shunt"
#define BLOCK_MAX  128	/* bytes that a hash takes at once */
#define KEY_MAX	   1088 /* bytes of a secret that was agreed on: of ffdhe8192 and more */
#define LABEL_MAX  64
#define SECRET_IN  "c ap traffic"
#define SECRET_OUT "s ap traffic"

static const struct hash {
	const char *name, *other_name;
	uint8_t len, block;
} hashes[] = {
	[TLS_SHA256] = {"SHA256", "SHA2-256", 32, 64},
	[TLS_SHA384] = {"SHA384", "SHA2-384", 48, 128},
};

static EVP_MD *digests[TLS_HASH_COUNT];
static __thread struct tls_secrets *watching;

size_t tls_hash_len(enum tls_hash hash)
{
	return hashes[hash].len;
}

const char *tls_hash_name(enum tls_hash hash)
{
	return hashes[hash].name;
}

/* ---- HMAC, HKDF ---------------------------------------------------------------------------- */

struct piece {
	const void *bytes;
	size_t len;
};

/* One of both hashes that an HMAC is. */
static bool digest(EVP_MD_CTX *ctx, enum tls_hash hash, const unsigned char *pad,
		   const struct piece *pieces, size_t count, unsigned char *out)
{
	bool ok = EVP_DigestInit_ex(ctx, digests[hash], NULL) &&
		  (!pad || EVP_DigestUpdate(ctx, pad, hashes[hash].block));

	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, pieces[i].bytes, pieces[i].len);
	return ok && EVP_DigestFinal_ex(ctx, out, NULL);
}

static bool hmac(EVP_MD_CTX *ctx, enum tls_hash hash, struct piece key, const struct piece *pieces,
		 size_t count, unsigned char *out)
{
	const struct hash *h = &hashes[hash];
	unsigned char pad[BLOCK_MAX] = {0}, inner[TLS_HASH_MAX];
	struct piece last = {inner, h->len};
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

/* HKDF-Expand-Label: as out is one hash at most, it is one HMAC. */
static bool expand(EVP_MD_CTX *ctx, enum tls_hash hash, struct piece secret, struct piece prefix,
		   struct piece label, struct piece context, unsigned char *out, size_t len)
{
	unsigned char head[3] = {(unsigned char)(len >> 8), (unsigned char)len,
				 (unsigned char)(prefix.len + label.len)};
	unsigned char context_len = (unsigned char)context.len, hashed[TLS_HASH_MAX];
	const struct piece pieces[] = {
		{head, sizeof(head)}, prefix, label, {&context_len, 1}, context, {"\x01", 1},
	};
	bool ok = len <= hashes[hash].len && prefix.len + label.len < 256 && context.len < 256 &&
		  hmac(ctx, hash, secret, pieces, sizeof(pieces) / sizeof(*pieces), hashed);

	if (ok)
		memcpy(out, hashed, len);
	OPENSSL_cleanse(hashed, sizeof(hashed));
	return ok;
}

bool tls_expand_label(enum tls_hash hash, const unsigned char *secret, const char *label,
		      unsigned char *out, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && expand(ctx, hash, (struct piece){secret, hashes[hash].len},
				(struct piece){"tls13 ", 6}, (struct piece){label, strlen(label)},
				(struct piece){NULL, 0}, out, len);

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* ---- as OpenSSL asks for it ---------------------------------------------------------------- */

struct kdf {
	EVP_MD_CTX *ctx;
	int mode;
	int hash; /* enum tls_hash, or -1 */
	unsigned char key[KEY_MAX], salt[TLS_HASH_MAX];
	unsigned char prefix[LABEL_MAX], label[LABEL_MAX], data[LABEL_MAX];
	size_t key_len, salt_len, prefix_len, label_len, data_len;
	bool has_key, has_salt;
};

static void clear(struct kdf *k)
{
	EVP_MD_CTX *ctx = k->ctx;

	OPENSSL_cleanse(k->key, k->key_len);
	OPENSSL_cleanse(k->salt, k->salt_len);
	memset(k, 0, sizeof(*k));
	k->ctx = ctx;
	k->hash = -1;
	k->mode = -1;
}

static void kdf_free(void *kdf)
{
	struct kdf *k = kdf;

	if (!k)
		return;
	clear(k);
	EVP_MD_CTX_free(k->ctx);
	free(k);
}

static void *kdf_new(void *provider)
{
	struct kdf *k = calloc(1, sizeof(*k));

	(void)provider;
	if (!k)
		return NULL;
	k->hash = k->mode = -1;
	k->ctx = EVP_MD_CTX_new();
	if (k->ctx)
		return k;
	free(k);
	return NULL;
}

static void kdf_reset(void *kdf)
{
	clear(kdf);
}

/* *ret_has: is it among params? */
static bool take_bytes(const OSSL_PARAM params[], const char *name, unsigned char *out, size_t max,
		       size_t *ret_len, bool *ret_has)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, name);
	void *at = out;

	if (!p)
		return true;
	*ret_has = true;
	if (!p->data_size || !p->data) {
		*ret_len = 0;
		return p->data_type == OSSL_PARAM_OCTET_STRING;
	}
	return OSSL_PARAM_get_octet_string(p, &at, max, ret_len);
}

static bool take_mode(const OSSL_PARAM params[], struct kdf *k)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_MODE);

	if (!p)
		return true;
	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, &k->mode);
	if (!strcasecmp(p->data, "EXTRACT_ONLY"))
		k->mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	else if (!strcasecmp(p->data, "EXPAND_ONLY"))
		k->mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	else
		return false;
	return true;
}

static bool take_hash(const OSSL_PARAM params[], struct kdf *k)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_DIGEST);
	const char *name = p && p->data_type == OSSL_PARAM_UTF8_STRING ? p->data : NULL;

	if (!p)
		return true;
	for (int i = 0; name && i < TLS_HASH_COUNT; i++)
		if (!strcasecmp(name, hashes[i].name) || !strcasecmp(name, hashes[i].other_name)) {
			k->hash = i;
			return true;
		}
	return false;
}

static int kdf_set(void *kdf, const OSSL_PARAM params[])
{
	struct kdf *k = kdf;
	bool unused;

	return !params || (take_mode(params, k) && take_hash(params, k) &&
			   take_bytes(params, OSSL_KDF_PARAM_KEY, k->key, sizeof(k->key),
				      &k->key_len, &k->has_key) &&
			   take_bytes(params, OSSL_KDF_PARAM_SALT, k->salt, sizeof(k->salt),
				      &k->salt_len, &k->has_salt) &&
			   take_bytes(params, OSSL_KDF_PARAM_PREFIX, k->prefix, sizeof(k->prefix),
				      &k->prefix_len, &unused) &&
			   take_bytes(params, OSSL_KDF_PARAM_LABEL, k->label, sizeof(k->label),
				      &k->label_len, &unused) &&
			   take_bytes(params, OSSL_KDF_PARAM_DATA, k->data, sizeof(k->data),
				      &k->data_len, &unused));
}

/* The next secret of the schedule: what is new is mixed into what is derived from the one before. */
static bool extract(struct kdf *k, unsigned char *out)
{
	static const unsigned char zeros[TLS_HASH_MAX];
	enum tls_hash hash = (enum tls_hash)k->hash;
	size_t len = hashes[hash].len;
	unsigned char nothing[TLS_HASH_MAX], derived[TLS_HASH_MAX];
	struct piece before = {zeros, 0}, new = {k->key, k->key_len};
	bool ok = true;

	if (!k->has_key)
		new = (struct piece){zeros, len};
	if (k->has_salt) {
		ok = digest(k->ctx, hash, NULL, NULL, 0, nothing) &&
		     expand(k->ctx, hash, (struct piece){k->salt, k->salt_len},
			    (struct piece){k->prefix, k->prefix_len},
			    (struct piece){k->label, k->label_len}, (struct piece){nothing, len},
			    derived, len);
		before = (struct piece){derived, len};
	}
	ok = ok && hmac(k->ctx, hash, before, &new, 1, out);
	OPENSSL_cleanse(derived, sizeof(derived));
	return ok;
}

static void note(const struct kdf *k, const unsigned char *secret, size_t len)
{
	struct tls_secrets *s = watching;

	if (!s || k->label_len != sizeof(SECRET_IN) - 1 || len > TLS_HASH_MAX)
		return;
	if (!s->has_in && !memcmp(k->label, SECRET_IN, k->label_len)) {
		memcpy(s->in, secret, len);
		s->has_in = true;
	} else if (!s->has_out && !memcmp(k->label, SECRET_OUT, k->label_len)) {
		memcpy(s->out, secret, len);
		s->has_out = true;
	}
}

static int kdf_derive(void *kdf, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
	struct kdf *k = kdf;

	if (!kdf_set(k, params) || k->hash < 0)
		return 0;
	if (k->mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
		return len == hashes[k->hash].len && extract(k, out);
	if (k->mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || !k->has_key ||
	    !expand(k->ctx, (enum tls_hash)k->hash, (struct piece){k->key, k->key_len},
		    (struct piece){k->prefix, k->prefix_len},
		    (struct piece){k->label, k->label_len}, (struct piece){k->data, k->data_len},
		    out, len))
		return 0;
	note(k, out, len);
	return 1;
}

static const OSSL_PARAM *kdf_settable(void *kdf, void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MODE, NULL, 0),
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, NULL),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PREFIX, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_LABEL, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_DATA, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)kdf;
	(void)provider;
	return known;
}

/* ---- the provider -------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
	static const OSSL_DISPATCH functions[] = {
		{OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new},
		{OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free},
		{OSSL_FUNC_KDF_RESET, (void (*)(void))kdf_reset},
		{OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive},
		{OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))kdf_set},
		{OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))kdf_settable},
		{0, NULL},
	};
	static const OSSL_ALGORITHM kdfs[] = {
		{OSSL_KDF_NAME_TLS1_3_KDF, "provider=" PROVIDER, functions, NULL},
		{NULL, NULL, NULL, NULL},
	};

	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int init_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **out, void **ret_provider)
{
	static const OSSL_DISPATCH functions[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{0, NULL},
	};

	(void)in;
	*out = functions;
	*ret_provider = (void *)(uintptr_t)handle;
	return 1;
}

static bool is_ready;

static void init_once(void)
{
	for (int i = 0; i < TLS_HASH_COUNT; i++) {
		digests[i] = EVP_MD_fetch(NULL, hashes[i].name, NULL);
		if (!digests[i])
			return;
	}
	/* OpenSSL's own provider stays, for all else. */
	is_ready = OSSL_PROVIDER_add_builtin(NULL, PROVIDER, init_provider) &&
		   OSSL_PROVIDER_try_load(NULL, PROVIDER, 1);
}

bool tls_schedule_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, init_once);
	return is_ready;
}

void tls_schedule_watch(struct tls_secrets *s)
{
	watching = s;
}
