/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that are left out: see outlier.h. */
#include "l7/outlier.h"

#include "conf/runtime.h"
#include "core/clock.h"
#include "core/log.h"

static uint64_t get64(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static uint32_t get(const _Atomic uint32_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static uint32_t add(_Atomic uint32_t *n, uint32_t more)
{
	return atomic_fetch_add_explicit(n, more, memory_order_relaxed) + more;
}

/* Most of the time it is so already, and the line stays with all workers. */
static void clear(_Atomic uint32_t *n)
{
	if (get(n))
		atomic_store_explicit(n, 0, memory_order_relaxed);
}

static void forget_interval(struct outlier_rt *o, uint64_t end)
{
	atomic_store_explicit(&o->interval_end_ms, end, memory_order_relaxed);
	atomic_store_explicit(&o->seen, 0, memory_order_relaxed);
	atomic_store_explicit(&o->failed, 0, memory_order_relaxed);
	atomic_store_explicit(&o->latency_ms, 0, memory_order_relaxed);
}

/* ---- leaving one out ----------------------------------------------------------------------- */

/* Would enough of the pool be left? Whoever is on trial counts as left out. */
static bool may_eject(const struct pool *p, const struct backend *be)
{
	unsigned members = 0, ejected = 0, usable = 0, most;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];

		if (b->admin != ADMIN_UP || !b->weight)
			continue;
		members++;
		if (get64(&b->rt->outlier.until_ms))
			ejected += b != be;
		else if (atomic_load_explicit(&b->rt->health, memory_order_relaxed) != HEALTH_DOWN)
			usable += b != be;
	}
	most = members * p->outlier.max_ejected / 100;
	return usable > 0 && ejected < (most ? most : 1);
}

/* How often base is taken: once more than last time, but once less for each base that it
 * has been good for since. */
static uint32_t count_times(const struct outlier_conf *c, struct outlier_rt *o, uint64_t now)
{
	uint64_t on_trial = get64(&o->until_ms), times = get(&o->times);
	uint64_t good = on_trial ? 0 : (now - get64(&o->back_ms)) / c->base_ms;
	uint64_t most = c->max_ms / c->base_ms + 1; /* with more it would not be longer */

	times = times > good ? times - good + 1 : 1;
	return (uint32_t)(times < most ? times : most);
}

static uint64_t time_out_ms(const struct outlier_conf *c, uint64_t times)
{
	uint64_t ms = times * c->base_ms;

	return ms < c->max_ms ? ms : c->max_ms;
}

static void eject(const struct backend *be, enum outlier_reason reason)
{
	static const char *const words[] = {
#define X(name, text) text,
		OUTLIER_REASONS(X)
#undef X
	};
	const struct outlier_conf *c = &be->pool->outlier;
	struct outlier_rt *o = &be->rt->outlier;
	struct pool_rt *p = be->rt->of;
	uint64_t now = clock_now_ms(), ms;
	uint32_t times;

	/* Somebody else is at it: the next failure asks again. */
	if (atomic_exchange_explicit(&p->is_ejecting, true, memory_order_acquire))
		return;
	if (get64(&o->until_ms) > now) {
		/* Another worker was faster. */
	} else if (!may_eject(be->pool, be)) {
		atomic_fetch_add_explicit(&p->refused[POOL_REFUSAL_EJECTIONS], 1,
					  memory_order_relaxed);
		atomic_store_explicit(&o->until_ms, 0, memory_order_relaxed);
	} else {
		times = count_times(c, o, now);
		ms = time_out_ms(c, times);
		atomic_store_explicit(&o->times, times, memory_order_relaxed);
		atomic_store_explicit(&o->reason, reason, memory_order_relaxed);
		atomic_fetch_add_explicit(&o->ejections, 1, memory_order_relaxed);
		atomic_store_explicit(&o->until_ms, now + ms, memory_order_relaxed);
		runtime_epoch_move();
		log_warning("l7: backend is ejected pool=%s backend=%s reason=\"%s\" for_ms=%llu",
			    be->pool->name, be->name, words[reason], (unsigned long long)ms);
	}
	clear(&o->consecutive);
	clear(&o->gateway);
	atomic_store_explicit(&p->is_ejecting, false, memory_order_release);
}

/* ---- intervals ----------------------------------------------------------------------------- */

/* The average of the others in their last intervals; 0: nothing is known of them. */
static uint64_t others_mean_ms(const struct backend *be)
{
	const struct pool *p = be->pool;
	uint64_t sum = 0, count = 0;

	for (size_t i = 0; i < p->backend_count; i++) {
		uint32_t mean = get(&p->backends[i].rt->outlier.latency_mean_ms);

		if (&p->backends[i] == be || !mean)
			continue;
		sum += mean;
		count++;
	}
	return count ? sum / count : 0;
}

