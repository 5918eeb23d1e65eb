/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/check, conf/resolve and conf/read: every way to get a configuration wrong, and what is said
 * of it. */
#include "tests/unit/conf_util.h"

static struct runtime *rt;

static int make_runtime(void **state)
{
	(void)state;
	rt = runtime_new();
	return rt ? 0 : -1;
}

static int free_runtime(void **state)
{
	(void)state;
	runtime_free(rt);
	return 0;
}

/* An l4 configuration without a fault; each row below puts one in. */
#define L4(node, pool, backends, service)                                                          \
	"node: {interfaces: [eth0]" node "}\n"                                                     \
	"pools:\n"                                                                                 \
	"  web:\n"                                                                                 \
	"    health: none\n"                                                                       \
	"    backends: [" backends "]\n" pool "services:\n"                                        \
	"  web:\n"                                                                                 \
	"    pool: web\n"                                                                          \
	"    mode: l4\n" service
#define B1		  "{name: a, address: 10.0.0.1}"
#define L4_NODE(more)	  L4(", " more, "", B1, "    listen: 10.9.0.1:80/tcp\n")
#define L4_POOL(more)	  L4("", "    " more "\n", B1, "    listen: 10.9.0.1:80/tcp\n")
#define L4_BACKENDS(list) L4("", "", list, "    listen: 10.9.0.1:80/tcp\n")
#define L4_SERVICE(more)  L4("", "", B1, "    " more "\n")

/* The same for http. The health check is in line 4, backends in 5, more of the pool in 6. */
#define HTTP(health, backends, pool, service)                                                      \
	"pools:\n"                                                                                 \
	"\n"                                                                                       \
	"  api:\n"                                                                                 \
	"    health: " health "\n"                                                                 \
	"    backends: [" backends "]\n" pool "services:\n"                                        \
	"  api:\n"                                                                                 \
	"    pool: api\n"                                                                          \
	"    mode: http\n" service
#define P1		    "{name: a, address: \"10.0.0.1:80\"}"
#define HTTP_HEALTH(value)  HTTP(value, P1, "", "    listen: 10.9.0.1:80/tcp\n")
#define HTTP_POOL(more)	    HTTP("none", P1, "    " more "\n", "    listen: 10.9.0.1:80/tcp\n")
#define HTTP_BACKENDS(list) HTTP("none", list, "", "    listen: 10.9.0.1:80/tcp\n")
#define HTTP_SERVICE(more)  HTTP("none", P1, "", "    " more "\n")

struct row {
	const char *text;
	const char *message; /* all lines, without "t:" and "error: " */
};

