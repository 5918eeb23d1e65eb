/* SPDX-License-Identifier: BSD-2-Clause */
/* Authorities from a file: see authorities.h. */
#include "tls/authorities.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/file.h"

/* What the file is for; the other kind in it counts, too, but is not enough. */
static bool add_info(X509_STORE *store, const X509_INFO *info, unsigned *ret_certs,
		     unsigned *ret_crls)
{
	*ret_certs += info->x509 != NULL;
	*ret_crls += info->crl != NULL;
	return (!info->x509 || X509_STORE_add_cert(store, info->x509)) &&
	       (!info->crl || X509_STORE_add_crl(store, info->crl));
}

bool tls_authorities_add(const struct tls_authorities *a, X509_STORE *store)
{
	BIO *pem = BIO_new_mem_buf(a->file.len ? (void *)a->file.data : "", (int)a->file.len);
	STACK_OF(X509_INFO) *list = pem ? PEM_X509_INFO_read_bio(pem, NULL, NULL, NULL) : NULL;
	unsigned certs = 0, crls = 0;
	bool ok = list != NULL;

	for (int i = 0; ok && i < sk_X509_INFO_num(list); i++)
		ok = add_info(store, sk_X509_INFO_value(list, i), &certs, &crls);
	sk_X509_INFO_pop_free(list, X509_INFO_free);
	BIO_free(pem);
	ERR_clear_error();
	return ok && (a->are_crls ? crls : certs) > 0;
}

static int examine(struct tls_authorities *a, const char *path, char *text)
{
	X509_STORE *store = X509_STORE_new();
	bool ok = store && tls_authorities_add(a, store);

	X509_STORE_free(store);
	if (ok && EVP_Digest(a->file.data, a->file.len, a->digest, NULL, EVP_sha256(), NULL) == 1)
		return 0;
	(void)snprintf(text, TLS_PROBLEM_MAX, "%s: expected %s in PEM form", path,
		       a->are_crls ? "revocation lists" : "certificates of authorities");
	return -EINVAL;
}

int tls_authorities_load(const char *path, bool are_crls, struct tls_authorities **ret_authorities,
			 char *text)
{
	struct tls_authorities *a = calloc(1, sizeof(*a));
	int err;

	if (!a) {
		(void)snprintf(text, TLS_PROBLEM_MAX, "out of memory");
		return -ENOMEM;
	}
	atomic_init(&a->refs, 1);
	a->are_crls = are_crls;
	err = tls_file_read(path, &a->file, NULL, text);
	if (err == 0)
		err = examine(a, path, text);
	if (err < 0) {
		tls_authorities_unref(a);
		return err;
	}
	*ret_authorities = a;
	return 0;
}

struct tls_authorities *tls_authorities_ref(struct tls_authorities *a)
{
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

void tls_authorities_unref(struct tls_authorities *a)
{
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	tls_blob_free(&a->file);
	free(a);
}
