/* SPDX-License-Identifier: BSD-2-Clause */
/* conf: rate limits, and where they are used. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/diff.h"
#include "conf/route_set.h"

#define POOLS	     "pools: {p: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}}\n"
#define LIMITS(list) POOLS "rate_limits: {" list "}\n"
#define SERVICE(rest)                                                                              \
	"services:\n"                                                                              \
	"  s: {listen: 10.9.0.1:80/tcp, mode: http, pool: p, " rest "}\n"

static void test_read(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s = build_good(
		rt,
		LIMITS("b: {rate: 5/10m}, a: {rate: 100/s, burst: 30, key: tenant, per: route, "
		       "entries: 1000, dry_run: on}, c: {rate: 9/m, algorithm: sliding-window}, "
		       "d: {rate: 9/s, algorithm: leaky-bucket}")
			SERVICE("variables: {tenant: 'header[\"x-tenant\"]'}, rate_limit: b, "
				"routes: "
				"[{rate_limit: [a, c], pool: p, match: {host: y}}, {name: n, "
				"rate_limit: a, pool: p, "
				"match: {host: x}}]"));
	const struct route_set *set = s->services[0].routes;
	const struct route_action *first = set->table.routes[0].action;
	const struct route_action *second = set->table.routes[1].action;
	const struct rate_limit *a = snapshot_rate_limit(s, "a");

	(void)state;
	assert_int_equal(s->rate_limit_count, 4);
	assert_int_equal(a->meter.burst, 30);
	assert_int_equal(a->meter.count, 100);
	assert_int_equal(a->meter.period_ms, 1000);
	assert_int_equal(a->rt->table.sets * LIMIT_WAYS, 1000);
	assert_int_equal(snapshot_rate_limit(s, "b")->meter.period_ms, 600000);
	assert_int_equal(snapshot_rate_limit(s, "b")->meter.burst, 5);
	assert_int_equal(snapshot_rate_limit(s, "d")->meter.burst, 0);
	assert_true(set->has_limits);
	assert_int_equal(set->limits.count, 1);
	assert_string_equal(set->limits.items[0].limit->name, "b");
	assert_int_equal(first->limits.count, 2);
	assert_non_null(first->limits.items[0].key);
	assert_null(first->limits.items[1].key);
	assert_true(slice_eq(first->limits.items[0].account, SLICE("s/1")));
	assert_true(slice_eq(second->limits.items[0].account, SLICE("s/n")));
	assert_int_equal(first->limits.items[1].account.len, 0);
	snapshot_unref(s);
	runtime_free(rt);
}

static void test_a_service_without_routes(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s = build_good(rt, LIMITS("a: {rate: 1/s, key: source.ip, per: service}")
						    SERVICE("rate_limit: [a]"));

	(void)state;
	assert_int_equal(s->services[0].routes->table.count, 0);
	assert_int_equal(s->services[0].routes->limits.count, 1);
	assert_true(slice_eq(s->services[0].routes->limits.items[0].account, SLICE("s")));
	snapshot_unref(s);
	runtime_free(rt);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *line;
	} rows[] = {
		{LIMITS("a: {burst: 1}"), "t:2:15: error: rate limit a: rate is missing"},
		{LIMITS("a: {rate: 100}"), "t:2:25: error: rate limit a: rate: expected"},
		{LIMITS("a: {rate: 0/s}"), "t:2:25: error: rate limit a: rate: expected"},
		{LIMITS("a: {rate: 1/d}"), "t:2:25: error: rate limit a: rate: expected"},
		{LIMITS("a: {rate: 2000/1ms}"), "t:2:25: error: rate limit a: rate: expected"},
		{LIMITS("a: {rate: 2/25h}"), "t:2:25: error: rate limit a: rate: expected"},
		{LIMITS("a: {rate: 1/s, entries: 4}"), "t:2:39: error: rate limit a: entries: "},
		{LIMITS("a: {rate: 1/s, algorithm: leaky-bucket, burst: 61}"),
		 "t:2:62: error: rate limit a: burst: the last of so many would wait longer"},
		{LIMITS("a: {rate: 1/s, algorithm: sliding-window, burst: 6}"),
		 "t:2:57: warning: rate limit a: burst has no effect"},
		{LIMITS("abc: {rate: 1/s}") SERVICE("rate_limit: abd"),
		 "t:4:65: error: service s: rate limit \"abd\" is not there; did you mean "
		 "\"abc\"?"},
		{LIMITS("abc: {rate: 1/s}") SERVICE("routes: [{pool: p, rate_limit: [xyz]}]"),
		 "t:4:85: error: service s: route 1: rate limit \"xyz\" is not there, add it to"},
		{LIMITS("a: {rate: 1/s, key: tenant}") SERVICE("rate_limit: a"),
		 "t:2:35: error: service s: expression, column 1: unknown name"},
	};
	char buf[4096];
	bool built;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		report(rows[i].text, buf, sizeof(buf), &built);
		if (!strstr(buf, rows[i].line))
			fail_msg("row %zu: expected %s, found %s", i, rows[i].line, buf);
	}
}

/* What is on the accounts stays where the limit does. */
static void test_state_is_kept(void **state)
{
	static const char before[] = LIMITS("a: {rate: 1/s}, b: {rate: 1/s}") SERVICE("");
	static const char after[] =
		LIMITS("a: {rate: 1/s, dry_run: on}, b: {rate: 2/s}") SERVICE("");
	struct runtime *rt = runtime_new();
	struct snapshot *old = build_good(rt, before), *new = build_good(rt, after);
	struct change_list list;

	(void)state;
	assert_ptr_equal(old->rate_limits[0].rt, new->rate_limits[0].rt);
	assert_ptr_not_equal(old->rate_limits[1].rt, new->rate_limits[1].rt);
	assert_int_equal(diff_snapshots(old, new, &list), 0);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].object, "rate limit a");
	assert_string_equal(list.items[0].field, "dry_run");
	assert_string_equal(list.items[1].field, "rate");
	assert_string_equal(list.items[1].old_text, "1/s");
	change_list_deinit(&list);
	snapshot_unref(old);
	snapshot_unref(new);
	runtime_free(rt);
}

