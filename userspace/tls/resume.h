/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How contexts of a server resume sessions: with the ticket keys of their worker, and the sessions that
 * all share. One thread.
 */
#ifndef TLS_RESUME_H
#define TLS_RESUME_H

#include <openssl/ssl.h>

#include "tls/cert.h"
#include "tls/shared.h"
#include "tls/tickets.h"

/* One for each worker; outlives its contexts. */
struct tls_resumer {
	struct tls_tickets tickets;
	struct tls_shared *shared;
	EVP_CIPHER *cipher; /* of tickets; OpenSSL would look for it each time */
};

/* Before the secret is forgotten. False: OpenSSL failed. */
bool tls_resumer_init(struct tls_resumer *r, struct tls_shared *shared);
void tls_resumer_deinit(struct tls_resumer *r);

/* Forgets keys that are over. Milliseconds until there is something to do again. */
uint64_t tls_resumer_tick(struct tls_resumer *r);

/* Of one server: the app data of its contexts. */
struct tls_resumption {
	struct tls_resumer *resumer;
	unsigned char id[TLS_DIGEST_LEN]; /* sessions of other servers have another one */
};

/* False: OpenSSL refused it. */
bool tls_resumption_enable(SSL_CTX *ctx, struct tls_resumption *r);

/* A session of TLS 1.2 is not good any more. */
void tls_resumption_forget(const struct tls_resumption *r, const unsigned char *id, size_t len);

/* Requests may come with the first message of a resumed session, each ticket good for that once. */
void tls_resumption_allow_early_data(SSL_CTX *ctx, struct tls_resumption *r);

#endif
