/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection whose bytes are passed on as they are, both ways: connects to a backend of a pool,
 * then moves what comes until both sides have ended. Each side's end is told to the other; what one
 * side does not take stops the other. Owner: its conn, in CONN_TUNNEL. One thread.
 */
#ifndef L7_TUNNEL_H
#define L7_TUNNEL_H

struct client_hello;
struct conn;
struct pool;
struct tunnel;

/* What c has in its buffer is the beginning. hello: of a TLS client, or NULL. 0: c->tunnel is set,
 * or c is closed already; or -ENOMEM. */
int tunnel_start(struct conn *c, const struct pool *pool, const struct client_hello *hello);

void tunnel_on_client_event(struct tunnel *t, int events);
void tunnel_on_deadline(struct tunnel *t);

/* For conn_close(): t is gone afterwards. NULL is fine. */
void tunnel_cancel(struct tunnel *t);

#endif
