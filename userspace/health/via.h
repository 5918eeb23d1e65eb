/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that go the way of clients' packets: does a backend answer from the services' own addresses
 * what it gets in the tunnel? Raw sockets send, packet sockets hear (the stack of this host would
 * drop an answer from an address that it has itself). One of these for all checks. Main thread.
 */
#ifndef HEALTH_VIA_H
#define HEALTH_VIA_H

#include <uv.h>

#include "conf/snapshot.h"
#include "health/probe.h"

#define VIA_VIPS_MAX 16

/* Where the services of a pool are found: one entry for each address. */
struct via_vips {
	struct endpoint list[VIA_VIPS_MAX]; /* port 0: no TCP there, an echo request is sent */
	size_t count;
};

/* Zero for a pool that is not checked this way. */
void via_vips_of(const struct snapshot *snap, const struct pool *pool, struct via_vips *ret_vips);

/* Is it checked this way? A backend that is nobody's tunnel is not. */
bool via_is_for(const struct backend *b);

struct via;
struct via_check;

struct via_request {
	const struct backend *backend;
	const struct node *node;
	const struct via_vips *vips;
	unsigned timeout_ms;
	/* Once, never before via_ask() has returned, not after via_cancel(). */
	void (*on_result)(void *ctx, const struct probe_result *result);
	void *ctx;
};

int via_new(uv_loop_t *loop, struct via **ret_via); /* 0, or -ENOMEM */
/* No check is under way any more. on_closed: the loop holds nothing of it. */
void via_close(struct via *t, void (*on_closed)(void *ctx), void *ctx);

/* 0. Else nothing is under way, and ret_result says why: -errno. */
int via_ask(struct via *t, const struct via_request *request, struct via_check **ret_check,
	    struct probe_result *ret_result);
void via_cancel(struct via_check *check); /* NULL is fine */

#endif
