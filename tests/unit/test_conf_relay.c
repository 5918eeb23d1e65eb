/* SPDX-License-Identifier: BSD-2-Clause */
/* conf: tcp and tls services and the PROXY protocol: read, written and checked. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/diff.h"
#include "conf/schema.h"
#include "core/strbuf.h"

#define POOLS                                                                                      \
	"pools: {p: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}, "             \
	"q: {health: none, backends: [{name: a, address: \"10.0.0.2:80\"}]}}\n"
#define SERVICE(rest) POOLS "services: {s: {listen: 10.9.0.1:443/tcp, " rest "}}\n"
/* Uses both pools, so that there is no warning. */
#define TLS(rest) SERVICE("mode: tls, pool: q, " rest)

static void a_whole_service(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(
		rt, TLS("sni_routes: [{sni: [A.Example.com, \"*.b.example\"], alpn: h2, pool: p}], "
			"relay: {idle: 2m, half_closed: 3s, client_hello: 4s, connections: 5}, "
			"proxy_protocol: {from: [10.0.0.0/9, \"2001:db8::1\"], header: optional}"));
	const struct service *s = &snap->services[0];
	struct strbuf b;

	(void)state;
	assert_int_equal(s->mode, SERVICE_TLS);
	assert_string_equal(s->pool->name, "q");
	assert_int_equal(s->sni_route_count, 1);
	assert_int_equal(s->sni_routes[0].name_count, 2);
	assert_string_equal(s->sni_routes[0].names[0], "a.example.com");
	assert_string_equal(s->sni_routes[0].names[1], "*.b.example");
	assert_int_equal(s->sni_routes[0].protocol_count, 1);
	assert_string_equal(s->sni_routes[0].pool->name, "p");
	assert_int_equal(s->relay.idle_ms, 120000);
	assert_int_equal(s->relay.half_closed_ms, 3000);
	assert_int_equal(s->relay.client_hello_ms, 4000);
	assert_int_equal(s->relay.connections, 5);
	assert_int_equal(s->proxy_in.header, PROXY_IN_OPTIONAL);
	assert_int_equal(s->proxy_in.timeout_ms, 5000);
	assert_true(service_has_pool(s, &snap->pools[0]) && service_has_pool(s, &snap->pools[1]));
	strbuf_init(&b);
	keyword_format(&b, section_keyword(&schema_service, "sni_routes"), s);
	assert_string_equal(b.text, "[{sni: [\"a.example.com\", \"*.b.example\"], alpn: [\"h2\"], "
				    "pool: p}]");
	strbuf_deinit(&b);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void defaults_are_set(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(
		rt, SERVICE("mode: tls, sni_routes: [{sni: a, pool: p}, {alpn: h2, pool: q}]"));
	const struct service *s = &snap->services[0];

	(void)state;
	assert_null(s->pool);
	assert_int_equal(s->relay.idle_ms, 3600000);
	assert_int_equal(s->relay.half_closed_ms, 300000);
	assert_int_equal(s->relay.client_hello_ms, 10000);
	assert_int_equal(s->proxy_in.from_count, 0);
	assert_int_equal(snap->pools[0].proxy_out, PROXY_OUT_OFF);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void who_is_trusted(void **state)
{
	static const struct {
		const char *addr;
		bool trusted;
	} rows[] = {
		{"10.0.0.0", true},	    {"10.127.255.255", true}, {"10.128.0.0", false},
		{"11.0.0.0", false},	    {"2001:db8::1", true},    {"2001:db8::2", false},
		{"::ffff:10.0.0.1", false}, {"192.0.2.7", true},      {"192.0.2.6", false},
		{"a00::1", false},
	};
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(
		rt, TLS("sni_routes: [{sni: a, pool: p}], "
			"proxy_protocol: {from: [10.0.0.0/9, \"2001:db8::1\", 192.0.2.7]}"));
	const struct proxy_in *in = &snap->services[0].proxy_in;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr a;

		assert_int_equal(addr_parse(rows[i].addr, &a), 0);
		assert_int_equal(source_is_among(&a, in->from, in->from_count), rows[i].trusted);
	}
	snapshot_unref(snap);
	runtime_free(rt);
}

static void errors_are_told(void **state)
{
	static const struct {
		const char *text, *expected; /* a part of what is said */
	} rows[] = {
		{SERVICE("mode: tcp"), "t:2:12: error: service s: pool is missing, expected the "
				       "name of a pool\n"},
		{SERVICE("mode: tls"),
		 "t:2:12: error: service s: expected pool, sni_routes or both in mode tls\n"},
		{SERVICE("mode: tcp, pool: p, sni_routes: [{sni: a, pool: q}]"),
		 "t:2:62: warning: service s: sni_routes has no effect with mode: tcp\n"},
		{SERVICE("mode: http, pool: p, relay: {idle: 1s}"),
		 "t:2:63: warning: service s: relay has no effect with mode: http\n"},
		{SERVICE("mode: tcp, pool: p, limits: {body: 1}"),
		 "t:2:62: warning: service s: limits has no effect with mode: tcp\n"},
		{TLS("sni_routes: [{sni: a., pool: p}]"),
		 "sni_routes.sni: expected a host name, or a suffix such as *.example.com, found "
		 "\"a.\"\n"},
		{TLS("sni_routes: [{sni: [\"*\"], pool: p}]"), "found \"*\"\n"},
		{TLS("sni_routes: [{sni: \"a.*.b\", pool: p}]"), "found \"a.*.b\"\n"},
		{TLS("sni_routes: [{sni: \"\", pool: p}]"), "sni_routes.sni: expected a host name"},
		{TLS("sni_routes: [{sni: a}]"), "sni_routes.pool is missing"},
		{TLS("sni_routes: [{sni: a, pool: r}]"), "service s: pool \"r\" is not there"},
		{TLS("sni_routes: [{pool: p}]"), "service s: a route needs sni or alpn"},
		{TLS("sni_routes: [{sni: a, pool: p}, {sni: [b, A], pool: q}]"),
		 "error: service s: a route for a is already there (t:2:75)\n"},
		{TLS("sni_routes: [{sni: a, alpn: [x, h2], pool: p}, {sni: a, alpn: h2, pool: q}]"),
		 "error: service s: a route for a with h2 is already there (t:2:75)\n"},
		{TLS("sni_routes: [{sni: a, alpn: \"h 2\", pool: p}]"),
		 "sni_routes.alpn: expected a protocol such as h2 or http/1.1, found \"h 2\"\n"},
		{TLS("sni_routes: {sni: a}"), "sni_routes: expected a list of mappings"},
		{TLS("proxy_protocol: {header: optional}"),
		 "proxy_protocol.from is missing, expected an address or prefix"},
		{TLS("proxy_protocol: {from: 10.0.0.1/8}"),
		 "proxy_protocol.from: expected an address or prefix without host bits"},
		{TLS("proxy_protocol: {from: []}"), "proxy_protocol.from: expected an address"},
		{TLS("relay: {idle: 0s}"), "relay.idle: expected a duration from 1ms to 720h"},
		{"pools: {p: {proxy_protocol: v3}}\n", "expected off, v1 or v2, found \"v3\"\n"},
		{"pools: {p: {forward: ipip, proxy_protocol: v1}}\n",
		 "warning: pool p: proxy_protocol has no effect with forward: ipip\n"},
		{"pools: {p: {forward: ipip, backends: [{name: a, address: 10.0.0.1}]}}\n"
		 "services: {s: {listen: 10.9.0.1:443/tcp, mode: tcp, pool: p}}\n",
		 "error: pool p: expected forward: proxy, as tcp service s uses it"},
		{"pools: {p: {backends: []}}\n"
		 "services: {s: {listen: 10.9.0.1:443/tcp, mode: tls, sni_routes: [{sni: a, pool: "
		 "p}]}}\n",
		 "error: service s: pool p has no backends\n"},
		{"pools: {p: {tls: {ca: none}, backends: [{name: a, address: "
		 "\"10.0.0.1:80\"}]}}\n"
		 "services: {s: {listen: 10.9.0.1:443/tcp, mode: tcp, pool: p}}\n",
		 "error: service s: pool p has tls, and in mode tcp bytes are passed on as they "
		 "are"},
		{SERVICE("mode: tcp, pool: p, guard: {syn_cookies: auto}"),
		 "warning: guard has no effect without node.interfaces"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[4096];
		bool built;

		report(rows[i].text, said, sizeof(said), &built);
		if (!strstr(said, rows[i].expected))
			fail_msg("of\n%s\nwas said\n%s\nnot\n%s\n", rows[i].text, said,
				 rows[i].expected);
		assert_int_equal(built, !strstr(said, "error:"));
	}
}

static void differences_are_told(void **state)
{
	static const char *const expected[] = {
		"mode", "sni_routes", "relay.idle", "proxy_protocol.from", "proxy_protocol.header",
	};
	struct runtime *rt = runtime_new();
	struct snapshot *old = build_good(rt, TLS("sni_routes: [{sni: a, pool: p}]"));
	struct snapshot *new = build_good(
		rt, "pools: {p: {health: none, proxy_protocol: v1, backends: [{name: a, address: "
		    "\"10.0.0.1:80\"}]}, "
		    "q: {health: none, backends: [{name: a, address: \"10.0.0.2:80\"}]}}\n"
		    "services: {s: {listen: 10.9.0.1:443/tcp, mode: tcp, pool: q, relay: {idle: "
		    "1m}, proxy_protocol: {from: [10.0.0.0/8], header: optional}}, "
		    "t: {listen: 10.9.0.2:443/tcp, mode: tcp, pool: p}}\n");
	struct change_list changes;
	size_t found = 0;

	(void)state;
	assert_int_equal(diff_snapshots(old, new, &changes), 0);
	for (size_t i = 0; i < changes.count; i++) {
		const struct change *c = &changes.items[i];

		if (!strcmp(c->object, "pool p")) {
			assert_string_equal(c->field, "proxy_protocol");
			assert_string_equal(c->old_text, "off");
			assert_string_equal(c->new_text, "v1");
		}
		if (strcmp(c->object, "service s") != 0)
			continue;
		assert_true(found < sizeof(expected) / sizeof(expected[0]));
		assert_string_equal(c->field, expected[found++]);
		assert_false(c->restart);
	}
	assert_int_equal(found, sizeof(expected) / sizeof(expected[0]));
	change_list_deinit(&changes);
	snapshot_unref(old);
	snapshot_unref(new);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_service),	cmocka_unit_test(defaults_are_set),
		cmocka_unit_test(who_is_trusted),	cmocka_unit_test(errors_are_told),
		cmocka_unit_test(differences_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
