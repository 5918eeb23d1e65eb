/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection whose bytes are passed on as they are, both ways: connects to a backend of a pool,
 * then moves what comes until both sides have ended. Each side's end is told to the other; what one
 * side does not take stops the other. Owner: its conn, in CONN_PASSAGE. One thread.
 */
#ifndef L7_PASSAGE_H
#define L7_PASSAGE_H

struct client_hello;
struct conn;
struct pool;
struct passage;

/* What c has in its buffer is the beginning. hello: of a TLS client, or NULL. 0: c->passage is set,
 * or c is closed already; or -ENOMEM. */
int passage_start(struct conn *c, const struct pool *pool, const struct client_hello *hello);

void passage_on_client_event(struct passage *t, int events);
void passage_on_deadline(struct passage *t);

/* For conn_close(): t is gone afterwards. NULL is fine. */
void passage_cancel(struct passage *t);

#endif
