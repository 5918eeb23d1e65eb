/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of retries, hedging, outliers and limits of pools. */
#include "tests/unit/conf_util.h"

#include "conf/diff.h"
#include "conf/route_set.h"

/* The service's keys begin in line 4, column 51; the pool's in line 2. */
#define CONF(pool, service)                                                                        \
	"pools:\n"                                                                                 \
	"  api: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]" pool "}\n"         \
	"services:\n"                                                                              \
	"  api: {listen: 10.9.0.1:80/tcp, pool: api, mode: http" service "}\n"

static void test_defaults(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, CONF("", ""));
	const struct service *s = snapshot_service(snap, "api");

	(void)state;
	assert_int_equal(s->retry.attempts, 3);
	assert_int_equal(s->retry.on, RETRY_ON_SAFE);
	assert_int_equal(s->retry.per_try_ms, 0);
	assert_int_equal(s->retry.backoff_base_ms, 25);
	assert_int_equal(s->retry.backoff_max_ms, 250);
	assert_int_equal(s->retry.budget_percent, 20);
	assert_int_equal(s->retry.budget_min, 3);
	assert_int_equal(s->retry.non_idempotent, NON_IDEMPOTENT_OFF);
	assert_int_equal(s->retry.body, 65536);
	assert_int_equal(s->hedge.after_ms, 0);
	assert_false(outlier_is_on(&s->pool->outlier));
	assert_int_equal(s->pool->limits.connections, 0);
	assert_ptr_equal(s->pool->rt, s->pool->backends[0].rt->of);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void test_values(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(
		rt,
		CONF(", outlier: {consecutive: 5, gateway: 2, error_rate: 50, latency: 300, "
		     "min_requests: 7, interval: 5s, base: 1s, max: 1m, max_ejected: "
		     "30}, "
		     "limits: {connections: 1, pending: 2, requests: 3, retries: 4, "
		     "backend_connections: 5}",
		     ", retry: {attempts: 2, on: [connect-failure, reset, timeout, \"503\", 429, "
		     "grpc-unavailable], per_try_timeout: 1s, backoff: {base: 1ms, max: 2ms}, "
		     "budget: {percent: 0, min: 0}, non_idempotent: on, body: 1MiB}, "
		     "hedge: {after: 50ms, max: 2}, "
		     "routes: [{name: a, pool: api, retry: {on: none}, hedge: {after: 1s}}]"));
	const struct service *s = snapshot_service(snap, "api");
	const struct route_action *a = s->routes->table.routes[0].action;
	const struct pool *p = s->pool;

	(void)state;
	assert_int_equal(s->retry.attempts, 2);
	assert_int_equal(s->retry.on, RETRY_ON_CONNECT | RETRY_ON_RESET | RETRY_ON_TIMEOUT);
	assert_true(s->retry.statuses[103 / 64] == 1ULL << 103 % 64);
	assert_true(s->retry.statuses[0] == 1ULL << 29);
	assert_int_equal(s->retry.grpc, 1 << 14);
	assert_int_equal(s->retry.budget_percent, 0);
	assert_int_equal(s->retry.backoff_max_ms, 2);
	assert_int_equal(s->retry.non_idempotent, NON_IDEMPOTENT_ON);
	assert_int_equal(s->hedge.max, 2);
	assert_int_equal(a->retry->on, 0);
	assert_int_equal(a->retry->attempts, 3);
	assert_int_equal(a->hedge->after_ms, 1000);
	assert_int_equal(p->outlier.consecutive, 5);
	assert_int_equal(p->outlier.gateway, 2);
	assert_int_equal(p->outlier.error_rate, 50);
	assert_int_equal(p->outlier.latency, 300);
	assert_int_equal(p->outlier.min_requests, 7);
	assert_int_equal(p->outlier.interval_ms, 5000);
	assert_int_equal(p->outlier.base_ms, 1000);
	assert_int_equal(p->outlier.max_ms, 60000);
	assert_int_equal(p->outlier.max_ejected, 30);
	assert_int_equal(p->limits.backend_connections, 5);
	assert_int_equal(p->limits.retries, 4);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{CONF("", ", retry: {attempts: 0}"),
		 "t:4:75: error: service api: retry.attempts: expected a number from 1 to 8"},
		{CONF("", ", retry: {on: [sometimes]}"),
		 "t:4:70: error: service api: retry.on: expected none, or a list of safe"},
		{CONF("", ", retry: {on: [600]}"),
		 "t:4:70: error: service api: retry.on: expected"},
		{CONF("", ", retry: {on: []}"), "t:4:69: error: service api: retry.on: expected"},
		{CONF("", ", retry: {on: {a: b}}"),
		 "t:4:69: error: service api: retry.on: expected"},
		{CONF("", ", retry: {on: timeout}"),
		 "t:4:69: error: service api: retry.on: timeout needs retry.per_try_timeout"},
		{CONF("", ", retry: {backoff: {base: 2s, max: 1s}}"),
		 "t:4:74: error: service api: retry.backoff: base is longer than max"},
		{CONF("", ", routes: [{name: r, pool: api, retry: {on: timeout}}]"),
		 "error: service api: route r: retry.on: timeout needs retry.per_try_timeout"},
		{CONF("", ", routes: [{name: r, respond: {status: 200}, retry: {}}]"),
		 "service api: route r: retry is for requests that a backend gets"},
		{CONF("", ", hedge: {max: 4}"), "hedge.max: expected a number from 1 to 3"},
		{CONF(", outlier: {consecutive: 1, base: 2h, max: 1h}", ""),
		 "error: pool api: outlier.base is longer than outlier.max"},
		{CONF(", outlier: {interval: 1s}", ""), "warning: pool api: outlier has no effect"},
		{CONF(", outlier: {max_ejected: 101}", ""), "expected a number from 0 to 100"},
		{CONF(", limits: {conections: 1}", ""), "did you mean \"connections\"?"},
	};
	char buf[2048];
	bool built;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		report(cases[i].text, buf, sizeof(buf), &built);
		if (!strstr(buf, cases[i].said))
			print_error("expected %s\nfound %s", cases[i].said, buf);
		assert_non_null(strstr(buf, cases[i].said));
		assert_int_equal(built, strstr(buf, ": error: ") == NULL);
	}
}

static void test_changes(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *old = build_good(rt, CONF("", ""));
	struct snapshot *new =
		build_good(rt, CONF(", limits: {requests: 5}",
				    ", retry: {on: [safe, gateway-error, 429, grpc-aborted]}"));
	struct change_list list;

	(void)state;
	assert_ptr_equal(old->pools[0].rt, new->pools[0].rt);
	assert_int_equal(diff_snapshots(old, new, &list), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].field, "limits.requests");
	assert_string_equal(list.items[1].field, "retry.on");
	assert_string_equal(list.items[1].old_text, "[safe]");
	assert_string_equal(list.items[1].new_text, "[safe, gateway-error, 429, grpc-aborted]");
	change_list_deinit(&list);
	snapshot_unref(old);
	snapshot_unref(new);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
