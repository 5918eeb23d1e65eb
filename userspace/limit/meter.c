/* SPDX-License-Identifier: BSD-2-Clause */
/* The algorithms of rate limits: see meter.h. */
#include "limit/meter.h"

#define NS_PER_MS 1000000U

/* Of a sliding window's word, from the top: the number of the period, what was taken in the one before
 * it, and in it. The number comes round after 194 days at one second a period: a key that is not
 * seen for just so long may meet counts of then. */
#define COUNT_BITS  20U
#define COUNT_MASK  ((1U << COUNT_BITS) - 1)
#define NUMBER_MASK ((1U << (64 - 2 * COUNT_BITS)) - 1)

_Static_assert(METER_COUNT_MAX <= COUNT_MASK, "counts have room");

/* ---- one word that is a time ---- */

static uint64_t interval_ns(const struct meter *m)
{
	return (uint64_t)m->period_ms * NS_PER_MS / m->count;
}

static struct meter_answer take_time(const struct meter *m, _Atomic uint64_t *word, uint64_t now)
{
	uint64_t step = interval_ns(m), depth = step * m->burst;
	uint64_t until = atomic_load_explicit(word, memory_order_relaxed);
	/* A leaky bucket has room for one that goes on at once, beside those that wait. */
	bool queues = m->algorithm == METER_LEAKY_BUCKET;
	uint64_t ahead;

	if (queues)
		depth += step;
	do {
		ahead = until > now ? until - now : 0;
		if (ahead + step > depth)
			return (struct meter_answer){true, ahead + step - depth, 0};
	} while (!atomic_compare_exchange_weak_explicit(
		word, &until, now + ahead + step, memory_order_relaxed, memory_order_relaxed));
	return (struct meter_answer){.wait_ns = queues ? ahead : 0,
				     .left = (uint32_t)((depth - ahead - step) / step)};
}

/* ---- a word of two counts ---- */

struct window {
	uint64_t period_ns;
	uint32_t number; /* of the period that now is in */
	uint64_t into;	 /* it, so far */
	uint32_t before, in;
};

static struct window window_of(const struct meter *m, uint64_t word, uint64_t now)
{
	uint64_t period = (uint64_t)m->period_ms * NS_PER_MS;
	struct window w = {.period_ns = period,
			   .number = (uint32_t)(now / period) & NUMBER_MASK,
			   .into = now % period};
	uint32_t number = (uint32_t)(word >> 2 * COUNT_BITS);
	uint32_t age = (w.number - number) & NUMBER_MASK;

	if (age == 0) {
		w.before = (uint32_t)(word >> COUNT_BITS) & COUNT_MASK;
		w.in = (uint32_t)word & COUNT_MASK;
	} else if (age == 1) {
		w.before = (uint32_t)word & COUNT_MASK;
	}
	return w;
}

/* In 1024ths of a nanosecond's request, so that it fits a word: a count times what is left of a time. */
static uint64_t weigh(uint64_t count, uint64_t time_ns)
{
	return count * (time_ns >> 10);
}

/* Requests that the last period had, as far as is known, times the period. */
static uint64_t taken(const struct window *w)
{
	return weigh(w->before, w->period_ns - w->into) + weigh(w->in, w->period_ns);
}

/* Until taken() leaves room for one more, with nothing taken meanwhile. */
static uint64_t window_wait(const struct meter *m, const struct window *w)
{
	uint64_t rest = w->period_ns - w->into;

	if (w->in < m->count) /* before is enough to fill it, so it is not 0 */
		return rest - w->period_ns / w->before * (m->count - 1 - w->in);
	return rest + w->period_ns - w->period_ns / w->in * (m->count - 1);
}

static struct meter_answer take_window(const struct meter *m, _Atomic uint64_t *word, uint64_t now)
{
	uint64_t before = atomic_load_explicit(word, memory_order_relaxed), after, used, all;
	struct window w;

	do {
		w = window_of(m, before, now);
		used = taken(&w);
		all = weigh(m->count, w.period_ns);
		if (used + weigh(1, w.period_ns) > all)
			return (struct meter_answer){true, window_wait(m, &w), 0};
		after = (uint64_t)w.number << 2 * COUNT_BITS | (uint64_t)w.before << COUNT_BITS |
			(w.in + 1);
	} while (!atomic_compare_exchange_weak_explicit(word, &before, after, memory_order_relaxed,
							memory_order_relaxed));
	return (struct meter_answer){.left = (uint32_t)((all - used) / weigh(1, w.period_ns)) - 1};
}

/* ---- all of them ---- */

struct meter_answer meter_take(const struct meter *m, _Atomic uint64_t *word, uint64_t now_ns)
{
	return m->algorithm == METER_SLIDING_WINDOW ? take_window(m, word, now_ns)
						    : take_time(m, word, now_ns);
}

uint64_t meter_weight(const struct meter *m, uint64_t word, uint64_t now_ns)
{
	struct window w;

	if (m->algorithm != METER_SLIDING_WINDOW)
		return word > now_ns ? word - now_ns : 0;
	w = window_of(m, word, now_ns);
	return taken(&w);
}

uint64_t meter_longest_wait_ms(const struct meter *m)
{
	return interval_ns(m) * m->burst / NS_PER_MS;
}
