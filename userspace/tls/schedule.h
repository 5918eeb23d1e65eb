/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key schedule of TLS 1.3 (RFC 8446, 7.1): for records, and for OpenSSL, whose own way to it takes
 * half of a handshake's time, as it looks for every algorithm by name every time. Any thread.
 */
#ifndef TLS_SCHEDULE_H
#define TLS_SCHEDULE_H

#include <openssl/core.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/hash.h"

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

/* As OpenSSL's TLS13-KDF. */
extern const OSSL_DISPATCH tls_schedule_functions[];

#endif
