/* SPDX-License-Identifier: BSD-2-Clause */
/* conf: what l4 services listen on, source routes, affinity and QUIC: read, written and checked. */
#include "tests/unit/conf_util.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "conf/diff.h"
#include "conf/listen.h"
#include "conf/schema.h"
#include "core/strbuf.h"

/* ---- listen addresses ---- */

static void listens_are_read(void **state)
{
	static const struct {
		const char *text, *again; /* again: as it is written; NULL: the same */
		uint16_t lo, hi;
		uint8_t prefix_len;
	} good[] = {
		{"203.0.113.10:80/tcp", NULL, 80, 0, 0},
		{"203.0.113.10:8000-8099/udp", NULL, 8000, 8099, 0},
		{"203.0.113.10:any/tcp", NULL, 0, 65535, 0},
		{"203.0.113.10:*/tcp", "203.0.113.10:any/tcp", 0, 65535, 0},
		{"203.0.113.10:1-65535/tcp", NULL, 1, 65535, 0},
		{"203.0.113.0/24:443/tcp", NULL, 443, 0, 24},
		{"203.0.113.10/32:443/tcp", "203.0.113.10:443/tcp", 443, 0, 0},
		{"[2001:db8::10]:80/tcp", NULL, 80, 0, 0},
		{"[2001:db8::/64]:443/tcp", NULL, 443, 0, 64},
		{"[2001:db8::1/128]:443/udp", "[2001:db8::1]:443/udp", 443, 0, 0},
		{"[2001:db8::/33]:any/udp", NULL, 0, 65535, 33},
		{"[2001:db8::]:7-9/udp", NULL, 7, 9, 0},
	};
	static const char *const bad[] = {
		"",
		"203.0.113.10",
		"203.0.113.10/tcp",
		"203.0.113.10:80",
		"203.0.113.10:/tcp",
		"203.0.113.10:0/tcp",
		"203.0.113.10:65536/tcp",
		"203.0.113.10:80-/tcp",
		"203.0.113.10:-80/tcp",
		"203.0.113.10:80-80/tcp",
		"203.0.113.10:81-80/tcp",
		"203.0.113.10:80-90-95/tcp",
		"203.0.113.10:anything/tcp",
		"203.0.113.10/24:80/tcp",
		"203.0.113.0/33:80/tcp",
		"0.0.0.0/0:80/tcp",
		"[::/0]:80/tcp",
		"[203.0.113.10]:80/tcp",
		"2001:db8::10:80/tcp",
		"2001:db8::/64:80/tcp",
		"[2001:db8::10:80/tcp",
		"[2001:db8::10]80/tcp",
		"[2001:db8::10]/64:80/tcp",
		"203.0.113.10:80/sctp",
		"203.0.113.10:80/tcp ",
		"203.0.113.10203.0.113.10203.0.113.10203.0.113.10203.0.113.10:80/tcp",
		"203.0.113.10:00000000000000000000080/tcp",
	};
	char text[LISTEN_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct listen l;

		if (listen_parse(good[i].text, &l) < 0)
			fail_msg("%s", good[i].text);
		assert_int_equal(l.ep.port, good[i].lo);
		assert_int_equal(l.port_hi, good[i].hi);
		assert_int_equal(l.prefix_len, good[i].prefix_len);
		assert_string_equal(listen_format(&l, text, sizeof(text)),
				    good[i].again ? good[i].again : good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct listen l;

		if (listen_parse(bad[i], &l) == 0)
			fail_msg("%s", bad[i]);
	}
}

static void what_a_listen_covers(void **state)
{
	static const struct {
		const char *listen, *addr;
		bool in;
	} rows[] = {
		{"203.0.113.0/24:1/tcp", "203.0.113.255", true},
		{"203.0.113.0/24:1/tcp", "203.0.114.0", false},
		{"203.0.112.0/23:1/tcp", "203.0.113.9", true},
		{"203.0.112.0/23:1/tcp", "203.0.114.9", false},
		{"203.0.113.9:1/tcp", "203.0.113.9", true},
		{"203.0.113.9:1/tcp", "203.0.113.8", false},
		{"[2001:db8::/33]:1/tcp", "2001:db8:7fff::", true},
		{"[2001:db8::/33]:1/tcp", "2001:db8:8000::", false},
		{"[2001:db8::/33]:1/tcp", "32.1.13.184", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct listen l;
		struct addr a;

		assert_int_equal(listen_parse(rows[i].listen, &l), 0);
		assert_int_equal(addr_parse(rows[i].addr, &a), 0);
		assert_int_equal(listen_has_addr(&l, &a), rows[i].in);
	}
}

/* ---- checks ---- */

#define L4(backends, service)                                                                      \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools:\n"                                                                                 \
	"  other: {health: none, backends: [{name: x, address: 10.0.1.1, server_id: 9}]}\n"        \
	"  web: {health: none, backends: [" backends "]}\n"                                        \
	"services:\n"                                                                              \
	"  web:\n"                                                                                 \
	"    mode: l4\n"                                                                           \
	"    pool: web\n" service "  rest: {mode: l4, pool: other, listen: 10.8.0.1:1/tcp}\n"
#define B1 "{name: a, address: 10.0.0.1}"
#define I1 "{name: a, address: 10.0.0.1, server_id: 0x0a0b}"
/* The listen address stands in line 9, more in 10. */
#define HTTP(listen)                                                                               \
	"services: {a: {mode: http, pool: p, listen: " listen "}}\n"                               \
	"pools: {p: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}}\n"
#define LISTEN(value)	     L4(B1, "    listen: " value "\n")
#define MORE(text)	     L4(B1, "    listen: [10.9.0.1:443/tcp, 10.9.0.1:443/udp]\n    " text "\n")
#define QUIC(backends, text) L4(backends, "    listen: 10.9.0.1:443/udp\n    quic: {" text "}\n")

struct row {
	const char *text;
	const char *message;
};

static void check_rows(const struct row *rows, size_t count, const char *level)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < count; i++) {
		char text[8192], expected[8192];
		bool built;

		report(rows[i].text, text, sizeof(text), &built);
		snprintf(expected, sizeof(expected), rows[i].message, level, level);
		if (strcmp(text, expected) != 0 || built != (strcmp(level, "error") != 0)) {
			print_error("of\n%s\nwas said\n%s\nnot\n%s\n", rows[i].text, text,
				    expected);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void errors_are_told(void **state)
{
	static const struct row rows[] = {
		{LISTEN("10.9.0.0/7:80/tcp"),
		 "t:9:13: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found \"10.9.0.0/7:80/tcp\"\n"},
		{LISTEN("128.0.0.0/7:80/tcp"),
		 "t:9:13: %s: service web: listen: expected a prefix of at least 8 bits, of IPv6 "
		 "16, found 128.0.0.0/7:80/tcp\n"},
		{LISTEN("\"[2000::/15]:80/tcp\""),
		 "t:9:13: %s: service web: listen: expected a prefix of at least 8 bits, of IPv6 "
		 "16, found [2000::/15]:80/tcp\n"},
		{LISTEN("0.0.0.0/8:80/tcp"),
		 "t:9:13: %s: service web: listen: \"0.0.0.0/8:80/tcp\" is one of 0.0.0.0/8\n"},
		{LISTEN("\"[::/16]:80/tcp\""), "t:9:13: %s: service web: listen: "
					       "\"[::/16]:80/tcp\" is the unspecified address\n"},
		{LISTEN("127.0.0.0/8:80/tcp"),
		 "t:9:13: %s: service web: listen: expected an address that packets arrive for in "
		 "mode l4, found 127.0.0.0/8:80/tcp\n"},
		{LISTEN("[10.9.0.1:1-9/tcp, 10.9.0.1:1-9/udp, 10.9.0.1:1-9/tcp]"),
		 "t:9:50: %s: service web: 10.9.0.1:1-9/tcp is here twice (t:9:14)\n"},
		{LISTEN("[10.9.0.0/24:1/tcp, 10.9.0.0/25:1/tcp, 10.9.0.0/24:1/tcp]"),
		 "t:9:52: %s: service web: 10.9.0.0/24:1/tcp is here twice (t:9:14)\n"},
		{LISTEN("10.0.0.0/24:any/tcp"),
		 "t:4:53: %s: backend web/a: 10.0.0.1 is where service web listens (t:9:13): a "
		 "loop\n"},
		{L4("{name: a, address: \"10.0.0.1:80\"}", "    listen: 10.9.0.1:80-90/tcp\n"),
		 "t:4:53: %s: backend web/a: forward: ipip cannot change ports 80 to 90 of service "
		 "web to 80; leave the port out\n"},
		/* Source routes. */
		{MORE("source_routes: x"),
		 "t:10:20: %s: service web: source_routes: expected a list of mappings {from: "
		 "PREFIX, pool: NAME}, found \"x\"\n"},
		{MORE("source_routes: [{from: 10.0.0.0/8}]"),
		 "t:10:21: %s: service web: source_routes.pool is missing, expected the name of a "
		 "pool\n"},
		{MORE("source_routes: [{from: 10.0.0.1/8, pool: other}]"),
		 "t:10:28: %s: service web: source_routes.from: expected an address or prefix "
		 "without host bits, such as 10.0.0.0/8, found \"10.0.0.1/8\"\n"},
		{MORE("source_routes: [{from: 10.0.0.0/8, pool: othr}]"),
		 "t:10:46: %s: service web: pool \"othr\" is not there; did you mean \"other\"?\n"},
		{MORE("source_routes: [{from: [10.0.0.0/8, \"::/0\"], pool: other}, {from: "
		      "10.0.0.0/8, pool: web}]"),
		 "t:10:71: %s: service web: source_routes: 10.0.0.0/8 is here twice (t:10:28)\n"},
		/* QUIC. */
		{QUIC(I1, "cid: lb, server_id_length: 9"),
		 "t:10:39: %s: service web: quic.server_id_length: expected a number from 1 to 8, "
		 "found \"9\"\n"},
		{QUIC(I1, "cid: lb, config_id: 7"),
		 "t:10:32: %s: service web: quic.config_id: expected a number from 0 to 6, found "
		 "\"7\"\n"},
		{QUIC(I1, "cid: lb, server_id_length: 4, cid_length: 4"),
		 "t:10:39: %s: service web: quic.server_id_length: 4 octets behind 1 do not fit "
		 "into a connection id of 4\n"},
		{QUIC(I1, "cid: offset, offset: 19"),
		 "t:10:5: %s: service web: quic.server_id_length: 2 octets behind 19 do not fit "
		 "into a connection id of 20\n"},
		{QUIC(I1, "cid: offset, mask: 0x10a0b"),
		 "t:10:31: %s: service web: quic.mask has more than 2 octets\n"},
		{QUIC(I1, "cid: lb, server_id_length: 1"),
		 "t:4:74: %s: backend web/a: server_id 0xa0b does not fit into the 1 octets that "
		 "service web has for it\n"},
		{QUIC(I1, "cid: offset, mask: 0xff00"),
		 "t:4:74: %s: backend web/a: server_id 0xa0b does not fit into the 2 octets and "
		 "the "
		 "mask that service web has for it\n"},
		{QUIC(I1 ", {name: b, address: 10.0.0.2, server_id: 2571}", "cid: lb"),
		 "t:4:123: %s: backend web/b: server_id 0xa0b is that of backend web/a (t:4:74), "
		 "and service web uses both\n"},
		{L4(I1, "    listen: 10.9.0.1:443/tcp\n    quic: {cid: lb}\n"),
		 "t:10:11: %s: service web: quic needs a listen address with /udp\n"},
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]), "error");
}

static void errors_of_proxied_services_are_told(void **state)
{
	static const struct row rows[] = {
		{HTTP("10.9.0.1:80-81/tcp") "node: {steer_sockets: off}",
		 "t:1:45: %s: service a: listen: expected one port of one address where "
		 "node.steer_sockets is off, found 10.9.0.1:80-81/tcp\n"},
		{HTTP("10.9.0.0/24:80/tcp") "node: {steer_sockets: off}",
		 "t:1:45: %s: service a: listen: expected one port of one address where "
		 "node.steer_sockets is off, found 10.9.0.0/24:80/tcp\n"},
		{HTTP("0.0.0.0:80-81/tcp"),
		 "t:1:45: %s: service a: listen: expected one port, as it is every address, found "
		 "0.0.0.0:80-81/tcp\n"},
		{HTTP("\"[::]:any/tcp\""),
		 "t:1:45: %s: service a: listen: expected one port, as it is every address, found "
		 "[::]:any/tcp\n"},
		{HTTP("10.9.0.0/24:any/udp"),
		 "t:1:45: %s: service a: listen: expected tcp in mode http, found "
		 "10.9.0.0/24:any/udp\n"},
		{HTTP("12.0.0.0/7:80/tcp"),
		 "t:1:45: %s: service a: listen: expected a prefix of at least 8 bits, of IPv6 16, "
		 "found 12.0.0.0/7:80/tcp\n"},
		{HTTP("10.0.0.0/24:any/tcp"),
		 "t:2:57: %s: backend p/a: 10.0.0.1:80 is where service a listens (t:1:45): a "
		 "loop\n"},
		{HTTP("10.0.0.1:79-81/tcp"),
		 "t:2:57: %s: backend p/a: 10.0.0.1:80 is where service a listens (t:1:45): a "
		 "loop\n"},
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]), "error");
}

