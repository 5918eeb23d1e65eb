/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/diff: every difference once, in the words of a configuration. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/diff.h"

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

/* One line a change: "~ OBJECT FIELD OLD -> NEW", "+ OBJECT", "- OBJECT"; "!" where a restart is
 * needed. */
static void diff_texts(const char *old_text, const char *new_text, char *buf, size_t len)
{
	static const char signs[] = {'+', '-', '~'};
	struct snapshot *old = old_text ? build_good(rt, old_text) : NULL;
	struct snapshot *new = build_good(rt, new_text);
	struct change_list list;
	size_t at = 0;

	assert_int_equal(diff_snapshots(old, new, &list), 0);
	buf[0] = 0;
	for (size_t i = 0; i < list.count && at < len; i++) {
		const struct change *c = &list.items[i];

		at += (size_t)snprintf(buf + at, len - at, "%c %s", signs[c->kind], c->object);
		assert_int_equal(c->kind == CHANGE_CHANGED, c->field && c->old_text && c->new_text);
		if (c->field && at < len)
			at += (size_t)snprintf(buf + at, len - at, " %s %s -> %s%s", c->field,
					       c->old_text, c->new_text, c->restart ? " !" : "");
		if (at < len)
			at += (size_t)snprintf(buf + at, len - at, "\n");
	}
	change_list_deinit(&list);
	change_list_deinit(&list);
	snapshot_unref(old);
	snapshot_unref(new);
}

#define BASE                                                                                       \
	"node: {interfaces: [eth0], workers: 2}\n"                                                 \
	"pools:\n"                                                                                 \
	"  web: {health: {tcp: {}}, backends: [{name: a, address: 10.0.0.1}, {name: b, "           \
	"address: 10.0.0.2}]}\n"                                                                   \
	"  api: {backends: [{name: x, address: \"10.0.1.1:80\"}]}\n"                               \
	"services:\n"                                                                              \
	"  web: {listen: 10.9.0.1:80/tcp, mode: l4, pool: web}\n"                                  \
	"  api: {listen: 10.9.0.2:80/tcp, mode: http, pool: api}\n"

static void from_nothing_all_is_added(void **state)
{
	char text[2048];

	(void)state;
	diff_texts(NULL, BASE, text, sizeof(text));
	assert_string_equal(text, "+ pool api\n"
				  "+ backend api/x\n"
				  "+ pool web\n"
				  "+ backend web/a\n"
				  "+ backend web/b\n"
				  "+ service api\n"
				  "+ service web\n");
}

static void what_is_the_same_is_no_change(void **state)
{
	char text[2048];

	(void)state;
	diff_texts(BASE, BASE, text, sizeof(text));
	assert_string_equal(text, "");
	/* Written otherwise, with defaults said, in another order. */
	diff_texts(
		BASE,
		"services:\n"
		"  api: {pool: api, mode: http, listen: [\"10.9.0.2:80/tcp\"], limits: {body: 0}}\n"
		"  web: {listen: [10.9.0.1:80/tcp], mode: l4, pool: web, ring_size: 65537,\n"
		"    idle: {established: 7440s}}\n"
		"pools:\n"
		"  api: {forward: proxy, idle_timeout: 1m, backends: [{name: x, weight: 1, "
		"address: "
		"\"10.0.1.1:80\", state: up}]}\n"
		"  web:\n"
		"    health: {tcp: {port: 80}, every: 2000ms}\n"
		"    backends: [{name: b, address: \"10.0.0.2:80\"}, {name: a, address: "
		"10.0.0.1}]\n"
		"node: {interfaces: [eth0], workers: 2, drain_timeout: 30s}\n",
		text, sizeof(text));
	assert_string_equal(text, "");
}

