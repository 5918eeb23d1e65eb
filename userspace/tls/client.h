/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of TLS, towards the backends of one pool, in one thread; and the authorities that
 * backends are verified by. A client is counted by reference, by its thread.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <openssl/ssl.h>

#include "core/addr.h"
#include "tls/authorities.h"
#include "tls/cert.h"
#include "tls/policy.h"
#include "tls/session.h"

struct tls_client;

struct tls_client_conf {
	struct tls_authorities *authorities; /* NULL: backends are not verified */
	struct tls_cert *cert;		     /* ours, where they ask for one; NULL: none */
	const char *name; /* to ask for, and to verify; NULL: their address is verified */
	enum tls_policy policy;
	bool http2; /* what is spoken inside: HTTP/2, else HTTP/1.1 */
};

/* With one reference; takes some of its own. 0, or -EINVAL (OpenSSL does not take the certificate), or
 * -ENOMEM. */
int tls_client_new(const struct tls_client_conf *conf, struct tls_client **ret_client);
struct tls_client *tls_client_ref(struct tls_client *c); /* NULL is fine */
void tls_client_unref(struct tls_client *c);		 /* NULL is fine */

/* Was it made of an equal conf? */
bool tls_client_is_of(const struct tls_client *c, const struct tls_client_conf *conf);

/* For a new connection to a backend at addr; session: what was learnt from earlier ones, and where to
 * keep more; it outlives the connection. NULL: no memory. */
SSL *tls_client_connection(struct tls_client *c, const struct addr *addr,
			   struct tls_session *session);

#endif