static void warnings_are_told(void **state)
{
	static const struct row rows[] = {
		{QUIC(I1, "cid: lb, offset: 3"),
		 "t:10:21: %s: service web: quic: offset has no effect with cid: lb\n"},
		{QUIC(B1, "cid: lb"),
		 "t:4:3: %s: pool web: no backend has a server_id, so that service web finds none "
		 "by its connection ids\n"},
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]), "warning");
}

/* Sixteen ranges of one address are one list; seventeen are an error at the one too many. */
static void lists_have_an_end(void **state)
{
	for (int count = 15; count <= 17; count++) {
		char list[2048] = "[", text[4096], said[4096];
		size_t len = 1;
		bool built;

		(void)state;
		/* One more by a shorter prefix around. */
		for (int i = 1; i < count; i++)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
						"10.9.1.0/24:%d/tcp, ", i);
		(void)snprintf(list + len, sizeof(list) - len, "10.9.0.0/16:any/tcp]");
		(void)snprintf(text, sizeof(text), LISTEN("%s"), list);
		report(text, said, sizeof(said), &built);
		assert_int_equal(built, count <= 16);
		if (count == 17)
			assert_non_null(strstr(said, "service web: 10.9.1.0/24:1/tcp is one of 17 "
						     "ranges and prefixes that overlap"));
	}
}

