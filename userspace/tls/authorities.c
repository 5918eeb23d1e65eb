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

unsigned tls_authorities_add(const struct tls_authorities *a, X509_STORE *store)
{
	BIO *pem = BIO_new_mem_buf(a->file.len ? (void *)a->file.data : "", (int)a->file.len);
	unsigned count = 0;
	bool ok = pem != NULL;
	X509 *x;

	ERR_clear_error();
	while (ok && (x = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL))) {
		ok = X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
		count++;
	}
	ok = ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(pem);
	return ok ? count : 0;
}

static int examine(struct tls_authorities *a, const char *path, char *text)
{
	X509_STORE *store = X509_STORE_new();
	bool ok = store && tls_authorities_add(a, store) > 0;

	X509_STORE_free(store);
	if (ok && EVP_Digest(a->file.data, a->file.len, a->digest, NULL, EVP_sha256(), NULL) == 1)
		return 0;
	(void)snprintf(text, TLS_PROBLEM_MAX,
		       "%s: expected certificates of authorities in PEM form", path);
	return -EINVAL;
}

int tls_authorities_load(const char *path, struct tls_authorities **ret_authorities, char *text)
{
	struct tls_authorities *a = calloc(1, sizeof(*a));
	int err;

	if (!a) {
		(void)snprintf(text, TLS_PROBLEM_MAX, "out of memory");
		return -ENOMEM;
	}
	atomic_init(&a->refs, 1);
	err = tls_file_read(path, &a->file, text);
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
