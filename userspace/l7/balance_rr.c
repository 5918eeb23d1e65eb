/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Smooth weighted round robin: each turn every usable backend earns its weight, the richest is
 * chosen and pays what all earned. Over any run of turns as long as the sum of the weights each is
 * chosen as often as its weight says, spread out evenly.
 */
#include "l7/balance.h"

#include <stdlib.h>

struct rr {
	struct balancer base;
	int64_t credit[]; /* by index into the pool's backends */
};

static bool is_tried(const struct backend *be, const struct backend *const *tried, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (tried[i] == be)
			return true;
	return false;
}

static const struct backend *rr_pick(struct balancer *b, const struct backend *const *tried,
				     unsigned tried_count)
{
	struct rr *rr = (struct rr *)b;
	const struct pool *pool = b->pool;
	const struct backend *best = NULL;
	int64_t total = 0, most = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *be = &pool->backends[i];

		if (!backend_is_usable(be) || is_tried(be, tried, tried_count))
			continue;
		total += be->weight;
		rr->credit[i] += be->weight;
		if (!best || rr->credit[i] > most) {
			best = be;
			most = rr->credit[i];
		}
	}
	if (best)
		rr->credit[best - pool->backends] -= total;
	return best;
}

static void rr_free(struct balancer *b)
{
	free(b);
}

static const struct balancer_ops rr_ops = {.pick = rr_pick, .free = rr_free};

/* A backend whose weight changed begins anew, or its old credit would count for too much. */
static void take_over(struct rr *rr, const struct rr *old)
{
	const struct pool *pool = rr->base.pool, *from = old->base.pool;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *was = pool_backend(from, pool->backends[i].name);

		if (was && was->rt == pool->backends[i].rt &&
		    was->weight == pool->backends[i].weight)
			rr->credit[i] = old->credit[was - from->backends];
	}
}

struct balancer *balancer_rr_new(const struct pool *pool, const struct balancer *before,
				 unsigned start)
{
	struct rr *rr = calloc(1, sizeof(*rr) + pool->backend_count * sizeof(rr->credit[0]));

	if (!rr)
		return NULL;
	rr->base = (struct balancer){.ops = &rr_ops, .pool = pool};
	if (before && before->ops == &rr_ops) {
		take_over(rr, (const struct rr *)before);
		return &rr->base;
	}
	if (pool->backend_count)
		start %= pool->backend_count;
	while (start--)
		(void)rr_pick(&rr->base, NULL, 0);
	return &rr->base;
}