static void tables_have_an_end(void **state)
{
	static const char text[] =
		"node: {interfaces: [eth0], limits: {services: 3}}\n"
		"pools:\n"
		"  a: {health: none, backends: [{name: x, address: 10.0.1.1}]}\n"
		"  b: {health: none, backends: [{name: x, address: 10.0.1.1}]}\n"
		"  c: {health: none, backends: [{name: x, address: 10.0.1.1}]}\n"
		"services: {s: {mode: l4, pool: a, listen: 10.9.0.1:80/tcp, source_routes: ["
		"{from: 10.1.0.0/16, pool: b}, {from: 10.2.0.0/16, pool: c}%s]}}\n";
	char whole[2048], said[4096];
	bool built;

	(void)state;
	(void)snprintf(whole, sizeof(whole), text, "");
	report(whole, said, sizeof(said), &built);
	assert_true(built);
	(void)snprintf(whole, sizeof(whole), text, ", {from: 10.3.0.0/16, pool: a}");
	report(whole, said, sizeof(said), &built);
	assert_false(built);
	assert_string_equal(said,
			    "t:1:36: error: node.limits.services: 3 is too small for 4 services "
			    "and pools of their source routes, with 3 sources\n");
}

/* ---- what comes of it ---- */

static const char whole[] =
	"node: {interfaces: [eth0]}\n"
	"pools:\n"
	"  web: {health: {tcp: }, backends: [{name: a, address: 10.0.0.1, server_id: 0x0102}]}\n"
	"  near: {health: none, backends: [{name: b, address: 10.0.0.2, server_id: 3}]}\n"
	"services:\n"
	"  web:\n"
	"    mode: l4\n"
	"    pool: web\n"
	"    listen: [10.9.0.1:443/tcp, 10.9.0.0/24:443/udp]\n"
	"    affinity: source\n"
	"    quic: {cid: offset, offset: 3, server_id_length: 4, mask: 0xffff}\n"
	"    source_routes: [{from: [10.0.0.0/8, 192.0.2.1], pool: near}]\n";

