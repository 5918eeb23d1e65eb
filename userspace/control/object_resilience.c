/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of what is known of failures: see objects.h. */
#include "conf/runtime.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "core/clock.h"

static json_t *limits_json(const struct pool_limits *l)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "connections", (json_int_t)l->connections,
			 "pending", (json_int_t)l->pending, "requests", (json_int_t)l->requests,
			 "retries", (json_int_t)l->retries, "backend_connections",
			 (json_int_t)l->backend_connections);
}

static json_t *outlier_json(const struct outlier_conf *c)
{
	if (!outlier_is_on(c))
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "consecutive",
			 (json_int_t)c->consecutive, "gateway", (json_int_t)c->gateway,
			 "error_rate_percent", (json_int_t)c->error_rate, "latency_percent",
			 (json_int_t)c->latency, "min_requests", (json_int_t)c->min_requests,
			 "interval_ms", (json_int_t)c->interval_ms, "base_ms",
			 (json_int_t)c->base_ms, "max_ms", (json_int_t)c->max_ms,
			 "max_ejected_percent", (json_int_t)c->max_ejected);
}

void object_put_resilience(json_t *o, const struct pool *p, bool *failed)
{
	const struct pool_rt *rt = p->rt;
	json_t *refused = json_object();

	*failed |= !refused;
	json_put(o, "outlier", outlier_json(&p->outlier), failed);
	json_put(o, "limits", limits_json(&p->limits), failed);
	json_put_int(o, "connections", rt ? atomic_load(&rt->connections) : 0, failed);
	json_put_int(o, "retries", rt ? atomic_load(&rt->retries) : 0, failed);
#define X(name, text)                                                                              \
	json_put_int(refused, text, rt ? atomic_load(&rt->refused[POOL_REFUSAL_##name]) : 0,       \
		     failed);
	POOL_REFUSALS(X)
#undef X
	json_put(o, "refused", refused, failed);
}

void object_put_outlier(json_t *o, const struct backend *b, bool *failed)
{
	static const char *const words[] = {
#define X(name, text) text,
		OUTLIER_REASONS(X)
#undef X
	};
	const struct outlier_rt *rt = &b->rt->outlier;
	uint64_t now = clock_now_ms();
	uint64_t until = outlier_is_on(&b->pool->outlier) ? atomic_load(&rt->until_ms) : 0;

	json_put(o, "ejected_ms_left",
		 until > now ? json_integer((json_int_t)(until - now)) : json_null(), failed);
	json_put(o, "ejected_for",
		 until ? json_string(words[atomic_load(&rt->reason)]) : json_null(), failed);
	json_put(o, "on_trial", json_boolean(until && until <= now), failed);
	json_put_int(o, "failures_in_a_row", atomic_load(&rt->consecutive), failed);
	json_put_int(o, "ejections", atomic_load(&rt->ejections), failed);
}
