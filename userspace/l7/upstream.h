/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connections that one worker keeps to one backend: the idle ones, newest first. Lives as long
 * as a view or a connection refers to it, and is carried from snapshot to snapshot. One thread.
 */
#ifndef L7_UPSTREAM_H
#define L7_UPSTREAM_H

#include "conf/runtime.h"
#include "core/list.h"
#include "l7/l7_int.h"
#include "tls/session.h"

struct tls_client;
struct upstream_conn;

struct upstream {
	struct l7 *l7;
	struct backend_rt *rt;
	struct backend_counters *counters; /* this worker's row */
	struct list idle;
	unsigned idle_count;
	struct list shared;	   /* connections of HTTP/2: h2_client.c */
	struct pool_limits limits; /* as the newest snapshot has them */
	unsigned refs;
	struct tls_client *tls;	    /* a reference; NULL: it is spoken plain HTTP to */
	struct tls_session session; /* of tls */
	bool keep;		    /* the newest snapshot has it, and it may be given requests */
};

/* With one reference. rt: held by the snapshots whose views hold this. NULL: out of memory. */
struct upstream *upstream_new(struct l7 *l7, struct backend_rt *rt);
struct upstream *upstream_ref(struct upstream *up);
void upstream_unref(struct upstream *up); /* NULL is fine */

/* How to speak to it from now on. Idle connections and sessions of another way are dropped. */
void upstream_set_tls(struct upstream *up, struct tls_client *tls);

/* The idle connection that was used last, now busy; NULL: none. port: of the backend. */
struct upstream_conn *upstream_take_idle(struct upstream *up, uint16_t port);

/* Keep uc, which was busy, for at most idle_ms; or close it where it is not wanted. */
void upstream_put_idle(struct upstream *up, struct upstream_conn *uc, unsigned idle_max,
		       unsigned idle_ms);

void upstream_close_idle(struct upstream *up);

#endif
