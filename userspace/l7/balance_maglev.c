/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maglev: what has the same hash goes to the same backend, and keeps doing so for nearly all when
 * backends come and go (Eisenbud et al., 2016). Every worker, and every balancer with the same
 * configuration, has the same table. With a bound on the load (Mirrokni et al., 2016) a backend that has
 * more than so many percent of its share of what is under way is passed over, for the one that would be
 * next if it were gone.
 */
#include "l7/balance.h"

#include <errno.h>
#include <stdlib.h>

#include "core/ring.h"

#define DRAWS 16 /* then it is by load alone */

static const uint32_t primes[] = {1021, 4099, 16411, 65537};

/* A hundred slots for each backend, where there are so many: shares are right to a percent. */
static uint32_t size_for(size_t backends)
{
	size_t i = 0;

	while (i + 1 < sizeof(primes) / sizeof(primes[0]) && primes[i] < 100 * backends)
		i++;
	return primes[i];
}

/* Whoever is down for a while keeps its slots. */
int balance_maglev_init(struct balancer *b)
{
	const struct pool *pool = b->pool;
	struct ring_member *members = calloc(pool->backend_count + 1, sizeof(*members));
	int err = -ENOMEM;

	b->slot_count = size_for(pool->backend_count);
	b->slots = calloc(b->slot_count, sizeof(*b->slots));
	for (size_t i = 0; members && i < pool->backend_count; i++) {
		const struct backend *be = &pool->backends[i];

		members[i] = (struct ring_member){
			.pool = pool->name,
			.name = be->name,
			.weight = be->admin == ADMIN_UP ? be->weight : 0,
		};
	}
	if (members && b->slots)
		err = ring_fill(members, pool->backend_count, b->slots, b->slot_count);
	free(members);
	return err == -ENOENT ? 0 : err; /* nobody has a weight: nobody will be a candidate */
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

/* Candidates are in the order of the pool. */
static const struct candidate *find(const struct candidate *list, unsigned count,
				    const struct backend *be)
{
	while (count) {
		unsigned half = count / 2;

		if (list[half].be == be)
			return &list[half];
		if (list[half].be < be) {
			list += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return NULL;
}

/* Requests under way that a weight of one may have; 0: any number. */
static double bound_for(const struct balancer *b, const struct candidate *list, unsigned count)
{
	double active = 1, weight = 0;

	if (!b->pool->load_bound)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		active += atomic_load_explicit(&list[i].be->rt->active, memory_order_relaxed);
		weight += list[i].weight;
	}
	return active / weight * b->pool->load_bound / 100;
}

static bool is_over(const struct candidate *c, double bound)
{
	uint32_t active = atomic_load_explicit(&c->be->rt->active, memory_order_relaxed);
	double limit = bound * c->weight;

	return bound > 0 && active + 1 > (limit > 1 ? limit : 1);
}

const struct candidate *balance_maglev(struct balancer *b, const struct candidate *list,
				       unsigned count, const struct balance_ask *ask)
{
	double bound = bound_for(b, list, count);
	uint64_t hash = ask->hash;

	for (unsigned i = 0; i < DRAWS; i++) {
		const struct backend *be;
		const struct candidate *c;

		hash = mix(hash + 1);
		be = &b->pool->backends[b->slots[hash % b->slot_count]];
		c = find(list, count, be);
		if (c && !balance_is_out(be, ask) && !is_over(c, bound))
			return c;
	}
	return balance_least(b, list, count, ask);
}
