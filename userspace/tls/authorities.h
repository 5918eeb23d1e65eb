/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of authorities, or their revocation lists, from a PEM file. Immutable and counted by reference; any thread. */
#ifndef TLS_AUTHORITIES_H
#define TLS_AUTHORITIES_H

#include "tls/cert.h"

struct tls_authorities {
	struct tls_blob file; /* as it was read, and found to be good */
	bool are_crls;	      /* else certificates */
	unsigned char digest[TLS_DIGEST_LEN];
	atomic_uint refs;
};

/* 0; or -errno with a sentence in text, of TLS_PROBLEM_MAX bytes. */
int tls_authorities_load(const char *path, bool are_crls, struct tls_authorities **ret_authorities,
			 char *text);
struct tls_authorities *tls_authorities_ref(struct tls_authorities *a);
void tls_authorities_unref(struct tls_authorities *a); /* NULL is fine */

/* Into the store of a context (X509_STORE *). False: there are none, or malformed ones. */
struct x509_store_st;
bool tls_authorities_add(const struct tls_authorities *a, struct x509_store_st *store);

#endif
