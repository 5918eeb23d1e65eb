/* SPDX-License-Identifier: BSD-2-Clause */
/* The key schedule of TLS 1.3: see schedule.h. */
#include "tls/schedule.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tls/param.h"

#define KEY_MAX	   1088 /* bytes of a secret that was agreed on: of ffdhe8192 and more */
#define LABEL_MAX  64
#define SECRET_IN  "c ap traffic"
#define SECRET_OUT "s ap traffic"

static __thread struct tls_secrets *watching;

/* HKDF-Expand-Label: as out is one hash at most, it is one HMAC. */
static bool expand(EVP_MD_CTX *ctx, enum tls_hash hash, struct tls_piece secret,
		   struct tls_piece prefix, struct tls_piece label, struct tls_piece context,
		   unsigned char *out, size_t len)
{
	unsigned char head[3] = {(unsigned char)(len >> 8), (unsigned char)len,
				 (unsigned char)(prefix.len + label.len)};
	unsigned char context_len = (unsigned char)context.len, hashed[TLS_HASH_MAX];
	const struct tls_piece pieces[] = {
		{head, sizeof(head)}, prefix, label, {&context_len, 1}, context, {"\x01", 1},
	};
	bool ok =
		len <= tls_hash_len(hash) && prefix.len + label.len < 256 && context.len < 256 &&
		tls_hash_hmac(ctx, hash, secret, pieces, sizeof(pieces) / sizeof(*pieces), hashed);

	if (ok)
		memcpy(out, hashed, len);
	OPENSSL_cleanse(hashed, sizeof(hashed));
	return ok;
}

bool tls_expand_label(enum tls_hash hash, const unsigned char *secret, const char *label,
		      unsigned char *out, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx &&
		  expand(ctx, hash, (struct tls_piece){secret, tls_hash_len(hash)},
			 (struct tls_piece){"tls13 ", 6}, (struct tls_piece){label, strlen(label)},
			 (struct tls_piece){NULL, 0}, out, len);

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

static void *kdf_new(void *of)
{
	struct kdf *k = calloc(1, sizeof(*k));

	(void)of;
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

static int kdf_set(void *kdf, const OSSL_PARAM params[])
{
	struct kdf *k = kdf;
	bool unused;

	return !params || (take_mode(params, k) && tls_param_hash(params, &k->hash) &&
			   tls_param_bytes(params, OSSL_KDF_PARAM_KEY, k->key, sizeof(k->key),
					   &k->key_len, &k->has_key) &&
			   tls_param_bytes(params, OSSL_KDF_PARAM_SALT, k->salt, sizeof(k->salt),
					   &k->salt_len, &k->has_salt) &&
			   tls_param_bytes(params, OSSL_KDF_PARAM_PREFIX, k->prefix,
					   sizeof(k->prefix), &k->prefix_len, &unused) &&
			   tls_param_bytes(params, OSSL_KDF_PARAM_LABEL, k->label, sizeof(k->label),
					   &k->label_len, &unused) &&
			   tls_param_bytes(params, OSSL_KDF_PARAM_DATA, k->data, sizeof(k->data),
					   &k->data_len, &unused));
}

/* The next secret of the schedule: what is new is mixed into what is derived from the one before. */
static bool extract(struct kdf *k, unsigned char *out)
{
	static const unsigned char zeros[TLS_HASH_MAX];
	enum tls_hash hash = (enum tls_hash)k->hash;
	size_t len = tls_hash_len(hash);
	unsigned char nothing[TLS_HASH_MAX], derived[TLS_HASH_MAX];
	struct tls_piece before = {zeros, 0}, new = {k->key, k->key_len};
	bool ok = true;

	if (!k->has_key)
		new = (struct tls_piece){zeros, len};
	if (k->has_salt) {
		ok = tls_hash_digest(k->ctx, hash, NULL, 0, nothing) &&
		     expand(k->ctx, hash, (struct tls_piece){k->salt, k->salt_len},
			    (struct tls_piece){k->prefix, k->prefix_len},
			    (struct tls_piece){k->label, k->label_len},
			    (struct tls_piece){nothing, len}, derived, len);
		before = (struct tls_piece){derived, len};
	}
	ok = ok && tls_hash_hmac(k->ctx, hash, before, &new, 1, out);
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
		return len == tls_hash_len((enum tls_hash)k->hash) && extract(k, out);
	if (k->mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY || !k->has_key ||
	    !expand(k->ctx, (enum tls_hash)k->hash, (struct tls_piece){k->key, k->key_len},
		    (struct tls_piece){k->prefix, k->prefix_len},
		    (struct tls_piece){k->label, k->label_len},
		    (struct tls_piece){k->data, k->data_len}, out, len))
		return 0;
	note(k, out, len);
	return 1;
}

static const OSSL_PARAM *kdf_settable(void *kdf, void *of)
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
	(void)of;
	return known;
}

const OSSL_DISPATCH tls_schedule_functions[] = {
	{OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new},
	{OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free},
	{OSSL_FUNC_KDF_RESET, (void (*)(void))kdf_reset},
	{OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive},
	{OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))kdf_set},
	{OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))kdf_settable},
	{0, NULL},
};

void tls_schedule_watch(struct tls_secrets *s)
{
	watching = s;
}
