/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of http services: defaults, values, what is refused and where, and what a change says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/diff.h"
#include "conf_util.h"

/* More of the service begins in line 7. */
#define HTTP(more)                                                                                 \
	"pools: {api: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}}\n"          \
	"services:\n"                                                                              \
	"  api:\n"                                                                                 \
	"    listen: 10.9.0.1:80/tcp\n"                                                            \
	"    pool: api\n"                                                                          \
	"    mode: http\n"                                                                         \
	"    " more "\n"

static void test_defaults(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, HTTP(""));
	const struct service *s = snapshot_service(snap, "api");

	(void)state;
	assert_int_equal(s->paths.dot_segments, DOT_SEGMENTS_RESOLVE);
	assert_int_equal(s->paths.double_slashes, DOUBLE_SLASHES_MERGE);
	assert_int_equal(s->paths.escaped_slashes, ESCAPED_SLASHES_REFUSE);
	assert_int_equal(s->paths.bad_escapes, BAD_ESCAPES_REFUSE);
	assert_int_equal(s->trusted_proxy_count, 0);
	assert_int_equal(s->upgrade_count, 1);
	assert_string_equal(s->upgrades[0], "websocket");
	assert_false(s->upgrade_any);
	assert_int_equal(s->connect, CONNECT_REFUSE);
	assert_int_equal(s->timeouts.tunnel, 600000);
	assert_int_equal(s->limits.client_rate, 200);
	assert_int_equal(s->limits.requests, 0);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void test_values(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(
		rt, HTTP("paths: {dot_segments: keep, double_slashes: refuse, escaped_slashes: "
			 "decode, bad_escapes: escape}\n"
			 "    trusted_proxies: [10.0.0.0/8, \"2001:db8::1\"]\n"
			 "    upgrades: [Foo/2, websocket]\n"
			 "    connect: tunnel\n"
			 "    timeouts: {tunnel: 1h}\n"
			 "    limits: {client_rate: 1KiB, requests: 7}"));
	const struct service *s = snapshot_service(snap, "api");

	(void)state;
	assert_int_equal(s->paths.dot_segments, DOT_SEGMENTS_KEEP);
	assert_int_equal(s->paths.double_slashes, DOUBLE_SLASHES_REFUSE);
	assert_int_equal(s->paths.escaped_slashes, ESCAPED_SLASHES_DECODE);
	assert_int_equal(s->paths.bad_escapes, BAD_ESCAPES_ESCAPE);
	assert_int_equal(s->trusted_proxy_count, 2);
	assert_int_equal(s->trusted_proxies[0].len, 8);
	assert_int_equal(s->trusted_proxies[1].len, 128);
	assert_int_equal(s->upgrade_count, 2);
	assert_string_equal(s->upgrades[0], "Foo/2");
	assert_int_equal(s->connect, CONNECT_TUNNEL);
	assert_int_equal(s->timeouts.tunnel, 3600000);
	assert_int_equal(s->limits.client_rate, 1024);
	assert_int_equal(s->limits.requests, 7);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void test_any_and_no_upgrade(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *any = build_good(rt, HTTP("upgrades: any"));
	struct snapshot *none = build_good(rt, HTTP("upgrades: none"));
	struct snapshot *empty = build_good(rt, HTTP("upgrades: []"));

	(void)state;
	assert_true(snapshot_service(any, "api")->upgrade_any);
	assert_false(snapshot_service(none, "api")->upgrade_any);
	assert_int_equal(snapshot_service(none, "api")->upgrade_count, 0);
	assert_int_equal(snapshot_service(empty, "api")->upgrade_count, 0);
	snapshot_unref(any);
	snapshot_unref(none);
	snapshot_unref(empty);
	runtime_free(rt);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{HTTP("paths: {dot_segments: merge}"),
		 "t:7:27: error: service api: paths.dot_segments: expected resolve, refuse or "
		 "keep, "
		 "found \"merge\"\n"},
		{HTTP("trusted_proxies: [10.0.0.1/8, any]"),
		 "t:7:23: error: service api: trusted_proxies: expected an address or prefix "
		 "without "
		 "host bits, such as 10.0.0.0/8, found \"10.0.0.1/8\"\n"
		 "t:7:35: error: service api: trusted_proxies: expected an address or prefix "
		 "without "
		 "host bits, such as 10.0.0.0/8, found \"any\"\n"},
		{HTTP("upgrades: [a b, h2c]"),
		 "t:7:16: error: service api: upgrades: expected none, any, or names of protocols, "
		 "such as websocket, found \"a b\"\n"
		 "t:7:21: error: service api: upgrades: h2c is never switched to\n"},
		{HTTP("connect: yes"),
		 "t:7:14: error: service api: connect: expected refuse or tunnel, found \"yes\"\n"},
		{HTTP("timeouts: {tunnel: 0s}"), "t:7:24: error: service api: timeouts.tunnel: "
						 "expected a duration from 1ms to 24h, "
						 "found \"0s\"\n"},
		{HTTP("limits: {client_rate: 2MiB}"),
		 "t:7:27: error: service api: limits.client_rate: expected a size from 0 to 1MiB, "
		 "found \"2MiB\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[2048];
		bool built;

		report(rows[i].text, said, sizeof(said), &built);
		assert_false(built);
		assert_string_equal(said, rows[i].message);
	}
}

static void test_an_l4_service_has_none_of_it(void **state)
{
	static const char *const keys[] = {"paths", "trusted_proxies", "upgrades", "connect"};
	char said[4096];
	bool built;

	(void)state;
	report("node: {interfaces: [eth0]}\n"
	       "pools: {p: {health: none, backends: [{name: a, address: 10.0.0.1}]}}\n"
	       "services: {s: {listen: 10.9.0.1:80/tcp, mode: l4, pool: p,\n"
	       "  paths: {},\n"
	       "  trusted_proxies: [],\n"
	       "  upgrades: any,\n"
	       "  connect: refuse}}\n",
	       said, sizeof(said), &built);
	assert_true(built);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_non_null(strstr(said, keys[i]));
}

static void test_a_change_is_told(void **state)
{
	static const char want[] = "limits.client_rate 200 500\n"
				   "paths.double_slashes merge keep\n"
				   "trusted_proxies [] [\"10.0.0.0/8\", \"2001:db8::/32\"]\n"
				   "upgrades [websocket] any\n"
				   "connect refuse tunnel\n";
	struct runtime *rt = runtime_new();
	struct snapshot *a = build_good(rt, HTTP(""));
	struct snapshot *b = build_good(
		rt, HTTP("paths: {double_slashes: keep}\n"
			 "    trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\"]\n"
			 "    upgrades: any\n    connect: tunnel\n    limits: {client_rate: 500}"));
	struct change_list list;
	char said[1024] = "";

	(void)state;
	assert_int_equal(diff_snapshots(a, b, &list), 0);
	for (size_t i = 0; i < list.count; i++) {
		size_t at = strlen(said);

		assert_false(list.items[i].restart);
		snprintf(said + at, sizeof(said) - at, "%s %s %s\n", list.items[i].field,
			 list.items[i].old_text, list.items[i].new_text);
	}
	assert_string_equal(said, want);
	change_list_deinit(&list);
	snapshot_unref(a);
	snapshot_unref(b);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_any_and_no_upgrade),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_an_l4_service_has_none_of_it),
		cmocka_unit_test(test_a_change_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
