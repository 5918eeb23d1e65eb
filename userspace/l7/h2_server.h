/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's connection that speaks HTTP/2: each of its streams is a request, on the newest snapshot
 * when it begins. Owner: its conn, in CONN_H2. One thread.
 */
#ifndef L7_H2_SERVER_H
#define L7_H2_SERVER_H

#include "core/slice.h"

struct conn;
struct h2_server;
struct l7;
struct request;

/* What every such connection begins with (RFC 9113, 3.4). */
#define H2_PREFACE SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

/* c->io.in has the first bytes, or none. NULL: no memory. */
struct h2_server *h2_server_new(struct conn *c);

/* The bytes that were there at h2_server_new(); may close the connection, like those below. */
void h2_server_begin(struct h2_server *sv);
void h2_server_on_event(struct h2_server *sv, int events);
void h2_server_on_deadline(struct h2_server *sv);

/* The connection shall end: no new streams, those under way go on. */
void h2_server_drain(struct h2_server *sv);

/* Streams that are open, and the requests of those that have one. fn: may not end any. */
typedef void (*h2_request_fn)(void *ctx, struct request *r);
unsigned h2_server_streams(const struct h2_server *sv);
void h2_server_each_request(const struct h2_server *sv, h2_request_fn fn, void *ctx);

/* In front of its end: request_note_killed() for all of them. */
void h2_server_note_killed(struct h2_server *sv);

/* For conn.c: forgets all streams. NULL is fine, and twice. */
void h2_server_stop(struct h2_server *sv);
void h2_server_free(struct h2_server *sv);

/* Lets go of what is kept for later requests. */
void h2_server_forget(struct l7 *l7);

#endif