static void each_change_is_said_once(void **state)
{
	char text[4096];

	(void)state;
	diff_texts(
		BASE,
		"node: {interfaces: [eth0, eth1], workers: 3, hash_seed: "
		"000000000000000100000000000000ff, tunnel_source: [\"2001:db8::/64\"],\n"
		"  limits: {flows: 2048}}\n"
		"admin: {socket: /tmp/s}\n"
		"pools:\n"
		"  web: {mtu: 1400, health: {tcp: {port: 81}, every: 5s}, backends: [{name: a, "
		"address: 10.0.0.3, weight: 7, state: drain}, {name: c, address: 10.0.0.2}]}\n"
		"  new: {backends: [{name: x, address: \"10.0.1.1:80\"}]}\n"
		"services:\n"
		"  web: {listen: [10.9.0.1:80/tcp, \"[2001:db8::9]:80/udp\"], mode: l4, pool: web, "
		"tracking: never, idle: {udp: 90s}}\n"
		"  api: {listen: 10.9.0.2:80/tcp, mode: http, pool: new, limits: {body: 1MiB}, "
		"timeouts: {idle: 5s}}\n",
		text, sizeof(text));
	assert_string_equal(text,
			    "~ node interfaces [eth0] -> [eth0, eth1]\n"
			    "~ node workers 2 -> 3 !\n"
			    "~ node hash_seed default -> 000000000000000100000000000000ff !\n"
			    "~ node tunnel_source default -> [2001:db8::/64]\n"
			    "~ node limits.flows 2097152 -> 2048 !\n"
			    "~ admin socket /run/shunt/control.sock -> /tmp/s !\n"
			    "- pool api\n"
			    "- backend api/x\n"
			    "+ pool new\n"
			    "+ backend new/x\n"
			    "~ pool web mtu default -> 1400\n"
			    "~ pool web health.tcp.port 80 -> 81\n"
			    "~ pool web health.every 2s -> 5s\n"
			    "~ pool web health.every_changing 2s -> 5s\n"
			    "~ backend web/a address 10.0.0.1 -> 10.0.0.3\n"
			    "~ backend web/a weight 1 -> 7\n"
			    "~ backend web/a state up -> drain\n"
			    "- backend web/b\n"
			    "+ backend web/c\n"
			    "~ service api pool api -> new\n"
			    "~ service api timeouts.idle 1m -> 5s\n"
			    "~ service api limits.body 0 -> 1MiB\n"
			    "~ service web listen [\"10.9.0.1:80/tcp\"] -> [\"10.9.0.1:80/tcp\", "
			    "\"[2001:db8::9]:80/udp\"]\n"
			    "~ service web tracking auto -> never\n"
			    "~ service web idle.udp 2m -> 90s\n");
}

#define WITH_HEALTH(health)                                                                        \
	"pools: {api: {health: " health ", backends: [{name: x, address: \"10.0.1.1:80\"}]}}\n"    \
	"services: {api: {listen: 10.9.0.2:80/tcp, mode: http, pool: api}}\n"

#define TWO_POOLS(a, b)                                                                            \
	"pools: {" a ": {backends: [{name: " b ", address: \"10.0.1.1:80\"}, {name: m, address: "  \
	"\"10.0.1.2:80\"}]}, m: {backends: [{name: m, address: \"10.0.1.2:80\"}]}}\n"              \
	"services: {" a ": {listen: 10.9.0.2:80/tcp, mode: http, pool: " a "}, m: {listen: "       \
	"10.9.0.3:80/tcp, mode: http, pool: m}}\n"

