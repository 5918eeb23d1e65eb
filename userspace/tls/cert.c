/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates and keys from files: see cert.h. */
#include "tls/cert.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/file.h"

#define CHAIN_MAX 16U
/* A client need not take more, and it must fit into what is written at once in a handshake. */
#define CHAIN_BYTES_MAX (48U << 10)

struct loader {
	const char *cert_path, *key_path;
	struct tls_cert *cert;
	struct tls_problem *problem;
};

static int fail(struct loader *l, bool in_key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct loader *l, bool in_key, const char *fmt, ...)
{
	va_list ap;

	l->problem->in_key = in_key;
	va_start(ap, fmt);
	(void)vsnprintf(l->problem->text, sizeof(l->problem->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int no_memory(struct loader *l)
{
	(void)fail(l, false, "out of memory");
	return -ENOMEM;
}

/* ---- the certificate ---- */

/* A name that has other bytes (NUL among them) is none that a client could ask for. */
static int add_name(struct tls_cert *c, const unsigned char *text, int len)
{
	char **names, *name;

	if (len <= 0 || len > 253)
		return 0;
	for (int i = 0; i < len; i++)
		if (!isalnum(text[i]) && !strchr("-._*", text[i] ? text[i] : ' '))
			return 0;
	names = realloc(c->names, (c->name_count + 1) * sizeof(*names));
	if (!names)
		return -ENOMEM;
	c->names = names;
	name = strndup((const char *)text, (size_t)len);
	if (!name)
		return -ENOMEM;
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	names[c->name_count++] = name;
	return 0;
}

/* The DNS names that it is for; the common name counts where there are none (RFC 6125, 6.4.4). */
static int take_names(struct tls_cert *c, X509 *x)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), err = 0;

	for (int i = 0; err == 0 && i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(list, i);

		if (n->type == GEN_DNS)
			err = add_name(c, ASN1_STRING_get0_data(n->d.dNSName),
				       ASN1_STRING_length(n->d.dNSName));
	}
	GENERAL_NAMES_free(list);
	if (err == 0 && !c->name_count && at >= 0) {
		const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

		err = add_name(c, ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
	}
	return err;
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int take_kind(struct loader *l, X509 *x)
{
	struct tls_cert *c = l->cert;
	EVP_PKEY *key = X509_get0_pubkey(x);
	char group[32] = "";

	if (!key || !tls_key_kind_of(key, &c->kind))
		return fail(l, false,
			    "%s: expected a certificate with an RSA, ECDSA or Ed25519 key",
			    l->cert_path);
	c->bits = (unsigned)EVP_PKEY_get_bits(key);
	c->is_p256 = c->kind == TLS_KEY_ECDSA &&
		     EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
		     !strcmp(group, "prime256v1");
	return 0;
}

static int add_to_chain(struct loader *l, X509 *x)
{
	struct tls_cert *c = l->cert;
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);
	struct tls_blob *blob = &c->chain[c->chain_count];

	if (len <= 0)
		return no_memory(l);
	blob->data = malloc((size_t)len);
	if (blob->data) {
		memcpy(blob->data, der, (size_t)len);
		blob->len = (size_t)len;
		c->chain_count++;
	}
	OPENSSL_free(der);
	return blob->data ? 0 : no_memory(l);
}

/* The first certificate of the file; the rest is its chain. */
static int take_first(struct loader *l, X509 *x)
{
	struct tls_cert *c = l->cert;

	c->not_before = seconds(X509_get0_notBefore(x));
	c->not_after = seconds(X509_get0_notAfter(x));
	if (take_names(c, x) < 0)
		return no_memory(l);
	return take_kind(l, x);
}

/* Why the text could not be read on: no more of it, or malformed. */
static bool is_end_of_pem(void)
{
	unsigned long err = ERR_peek_last_error();

	return ERR_GET_LIB(err) == ERR_LIB_PEM && ERR_GET_REASON(err) == PEM_R_NO_START_LINE;
}

static int take_chain(struct loader *l, BIO *pem)
{
	struct tls_cert *c = l->cert;
	size_t bytes = 0;
	int err = 0;
	X509 *x;

	c->chain = calloc(CHAIN_MAX, sizeof(*c->chain));
	if (!c->chain)
		return no_memory(l);
	ERR_clear_error();
	while (err == 0 && (x = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
		if (c->chain_count == CHAIN_MAX)
			err = fail(l, false, "%s has more than %u certificates", l->cert_path,
				   CHAIN_MAX);
		if (err == 0 && !c->chain_count)
			err = take_first(l, x);
		if (err == 0)
			err = add_to_chain(l, x);
		if (err == 0)
			bytes += c->chain[c->chain_count - 1].len;
		X509_free(x);
	}
	if (err < 0)
		return err;
	if (!is_end_of_pem())
		return fail(l, false, "%s: certificate %zu in it is malformed", l->cert_path,
			    c->chain_count + 1);
	if (!c->chain_count)
		return fail(l, false, "%s has no certificate in PEM form", l->cert_path);
	if (bytes > CHAIN_BYTES_MAX)
		return fail(l, false, "%s: its certificates are larger than %u KiB together",
			    l->cert_path, CHAIN_BYTES_MAX >> 10);
	return 0;
}

/* ---- the key ---- */

/* Nobody is there to be asked; that it was wanted is remembered. */
static int on_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)ctx = true;
	return -1;
}

static int keep_key(struct loader *l, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PrivateKey(key, &der);
	struct tls_blob *blob = &l->cert->key;

	if (len <= 0)
		return no_memory(l);
	blob->data = malloc((size_t)len);
	if (blob->data) {
		memcpy(blob->data, der, (size_t)len);
		blob->len = (size_t)len;
	}
	OPENSSL_clear_free(der, (size_t)len);
	return blob->data ? 0 : no_memory(l);
}

static int take_key(struct loader *l, BIO *pem)
{
	const unsigned char *der = l->cert->chain[0].data;
	X509 *x = d2i_X509(NULL, &der, (long)l->cert->chain[0].len);
	bool encrypted = false;
	EVP_PKEY *key;
	int err;

	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(pem, NULL, on_passphrase, &encrypted);
	if (encrypted)
		err = fail(l, true,
			   "%s: the key is encrypted, and there is nobody to ask for its "
			   "passphrase",
			   l->key_path);
	else if (!key)
		err = fail(l, true, "%s has no private key in PEM form%s", l->key_path,
			   is_end_of_pem() ? "" : " that could be read");
	else if (!x || X509_check_private_key(x, key) != 1)
		err = fail(l, true, "%s: the key is not that of certificate %s", l->key_path,
			   l->cert_path);
	else
		err = keep_key(l, key);
	EVP_PKEY_free(key);
	X509_free(x);
	return err;
}

/* ---- both ---- */

static int make_digest(struct loader *l)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct tls_cert *c = l->cert;
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (size_t i = 0; ok && i < c->chain_count; i++)
		ok = EVP_DigestUpdate(ctx, c->chain[i].data, c->chain[i].len);
	ok = ok && EVP_DigestUpdate(ctx, c->key.data, c->key.len) &&
	     EVP_DigestFinal_ex(ctx, c->digest, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : no_memory(l);
}

static int load_part(struct loader *l, bool in_key, int (*take)(struct loader *l, BIO *pem))
{
	struct tls_blob file = {0};
	int err = tls_file_read(in_key ? l->key_path : l->cert_path, &file, &l->cert->key_is_open,
				l->problem->text); /* the key's comes last */
	BIO *pem;

	l->problem->in_key = in_key;
	if (err == 0) {
		pem = BIO_new_mem_buf(file.len ? (void *)file.data : "", (int)file.len);
		err = pem ? take(l, pem) : no_memory(l);
		BIO_free(pem);
	}
	ERR_clear_error();
	tls_blob_free(&file);
	return err;
}

int tls_cert_load(const char *cert_path, const char *key_path, struct tls_cert **ret_cert,
		  struct tls_problem *ret_problem)
{
	struct loader l = {cert_path, key_path ? key_path : cert_path, NULL, ret_problem};
	int err;

	l.cert = calloc(1, sizeof(*l.cert));
	if (!l.cert)
		return no_memory(&l);
	atomic_init(&l.cert->refs, 1);
	err = load_part(&l, false, take_chain);
	if (err == 0)
		err = load_part(&l, true, take_key);
	if (err == 0)
		err = make_digest(&l);
	if (err < 0) {
		tls_cert_unref(l.cert);
		return err;
	}
	*ret_cert = l.cert;
	return 0;
}

struct tls_cert *tls_cert_ref(struct tls_cert *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tls_cert_unref(struct tls_cert *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < c->chain_count; i++)
		tls_blob_free(&c->chain[i]);
	for (size_t i = 0; i < c->name_count; i++)
		free(c->names[i]);
	tls_blob_free(&c->key);
	free(c->chain);
	free(c->names);
	free(c);
}

bool tls_key_kind_of(const EVP_PKEY *key, enum tls_key_kind *ret_kind)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA: *ret_kind = TLS_KEY_RSA; return true;
	case EVP_PKEY_EC: *ret_kind = TLS_KEY_ECDSA; return true;
	case EVP_PKEY_ED25519: *ret_kind = TLS_KEY_EDDSA; return true;
	default: return false;
	}
}

const char *tls_key_kind_name(enum tls_key_kind kind)
{
	static const char *const names[] = {"RSA", "ECDSA", "EdDSA"};

	return names[kind];
}
