/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which backend of a pool is next. One object for each pool in each worker: what it remembers is
 * not shared. A policy is a file balance_NAME.c that fills the two calls.
 */
#ifndef L7_BALANCE_H
#define L7_BALANCE_H

#include "conf/snapshot.h"

struct balancer;

struct balancer_ops {
	/* A usable backend that is not among tried; NULL: there is none. */
	const struct backend *(*pick)(struct balancer *b, const struct backend *const *tried,
				      unsigned tried_count);
	void (*free)(struct balancer *b);
};

struct balancer {
	const struct balancer_ops *ops;
	const struct pool *pool; /* of the snapshot that it was made for; must outlive it */
};

/* Smooth weighted round robin. before: of the same pool in the snapshot before, so that the order
 * goes on; or NULL. start: how many turns to be ahead, so that workers do not all begin with the
 * same backend. NULL: out of memory. */
struct balancer *balancer_rr_new(const struct pool *pool, const struct balancer *before,
				 unsigned start);

static inline const struct backend *
balancer_pick(struct balancer *b, const struct backend *const *tried, unsigned tried_count)
{
	return b->ops->pick(b, tried, tried_count);
}

static inline void balancer_free(struct balancer *b)
{
	if (b)
		b->ops->free(b);
}

#endif
