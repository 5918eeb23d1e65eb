/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A certificate with its chain and its private key, read from PEM files and held against each other.
 * Immutable and counted by reference; any thread. What OpenSSL makes of them is kept as bytes: each
 * thread makes its own objects (tls/server.h), so that threads share no locks.
 */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_DIGEST_LEN	32
#define TLS_PROBLEM_MAX 256

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_ECDSA, TLS_KEY_EDDSA, TLS_KEY_KIND_COUNT };

struct tls_blob {
	unsigned char *data;
	size_t len;
};

struct tls_cert {
	struct tls_blob *chain; /* DER; the certificate itself first */
	size_t chain_count;
	struct tls_blob key; /* DER; wiped when it is freed */
	bool key_is_open;    /* every user of this host may read its file */
	enum tls_key_kind kind;
	unsigned bits; /* of the key: 2048, 256, ... */
	bool is_p256;
	int64_t not_before, not_after; /* seconds since 1970 */
	char **names;		       /* lower case; "*.example.org" too */
	size_t name_count;
	unsigned char digest[TLS_DIGEST_LEN]; /* of chain and key: equal, nothing changed */
	atomic_uint refs;
};

/* What is wrong, and with which of the two files. */
struct tls_problem {
	bool in_key;
	char text[TLS_PROBLEM_MAX]; /* one sentence, no full stop */
};

/* key_path NULL: the key is in the file of the certificate. With one reference. 0; -EINVAL or another
 * -errno, with *ret_problem. */
int tls_cert_load(const char *cert_path, const char *key_path, struct tls_cert **ret_cert,
		  struct tls_problem *ret_problem);

struct tls_cert *tls_cert_ref(struct tls_cert *c);
void tls_cert_unref(struct tls_cert *c); /* NULL is fine */

struct evp_pkey_st;
/* False: of no kind that we take. */
bool tls_key_kind_of(const struct evp_pkey_st *key, enum tls_key_kind *ret_kind);

const char *tls_key_kind_name(enum tls_key_kind kind); /* "RSA", "ECDSA", "EdDSA" */

#endif
