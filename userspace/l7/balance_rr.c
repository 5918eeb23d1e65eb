/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Smooth weighted round robin: each turn every usable backend earns its weight, the richest is
 * chosen and pays what all earned. Over any run of turns as long as the sum of the weights each is
 * chosen as often as its weight says, spread out evenly.
 */
#include "l7/balance.h"

static int64_t *credit_of(struct balancer *b, const struct candidate *c)
{
	return &b->credit[c->be - b->pool->backends];
}

const struct candidate *balance_round_robin(struct balancer *b, const struct candidate *list,
					    unsigned count, const struct balance_ask *ask)
{
	const struct candidate *best = NULL;
	int64_t total = 0;

	for (const struct candidate *c = list; c < list + count; c++) {
		if (balance_is_out(c->be, ask))
			continue;
		total += c->weight;
		*credit_of(b, c) += c->weight;
		if (!best || *credit_of(b, c) > *credit_of(b, best))
			best = c;
	}
	if (best)
		*credit_of(b, best) -= total;
	return best;
}

/* A backend whose weight changed begins anew, or its old credit would count for too much. */
void balance_rr_take_over(struct balancer *b, const struct balancer *before)
{
	const struct pool *pool = b->pool, *from = before->pool;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *was = pool_backend(from, pool->backends[i].name);

		if (was && was->rt == pool->backends[i].rt &&
		    was->weight == pool->backends[i].weight)
			b->credit[i] = before->credit[was - from->backends];
	}
}