/* An interval is over: what did it show? */
static void judge(const struct backend *be, uint32_t seen, uint32_t failed, uint64_t latency_ms)
{
	const struct outlier_conf *c = &be->pool->outlier;
	struct outlier_rt *o = &be->rt->outlier;
	uint64_t mean, others;

	if (seen < c->min_requests)
		return;
	/* One that is faster than the clock can tell is known, too. */
	mean = latency_ms / seen + (latency_ms < seen);
	others = others_mean_ms(be);
	atomic_store_explicit(&o->latency_mean_ms, (uint32_t)mean, memory_order_relaxed);
	if (c->error_rate && 100ULL * failed >= (uint64_t)c->error_rate * seen)
		eject(be, OUTLIER_ERROR_RATE);
	else if (c->latency && others && mean * 100 > others * c->latency)
		eject(be, OUTLIER_LATENCY);
}

static void note_interval(const struct backend *be, bool is_failure, uint64_t ms)
{
	const struct outlier_conf *c = &be->pool->outlier;
	struct outlier_rt *o = &be->rt->outlier;
	uint64_t end = get64(&o->interval_end_ms), now = clock_now_ms();

	if (now >= end &&
	    atomic_compare_exchange_strong_explicit(&o->interval_end_ms, &end, now + c->interval_ms,
						    memory_order_relaxed, memory_order_relaxed)) {
		uint32_t seen = get(&o->seen), failed = get(&o->failed);
		uint64_t latency_ms = get64(&o->latency_ms);

		forget_interval(o, now + c->interval_ms);
		judge(be, seen, failed, latency_ms);
	}
	(void)add(&o->seen, 1);
	if (is_failure)
		(void)add(&o->failed, 1);
	atomic_fetch_add_explicit(&o->latency_ms, ms, memory_order_relaxed);
}

/* ---- what workers say ---------------------------------------------------------------------- */

/* The one on trial went well: it is back. */
static void restore(const struct backend *be)
{
	struct outlier_rt *o = &be->rt->outlier;
	uint64_t now = clock_now_ms();

	clear(&o->consecutive);
	clear(&o->gateway);
	forget_interval(o, now + be->pool->outlier.interval_ms);
	atomic_store_explicit(&o->back_ms, now, memory_order_relaxed);
	atomic_store_explicit(&o->until_ms, 0, memory_order_relaxed);
	log_info("l7: backend is back pool=%s backend=%s", be->pool->name, be->name);
}

static void note_probe(const struct backend *be, bool is_failure)
{
	if (is_failure)
		eject(be, OUTLIER_PROBE);
	else
		restore(be);
	outlier_forget(be);
}

void outlier_note(const struct backend *be, enum outlier_result result, uint64_t ms, bool was_probe)
{
	const struct outlier_conf *c = &be->pool->outlier;
	struct outlier_rt *o = &be->rt->outlier;
	uint32_t run = 0, gateway = 0;

	if (was_probe) {
		note_probe(be, result != OUTLIER_GOOD);
		return;
	}
	if (get64(&o->until_ms)) /* it began before */
		return;
	if (c->error_rate || c->latency)
		note_interval(be, result != OUTLIER_GOOD, ms);
	if (result == OUTLIER_GOOD)
		clear(&o->consecutive);
	else
		run = add(&o->consecutive, 1);
	if (result != OUTLIER_GATEWAY)
		clear(&o->gateway);
	else
		gateway = add(&o->gateway, 1);
	if (c->consecutive && run >= c->consecutive)
		eject(be, OUTLIER_CONSECUTIVE);
	else if (c->gateway && gateway >= c->gateway)
		eject(be, OUTLIER_GATEWAY_ERRORS);
}

bool outlier_try(const struct backend *be)
{
	struct outlier_rt *o = &be->rt->outlier;
	uint64_t until = get64(&o->until_ms);

	return until && until <= clock_now_ms() &&
	       !atomic_exchange_explicit(&o->is_probed, true, memory_order_relaxed);
}

void outlier_forget(const struct backend *be)
{
	atomic_store_explicit(&be->rt->outlier.is_probed, false, memory_order_relaxed);
}

enum outlier_result outlier_of_status(unsigned status)
{
	if (status < 500)
		return OUTLIER_GOOD;
	return status == 502 || status == 503 || status == 504 ? OUTLIER_GATEWAY : OUTLIER_5XX;
}
