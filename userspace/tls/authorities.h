/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of authorities from a PEM file. Immutable and counted by reference; any thread. */
#ifndef TLS_AUTHORITIES_H
#define TLS_AUTHORITIES_H

#include "tls/cert.h"

struct tls_authorities {
	struct tls_blob file; /* as it was read, and found to be good */
	unsigned char digest[TLS_DIGEST_LEN];
	atomic_uint refs;
};

/* 0; or -errno with a sentence in text, of TLS_PROBLEM_MAX bytes. */
int tls_authorities_load(const char *path, struct tls_authorities **ret_authorities, char *text);
struct tls_authorities *tls_authorities_ref(struct tls_authorities *a);
void tls_authorities_unref(struct tls_authorities *a); /* NULL is fine */

/* Into the store of a context (X509_STORE *). Their number; 0: none, or malformed. */
struct x509_store_st;
unsigned tls_authorities_add(const struct tls_authorities *a, struct x509_store_st *store);

#endif
