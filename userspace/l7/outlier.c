/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/outlier.h"

#include "core/clock.h"
#include "core/log.h"

#define LOAD(a)	    atomic_load_explicit(&(a), memory_order_relaxed)
#define STORE(a, v) atomic_store_explicit(&(a), (v), memory_order_relaxed)

/* May one more of the pool be ejected? Always the first. */
static bool is_room(const struct pool *pool, uint64_t now_ms)
{
	size_t ejected = 0;

	for (size_t i = 0; i < pool->backend_count; i++)
		ejected += outlier_is_ejected(&pool->backends[i], now_ms);
	return !ejected ||
	       100 * (ejected + 1) <= (size_t)pool->outlier.max_percent * pool->backend_count;
}

static void eject(const struct backend *be, uint64_t now_ms, const char *why)
{
	const struct outlier_conf *conf = &be->pool->outlier;
	struct backend_rt *rt = be->rt;
	uint64_t until = LOAD(rt->ejected_until_ms), ms;

	if (now_ms < until || !is_room(be->pool, now_ms))
		return;
	ms = (uint64_t)conf->base_ms * (LOAD(rt->ejections) + 1);
	if (ms > conf->max_ms)
		ms = conf->max_ms;
	if (!atomic_compare_exchange_strong(&rt->ejected_until_ms, &until, now_ms + ms))
		return; /* another worker did it */
	atomic_fetch_add(&rt->ejections, 1);
	atomic_fetch_add(&rt->ejected_times, 1);
	STORE(rt->failed_row, 0);
	STORE(rt->on_trial, true);
	runtime_epoch_move();
	log_warning("l7: backend is ejected pool=%s backend=%s reason=\"%s\" for_ms=%llu",
		    be->pool->name, be->name, why, (unsigned long long)ms);
}

/* The share of failures in each interval of time, once it is over. */
static void judge_rate(const struct backend *be, bool good, uint64_t now_ms)
{
	const struct outlier_conf *conf = &be->pool->outlier;
	struct backend_rt *rt = be->rt;
	uint64_t since = LOAD(rt->window_ms);
	uint32_t all, failed;

	if (now_ms - since >= conf->interval_ms &&
	    atomic_compare_exchange_strong(&rt->window_ms, &since, now_ms)) {
		all = atomic_exchange(&rt->window_all, 0);
		failed = atomic_exchange(&rt->window_failed, 0);
		if (all >= conf->min_requests &&
		    100ULL * failed >= (uint64_t)conf->error_percent * all)
			eject(be, now_ms, "error rate");
	}
	atomic_fetch_add_explicit(&rt->window_all, 1, memory_order_relaxed);
	if (!good)
		atomic_fetch_add_explicit(&rt->window_failed, 1, memory_order_relaxed);
}

static void note_good(struct backend_rt *rt, uint64_t now_ms, const struct outlier_conf *conf)
{
	uint64_t until = LOAD(rt->ejected_until_ms);

	if (LOAD(rt->failed_row))
		STORE(rt->failed_row, 0);
	if (now_ms < until)
		return; /* an answer from before */
	if (LOAD(rt->on_trial)) {
		STORE(rt->on_trial, false);
		runtime_epoch_move();
	}
	if (LOAD(rt->ejections) && now_ms - until >= conf->base_ms)
		STORE(rt->ejections, 0);
}

void outlier_note(const struct backend *be, bool good)
{
	const struct outlier_conf *conf = &be->pool->outlier;
	uint64_t now_ms;

	if (!pool_ejects(be->pool))
		return;
	now_ms = clock_now_ms();
	if (conf->error_percent)
		judge_rate(be, good, now_ms);
	if (good)
		note_good(be->rt, now_ms, conf);
	else if (outlier_is_on_trial(be) && !outlier_is_ejected(be, now_ms))
		eject(be, now_ms, "failed on trial");
	else if (atomic_fetch_add(&be->rt->failed_row, 1) + 1 >= conf->consecutive &&
		 conf->consecutive)
		eject(be, now_ms, "consecutive failures");
}
