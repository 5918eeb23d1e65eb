/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An OCSP response for one certificate, from a file that somebody keeps fresh: clients that ask get
 * it with the certificate (RFC 6066, 8). The main thread reads the file, workers take what was in it.
 * Counted by reference; any thread.
 */
#ifndef TLS_STAPLE_H
#define TLS_STAPLE_H

#include <stddef.h>
#include <stdint.h>

#include "tls/cert.h"

struct tls_staple;

enum tls_staple_state {
	TLS_STAPLE_GOOD,
	TLS_STAPLE_EXPIRED,
	TLS_STAPLE_EARLY, /* it is not valid yet */
	TLS_STAPLE_REVOKED,
	TLS_STAPLE_UNKNOWN, /* the responder does not know the certificate */
};

struct tls_staple_info {
	enum tls_staple_state state;	  /* clients get it in the first one alone */
	int64_t this_update, next_update; /* seconds since 1970 */
};

/* 0; or -errno with a sentence in text, of TLS_PROBLEM_MAX bytes. Good is whatever answers for the
 * certificate; where its chain has its issuer, with that one's signature. Expired ones are good too:
 * see tls_staple_info(). */
int tls_staple_load(const char *path, const struct tls_cert *cert, struct tls_staple **ret_staple,
		    char *text);
struct tls_staple *tls_staple_ref(struct tls_staple *s);
void tls_staple_unref(struct tls_staple *s); /* NULL is fine */

void tls_staple_info(struct tls_staple *s, struct tls_staple_info *ret_info);
const char *tls_staple_state_text(enum tls_staple_state state); /* "good", "expired", ... */

enum tls_staple_news {
	TLS_STAPLE_SAME,
	TLS_STAPLE_RENEWED,
	TLS_STAPLE_FAILED,  /* the file cannot be used: what was there before stays */
	TLS_STAPLE_RAN_OUT, /* the response has just expired */
};

/* Look at the file again. Of several news the first one; each is told once. FAILED: with a sentence in
 * text. cert: as it was loaded for. Main thread. */
enum tls_staple_news tls_staple_refresh(struct tls_staple *s, const struct tls_cert *cert,
					char *text);

/* Why the file could not be used since the response was read; NULL: it could. Main thread. */
const char *tls_staple_problem(const struct tls_staple *s);

/* A copy for OPENSSL_free(); NULL: no good one, or no memory. */
unsigned char *tls_staple_take(struct tls_staple *s, size_t *ret_len);

#endif
