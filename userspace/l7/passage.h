/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection whose bytes are passed on as they are, both ways: connects to a backend of a pool,
 * then moves what comes until both sides have ended. Each side's end is told to the other; what one
 * side does not take stops the other. Owner: its conn, in CONN_PASSAGE. One thread.
 */
#ifndef L7_PASSAGE_H
#define L7_PASSAGE_H

#include <stdbool.h>

struct backend;
struct client_hello;
struct conn;
struct pool;
struct passage;

/* What c has in its buffer is the beginning. hello: of a TLS client, or NULL. 0: c->passage is set,
 * or c is closed already; or -ENOMEM. */
int passage_start(struct conn *c, const struct pool *pool, const struct client_hello *hello);

void passage_on_client_event(struct passage *t, int events);
void passage_on_deadline(struct passage *t);

/* Are bytes passed on, or is the backend still being connected to? Which one it is; NULL: none yet. */
bool passage_is_relay(const struct passage *t);
const struct pool *passage_pool(const struct passage *t);
const struct backend *passage_backend(const struct passage *t);

/* In front of conn_abort(): the backend is to see that it was broken off, too. */
void passage_reset_backend(struct passage *t);

/* For conn_close(): t is gone afterwards. NULL is fine. */
void passage_cancel(struct passage *t);

#endif
