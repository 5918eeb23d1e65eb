/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/balance_set.h"

#include <string.h>

#include "core/clock.h"
#include "l7/outlier.h"

#define OVERPROVISION 1.4
#define START_LEAST   10 /* percent of its weight that a backend begins with */
#define START_STEPS   50 /* in which it gets all of it */

/* What there is of a group: sums of weights. */
struct sums {
	uint64_t all, healthy;
};

static bool is_enabled(const struct backend *be)
{
	return be->admin == ADMIN_UP && be->weight > 0;
}

static bool is_local(const struct backend *be)
{
	const char *own = be->pool->local_zone;

	return !own || (be->zone && strcmp(own, be->zone) == 0);
}

/* next_ms: brought forward to when it is to be asked again. */
static bool is_good(const struct backend *be, uint64_t now_ms, uint64_t *next_ms)
{
	uint64_t until = atomic_load_explicit(&be->rt->outlier.until_ms, memory_order_relaxed);

	if (!backend_is_usable(be))
		return false;
	if (!backend_is_ejected(be, now_ms))
		return true;
	if (until < *next_ms)
		*next_ms = until;
	return false;
}

static unsigned group_of(const struct backend *be)
{
	return 2 * be->priority + !is_local(be);
}

/* next_ms: as there. */
static uint32_t weight_now(const struct backend *be, uint64_t now_ms, uint64_t *next_ms)
{
	uint64_t full = (uint64_t)be->weight * BALANCE_WEIGHT_ONE, part, step;
	uint64_t slow_ms = be->pool->slow_start_ms;
	uint64_t since = atomic_load_explicit(&be->rt->up_since_ms, memory_order_relaxed);

	if (!slow_ms || now_ms < since || now_ms - since >= slow_ms)
		return (uint32_t)full;
	step = slow_ms / START_STEPS + 1;
	if (now_ms + step < *next_ms)
		*next_ms = now_ms + step;
	part = full * (now_ms - since) / slow_ms;
	if (part < full * START_LEAST / 100)
		part = full * START_LEAST / 100;
	return part > 0 ? (uint32_t)part : 1;
}

/* Choices of each group: see the header. Returns whether all that is healthy is too little. */
static bool share_out(const struct sums sums[BALANCE_GROUPS], uint32_t shares[BALANCE_GROUPS])
{
	double healthy[BALANCE_GROUPS], total = 0, all = 0, left = 1;

	for (unsigned g = 0; g < BALANCE_GROUPS; g++) {
		healthy[g] = 0;
		all += (double)sums[g].all;
		if (sums[g].all)
			healthy[g] = OVERPROVISION * (double)sums[g].healthy / (double)sums[g].all;
		if (healthy[g] > 1)
			healthy[g] = 1;
		total += healthy[g];
	}
	for (unsigned g = 0; g < BALANCE_GROUPS; g++) {
		double share = total >= 1 ? healthy[g] : total > 0 ? healthy[g] / total : 0;

		if (total <= 0 && all > 0)
			share = (double)sums[g].all / all;
		if (share > left)
			share = left;
		left -= share;
		shares[g] = (uint32_t)(share * BALANCE_CHOICES + 0.5);
	}
	return total < 1;
}

static void sum_up(const struct pool *pool, struct sums sums[BALANCE_GROUPS], uint64_t now_ms,
		   uint64_t *next_ms)
{
	memset(sums, 0, BALANCE_GROUPS * sizeof(*sums));
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *be = &pool->backends[i];

		if (!is_enabled(be))
			continue;
		sums[group_of(be)].all += be->weight;
		sums[group_of(be)].healthy += is_good(be, now_ms, next_ms) ? be->weight : 0;
	}
}

static void add_group(struct balance_set *set, const struct pool *pool, unsigned g, uint32_t share,
		      bool panic, uint64_t now_ms)
{
	struct balance_group *group = &set->groups[set->group_count];
	unsigned first = 0;

	if (set->group_count)
		first = group[-1].first + group[-1].count;
	*group = (struct balance_group){.first = first,
					.share = share,
					.priority = (uint8_t)(g / 2),
					.is_local = g % 2 == 0,
					.panic = panic};
	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *be = &pool->backends[i];

		if (!is_enabled(be) || group_of(be) != g ||
		    (!panic && !is_good(be, now_ms, &set->next_ms)))
			continue;
		set->list[first + group->count++] =
			(struct candidate){be, weight_now(be, now_ms, &set->next_ms)};
	}
	set->group_count += group->count > 0;
}

void balance_set_fill(struct balance_set *set, const struct pool *pool, uint64_t now_ms)
{
	struct sums sums[BALANCE_GROUPS];
	uint32_t shares[BALANCE_GROUPS];
	bool too_little;

	set->epoch = runtime_epoch();
	set->next_ms = UINT64_MAX;
	set->group_count = 0;
	sum_up(pool, sums, now_ms, &set->next_ms);
	too_little = share_out(sums, shares);
	for (unsigned g = 0; g < BALANCE_GROUPS; g++) {
		bool panic = too_little &&
			     100 * sums[g].healthy < (uint64_t)pool->panic_percent * sums[g].all;

		if (sums[g].all)
			add_group(set, pool, g, shares[g], panic, now_ms);
	}
}

void balance_set_refresh(struct balance_set *set, const struct pool *pool)
{
	if (set->epoch == runtime_epoch() &&
	    (set->next_ms == UINT64_MAX || clock_now_ms() < set->next_ms))
		return;
	balance_set_fill(set, pool, clock_now_ms());
}
