/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot as one worker uses it: for each pool its balancer and the connections to its backends.
 * Connections hold a reference while they are busy, so a request ends on the snapshot that it began
 * with. One thread.
 */
#ifndef L7_VIEW_H
#define L7_VIEW_H

#include "conf/snapshot.h"

struct balancer;
struct l7;
struct tls_server;
struct upstream;

struct tls_client;

struct pool_view {
	struct balancer *balancer;   /* NULL: no proxied service uses the pool */
	struct upstream **upstreams; /* parallel to the pool's backends */
	struct tls_client *tls;	     /* NULL: they speak plain HTTP */
};

struct view {
	struct l7 *l7;
	struct snapshot *snap;
	struct pool_view *pools; /* parallel to snap->pools */
	struct tls_server *
		*tls; /* parallel to snap->services; NULL: its clients speak plain HTTP */
	unsigned refs;
};

/* With one reference; takes one of its own to snap. before: the view in force until now, whose
 * balancers and connections are carried over; or NULL. NULL: out of memory. */
struct view *view_new(struct l7 *l7, struct snapshot *snap, const struct view *before);
struct view *view_ref(struct view *v);
void view_unref(struct view *v); /* NULL is fine */

struct pool_view *view_pool(const struct view *v, const struct pool *pool);
struct tls_server *view_tls(const struct view *v, const struct service *s); /* NULL: none */
struct upstream *view_upstream(const struct view *v, const struct backend *be);

/* v is the newest now: backends that before has alone, or that are not up by configuration, keep no
 * idle connections. */
void view_activate(struct view *v, const struct view *before);

#endif