static void test_overload(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *plain = build_good(rt, POOLS SERVICE(""));
	struct snapshot *s = build_good(
		rt, POOLS "overload: {lag: 50ms, memory: 1GiB, connections: 9, requests: 100, "
			  "wait: 2s, retry_after: 3s}\n" SERVICE(
				  "priority: high, routes: [{pool: p, "
				  "priority: low, match: {host: a}}, {pool: p}]"));
	const struct route *routes = s->services[0].routes->table.routes;
	struct change_list list;

	(void)state;
	assert_int_equal(plain->overload.lag_ms, 0);
	assert_int_equal(plain->overload.requests, 0);
	assert_int_equal(plain->services[0].priority, PRIORITY_NORMAL);
	assert_int_equal(s->overload.lag_ms, 50);
	assert_int_equal(s->overload.memory, 1 << 30);
	assert_int_equal(s->overload.wait_ms, 2000);
	assert_int_equal(s->overload.retry_after_s, 3);
	assert_int_equal(s->services[0].priority, PRIORITY_HIGH);
	assert_int_equal(((struct route_action *)routes[0].action)->priority, PRIORITY_LOW);
	assert_int_equal(((struct route_action *)routes[1].action)->priority, PRIORITY_COUNT);
	assert_int_equal(diff_snapshots(plain, s, &list), 0);
	assert_string_equal(list.items[0].object, "overload");
	change_list_deinit(&list);
	snapshot_unref(plain);
	snapshot_unref(s);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	 cmocka_unit_test(test_a_service_without_routes),
		cmocka_unit_test(test_errors),	 cmocka_unit_test(test_state_is_kept),
		cmocka_unit_test(test_overload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
