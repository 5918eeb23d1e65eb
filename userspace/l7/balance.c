/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/balance.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l7/outlier.h"
#include "route/hash.h"

static balance_policy policy_of(enum balance balance)
{
	switch (balance) {
	case BALANCE_ROUND_ROBIN: return balance_round_robin;
	case BALANCE_LEAST_REQUEST: return balance_least;
	case BALANCE_EWMA: return balance_two_choices;
	case BALANCE_RANDOM: return balance_by_chance;
	case BALANCE_MAGLEV: return balance_maglev;
	}
	return balance_round_robin;
}

uint64_t balance_hash_addr(const struct addr *addr)
{
	size_t len = addr->family == AF_INET ? sizeof(addr->v4) : sizeof(addr->bytes);
	struct slice part = {(const char *)addr->bytes, len};

	return (uint64_t)route_hash_end(route_hash_add(ROUTE_HASH_INIT, part));
}

/* xorshift64*: any state but 0. */
uint64_t balance_random(struct balancer *b)
{
	uint64_t x = b->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	b->random = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* With as much under way as it may have; on trial, with one. */
static bool is_full(const struct backend *be)
{
	uint32_t limit = be->pool->requests_max;

	if (outlier_is_taken(be))
		return true;
	return limit && atomic_load_explicit(&be->rt->active, memory_order_relaxed) >= limit;
}

bool balance_is_out(const struct backend *be, const struct balance_ask *ask)
{
	if (is_full(be))
		return true;
	for (unsigned i = 0; i < ask->tried_count; i++) {
		if (ask->tried[i] == be)
			return true;
	}
	return false;
}

static const struct candidate *choose_of(struct balancer *b, const struct balance_group *group,
					 const struct balance_ask *ask)
{
	return b->policy(b, &b->set.list[group->first], group->count, ask);
}

/* The group that is next; those that have no share are for who has tried all others. */
static const struct balance_group *draw_group(struct balancer *b, const struct balance_ask *ask)
{
	uint64_t drawn = b->pool->balance == BALANCE_MAGLEV ? ask->hash * 0x9e3779b97f4a7c15ULL
							    : balance_random(b);
	uint32_t at = drawn >> 48; /* of BALANCE_CHOICES */

	for (unsigned i = 0; i < b->set.group_count; i++) {
		const struct balance_group *group = &b->set.groups[i];

		if (at < group->share)
			return group;
		at -= group->share;
	}
	return &b->set.groups[0];
}

bool balancer_is_empty(struct balancer *b)
{
	balance_set_refresh(&b->set, b->pool);
	return !b->set.group_count;
}

const struct backend *balancer_pick(struct balancer *b, const struct balance_ask *ask)
{
	static const struct balance_ask anyone;
	const struct candidate *chosen;

	ask = ask ? ask : &anyone;
	balance_set_refresh(&b->set, b->pool);
	if (!b->set.group_count)
		return NULL;
	chosen = choose_of(b, b->set.group_count > 1 ? draw_group(b, ask) : &b->set.groups[0], ask);
	for (unsigned i = 0; !chosen && i < b->set.group_count; i++)
		chosen = choose_of(b, &b->set.groups[i], ask);
	return chosen ? chosen->be : NULL;
}

struct balancer *balancer_new(const struct pool *pool, const struct balancer *before,
			      unsigned start)
{
	struct balancer *b = calloc(1, sizeof(*b));
	size_t count = pool->backend_count;

	if (!b)
		return NULL;
	b->pool = pool;
	b->policy = policy_of(pool->balance);
	b->random = before ? before->random : (clock_now_ms() << 8 | start) * 2 + 1;
	b->set.list = calloc(count + 1, sizeof(*b->set.list));
	b->credit = calloc(count + 1, sizeof(*b->credit));
	if (!b->set.list || !b->credit) {
		balancer_free(b);
		return NULL;
	}
	balance_set_fill(&b->set, pool, clock_now_ms());
	if (pool->balance == BALANCE_MAGLEV && balance_maglev_init(b) < 0) {
		balancer_free(b);
		return NULL;
	}
	if (pool->balance != BALANCE_ROUND_ROBIN)
		return b;
	if (before && before->policy == b->policy) {
		balance_rr_take_over(b, before);
		return b;
	}
	for (start = count ? (unsigned)(start % count) : 0; start; start--)
		(void)balancer_pick(b, NULL);
	return b;
}

void balancer_free(struct balancer *b)
{
	if (!b)
		return;
	free(b->set.list);
	free(b->credit);
	free(b->slots);
	free(b);
}