/* Before and behind what stays, in each of the lists. */
static void what_comes_and_goes_leaves_the_rest(void **state)
{
	char text[2048];

	(void)state;
	diff_texts(TWO_POOLS("a", "b"), TWO_POOLS("a", "z"), text, sizeof(text));
	assert_string_equal(text, "- backend a/b\n+ backend a/z\n");
	diff_texts(TWO_POOLS("a", "z"), TWO_POOLS("a", "b"), text, sizeof(text));
	assert_string_equal(text, "+ backend a/b\n- backend a/z\n");
	diff_texts(TWO_POOLS("a", "b"), TWO_POOLS("z", "b"), text, sizeof(text));
	assert_string_equal(text, "- pool a\n- backend a/b\n- backend a/m\n"
				  "+ pool z\n+ backend z/b\n+ backend z/m\n"
				  "- service a\n+ service z\n");
	diff_texts(TWO_POOLS("z", "b"), TWO_POOLS("a", "b"), text, sizeof(text));
	assert_string_equal(text, "+ pool a\n+ backend a/b\n+ backend a/m\n"
				  "- pool z\n- backend z/b\n- backend z/m\n"
				  "+ service a\n- service z\n");
}

static void another_kind_of_check_is_one_change(void **state)
{
	char text[2048];

	(void)state;
	diff_texts(WITH_HEALTH("none"), WITH_HEALTH("{http: {path: /a, host: h}}"), text,
		   sizeof(text));
	assert_string_equal(text, "~ pool api health none -> {http: {path: /a, host: h, status: "
				  "200-299, body_limit: 16KiB}, tls: auto, via: direct, every: "
				  "2s, timeout: 1s, every_changing: 2s, rise: 2, "
				  "fall: 3, damping: 1m}\n");
	diff_texts(WITH_HEALTH("{http: {}}"), WITH_HEALTH("{tcp: {port: 5}}"), text, sizeof(text));
	assert_string_equal(
		text,
		"~ pool api health {http: {path: /, status: 200-299, body_limit: 16KiB}, tls: "
		"auto, via: direct, every: 2s, "
		"timeout: 1s, every_changing: 2s, rise: 2, fall: 3, damping: 1m} -> {tcp: {port: "
		"5}, tls: auto, via: "
		"direct, every: "
		"2s, "
		"timeout: 1s, every_changing: 2s, rise: 2, fall: 3, damping: 1m}\n");
	diff_texts(WITH_HEALTH("{http: {host: a}}"), WITH_HEALTH("{http: {status: 204, port: 9}}"),
		   text, sizeof(text));
	assert_string_equal(text, "~ pool api health.http.port default -> 9\n"
				  "~ pool api health.http.host a -> default\n"
				  "~ pool api health.http.status 200-299 -> 204\n");
	diff_texts(WITH_HEALTH("{http: {}}"),
		   WITH_HEALTH("{http: {status: [200, 300-399], body: x y}}"), text, sizeof(text));
	assert_string_equal(text, "~ pool api health.http.status 200-299 -> [200, 300-399]\n"
				  "~ pool api health.http.body default -> x y\n");
	diff_texts(WITH_HEALTH("{grpc: {}}"), WITH_HEALTH("{grpc: {service: a.B}}"), text,
		   sizeof(text));
	assert_string_equal(text, "~ pool api health.grpc.service default -> a.B\n");
}

static void the_first_interface_needs_a_restart(void **state)
{
	char text[2048];

	(void)state;
	diff_texts("services: {}", "services: {}\nnode: {interfaces: [eth0]}", text, sizeof(text));
	assert_string_equal(text, "~ node interfaces [] -> [eth0] !\n");
	diff_texts("services: {}\nnode: {interfaces: [eth0]}", "services: {}", text, sizeof(text));
	assert_string_equal(text, "~ node interfaces [eth0] -> [] !\n");
}

#define WITH_RUNTIME(test) cmocka_unit_test_setup_teardown(test, make_runtime, free_runtime)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RUNTIME(from_nothing_all_is_added),
		WITH_RUNTIME(what_is_the_same_is_no_change),
		WITH_RUNTIME(each_change_is_said_once),
		WITH_RUNTIME(what_comes_and_goes_leaves_the_rest),
		WITH_RUNTIME(another_kind_of_check_is_one_change),
		WITH_RUNTIME(the_first_interface_needs_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