static void a_whole_service(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, whole);
	const struct service *s = snapshot_service(snap, "web");
	struct strbuf b;

	(void)state;
	assert_int_equal(s->affinity, AFFINITY_SOURCE);
	assert_int_equal(s->quic.cid, QUIC_CID_OFFSET);
	assert_int_equal(s->quic.mask, 0xffff);
	assert_int_equal(s->source_route_count, 1);
	assert_int_equal(s->source_routes[0].from_count, 2);
	assert_int_equal(s->source_routes[0].from[1].len, 32);
	assert_ptr_equal(s->source_routes[0].pool, snapshot_pool(snap, "near"));
	assert_int_equal(s->pool->backends[0].server_id, 0x0102);
	/* What a route uses is steered to, and has the service's port to be checked at. */
	assert_int_equal(snapshot_pool(snap, "near")->forward, FORWARD_IPIP);
	assert_int_equal(s->pool->health.port, 443);
	strbuf_init(&b);
	keyword_format(&b, section_keyword(&schema_service, "source_routes"), s);
	assert_string_equal(b.text, "[{from: [\"10.0.0.0/8\", \"192.0.2.1/32\"], pool: near}]");
	strbuf_deinit(&b);
	strbuf_init(&b);
	keyword_format(&b, section_keyword(&schema_service, "quic"), s);
	assert_string_equal(b.text, "{cid: offset, server_id_length: 4, config_id: 0, offset: 3, "
				    "mask: 0xffff}");
	strbuf_deinit(&b);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void differences_are_told(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *a, *b;
	struct change_list list;
	char text[sizeof(whole)];

	(void)state;
	memcpy(text, whole, sizeof(whole));
	*strstr(text, "192.0.2.1") = '2'; /* 292: no */
	memcpy(strstr(text, "292.0.2.1"), "198.0.2.1", 9);
	a = build_good(rt, whole);
	b = build_good(rt, text);
	assert_int_equal(diff_snapshots(a, b, &list), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].field, "source_routes");
	change_list_deinit(&list);
	snapshot_unref(a);
	snapshot_unref(b);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listens_are_read),
		cmocka_unit_test(what_a_listen_covers),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(errors_of_proxied_services_are_told),
		cmocka_unit_test(warnings_are_told),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(tables_have_an_end),
		cmocka_unit_test(a_whole_service),
		cmocka_unit_test(differences_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