static void check_rows(const struct row *rows, size_t count, const char *level)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < count; i++) {
		char text[8192], expected[8192];
		bool built;

		report(rows[i].text, text, sizeof(text), &built);
		snprintf(expected, sizeof(expected), rows[i].message, level, level, level, level);
		if (strcmp(text, expected) != 0 || built != !strcmp(level, "warning")) {
			print_error("of\n%s\nwas said\n%s\nnot\n%s\n", rows[i].text, text,
				    expected);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}
#define CHECK_ERRORS(rows)   check_rows(rows, sizeof(rows) / sizeof((rows)[0]), "error")
#define CHECK_WARNINGS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), "warning")

static void keys_are_checked(void **state)
{
	static const struct row rows[] = {
		{"[]", "t:1:1: %s: expected a mapping of keys to values, found a list\n"},
		{"text", "t:1:1: %s: expected a mapping of keys to values, found \"text\"\n"},
		{"pools: {}\nservces: {}\nservices: {}",
		 "t:2:1: %s: unknown key \"servces\"; did you mean \"services\"?\n"},
		{"services: {}\nx: 1",
		 "t:2:1: %s: unknown key \"x\"; known: node, admin, log, guard, "
		 "overload, pools, rate_limits, "
		 "services\n"},
		{"services: {}\nnode: [1]", "t:2:7: %s: node: expected a mapping, found a list\n"},
		{"services: {}\nnode: {workrs: 1}",
		 "t:2:8: %s: node: unknown key \"workrs\"; did you mean \"workers\"?\n"},
		{"services: [1]",
		 "t:1:11: %s: services: expected a mapping of keys to values, found "
		 "a list\n"},
		{"services: {}\npools: x",
		 "t:2:8: %s: pools: expected a mapping of keys to values, found \"x\"\n"},
		{"services: {a b: }",
		 "t:1:12: %s: services: expected as the name of a service a name "
		 "of 1 to 63 letters, digits, \".\", \"_\", \"-\" that starts "
		 "with a letter or digit, found \"a b\"\n"
		 "t:1:12: %s: service a b: listen is missing, expected "
		 "ADDRESS:PORT/tcp or /udp, such as \"203.0.113.10:80/tcp\"\n"
		 "t:1:12: %s: service a b: mode is missing, expected l4, http, tcp or tls\n"
		 "t:1:12: %s: service a b: pool is missing, expected the name "
		 "of a pool\n"},
		{L4_BACKENDS("{name: a, adress: 10.0.0.1}"),
		 "t:5:16: %s: backend web/a: address is missing, expected an address, with or "
		 "without "
		 "a port: 10.0.0.1, 10.0.0.1:8080, [2001:db8::1]:8080\n"
		 "t:5:26: %s: backend web/a: unknown key \"adress\"; did you mean \"address\"?\n"},
		{L4_BACKENDS("x"), "t:5:16: %s: pool web: backend 1: expected a mapping of keys to "
				   "values, found \"x\"\n"},
		{L4_BACKENDS("{address: 10.0.0.1}"),
		 "t:5:16: %s: pool web: backend 1: name is missing, expected a name\n"},
		{L4_BACKENDS("{name: -a, address: 10.0.0.1}"),
		 "t:5:23: %s: pool web: backend 1: name: expected a name of 1 to 63 letters, "
		 "digits, "
		 "\".\", \"_\", \"-\" that starts with a letter or digit, found \"-a\"\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n    timeouts: {idel: 1s}"),
		 "t:11:16: %s: service api: timeouts: unknown key \"idel\"; did you mean "
		 "\"idle\"?\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void values_are_checked(void **state)
{
	static const struct row rows[] = {
		{L4_NODE("workers: 0"),
		 "t:1:37: %s: node.workers: expected auto or a number from 1 to 64, found \"0\"\n"},
		{L4_NODE("workers: \"4\""),
		 "t:1:37: %s: node.workers: expected auto or a number from 1 to 64, found \"4\"\n"},
		{L4_NODE("xdp_mode: fast"),
		 "t:1:38: %s: node.xdp_mode: expected native or generic, found \"fast\"\n"},
		{L4_NODE("pin_path: here"),
		 "t:1:38: %s: node.pin_path: expected an absolute path, found \"here\"\n"},
		{L4_NODE("hash_seed: 12"), "t:1:39: %s: node.hash_seed: expected 32 hexadecimal "
					   "digits, not all zero, found \"12\"\n"},
		{L4_NODE("hash_seed: 00000000000000000000000000000000"),
		 "t:1:39: %s: node.hash_seed: expected 32 hexadecimal digits, not all zero, found "
		 "\"00000000000000000000000000000000\"\n"},
		{L4_NODE("tunnel_source: [10.0.0.1/8]"),
		 "t:1:44: %s: node.tunnel_source: expected an address or prefix without host bits, "
		 "one of each family, found \"10.0.0.1/8\"\n"},
		{L4_NODE("tunnel_source: [10.1.0.0/16, 10.2.0.0/16]"),
		 "t:1:57: %s: node.tunnel_source: two IPv4 sources, expected one\n"},
		{L4_NODE("tunnel_source: 8.0.0.0/5"),
		 "t:1:43: %s: node.tunnel_source: expected a prefix of at least 8 bits\n"},
		{L4_NODE("tunnel_source: \"ff02::1\""),
		 "t:1:43: %s: node.tunnel_source: \"ff02::1\" is a multicast address\n"},
		{L4_NODE("drain_timeout: 30"),
		 "t:1:43: %s: node.drain_timeout: a duration needs a unit, write 30s\n"},
		{L4_NODE("drain_timeout: 25h"),
		 "t:1:43: %s: node.drain_timeout: expected a duration "
		 "from 0s to 24h, found \"25h\"\n"},
		{L4_NODE("limits: {flows: 5}"), "t:1:44: %s: node.limits.flows: expected a number "
						"from 1024 to 67108864, found \"5\"\n"},
		{L4_NODE("limits: {flows: \"2048\"}"), "t:1:44: %s: node.limits.flows: expected a "
						       "number from 1024 to 67108864, found text "
						       "in quotes: write 2048\n"},
		{L4_NODE("limits: {flows: 99999999999999999999}"),
		 "t:1:44: %s: node.limits.flows: expected a number from 1024 to 67108864, found "
		 "\"99999999999999999999\"\n"},
		{L4_NODE("limits: {flows: }"), "t:1:44: %s: node.limits.flows: expected a number "
					       "from 1024 to 67108864, found nothing\n"},
		{"node: {interfaces: [eth0, eth1, eth0]}\nservices: {}",
		 "t:1:33: %s: node.interfaces: \"eth0\" is here twice, first at line 1\n"},
		{"node: {interfaces: [eth0, a-name-that-is-too-long, a/b, [x]]}\nservices: {}",
		 "t:1:27: %s: node.interfaces: expected a list of interface names, found "
		 "\"a-name-that-is-too-long\"\n"
		 "t:1:52: %s: node.interfaces: expected a list of interface names, found \"a/b\"\n"
		 "t:1:57: %s: node.interfaces: expected a list of interface names, found a list\n"},
		{"admin: {socket: "
		 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\nservices: {}",
		 "t:1:17: %s: admin.socket: expected a path of at most 107 bytes, found "
		 "\"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"\n"},
		{L4_POOL("mtu: 100"),
		 "t:6:10: %s: pool web: mtu: expected a number from 576 to 65535, found \"100\"\n"},
		{L4_POOL("forward: dsr"), "t:6:14: %s: pool web: forward: expected ipip, gue, l2, "
					  "local, nat or proxy, found "
					  "\"dsr\"\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1, weight: 1001}"),
		 "t:5:53: %s: backend web/a: weight: expected a number from 0 to 1000, found "
		 "\"1001\"\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1, weight: -1}"),
		 "t:5:53: %s: backend web/a: weight: expected a number from 0 to 1000, found "
		 "\"-1\"\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1, state: down}"),
		 "t:5:52: %s: backend web/a: state: expected up, drain or disabled, found "
		 "\"down\"\n"},
		{L4_BACKENDS("{name: a, address: example.com}"),
		 "t:5:35: %s: backend web/a: address: expected an address, with or without a port: "
		 "10.0.0.1, 10.0.0.1:8080, [2001:db8::1]:8080, found \"example.com\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    ring_size: 65536"),
		 "t:11:16: %s: service web: ring_size: expected a prime number, such as 65537, "
		 "found "
		 "\"65536\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    ring_size: 241"),
		 "t:11:16: %s: service web: ring_size: expected a number from 251 to 4194301, "
		 "found "
		 "\"241\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    mss: 535"),
		 "t:11:10: %s: service web: mss: expected off, auto or a number from 536 to 65000, "
		 "found \"535\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    mss: 65001"),
		 "t:11:10: %s: service web: mss: expected off, auto or a number from 536 to 65000, "
		 "found \"65001\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    idle: {syn: 1500ms}"),
		 "t:11:17: %s: service web: idle.syn: expected whole seconds, found \"1500ms\"\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n    timeouts: {write: 0s}"),
		 "t:11:23: %s: service api: timeouts.write: expected a duration from 1ms to 24h, "
		 "found \"0s\"\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n    limits: {body: 5KB}"),
		 "t:11:20: %s: service api: limits.body: expected a size from 0 to 1TiB, found "
		 "\"5KB\"\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n    limits: {request_line: 64KiB}"),
		 "t:11:13: %s: service api: limits.request_line is larger than "
		 "limits.header_bytes\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void addresses_are_checked(void **state)
{
	static const struct row rows[] = {
		{L4_SERVICE("listen: 10.9.0.1:80"),
		 "t:10:13: %s: service web: listen: the protocol is missing, write "
		 "\"10.9.0.1:80/tcp\"\n"},
		{L4_SERVICE("listen: 10.9.0.1/tcp"),
		 "t:10:13: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found \"10.9.0.1/tcp\"\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/sctp"),
		 "t:10:13: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found \"10.9.0.1:80/sctp\"\n"},
		{L4_SERVICE("listen: []"),
		 "t:10:13: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found an empty list\n"},
		{L4_SERVICE("listen:"),
		 "t:10:12: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found nothing\n"},
		{L4_SERVICE("listen: {a: b}"),
		 "t:10:13: %s: service web: listen: expected ADDRESS:PORT/tcp or /udp, such as "
		 "\"203.0.113.10:80/tcp\", found a mapping\n"},
		{L4_SERVICE("listen: 0.0.0.0:80/tcp"),
		 "t:10:13: %s: service web: listen: expected one address in mode l4, found "
		 "0.0.0.0:80/tcp\n"},
		{L4_SERVICE("listen: \"[::]:80/tcp\""),
		 "t:10:13: %s: service web: listen: expected one address in mode l4, found "
		 "[::]:80/tcp\n"},
		{L4_SERVICE("listen: 127.0.0.1:80/tcp"),
		 "t:10:13: %s: service web: listen: expected an address that packets arrive for in "
		 "mode l4, found 127.0.0.1:80/tcp\n"},
		{L4_SERVICE("listen: \"[fe80::1]:80/tcp\""),
		 "t:10:13: %s: service web: listen: \"[fe80::1]:80/tcp\" is a link-local "
		 "address\n"},
		{L4_SERVICE("listen: 255.255.255.255:80/udp"),
		 "t:10:13: %s: service web: listen: \"255.255.255.255:80/udp\" is the broadcast "
		 "address\n"},
		{L4_SERVICE("listen: 224.0.0.1:80/udp"),
		 "t:10:13: %s: service web: listen: \"224.0.0.1:80/udp\" is a multicast address\n"},
		{L4_SERVICE("listen: \"[::ffff:10.0.0.1]:80/udp\""),
		 "t:10:13: %s: service web: listen: \"[::ffff:10.0.0.1]:80/udp\" is an IPv4 "
		 "address "
		 "written as IPv6\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/udp"),
		 "t:10:13: %s: service api: listen: expected tcp in mode http, found "
		 "10.9.0.1:80/udp\n"},
		{L4_BACKENDS("{name: a, address: 0.0.0.0}"),
		 "t:5:35: %s: backend web/a: address: \"0.0.0.0\" is one of 0.0.0.0/8\n"},
		{L4_BACKENDS("{name: a, address: \"::\"}"),
		 "t:5:35: %s: backend web/a: address: \"::\" is the unspecified address\n"},
		{L4_BACKENDS("{name: a, address: \"fe80::1\"}"),
		 "t:5:35: %s: backend web/a: address: \"fe80::1\" is a link-local address\n"},
		{L4_BACKENDS("{name: a, address: 127.0.0.1}"),
		 "t:5:35: %s: backend web/a: forward: ipip cannot lead to a loopback address; for "
		 "this host itself there is forward: local\n"},
		{L4_BACKENDS("{name: a, address: \"10.0.0.1:8080\"}"),
		 "t:5:35: %s: backend web/a: forward: ipip cannot change port 80 of service web to "
		 "8080; leave the port out\n"},
		{HTTP_BACKENDS("{name: a, address: 10.0.0.1}"),
		 "t:5:35: %s: backend api/a: expected an address with a port in a proxy pool, "
		 "found "
		 "10.0.0.1\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void what_is_there_twice_is_refused(void **state)
{
	static const struct row rows[] = {
		{L4_SERVICE("listen: [10.9.0.1:80/tcp, \"10.9.0.1:80/tcp\"]"),
		 "t:10:31: %s: service web: 10.9.0.1:80/tcp is here twice (t:10:14)\n"},
		{L4_SERVICE("listen: [10.9.0.1:80/tcp]\n  b: {mode: l4, pool: web, listen: "
			    "[10.9.0.1:80/udp, 10.9.0.1:80/tcp]}"),
		 "t:11:54: %s: service b: 10.9.0.1:80/tcp is already that of service web "
		 "(t:10:14)\n"},
		{L4_SERVICE("listen: \"[2001:db8::1]:80/tcp\"\n  b: {mode: l4, pool: web, listen: "
			    "\"[2001:db8:0::1]:80/tcp\"}"),
		 "t:11:36: %s: service b: [2001:db8::1]:80/tcp is already that of service web "
		 "(t:10:13)\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1}, {name: a, address: 10.0.0.2}"),
		 "t:5:53: %s: pool web: backend a is here twice (t:5:23)\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.1}"),
		 "t:5:65: %s: backend web/b: address 10.0.0.1 is that of backend a (t:5:35)\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1}, {name: b, address: \"10.0.0.1:80\"}"),
		 "t:5:65: %s: backend web/b: address 10.0.0.1 is that of backend a (t:5:35)\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void what_belongs_together_is_checked(void **state)
{
	static const struct row rows[] = {
		{"pools: {web: {health: none, backends: [" B1 "]}}\n"
		 "services: {web: {listen: 10.9.0.1:80/tcp, mode: l4, pool: web}}\n",
		 "t:2:49: %s: service web: mode l4 needs node.interfaces, where its packets come "
		 "in\n"},
		{HTTP_BACKENDS(""), "t:8:11: %s: service api: pool api has no backends\n"},
		{"pools: {api: }\nservices: {x: {listen: 10.0.0.1:80/tcp, mode: http, pool: api}}",
		 "t:2:59: %s: service x: pool api has no backends\n"},
		{"pools: {api: {backends: }}\nservices: {x: {listen: 10.0.0.1:80/tcp, mode: http, "
		 "pool: api}}",
		 "t:2:59: %s: service x: pool api has no backends\n"},
		{"pools: {api: {backends: {a: b}}}\nservices: {x: {listen: 10.0.0.1:80/tcp, mode: "
		 "http, pool: api}}",
		 "t:1:25: %s: pool api: backends: expected a list of backends, found a mapping\n"},
		{"services: {x: {listen: 10.0.0.1:80/tcp, mode: http, pool: api}}",
		 "t:1:59: %s: service x: pool \"api\" is not there, add it to pools\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n  x: {listen: 10.9.0.1:81/tcp, mode: http, "
			      "pool: apl}"),
		 "t:11:50: %s: service x: pool \"apl\" is not there; did you mean \"api\"?\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n  x: {listen: 10.9.0.1:81/tcp, mode: http, "
			    "pool: web}"),
		 "t:11:50: %s: pool web is used by http service x and by l4 service web (t:8:11); "
		 "make "
		 "two pools of it\n"},
		{L4_POOL("forward: proxy"),
		 "t:5:35: %s: backend web/a: expected an address with a "
		 "port in a proxy pool, found 10.0.0.1\n"
		 "t:6:14: %s: pool web: expected forward: ipip, gue, l2, "
		 "local or nat, as l4 service web uses it (t:9:11)\n"},
		{HTTP_POOL("forward: ipip"),
		 "t:6:14: %s: pool api: expected forward: proxy, as http "
		 "service api uses it (t:9:11)\n"},
		{HTTP_BACKENDS("{name: a, address: \"10.9.0.1:80\"}"),
		 "t:5:35: %s: backend api/a: 10.9.0.1:80 is where service api listens (t:10:13): a "
		 "loop\n"},
		{HTTP("none", "{name: a, address: \"127.0.0.1:80\"}", "",
		      "    listen: 0.0.0.0:80/tcp\n"),
		 "t:5:35: %s: backend api/a: 127.0.0.1:80 is where service api listens (t:10:13): "
		 "a "
		 "loop\n"},
		{L4_BACKENDS("{name: a, address: 10.9.0.1}"),
		 "t:5:35: %s: backend web/a: 10.9.0.1 is where service web listens (t:10:13): a "
		 "loop\n"},
		{L4_NODE("limits: {services: 1, backends: 2, ring_slots: 70000}") "  x: {mode: l4, "
										  "pool: web, "
										  "listen: "
										  "10.9.0.1:81/"
										  "tcp}\n",
		 "t:1:36: %s: node.limits.services: 1 is too small for 2 listen addresses\n"
		 "t:1:36: %s: node.limits.ring_slots: 70000 is too small for rings of 131074 slots "
		 "and "
		 "room to replace one\n"},
		/* Proxied services have rows as well, a listener on every address has none. */
		{"node: {interfaces: [eth0], limits: {services: 1}}\n"
		 "pools: {p: {health: none, backends: [" P1 "]}}\n"
		 "services: {x: {mode: http, pool: p, listen: [10.9.0.1:81/tcp, 0.0.0.0:82/tcp, "
		 "10.9.0.1:83/tcp]}}\n",
		 "t:1:36: %s: node.limits.services: 1 is too small for 2 listen addresses\n"},
		{L4_NODE("limits: {ring_slots: 131073}"),
		 "t:1:36: %s: node.limits.ring_slots: 131073 is too small for rings of 65537 slots "
		 "and "
		 "room to replace one\n"},
		{HTTP_BACKENDS("{name: a, address: \"10.9.0.3:80\"}, {name: b, address: "
			       "\"10.9.0.8:80\"}, {name: c, address: \"10.9.0.6:80\"}, {name: d, "
			       "address: \"10.9.0.5:80\"}") "  x: {mode: http, pool: api, listen: "
							    "[10.9.0.2:80/tcp, 10.9.0.3:80/tcp, "
							    "10.9.0.5:80/tcp, 10.9.0.6:81/tcp, "
							    "10.9.0.7:80/tcp, 10.9.0.8:80/tcp]}\n",
		 "t:5:35: %s: backend api/a: 10.9.0.3:80 is where service x listens (t:11:56): a "
		 "loop\n"
		 "t:5:70: %s: backend api/b: 10.9.0.8:80 is where service x listens (t:11:124): a "
		 "loop\n"
		 "t:5:140: %s: backend api/d: 10.9.0.5:80 is where service x listens (t:11:73): a "
		 "loop\n"},
		{L4(", limits: {backends: 2}", "", B1 ", {name: b, address: 10.0.0.2}",
		    "    listen: 10.9.0.1:80/tcp\n"),
		 "t:1:36: %s: node.limits.backends: 2 is too small for 2 backends of l4 "
		 "services\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void ways_to_a_backend_are_checked(void **state)
{
	static const struct row rows[] = {
		{L4_BACKENDS("{name: a, address: 10.0.0.1, forward: dsr}"),
		 "t:5:54: %s: backend web/a: forward: expected ipip, gue, l2, local, nat or proxy, "
		 "found "
		 "\"dsr\"\n"},
		{L4_POOL("next_hop: here"),
		 "t:6:15: %s: pool web: next_hop: expected reflect or fib, found \"here\"\n"},
		{L4_POOL("forward: gue\n    gue_port: 0"),
		 "t:7:15: %s: pool web: gue_port: expected a number from 1 "
		 "to 65535, found \"0\"\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1, forward: proxy}"),
		 "t:5:54: %s: backend web/a: forward: proxy is not possible in a pool with "
		 "forward: "
		 "ipip\n"},
		{HTTP_BACKENDS("{name: a, address: \"10.0.0.1:80\", forward: l2}"),
		 "t:5:59: %s: backend api/a: forward: l2 is not possible in a pool with forward: "
		 "proxy\n"},
		{L4_POOL("forward: l2\n    next_hop: reflect"),
		 "t:7:15: %s: pool web: forward: l2 needs next_hop: fib\n"},
		{L4_BACKENDS("{name: a, address: \"10.0.0.1:81\", forward: l2}, {name: b, address: "
			     "\"10.0.0.2:82\", forward: gue}"),
		 "t:5:35: %s: backend web/a: forward: l2 cannot change port 80 of service web to "
		 "81; "
		 "leave the port out\n"
		 "t:5:83: %s: backend web/b: forward: gue cannot change port 80 of service web to "
		 "82; leave the port out\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void health_checks_are_checked(void **state)
{
#define UDP_POOL(health)                                                                           \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools: {d: {backends: [" B1 "], health: " health "}}\n"                                   \
	"services: {d: {mode: l4, pool: d, listen: "
	static const struct row rows[] = {
		{HTTP_HEALTH("yes"),
		 "t:4:13: %s: pool api: health: expected none or a mapping, found \"yes\"\n"},
		{HTTP_HEALTH("{}"), "t:4:13: %s: pool api: health: expected tcp or http or grpc\n"},
		{HTTP_HEALTH("{every: 1s}"),
		 "t:4:13: %s: pool api: health: expected tcp or http or grpc\n"},
		{HTTP_HEALTH("{tcp: {}, http: {}}"),
		 "t:4:23: %s: pool api: health.http: there is tcp already, expected one of them\n"},
		{HTTP_HEALTH("{tcp: 80}"),
		 "t:4:19: %s: pool api: health.tcp: expected a mapping, found \"80\"\n"},
		{HTTP_HEALTH("{tcp: {port: 0}}"),
		 "t:4:26: %s: pool api: health.tcp.port: expected a "
		 "number from 1 to 65535, found \"0\"\n"},
		{HTTP_HEALTH("{tcp: {path: /}}"),
		 "t:4:20: %s: pool api: health.tcp: unknown key \"path\"; known: port\n"},
		{HTTP_HEALTH("{http: {path: ready}}"), "t:4:27: %s: pool api: health.http.path: "
						       "expected a path that starts with / and has "
						       "no spaces, found \"ready\"\n"},
		{HTTP_HEALTH("{http: {path: \"/a\\r\\nX: y\"}}"),
		 "t:4:27: %s: pool api: health.http.path: expected a path that starts with / and "
		 "has "
		 "no spaces, found \"/a??X: y\"\n"},
		{HTTP_HEALTH("{http: {host: \"a\\nb\"}}"),
		 "t:4:27: %s: pool api: health.http.host: expected a host name or address, with or "
		 "without a port, found \"a?b\"\n"},
		{HTTP_HEALTH("{http: {status: 99}}"), "t:4:29: %s: pool api: health.http.status: "
						      "expected a status such as 200 or a range "
						      "such as 200-299, found \"99\"\n"},
		{HTTP_HEALTH("{http: {status: [200, x]}}"),
		 "t:4:35: %s: pool api: health.http.status: expected a status such as 200 or a "
		 "range such as 200-299, found \"x\"\n"},
		{HTTP_HEALTH("{http: {status: []}}"),
		 "t:4:29: %s: pool api: health.http.status: expected a status such as 200 or a "
		 "range such as 200-299, found an empty list\n"},
		{HTTP_HEALTH("{http: {body: \"\"}}"),
		 "t:4:27: %s: pool api: health.http.body: expected some text of at most 1024 "
		 "bytes, found \"\"\n"},
		{HTTP_HEALTH("{http: {body_regex: \"a(\"}}"),
		 "t:4:33: %s: pool api: health.http.body_regex: byte 3: missing closing "
		 "parenthesis\n"},
		{HTTP_HEALTH("{http: {body: a, body_regex: b}}"),
		 "t:4:42: %s: pool api: health.http: expected body or body_regex, found both\n"},
		{HTTP_HEALTH("{http: {body: a, body_limit: 0}}"),
		 "t:4:42: %s: pool api: health.http.body_limit: expected a size from 1 to 1MiB, "
		 "found \"0\"\n"},
		{HTTP_HEALTH("{grpc: {service: \"a b\"}}"),
		 "t:4:30: %s: pool api: health.grpc.service: expected a service such as "
		 "package.Service, of at most 255 bytes, found \"a b\"\n"},
		{HTTP_HEALTH("{grpc: {path: /}}"),
		 "t:4:21: %s: pool api: health.grpc: unknown key \"path\"; known: service, port, "
		 "host\n"},
		{HTTP_HEALTH("{http: {status: 200-600}}"),
		 "t:4:29: %s: pool api: health.http.status: expected a status such as 200 or a "
		 "range "
		 "such as 200-299, found \"200-600\"\n"},
		{HTTP_HEALTH("{http: {status: 300-200}}"),
		 "t:4:29: %s: pool api: health.http.status: expected a status such as 200 or a "
		 "range "
		 "such as 200-299, found \"300-200\"\n"},
		{HTTP_HEALTH("{tcp: {}, every: 1s, timeout: 2s}"),
		 "t:4:43: %s: pool api: health.timeout is longer than health.every\n"},
		{HTTP_HEALTH("{tcp: {}, every: 1s, every_changing: 2s}"),
		 "t:4:50: %s: pool api: health.every_changing is longer than health.every\n"},
		{HTTP_HEALTH("{tcp: {}, via: both}"),
		 "t:4:28: %s: pool api: health.via: both is for pools with forward: ipip, gue or "
		 "l2\n"},
		{HTTP_HEALTH("{tcp: {}, rise: 0}"), "t:4:29: %s: pool api: health.rise: expected a "
						    "number from 1 to 100, found \"0\"\n"},
		{UDP_POOL("{tcp: {}}") "10.9.0.1:53/udp}}",
		 "t:2:63: %s: pool d: health.tcp.port is needed: its services have no TCP port\n"},
		{UDP_POOL("{http: {}}") "[10.9.0.1:53/tcp, 10.9.0.1:54/tcp]}}",
		 "t:2:63: %s: pool d: health.http.port is needed: its services have several TCP "
		 "ports\n"},
	};

	(void)state;
	CHECK_ERRORS(rows);
}

static void what_is_odd_is_warned_of(void **state)
{
	static const struct row rows[] = {
		{"node: {workers: 1}", "%s: no services: nothing is balanced\n"},
		{HTTP_SERVICE("listen: 10.9.0.1:80/tcp\n    tracking: never"),
		 "t:11:5: %s: service api: tracking has no effect with mode: http\n"},
		{L4_SERVICE("listen: 10.9.0.1:80/tcp\n    timeouts: {idle: 5s}"),
		 "t:11:5: %s: service web: timeouts has no effect with mode: l4\n"},
		{L4_POOL("connect_timeout: 5s"),
		 "t:6:5: %s: pool web: connect_timeout has no effect with forward: ipip\n"},
		{L4_POOL("gue_port: 6081"),
		 "t:6:15: %s: pool web: gue_port has no effect without forward: gue\n"},
		{HTTP_POOL("next_hop: fib"),
		 "t:6:5: %s: pool api: next_hop has no effect with forward: proxy\n"},
		{HTTP_POOL("mtu: 1400"),
		 "t:6:5: %s: pool api: mtu has no effect with forward: proxy\n"},
		{HTTP_POOL("\n  spare: {backends: [" P1 "]}"),
		 "t:7:3: %s: pool spare is not used by any service\n"},
		{L4_BACKENDS("{name: a, address: 10.0.0.1, state: drain}, {name: b, address: "
			     "10.0.0.2, weight: 0}"),
		 "t:3:3: %s: pool web: no backend is up with a weight over 0\n"},
		{"node: {interfaces: [eth0]}\n"
		 "pools: {d: {backends: [" B1 "]}}\n"
		 "services: {d: {mode: l4, pool: d, listen: 10.9.0.1:53/udp}}",
		 "t:2:9: %s: pool d: without health a dead backend keeps its share of new flows; "
		 "write a check, or \"health: none\"\n"},
	};

	(void)state;
	CHECK_WARNINGS(rows);
}

static void what_is_no_fault_is_let_pass(void **state)
{
	static const char *const texts[] = {
		/* another port of the same host */
		HTTP_BACKENDS("{name: a, address: \"10.9.0.1:81\"}"),
		HTTP("none", "{name: a, address: \"127.0.0.1:8080\"}", "",
		     "    listen: 127.0.0.1:80/tcp\n"),
		/* one address twice, with different ports */
		HTTP_BACKENDS("{name: a, address: \"10.0.0.1:1\"}, {name: b, address: "
			      "\"10.0.0.1:2\"}"),
		HTTP_SERVICE("listen: [0.0.0.0:80/tcp, 10.9.0.1:80/tcp]"),
		HTTP_HEALTH("{tcp: }"),
		HTTP_HEALTH("{http: {}, timeout: 2s}"),
		HTTP_HEALTH("{http: {status: 200-200}}"),
		HTTP_HEALTH("{http: {status: [200, 204, 300-399], body_regex: \"^ok$\"}}"),
		HTTP_HEALTH("{grpc: {}}"),
		HTTP_HEALTH("{grpc: {service: a.B, port: 1}}"),
		L4_SERVICE("listen: 10.9.0.1:80/tcp\n    idle:"),
		L4_BACKENDS("{name: a, address: 10.0.0.1, weight: 1, state: up}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		snapshot_unref(build_good(rt, texts[i]));
}

/* Commands edit documents: nodes without a place. */
static void what_has_no_place_is_named(void **state)
{
	struct tree *t = parse_good(HTTP_BACKENDS(P1));
	struct tree *list = tree_get(tree_get(tree_get(t, "pools"), "api"), "backends");
	struct tree *b = tree_new(TREE_MAPPING);
	struct diag d;
	char text[256];

	(void)state;
	diag_init(&d);
	tree_set(b, "name", tree_new_scalar("a"));
	tree_set(b, "address", tree_new_scalar("10.0.0.1:80"));
	tree_append(list, b);
	assert_null(conf_build(t, rt, &d));
	assert_int_equal(d.count, 2);
	diag_format(&d.items[0], text, sizeof(text));
	assert_non_null(strstr(text, "t:5:23: error: pool api: backend a is here twice"));
	diag_deinit(&d);
	tree_free(t);
}

static void only_so_many_errors_are_kept(void **state)
{
	char text[20000] = "node: {";
	size_t at = strlen(text);
	struct tree *t;
	struct diag d;

	(void)state;
	for (int i = 0; i < 500; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "k%d: 1, ", i);
	snprintf(text + at, sizeof(text) - at, "workers: 0}");
	t = parse_good(text);
	diag_init(&d);
	assert_null(conf_build(t, rt, &d));
	assert_int_equal(d.errors, 501);
	assert_int_equal(d.count, DIAG_MAX_KEPT + 1); /* and the warning of no services */
	diag_deinit(&d);
	tree_free(t);
}

#define WITH_RUNTIME(test) cmocka_unit_test_setup_teardown(test, make_runtime, free_runtime)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RUNTIME(keys_are_checked),
		WITH_RUNTIME(values_are_checked),
		WITH_RUNTIME(addresses_are_checked),
		WITH_RUNTIME(what_is_there_twice_is_refused),
		WITH_RUNTIME(what_belongs_together_is_checked),
		WITH_RUNTIME(ways_to_a_backend_are_checked),
		WITH_RUNTIME(health_checks_are_checked),
		WITH_RUNTIME(what_is_odd_is_warned_of),
		WITH_RUNTIME(what_is_no_fault_is_let_pass),
		WITH_RUNTIME(what_has_no_place_is_named),
		WITH_RUNTIME(only_so_many_errors_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
