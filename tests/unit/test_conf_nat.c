/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration can say of NAT, and what it cannot. */
#include "tests/unit/conf_util.h"

/* Line 4 is the pool's, 5 its backends', 6 the service's. */
#define NAT_POOL(pool, backends, listen)                                                           \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools:\n"                                                                                 \
	"  web:\n"                                                                                 \
	"    {health: none, forward: nat, " pool "\n"                                              \
	"    backends: [" backends "]}\n"                                                          \
	"services: {web: {mode: l4, pool: web, listen: " listen "}}\n"

#define V4 "{name: a, address: \"10.0.0.1:8080\"}"
#define V6 "{name: b, address: \"[2001:db8:1::1]:8080\"}"

static void the_keys_are_read(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s = build_good(
		rt, NAT_POOL("source_nat: [10.0.9.0/28, \"fd00::9\"], source_ports: 2000-2999,", V4,
			     "10.9.0.1:80/tcp"));
	const struct pool *p = snapshot_pool(s, "web");
	struct addr a;

	(void)state;
	assert_int_equal(p->forward, FORWARD_NAT);
	assert_int_equal(p->backends[0].forward, FORWARD_NAT);
	assert_int_equal(p->backends[0].ep.port, 8080); /* other than the service's */
	assert_int_equal(p->source_nat, SOURCE_NAT_GIVEN);
	assert_int_equal(addr_parse("10.0.9.0", &a), 0);
	assert_int_equal(addr_cmp(&p->source_addr[0], &a), 0);
	assert_int_equal(p->source_len[0], 28);
	assert_int_equal(p->source_len[1], 128);
	assert_int_equal(p->source_port_low, 2000);
	assert_int_equal(p->source_port_high, 2999);
	snapshot_unref(s);

	s = build_good(rt, NAT_POOL("source_nat: auto,", V4, "10.9.0.1:80/tcp"));
	p = snapshot_pool(s, "web");
	assert_int_equal(p->source_nat, SOURCE_NAT_AUTO);
	assert_int_equal(p->source_port_low, 1024);
	assert_int_equal(p->source_port_high, 32767);
	snapshot_unref(s);

	s = build_good(rt, NAT_POOL("", V4, "10.9.0.1:80/tcp"));
	assert_int_equal(snapshot_pool(s, "web")->source_nat, SOURCE_NAT_NONE);
	snapshot_unref(s);
	runtime_free(rt);
}

static void kinds_can_be_mixed(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s = build_good(
		rt, "node: {interfaces: [eth0]}\n"
		    "pools: {web: {health: none, source_nat: auto, backends: [\n"
		    "  {name: a, address: 10.0.0.1}, {name: b, address: \"2001:db8::2\"},\n"
		    "  {name: c, address: \"10.0.0.3:81\", forward: nat}]}}\n"
		    "services: {web: {mode: l4, pool: web, listen: 10.9.0.1:80/tcp}}\n");
	const struct pool *p = snapshot_pool(s, "web");

	(void)state;
	assert_int_equal(p->backends[0].forward, FORWARD_IPIP);
	assert_int_equal(p->backends[1].forward, FORWARD_IPIP);
	assert_int_equal(p->backends[2].forward, FORWARD_NAT);
	assert_int_equal(p->backends[2].ep.port, 81);
	snapshot_unref(s);
	runtime_free(rt);
}

/* Each backend is checked where its packets go. */
static void health_uses_the_backends_ports(void **state)
{
	static const char *const backends[] = {"\"10.0.0.1:8080\"", "10.0.0.1"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct runtime *rt = runtime_new();
		struct snapshot *s;

		snprintf(text, sizeof(text),
			 "node: {interfaces: [eth0]}\n"
			 "pools: {web: {health: {tcp: {}}, forward: nat, backends: [{name: a, "
			 "address: %s}]}}\n"
			 "services: {web: {mode: l4, pool: web, listen: 10.9.0.1:80/tcp}}\n",
			 backends[i]);
		s = build_good(rt, text);
		assert_int_equal(snapshot_pool(s, "web")->health.port, i == 0 ? 0 : 80);
		snapshot_unref(s);
		runtime_free(rt);
	}
}

