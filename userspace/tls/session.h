/* SPDX-License-Identifier: BSD-2-Clause */
/* The newest session with a backend, to be resumed. One thread. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

struct ssl_session_st;

struct tls_client;

struct tls_session {
	struct ssl_session_st *newest; /* NULL: none */
	const struct tls_client *of;   /* sessions of others are not kept */
};

void tls_session_forget(struct tls_session *s);

#endif
