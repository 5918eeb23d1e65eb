/* SPDX-License-Identifier: BSD-2-Clause */
/* The policies that look at what backends have to do, and the one that looks at nothing. */
#include "l7/balance.h"

#include "core/clock.h"

static uint64_t active_of(const struct candidate *c)
{
	return atomic_load_explicit(&c->be->rt->active, memory_order_relaxed);
}

/* With one request more, in requests for its weight: is a the better one? */
static bool has_less(const struct candidate *a, const struct candidate *b)
{
	return (active_of(a) + 1) * b->weight < (active_of(b) + 1) * a->weight;
}

/* The fewest requests under way for its weight. Among equals the first behind a random place, so that
 * workers that look at the same numbers do not all take the same one. */
const struct candidate *balance_least(struct balancer *b, const struct candidate *list,
				      unsigned count, const struct balance_ask *ask)
{
	unsigned at = (unsigned)((balance_random(b) >> 32) * count >> 32);
	const struct candidate *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		const struct candidate *c = &list[at];

		at = at + 1 < count ? at + 1 : 0;
		if (!balance_is_out(c->be, ask) && (!best || has_less(c, best)))
			best = c;
	}
	return best;
}

/* Each with the chance that its weight says. */
const struct candidate *balance_by_chance(struct balancer *b, const struct candidate *list,
					  unsigned count, const struct balance_ask *ask)
{
	const struct candidate *chosen = NULL;
	uint64_t total = 0, at;

	for (unsigned i = 0; i < count; i++)
		total += balance_is_out(list[i].be, ask) ? 0 : list[i].weight;
	if (!total)
		return NULL;
	at = balance_random(b) % total;
	for (unsigned i = 0; i < count; i++) {
		if (balance_is_out(list[i].be, ask))
			continue;
		chosen = &list[i];
		if (at < chosen->weight)
			break;
		at -= chosen->weight;
	}
	return chosen;
}

/* What a request is likely to cost there: how long they take, times how many there are. */
static double cost_of(const struct candidate *c, uint64_t now_ms)
{
	double us = (double)backend_rt_latency_us(c->be->rt, now_ms) + 1;

	return us * (double)(active_of(c) + 1);
}

/*
 * Power of two choices: of two random ones the better. Nearly as good as looking at all of them, and
 * nobody is overrun who looks best to everybody (Mitzenmacher, 2001). How fast a backend answers is a
 * moving average that rises at once and falls slowly, which is what notices trouble.
 */
const struct candidate *balance_two_choices(struct balancer *b, const struct candidate *list,
					    unsigned count, const struct balance_ask *ask)
{
	const struct candidate *first = balance_by_chance(b, list, count, ask), *second;
	uint64_t now_ms;

	if (!first || count < 2)
		return first;
	second = balance_by_chance(b, list, count, ask);
	if (second == first) /* any other: with few backends this is often so */
		second = balance_by_chance(b, list, count, ask);
	now_ms = clock_now_ms();
	return cost_of(second, now_ms) < cost_of(first, now_ms) ? second : first;
}
