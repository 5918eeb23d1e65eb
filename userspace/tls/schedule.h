/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key schedule of TLS 1.3 (RFC 8446, 7.1): for records, and for OpenSSL, whose own way to it takes
 * half of a handshake's time, as it looks for every algorithm by name every time. OpenSSL is offered
 * this one as its TLS13-KDF. Any thread.
 */
#ifndef TLS_SCHEDULE_H
#define TLS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_HASH_MAX 48

/* What SSL_CTX_new_ex() is to be told to have it. */
#define TLS_SCHEDULE_PROPERTIES "?provider=shunt"

enum tls_hash { TLS_SHA256, TLS_SHA384, TLS_HASH_COUNT };

/* Before any of the others. False: OpenSSL failed; it has its own then, but nothing else here works. */
bool tls_schedule_init(void);

size_t tls_hash_len(enum tls_hash hash);
const char *tls_hash_name(enum tls_hash hash); /* as OpenSSL knows it */

/* HKDF-Expand-Label of at most one hash. label: without "tls13 ". False: OpenSSL failed. */
bool tls_expand_label(enum tls_hash hash, const unsigned char *secret, const char *label,
		      unsigned char *out, size_t len);

/* The traffic secrets that OpenSSL makes in this thread until the next call are put there, where they
 * are not known yet; NULL: nowhere. */
struct tls_secrets {
	unsigned char in[TLS_HASH_MAX], out[TLS_HASH_MAX]; /* of a server: the client's, its own */
	bool has_in, has_out;
};
void tls_schedule_watch(struct tls_secrets *s);

#endif
