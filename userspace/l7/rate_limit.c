/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and rate limits: see rate_limit.h. */
#include "l7/rate_limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "conf/route_set.h"
#include "core/clock.h"
#include "l7/conn.h"
#include "l7/request.h"
#include "l7/routing.h"
#include "l7/turn_away.h"
#include "limit/hash.h"

#define NS_PER_SECOND 1000000000U

static uint64_t key_of(const struct limit_use *u, const struct route_input *in)
{
	struct limit_hash h = limit_hash_begin(u->limit->rt->seed);
	char buf[EXPR_SHOWN_MAX];

	limit_hash_add(&h, u->account);
	if (u->key)
		limit_hash_add(&h, expr_show(u->key, in, buf));
	return limit_hash_end(&h);
}

/* False: refused. */
static bool check_one(const struct limit_use *u, unsigned worker, const struct route_input *in,
		      uint64_t now, struct limit_verdict *v)
{
	const struct rate_limit *l = u->limit;
	struct limit_counters *n = &l->rt->counters[worker];
	struct meter_answer a;
	bool lost;
	_Atomic uint64_t *word =
		limit_table_find(&l->rt->table, key_of(u, in), &l->meter, now, &lost);

	a = meter_take(&l->meter, word, now);
	counter_add(&n->hits, 1);
	counter_add(&n->evicted, lost);
	counter_add(&n->limited, a.is_refused);
	counter_add(&n->delayed, !a.is_refused && a.wait_ns);
	if (l->dry_run == DRY_RUN_ON)
		return true;
	if (a.is_refused)
		*v = (struct limit_verdict){l, a.wait_ns};
	else if (a.wait_ns > v->wait_ns)
		v->wait_ns = a.wait_ns;
	return !a.is_refused;
}

struct limit_verdict rate_limit_check(const struct client *who, const struct route_set *set,
				      const struct route_action *action,
				      const struct route_input *in)
{
	const struct limit_uses *lists[] = {&set->limits, action ? &action->limits : NULL};
	unsigned worker = who->conn->l7->env.worker;
	struct limit_verdict v = {0};
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; lists[i] && k < lists[i]->count; k++)
			if (!check_one(&lists[i]->items[k], worker, in, now, &v))
				return v;
	return v;
}

/* RateLimit and RateLimit-Policy as in draft-ietf-httpapi-ratelimit-headers-10. */
void rate_limit_answer(const struct client *who, const struct head *h,
		       const struct routing *routing, size_t block_len)
{
	const struct limit_verdict *v = &routing->limit;
	const struct meter *m = &v->by->meter;
	uint64_t retry = (v->wait_ns + NS_PER_SECOND - 1) / NS_PER_SECOND;
	char fields[TURN_AWAY_FIELDS_MAX];
	int n = snprintf(fields, sizeof(fields),
			 "RateLimit-Policy: \"%s\";q=%" PRIu32 ";w=%u\r\n"
			 "RateLimit: \"%s\";r=0;t=%" PRIu64 "\r\n",
			 v->by->name, m->count, (m->period_ms + 999) / 1000, v->by->name, retry);

	counter_add(&conn_counters(who->conn)->rate_limited, 1);
	turn_away(who, h, routing, REASON_RATE_LIMITED, (unsigned)retry,
		  (struct slice){fields, (size_t)n}, block_len);
}
