/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backends that are spoken HTTP/2 to: connections that many requests share, each as a stream that
 * looks like an upstream_conn of its own. Which requests go to which connection, when another one is
 * opened, and what becomes of those of a connection that ends. One thread.
 */
#ifndef L7_H2_CLIENT_H
#define L7_H2_CLIENT_H

#include "l7/http1_parse.h"
#include "l7/upstream_conn.h"

struct h2_limits;
struct upstream;

/* How a request wants to be carried. */
struct h2_wish {
	unsigned streams_max; /* of one connection, at most what the backend allows */
	unsigned connect_ms, idle_ms;
	bool extended; /* it is an extended CONNECT (RFC 8441), which not every backend takes */
};

/* A stream of a connection that is open; NULL: none has room. port: of the backend. */
struct upstream_conn *h2_client_take(struct upstream *up, uint16_t port, const struct h2_wish *wish,
				     const struct upstream_user *user, void *ctx);

/* One of a connection that is being opened: user->on_connect tells. 0, or -errno. */
int h2_client_open(struct upstream *up, const struct endpoint *ep, const struct h2_wish *wish,
		   const struct upstream_user *user, void *ctx, struct upstream_conn **ret_conn);

/* For upstream_conn_close(): what is under way is broken off. */
void h2_client_close(struct upstream_conn *uc);

/* Is a response's header here? If so, what it says, with slices that are good until it is done with;
 * cap of h->fields that it needs. */
bool h2_client_has_head(const struct upstream_conn *uc);
unsigned h2_client_head_cap(const struct upstream_conn *uc);
enum reason h2_client_head(struct upstream_conn *uc, bool request_is_head, struct head *h);
void h2_client_head_done(struct upstream_conn *uc);

/* Did the backend say that it has not looked at the request? Then it can be sent again. */
bool h2_client_is_refused(const struct upstream_conn *uc);

/* For upstream.c: connections without a request end now, others after their last one. */
void h2_client_retire(struct upstream *up);

#endif