struct row {
	const char *text, *said;
};

static void what_does_not_fit_is_said(void **state)
{
	static const struct row rows[] = {
		{NAT_POOL("", V4, "\"[2001:db8::10]:80/tcp\""),
		 "t:5:35: error: backend web/a: forward: nat cannot bring packets for an IPv6 "
		 "address of service web to an IPv4 address; make a service and a pool of each "
		 "family\n"},
		{NAT_POOL("", V4 ", " V6, "10.9.0.1:80/tcp"),
		 "t:5:72: error: backend web/b: forward: nat cannot bring packets for an IPv4 "
		 "address of service web to an IPv6 address; make a service and a pool of each "
		 "family\n"},
		{NAT_POOL("source_nat: \"fd00::9\",", V4, "10.9.0.1:80/tcp"),
		 "t:4:46: error: pool web: source_nat has no IPv4 address for backend a\n"},
		{NAT_POOL("source_nat: [10.0.9.1, 10.0.9.2],", V4, "10.9.0.1:80/tcp"),
		 "t:4:57: error: pool web: source_nat: two IPv4 sources, expected one\n"},
		{NAT_POOL("source_nat: 10.0.0.0/16,", V4, "10.9.0.1:80/tcp"),
		 "t:4:46: error: pool web: source_nat: expected a prefix of at least 24 bits\n"},
		{NAT_POOL("source_nat: yes,", V4, "10.9.0.1:80/tcp"),
		 "t:4:46: error: pool web: source_nat: expected auto, or an address or prefix "
		 "without host bits, one of each family, found \"yes\"\n"},
		{NAT_POOL("source_nat: auto, source_ports: 2000-1000,", V4, "10.9.0.1:80/tcp"),
		 "t:4:66: error: pool web: source_ports: expected a range such as 1024-32767, "
		 "found "
		 "\"2000-1000\"\n"},
		{NAT_POOL("source_nat: auto, source_ports: 2000,", V4, "10.9.0.1:80/tcp"),
		 "t:4:66: error: pool web: source_ports: expected a range such as 1024-32767, "
		 "found "
		 "\"2000\"\n"},
		{NAT_POOL("source_nat: 10.9.0.0/24,", V4, "10.9.0.1:8000/tcp"),
		 "t:4:46: error: pool web: service web listens on 10.9.0.1:8000, which is one of "
		 "its sources: another address, or source_ports without that port\n"},
		{NAT_POOL("source_ports: 2000-3000,", V4, "10.9.0.1:80/tcp"),
		 "t:4:48: warning: pool web: source_ports has no effect without source_nat\n"},
		{NAT_POOL("", "{name: a, address: 127.0.0.1}", "10.9.0.1:80/tcp"),
		 "t:5:35: error: backend web/a: forward: nat cannot lead to a loopback address; "
		 "for "
		 "this host itself there is forward: local\n"},
		{"node: {interfaces: [eth0]}\n"
		 "pools: {web: {health: none, source_nat: auto, backends: [{name: a, address: "
		 "10.0.0.1}]}}\n"
		 "services: {web: {mode: l4, pool: web, listen: 10.9.0.1:80/tcp}}\n",
		 "t:2:41: warning: pool web: source_nat has no effect without forward: nat\n"},
		{"pools: {web: {backends: [{name: a, address: \"10.0.0.1:80\", forward: nat}]}}\n"
		 "services: {web: {mode: http, pool: web, listen: 10.9.0.1:80/tcp}}\n",
		 "t:1:69: error: backend web/a: forward: nat is not possible in a pool with "
		 "forward: proxy\n"},
	};
	char said[2048];
	bool built;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		report(rows[i].text, said, sizeof(said), &built);
		assert_string_equal(said, rows[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keys_are_read),
		cmocka_unit_test(kinds_can_be_mixed),
		cmocka_unit_test(health_uses_the_backends_ports),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
