/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that DNS names: when it is asked, and what its answers mean. See discover_int.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/discover_int.h"
#include "core/clock.h"
#include "dns/lookup.h"

#define WEIGHT_MAX   1000U
#define RETRY_MAX_MS 30000U

static void on_due(uv_timer_t *timer);

static uint64_t within(const struct discover_conf *c, uint64_t ms)
{
	return ms < c->min_ttl_ms ? c->min_ttl_ms : ms > c->max_ttl_ms ? c->max_ttl_ms : ms;
}

/* The time to live of the answer; without a good one twice as long each time. */
static void plan_next(struct source *s, uint64_t ttl_s)
{
	const struct discover_conf *c = &s->conf;
	unsigned steps = s->failed_in_a_row < 16 ? s->failed_in_a_row : 16;
	uint64_t wait_ms = (uint64_t)c->min_ttl_ms << (steps ? steps - 1 : 0);

	if (!s->failed_in_a_row)
		wait_ms = within(c, ttl_s == UINT32_MAX ? RETRY_MAX_MS : ttl_s * 1000);
	else if (wait_ms > RETRY_MAX_MS)
		wait_ms = within(c, RETRY_MAX_MS);
	if (!s->failed_in_a_row)
		s->ttl_ms = wait_ms;
	s->next_ms = clock_now_ms() + wait_ms;
	(void)uv_timer_start(&s->timer, on_due, wait_ms, 0); /* fails when closing */
}

static int compare_priority(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Priorities of DNS have 16 bits; ours are their order. */
struct ranks {
	uint16_t values[POOL_PRIORITIES];
	unsigned count;
	unsigned weight_max;
};

static int find_ranks(const struct dns_result *r, struct ranks *ret_ranks)
{
	uint16_t *all = calloc(r->count + 1, sizeof(*all));

	*ret_ranks = (struct ranks){0};
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < r->count; i++) {
		all[i] = r->hosts[i].priority;
		if (r->hosts[i].weight > ret_ranks->weight_max)
			ret_ranks->weight_max = r->hosts[i].weight;
	}
	qsort(all, r->count, sizeof(*all), compare_priority);
	for (size_t i = 0; i < r->count && ret_ranks->count < POOL_PRIORITIES; i++)
		if (!i || all[i] != all[i - 1])
			ret_ranks->values[ret_ranks->count++] = all[i];
	free(all);
	return 0;
}

/* What is behind the last rank shares it. */
static unsigned rank_of(const struct ranks *k, uint16_t priority)
{
	unsigned i = 0;

	while (i + 1 < k->count && k->values[i] < priority)
		i++;
	return i;
}

/* A weight of zero is "a very small chance" (RFC 2782); where all have it they are equal. */
static unsigned weight_of(const struct ranks *k, uint16_t weight)
{
	unsigned scaled = weight;

	if (k->weight_max > WEIGHT_MAX)
		scaled = (unsigned)((uint64_t)weight * WEIGHT_MAX / k->weight_max);
	return scaled ? scaled : 1;
}

/* Of families that there was no answer of, what there was before. */
static int add_unknown(struct source *s, struct found_set *set, const struct dns_result *r)
{
	const struct found_set *now = source_current(s);
	int err = 0;

	for (size_t i = 0; now && i < now->count && !err; i++) {
		const struct found_backend *b = &now->list[i];

		if (r->unknown[b->ep.addr.family == AF_INET6])
			(void)found_set_add(set, &b->ep, b->weight, b->priority, &err);
	}
	return err;
}

static int add_all(struct source *s, struct found_set *set, const struct dns_result *r)
{
	struct ranks ranks;
	int err = find_ranks(r, &ranks);

	for (size_t i = 0; i < r->count && !err; i++) {
		const struct dns_host *h = &r->hosts[i];
		struct endpoint ep = {.addr = h->addr, .port = h->port};

		if (!found_set_add(set, &ep, weight_of(&ranks, h->weight),
				   rank_of(&ranks, h->priority), &err))
			s->unusable++;
	}
	if (!err)
		err = add_unknown(s, set, r);
	found_set_finish(set);
	return err;
}

static void on_result(void *ctx, const struct dns_result *r)
{
	struct source *s = ctx;
	struct found_set *set;

	s->lookup = NULL;
	if (r->status == DNS_FAILED) {
		source_fail(s, r->why ? r->why : "failed");
		plan_next(s, 0);
		return;
	}
	set = found_set_new(DISCOVER_DNS, s->conf.dns);
	if (!set || add_all(s, set, r)) {
		found_set_free(set);
		source_fail(s, "out of memory");
	} else {
		source_offer(s, set);
	}
	plan_next(s, r->ttl_s);
}

static void on_due(uv_timer_t *timer)
{
	struct source *s = timer->data;
	const struct discover_conf *c = &s->conf;
	struct dns_question q = {
		.name = c->dns,
		.is_srv = discover_is_srv(c),
		.families = {c->family != DISCOVER_IPV6, c->family != DISCOVER_IPV4},
		.resolvers = c->resolvers,
		.resolver_count = c->resolver_count,
		.timeout_ms = c->timeout_ms};
	int err = dns_lookup_start(s->owner->loop, &q, on_result, s, &s->lookup);

	s->lookups++;
	s->asked_ms = clock_now_ms();
	if (!err)
		return;
	s->lookup = NULL;
	source_fail(s, strerror(-err));
	plan_next(s, 0);
}

void source_start_dns(struct source *s)
{
	(void)uv_timer_start(&s->timer, on_due, 0, 0); /* cannot fail */
}

void source_stop_dns(struct source *s)
{
	if (s->lookup)
		dns_lookup_cancel(s->lookup);
	s->lookup = NULL;
}
