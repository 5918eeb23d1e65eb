/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of pools: see breaker.h. */
#include "l7/breaker.h"

#include "conf/runtime.h"
#include "l7/outlier.h"

static void refuse(struct pool_rt *rt, enum pool_refusal what)
{
	atomic_fetch_add_explicit(&rt->refused[what], 1, memory_order_relaxed);
}

static void give(_Atomic uint32_t *n)
{
	atomic_fetch_sub_explicit(n, 1, memory_order_relaxed);
}

/* max 0: as many as there are. */
static bool take(_Atomic uint32_t *n, uint64_t max)
{
	if (atomic_fetch_add_explicit(n, 1, memory_order_relaxed) < max || !max)
		return true;
	give(n);
	return false;
}

bool breaker_take_request(const struct pool *p, bool *ret_taken)
{
	*ret_taken = p->limits.requests && take(&p->rt->requests, p->limits.requests);
	if (p->limits.requests && !*ret_taken)
		refuse(p->rt, POOL_REFUSAL_REQUESTS);
	return *ret_taken || !p->limits.requests;
}

void breaker_give_request(const struct pool *p, bool *taken)
{
	if (*taken)
		give(&p->rt->requests);
	*taken = false;
}

void breaker_try(const struct backend *be, struct claims *c)
{
	if (outlier_is_on(&be->pool->outlier))
		c->probe = outlier_try(be);
}

bool breaker_wait(const struct backend *be, struct claims *c)
{
	const struct pool *p = be->pool;

	if (!p->limits.pending)
		return true;
	c->pending = take(&p->rt->pending, p->limits.pending);
	if (!c->pending)
		refuse(p->rt, POOL_REFUSAL_PENDING);
	return c->pending;
}

void breaker_go(const struct backend *be, struct claims *c)
{
	if (c->pending)
		give(&be->rt->of->pending);
	c->pending = false;
}

void breaker_end(const struct backend *be, struct claims *c)
{
	breaker_go(be, c);
	if (c->probe)
		outlier_forget(be);
	c->probe = false;
}

/* Of the pool, in all workers. */
static uint64_t active_requests(const struct pool *p, unsigned workers)
{
	uint64_t active = 0;

	for (size_t i = 0; i < p->backend_count; i++) {
		for (unsigned w = 0; w < workers; w++) {
			const struct backend_counters *n = &p->backends[i].rt->counters[w];

			active += atomic_load_explicit(&n->active_up, memory_order_relaxed) -
				  atomic_load_explicit(&n->active_down, memory_order_relaxed);
		}
	}
	return active;
}

bool breaker_take_retry(const struct pool *p, const struct retry_conf *retry, unsigned workers)
{
	uint64_t budget = active_requests(p, workers) * retry->budget_percent / 100;
	struct pool_rt *rt = p->rt;

	if (budget < retry->budget_min)
		budget = retry->budget_min;
	if (!take(&rt->retries, p->limits.retries)) {
		refuse(rt, POOL_REFUSAL_RETRIES);
		return false;
	}
	if (atomic_load_explicit(&rt->retries, memory_order_relaxed) <= budget)
		return true;
	give(&rt->retries);
	refuse(rt, POOL_REFUSAL_BUDGET);
	return false;
}

void breaker_give_retry(const struct pool *p)
{
	give(&p->rt->retries);
}

bool breaker_take_connection(const struct pool_limits *l, struct backend_rt *rt)
{
	if (take(&rt->connections, l->backend_connections)) {
		if (take(&rt->of->connections, l->connections))
			return true;
		give(&rt->connections);
	}
	refuse(rt->of, POOL_REFUSAL_CONNECTIONS);
	atomic_store_explicit(&rt->of->is_wanted, true, memory_order_relaxed);
	return false;
}

bool breaker_wants_connection(const struct pool_limits *l, struct backend_rt *rt)
{
	return (l->connections || l->backend_connections) &&
	       atomic_exchange_explicit(&rt->of->is_wanted, false, memory_order_relaxed);
}

void breaker_give_connection(struct backend_rt *rt)
{
	give(&rt->connections);
	give(&rt->of->connections);
}
