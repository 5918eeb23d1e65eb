/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's side of TLS for one service in one thread: OpenSSL's contexts, one for each set of
 * certificates that a name can ask for, and the choice among them by name. Counted by reference, by
 * that thread.
 */
#ifndef TLS_SERVER_H
#define TLS_SERVER_H

#include <openssl/ssl.h>

#include "tls/authorities.h"
#include "tls/cert.h"
#include "tls/policy.h"
#include "tls/resume.h"
#include "tls/staple.h"

struct tls_server;

/* What it is made of; equal ones need not be made anew. certs: references of the caller's. */
struct tls_server_conf {
	const char *name; /* of the service: sessions are good there alone */
	struct tls_cert *const *certs;
	size_t cert_count; /* at least 1; the first one serves names that none is for */
	struct tls_staple *const *staples; /* of each of them; NULL among them: none */
	enum tls_policy policy;
	bool http2; /* offered by ALPN, before HTTP/1.1 */
	/* Certificates of clients. authorities NULL: none are asked for. crls NULL: none are revoked. */
	struct tls_authorities *authorities, *crls;
	bool clients_may_have_none;
	bool early_data; /* is taken (0-RTT) */
};

/* With one reference. r: of the worker, outlives it; NULL: it is only tried. 0, or -EINVAL or -ENOMEM; then *ret_bad: the certificate that OpenSSL did not
 * take; cert_count: none of them. */
int tls_server_new(const struct tls_server_conf *conf, struct tls_resumer *r,
		   struct tls_server **ret_server, size_t *ret_bad);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server *s); /* NULL is fine */

/* Was it made of an equal conf? */
bool tls_server_is_of(const struct tls_server *s, const struct tls_server_conf *conf);

/* Where it was made of an equal conf: OCSP responses are those of this one from now on. */
void tls_server_staple(struct tls_server *s, const struct tls_server_conf *conf);

/* Is the same asked of clients by both? */
bool tls_server_asks_the_same(const struct tls_server *a, const struct tls_server *b);

/* For a new connection; it keeps a reference to its context, but s must outlive it. NULL: no
 * memory. */
SSL *tls_server_connection(struct tls_server *s);

/* Must a request for a host (without its port) not come on a connection that asked for this name (NULL:
 * none)? Where clients are asked for certificates: for any other. Else for one that has a certificate
 * here, but not the one that this client saw: it could not know whom it speaks to. */
bool tls_server_is_misdirected(const struct tls_server *s, const char *asked, const char *host,
			       size_t len);

/* No client goes on with the session of this id. */
void tls_server_forget_session(struct tls_server *s, const unsigned char *id, size_t len);

bool tls_server_takes_early_data(const struct tls_server *s);

/* What a client got that asked for an OCSP response in its handshake, which is done; asked once, as the
 * response is let go of. WITHHELD: there is one, but it is not good now. */
enum tls_stapled { TLS_STAPLED_NOTHING, TLS_STAPLED_RESPONSE, TLS_STAPLED_WITHHELD };
enum tls_stapled tls_server_stapled(SSL *ssl);

#endif
