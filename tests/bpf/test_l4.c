/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * l4/ and loader/ on the kernel's own tables: a configuration is applied, and packets are put
 * through the pinned program to see what has become of it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "core/clock.h"
#include "l4/guard.h"
#include "l4/l4.h"
#include "loader/maps.h"
#include "tests/bpf/pkt_build.h"

#define RING	 "1009"
#define VIP4	 "192.0.2.10"
#define VIP6	 "2001:db8::10"
#define CLIENT4	 "198.51.100.1"
#define CLIENT6	 "2001:db8:1::1"
#define CONNS	 200
#define DEADLINE 20000 /* ms */

struct stage {
	char pins[64];
	struct runtime *runtime;
	struct snapshot *snap;
	struct l4 *l4;
};

/* ---- a daemon without a loop -------------------------------------------------------------------- */

static struct snapshot *build_on(struct stage *s, const char *interfaces, const char *node,
				 const char *rest)
{
	struct diag d;
	struct tree *tree;
	struct snapshot *snap = NULL;
	char text[4096];
	int n = snprintf(
		text, sizeof(text),
		"node: {interfaces: %s, xdp_mode: generic, pin_path: %s, limits: {services: "
		"16, backends: 16, ring_slots: 8192, flows: 1024, pending: 1024, nat: 1024, "
		"guard: 16}%s}\n%s",
		interfaces, s->pins, node, rest);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	diag_init(&d);
	tree = tree_parse("test", text, strlen(text), &d);
	if (tree != NULL)
		snap = conf_build(tree, s->runtime, &d);
	if (snap == NULL)
		diag_print(&d, stderr);
	diag_deinit(&d);
	tree_free(tree);
	assert_non_null(snap);
	return snap;
}

static struct snapshot *build(struct stage *s, const char *node, const char *rest)
{
	return build_on(s, "[lo]", node, rest);
}

#define SOURCE ", tunnel_source: [192.0.2.1, \"2001:db8::1\"]"

#define A "{name: a, address: 10.0.0.1}"
#define B "{name: b, address: 10.0.0.2}"
#define C "{name: c, address: 10.0.0.3}"
/* Flows are remembered for longer than a slow machine takes to load a program; or so shortly that a
 * test can wait for it. */
#define CONF(backends)	     CONF_IDLE(backends, "10m")
#define CONF_BRIEF(backends) CONF_IDLE(backends, "1s")
#define CONF_IDLE(backends, idle)                                                                  \
	"pools:\n  web: {forward: ipip, health: none, backends: [" backends "]}\n"                 \
	"services:\n  web: {mode: l4, pool: web, listen: [\"" VIP4 ":80/tcp\", \"[" VIP6           \
	"]:80/tcp\"], ring_size: " RING                                                            \
	", tracking: always, insert_rate: 1000000, idle: {established: " idle ", syn: " idle       \
	", fin: " idle "}}\n"

static void open_l4(struct stage *s)
{
	struct diag d;

	diag_init(&d);
	if (l4_open(s->snap, &s->l4, &d) < 0) {
		diag_print(&d, stderr);
		fail();
	}
	diag_deinit(&d);
}

static struct l4_report apply(struct stage *s)
{
	struct l4_report report = {0};
	struct diag d;

	diag_init(&d);
	if (l4_check(s->l4, s->snap, &d) < 0 || l4_apply(s->l4, s->snap, &report, &d) < 0) {
		diag_print(&d, stderr);
		fail();
	}
	diag_deinit(&d);
	return report;
}

/* Another configuration takes effect. */
static struct l4_report change(struct stage *s, const char *rest)
{
	snapshot_unref(s->snap);
	s->snap = build(s, SOURCE, rest);
	return apply(s);
}

/* The daemon ends, however it does, and another one starts. */
static void restart(struct stage *s, const char *node)
{
	struct snapshot *snap = build(s, node, CONF(A ", " B));

	l4_close(s->l4);
	s->l4 = NULL;
	snapshot_unref(s->snap);
	s->snap = snap;
	open_l4(s);
}

static int setup(void **state)
{
	static struct stage s;
	static int serial;

	s = (struct stage){.runtime = runtime_new()};
	snprintf(s.pins, sizeof(s.pins), "/sys/fs/bpf/shunt-%d-%d", (int)getpid(), serial++);
	s.snap = build(&s, SOURCE, CONF(A ", " B));
	open_l4(&s);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;
	struct diag d;

	diag_init(&d);
	if (s->l4 != NULL)
		(void)loader_detach(l4_loader(s->l4), "lo", &d);
	l4_close(s->l4);
	snapshot_unref(s->snap);
	runtime_free(s->runtime);
	assert_int_equal(loader_purge(s->pins, &d), 0);
	diag_deinit(&d);
	return 0;
}

/* ---- packets ------------------------------------------------------------------------------------ */

/* The XDP action. */
static uint32_t run(struct stage *s, const struct pkt_spec *spec, struct frame *out)
{
	static struct frame in;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.data, .data_out = out->data,
		    .data_size_out = sizeof(out->data));
	char path[128];
	int fd;

	pkt_build(spec, &in);
	opts.data_size_in = (uint32_t)in.len;
	snprintf(path, sizeof(path), "%s/v%d/prog", s->pins, SHUNT_ABI_VERSION);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	close(fd);
	out->len = opts.data_size_out;
	return opts.retval;
}

/* Last byte of the outer destination: the number of the backend; 0: dropped; -1: passed. */
static int send_from(struct stage *s, int family, const char *src, uint16_t sport, uint8_t flags)
{
	const struct pkt_spec spec = {
		.src = src,
		.dst = family == 4 ? VIP4 : VIP6,
		.sport = sport,
		.dport = 80,
		.proto = IPPROTO_TCP,
		.tcp_flags = flags,
	};
	static struct frame out;
	uint32_t action = run(s, &spec, &out);

	if (action == XDP_PASS)
		return -1;
	if (action != XDP_TX)
		return 0;
	/* The outer header is IPv4, as the backends are. */
	assert_int_equal(pkt_get16(&out, 12), 0x0800);
	assert_memory_equal(out.data + 26, "\xc0\x00\x02\x01", 4);
	return out.data[33];
}

static int send_packet(struct stage *s, int family, uint16_t sport, uint8_t flags)
{
	return send_from(s, family, family == 4 ? CLIENT4 : CLIENT6, sport, flags);
}

/* How many of CONNS new connections each backend gets. */
static void spread(struct stage *s, int family, uint16_t first_port, unsigned ret_count[4])
{
	memset(ret_count, 0, 4 * sizeof(*ret_count));
	for (uint16_t i = 0; i < CONNS; i++) {
		int to = send_packet(s, family, (uint16_t)(first_port + i), F_SYN);

		assert_true(to >= -1 && to < 4);
		if (to >= 0)
			ret_count[to]++;
	}
}

/* A connection of that port to backend b (both packets that make it known). */
static uint16_t connect_to(struct stage *s, int backend)
{
	for (uint16_t port = 20000; port < 21000; port++) {
		if (send_packet(s, 4, port, F_SYN) == backend) {
			assert_int_equal(send_packet(s, 4, port, F_ACK), backend);
			return port;
		}
	}
	fail_msg("no connection to backend %d", backend);
	return 0;
}

static bool is_zero(struct l4_report r)
{
	static const struct l4_report zero;

	return memcmp(&r, &zero, sizeof(r)) == 0;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static uint32_t slots_in_use(struct stage *s)
{
	uint32_t slots[4] = {9, 9, 9, 9}, sum = 0;
	const struct service *web = snapshot_service(s->snap, "web");

	l4_ring_slots(s->l4, web->name, web->pool, slots);
	for (size_t i = 0; i < web->pool->backend_count; i++)
		sum += slots[i];
	return sum;
}

static void test_packets_reach_backends(void **state)
{
	struct stage *s = *state;
	struct shunt_svc_stats svc;
	struct shunt_be_stats stats[4] = {{.packets = 1}};
	uint64_t established, pending;
	unsigned count[4];

	assert_int_equal(send_packet(s, 4, 1000, F_SYN), -1);
	assert_int_equal(apply(s).rings_built, 1);
	spread(s, 4, 1000, count);
	assert_int_equal(count[1] + count[2], CONNS);
	assert_true(count[1] > CONNS / 4 && count[2] > CONNS / 4);
	spread(s, 6, 1000, count);
	assert_int_equal(count[1] + count[2], CONNS);
	assert_int_equal(l4_service_stats(s->l4, "web", &svc), 0);
	assert_int_equal(svc.count[SHUNT_COUNT_PACKETS], 2 * CONNS);
	assert_int_equal(svc.count[SHUNT_COUNT_NEW_FLOWS], 2 * CONNS);
	assert_int_equal(l4_pool_stats(s->l4, snapshot_pool(s->snap, "web"), stats), 0);
	assert_int_equal(stats[0].packets + stats[1].packets, 2 * CONNS);
	assert_true(stats[0].packets > CONNS / 2 && stats[1].packets > CONNS / 2);
	assert_int_equal(l4_service_stats(s->l4, "", &svc), -ENOENT);
	assert_int_equal(slots_in_use(s), 1009);
	assert_int_equal(maps_flow_count(l4_loader(s->l4), &established, &pending), 0);
	assert_int_equal(established, 0);
	assert_int_equal(pending, 2 * CONNS);
}

static void test_nothing_changed_nothing_written(void **state)
{
	struct stage *s = *state;

	(void)apply(s);
	assert_true(is_zero(apply(s)));
	restart(s, SOURCE);
	assert_true(loader_adopted(l4_loader(s->l4)));
	assert_false(loader_replaced(l4_loader(s->l4)));
	assert_true(is_zero(apply(s)));
	assert_int_equal(slots_in_use(s), 1009);
}

static void test_connections_survive_restart_and_exchange(void **state)
{
	struct stage *s = *state;
	uint16_t to_a, to_b;

	(void)apply(s);
	to_a = connect_to(s, 1);
	to_b = connect_to(s, 2);
	restart(s, SOURCE);
	assert_int_equal(send_packet(s, 4, to_a, F_ACK), 1);
	/* Another seed is another program, over the same tables. */
	restart(s, SOURCE ", hash_seed: \"00112233445566778899aabbccddeeff\"");
	assert_true(loader_replaced(l4_loader(s->l4)));
	assert_true(is_zero(apply(s)));
	assert_int_equal(send_packet(s, 4, to_a, F_ACK), 1);
	assert_int_equal(send_packet(s, 4, to_b, F_ACK), 2);
}

static void test_draining_backend_keeps_its_connections(void **state)
{
	struct stage *s = *state;
	unsigned count[4];
	uint16_t to_b;

	(void)apply(s);
	to_b = connect_to(s, 2);
	(void)change(s, CONF(A ", {name: b, address: 10.0.0.2, state: drain}"));
	assert_int_equal(send_packet(s, 4, to_b, F_ACK), 2);
	spread(s, 4, 3000, count);
	assert_int_equal(count[1], CONNS);
	(void)change(s, CONF(A ", {name: b, address: 10.0.0.2, state: disabled}"));
	assert_int_equal(send_packet(s, 4, to_b, F_ACK), 1);
}

static void test_removed_backend_is_freed_when_it_is_quiet(void **state)
{
	struct stage *s = *state;
	uint64_t deadline = clock_now_ms() + DEADLINE;
	unsigned count[4];
	uint16_t to_b;

	(void)change(s, CONF_BRIEF(A ", " B));
	to_b = connect_to(s, 2);
	(void)change(s, CONF_BRIEF(A ", " C));
	spread(s, 4, 3000, count);
	assert_int_equal(count[2], 0);
	assert_true(count[3] > 0);
	assert_int_equal(l4_tick(s->l4), 1);
	assert_int_equal(send_packet(s, 4, to_b, F_ACK), 2);
	assert_int_equal(l4_tick(s->l4), 1);
	while (l4_tick(s->l4) > 0 && clock_now_ms() < deadline)
		(void)poll(NULL, 0, 50);
	assert_int_equal(l4_tick(s->l4), 0);
	assert_int_not_equal(send_packet(s, 4, to_b, F_ACK), 2);
	assert_true(is_zero(apply(s)));
}

#define NAT_CONF(backends)                                                                         \
	"pools:\n  dns: {forward: nat, health: none, source_nat: 10.0.0.9, backends: [" backends   \
	"]}\n"                                                                                     \
	"services:\n  dns: {mode: l4, pool: dns, listen: [\"" VIP4 ":53/udp\"], ring_size: " RING  \
	", idle: {udp: 1s}}\n"

/* A flow through NAT, and its backend's answers. */
static struct pkt_spec open_nat(struct stage *s)
{
	const struct pkt_spec there = {
		.src = CLIENT4, .dst = VIP4, .sport = 5000, .dport = 53, .proto = IPPROTO_UDP};
	struct pkt_spec back = {
		.src = "10.0.0.1", .dst = "10.0.0.9", .sport = 53, .proto = IPPROTO_UDP};
	static struct frame out;

	(void)change(s, NAT_CONF(A));
	assert_int_equal(run(s, &there, &out), XDP_TX);
	back.dport = pkt_get16(&out, pkt_l4(&out));
	return back;
}

/* What the daemon does now and then. Returns how many removed backends are left. */
static unsigned tick(struct stage *s)
{
	struct diag d;
	unsigned left;

	diag_init(&d);
	left = l4_tick(s->l4);
	l4_nat_tick(s->l4, &d);
	diag_deinit(&d);
	(void)poll(NULL, 0, 50);
	return left;
}

/* It lasts as long as either side sends, however short the idle time is. */
static void test_a_flow_that_never_rests(void **state)
{
	struct stage *s = *state;
	struct pkt_spec back = open_nat(s);
	uint64_t end = clock_now_ms() + 2500;
	static struct frame out;

	while (clock_now_ms() < end) {
		assert_int_equal(run(s, &back, &out), XDP_TX);
		(void)tick(s);
	}
}

static void test_removed_backend_goes_on_sending(void **state)
{
	struct stage *s = *state;
	struct pkt_spec back = open_nat(s);
	uint64_t end = clock_now_ms() + 3500, deadline = end + DEADLINE;
	static struct frame out;

	(void)change(s, NAT_CONF(B));
	while (clock_now_ms() < end) {
		assert_int_equal(run(s, &back, &out), XDP_TX);
		(void)tick(s);
	}
	while (tick(s) > 0 && clock_now_ms() < deadline)
		;
	assert_int_equal(l4_tick(s->l4), 0);
	assert_int_equal(run(s, &back, &out), XDP_PASS);
}

/* A daemon that dies between removal and the end of the connections is followed by one that ends
 * them in the same way. */
static void test_removed_backend_is_freed_after_a_restart(void **state)
{
	struct stage *s = *state;
	uint64_t deadline = clock_now_ms() + DEADLINE;
	struct shunt_backend row;

	(void)apply(s);
	(void)change(s, CONF_BRIEF(A ", " B ", " C));
	restart(s, SOURCE);
	/* Not before it knows what the configuration names. */
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 3, &row), 0);
	assert_int_not_equal(row.id, 0);
	(void)l4_tick(s->l4);
	(void)apply(s);
	while (l4_tick(s->l4) > 0 && clock_now_ms() < deadline)
		(void)poll(NULL, 0, 50);
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 3, &row), 0);
	assert_int_equal(row.id, 0);
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 1, &row), 0);
	assert_int_not_equal(row.id, 0);
}

static void test_local_service_passes(void **state)
{
	struct stage *s = *state;

	(void)change(s,
		     "pools: {api: {health: none, backends: [{name: x, address: "
		     "\"127.0.0.1:8080\"}]}}\n"
		     "services: {api: {mode: http, pool: api, listen: [\"" VIP4 ":80/tcp\"]}}\n");
	assert_int_equal(send_packet(s, 4, 1000, F_SYN), -1);
	{
		uint64_t verdicts[SHUNT_VERDICT_COUNT];

		assert_int_equal(maps_verdicts(l4_loader(s->l4), verdicts), 0);
		assert_int_equal(verdicts[SHUNT_VERDICT_PASS_LOCAL], 1);
	}
}

/* Services by name, listen address, and what else they say; of pools with the backends a, b and with c
 * too. */
#define TWO_POOLS                                                                                  \
	"pools:\n  two: {forward: ipip, health: none, backends: [" A ", " B "]}\n"                 \
	"  three: {forward: ipip, health: none, backends: [" A ", " B ", " C "]}\nservices:\n"
#define SERVICE(name, pool, listen, more)                                                          \
	"  " name ": {mode: l4, pool: " pool ", ring_size: " RING ", listen: [" listen "]" more    \
	"}\n"
#define AT_80 VIP4 ":80/tcp"
#define AT_81 VIP4 ":81/tcp"

/* A service whose ring changes while it gives an address away gets another row. */
static void test_limits_follow_a_service_to_another_row(void **state)
{
	static const char before[] =
		TWO_POOLS SERVICE("web", "two", AT_80 ", " AT_81,
				  ", guard: {bad_flags: drop, abuse: block, block_for: 1h}");
	static const char after[] = TWO_POOLS SERVICE(
		"web", "three", AT_80, ", guard: {bad_flags: drop, abuse: block, block_for: 1h}")
		SERVICE("other", "two", AT_81, "");
	struct stage *s = *state;

	(void)change(s, before);
	assert_true(send_packet(s, 4, 1000, F_SYN) > 0);
	(void)change(s, after);
	assert_true(send_packet(s, 4, 1000, F_SYN) > 0);
	assert_int_equal(send_packet(s, 4, 1001, F_SYN | F_FIN), 0);
	assert_int_equal(send_packet(s, 4, 1002, F_SYN), 0);
	/* And its blocks with them, on the way back. */
	(void)change(s, before);
	assert_int_equal(send_packet(s, 4, 1003, F_SYN), 0);
	(void)change(s, after);
	assert_int_equal(send_packet(s, 4, 1004, F_SYN), 0);
}

static void test_blocks_are_not_inherited_with_a_row(void **state)
{
	static const char other[] = TWO_POOLS SERVICE("other", "two", AT_81, "");
	static const char late[] =
		TWO_POOLS SERVICE("other", "two", AT_81, "") SERVICE("late", "two", AT_80, "");
	static const char guarded[] = TWO_POOLS SERVICE("other", "two", AT_81, "")
		SERVICE("late", "two", AT_80, ", guard: {packets_per_source: 1000000}");
	struct stage *s = *state;

	(void)change(s, TWO_POOLS SERVICE("web", "two", AT_80,
					  ", guard: {bad_flags: drop, abuse: block}"));
	assert_int_equal(send_packet(s, 4, 1000, F_SYN | F_FIN), 0);
	assert_int_equal(send_packet(s, 4, 1000, F_SYN), 0);
	(void)change(s, other);
	(void)change(s, late);
	assert_true(send_packet(s, 4, 1000, F_SYN) > 0);
	(void)change(s, guarded);
	assert_true(send_packet(s, 4, 1000, F_SYN) > 0);
}

/* One forged packet a source blocks it: that must not take the room of those who defend. */
static void test_forged_sources_do_not_fill_the_list(void **state)
{
	struct stage *s = *state;
	struct guard_prefix entry = {.len = 32};
	struct guard_counters counters;
	struct diag d;

	(void)change(s, TWO_POOLS SERVICE("web", "two", AT_80,
					  ", guard: {bad_flags: drop, abuse: block}"));
	for (int i = 0; i < 20; i++) {
		char src[INET_ADDRSTRLEN];

		snprintf(src, sizeof(src), "203.0.113.%d", i);
		assert_int_equal(send_from(s, 4, src, 1000, F_SYN | F_FIN), 0);
	}
	guard_tick(l4_guard(s->l4));
	guard_counters(l4_guard(s->l4), &counters);
	assert_int_equal(counters.blocked, 20);
	assert_int_equal(counters.lost, 12);
	assert_int_equal(counters.entries[0], 8);
	diag_init(&d);
	assert_int_equal(addr_parse("198.18.0.1", &entry.addr), 0);
	assert_int_equal(guard_add(l4_guard(s->l4), &entry, 60000, &d), 0);
	diag_deinit(&d);
	/* They are blocked all the same. */
	assert_int_equal(send_from(s, 4, "203.0.113.19", 1000, F_SYN), 0);
}

static void test_one_user_at_a_time(void **state)
{
	struct stage *s = *state;
	struct l4 *other = NULL;
	char pid[32];
	struct diag d;

	diag_init(&d);
	assert_int_equal(l4_open(s->snap, &other, &d), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.items[0].text, pid));
	assert_int_equal(loader_purge(s->pins, &d), -EBUSY);
	diag_deinit(&d);
}

/* Their program would go on serving packets beside ours. */
static void test_tables_of_another_version(void **state)
{
	struct stage *s = *state;
	char dir[96], pin[128];
	struct l4 *other = NULL;
	struct diag d;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL);

	assert_true(fd >= 0);
	snprintf(dir, sizeof(dir), "%s/v999", s->pins);
	snprintf(pin, sizeof(pin), "%s/other", dir);
	l4_close(s->l4);
	s->l4 = NULL;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(bpf_obj_pin(fd, pin), 0);
	diag_init(&d);
	assert_int_equal(l4_open(s->snap, &other, &d), -EEXIST);
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.items[0].text, "v999"));
	diag_deinit(&d);
	assert_int_equal(unlink(pin), 0);
	/* A directory with nothing in it is in nobody's way. */
	open_l4(s);
	assert_int_equal(rmdir(dir), 0);
	close(fd);
}

static void test_tunnels_need_a_source(void **state)
{
	struct stage *s = *state;
	struct l4_report report;
	struct diag d;

	snapshot_unref(s->snap);
	s->snap = build(s, "", CONF(A ", " B)); /* lo has no global address */
	diag_init(&d);
	assert_int_equal(l4_check(s->l4, s->snap, &d), -EINVAL);
	assert_non_null(strstr(d.items[0].text, "node.tunnel_source"));
	assert_int_equal(l4_apply(s->l4, s->snap, &report, &d), -EINVAL);
	diag_deinit(&d);
}

static void test_attach(void **state)
{
	struct stage *s = *state;
	struct attachment *list;
	struct snapshot *none;
	size_t count;
	struct diag d;

	diag_init(&d);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(loader_attachments(l4_loader(s->l4), &list, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(list[0].ifname, "lo");
	assert_int_equal(list[0].mode, ATTACH_GENERIC);
	free(list);
	/* One that is not there: said, and the other is left, since it is not listed any more. */
	none = build(s, SOURCE, CONF(A));
	((const char **)none->node.interfaces)[0] = "nix0";
	assert_int_equal(l4_attach(s->l4, none, &d), -ENODEV);
	assert_non_null(strstr(d.items[0].text, "nix0 does not exist"));
	assert_int_equal(loader_attachments(l4_loader(s->l4), &list, &count), 0);
	assert_int_equal(count, 0);
	free(list);
	snapshot_unref(none);
	diag_deinit(&d);
}

/* A backend that dies leaves its rings, and commands are obeyed, while an interface is away. */
static void test_change_without_an_interface(void **state)
{
	struct stage *s = *state;
	struct l4_report report;
	unsigned count[4];
	struct diag d;

	diag_init(&d);
	(void)apply(s);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(system("ip link add away type veth && ip link set away up"), 0);
	snapshot_unref(s->snap);
	s->snap = build_on(s, "[lo, away]", SOURCE, CONF(A ", " B));
	(void)apply(s);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	assert_int_equal(system("ip link del away"), 0);
	assert_int_equal(d.count, 0);

	snapshot_unref(s->snap);
	s->snap = build_on(s, "[lo, away]", SOURCE, CONF(A ", " C));
	assert_int_equal(l4_check(s->l4, s->snap, &d), 0);
	assert_int_equal(d.count, 1);
	assert_non_null(strstr(d.items[0].text, "away does not exist"));
	assert_int_equal(l4_apply(s->l4, s->snap, &report, &d), 0);
	spread(s, 4, 3000, count);
	assert_int_equal(count[2], 0);
	assert_true(count[3] > 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);

	/* Back again, as another device. */
	assert_int_equal(system("ip link add away type veth && ip link set away up"), 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 1);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	assert_int_equal(loader_detach(l4_loader(s->l4), "away", &d), 0);
	/* What somebody took off is left off. */
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	diag_deinit(&d);
}

static void test_wait_for_packets(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(maps_wait_for_packets(), 0);
}

static void test_sizes_and_memory(void **state)
{
	struct stage *s = *state;
	struct loader_sizes sizes;

	maps_sizes(l4_loader(s->l4), &sizes);
	assert_int_equal(sizes.services, 16);
	assert_int_equal(sizes.backends, 16);
	assert_int_equal(sizes.ring_slots, 8192);
	assert_int_equal(sizes.flows, 1024);
	assert_true(maps_memory(l4_loader(s->l4)) > 8192 * sizeof(struct shunt_slot));
}

#define LISTED 8192 /* of each family; every other one ends at once */

static struct guard_prefix listed(int family, unsigned n)
{
	struct guard_prefix p = {.addr = {.family = family}, .len = family == AF_INET ? 32 : 128};
	const uint8_t number[4] = {10, n % 251, n >> 8, n & 0xff};

	memcpy(p.addr.bytes + (family == AF_INET ? 0 : 12), number, sizeof(number));
	return p;
}

static void fill_lists(struct guard *g)
{
	struct diag d;

	diag_init(&d);
	for (unsigned n = 0; n < LISTED; n++) {
		const struct guard_prefix v4 = listed(AF_INET, n), v6 = listed(AF_INET6, n);

		assert_int_equal(guard_add(g, &v4, n % 2 ? 1 : 3600000, &d), 0);
		assert_int_equal(guard_add(g, &v6, n % 2 ? 1 : 3600000, &d), 0);
	}
	diag_deinit(&d);
}

/* What has ended goes, piece by piece, and what has not stays: also where a command removes entries
 * in between, which may be the one that the next piece begins behind. */
static void test_entries_end_piece_by_piece(void **state)
{
	struct stage *s = *state;
	struct guard *g = l4_guard(s->l4);
	uint64_t longest = 0, deadline = clock_now_ms() + DEADLINE;
	struct guard_counters c;
	unsigned ticks = 0, removed = 0;
	struct diag d;

	fill_lists(g);
	diag_init(&d);
	(void)poll(NULL, 0, 50);
	do {
		const struct guard_prefix p = listed(AF_INET, LISTED - 2 - 2 * removed);
		uint64_t begun = clock_now_ns();

		if (guard_tick(g) && removed < LISTED / 4 && ++removed)
			assert_int_equal(guard_remove(g, &p.addr, p.len, NULL, &d), 0);
		else
			(void)poll(NULL, 0, 1);
		if (clock_now_ns() - begun > longest)
			longest = clock_now_ns() - begun;
		ticks++;
		guard_counters(g, &c);
	} while (c.released < LISTED && clock_now_ms() < deadline);
	print_message("%u ticks, %llu us at most\n", ticks, (unsigned long long)longest / 1000);
	assert_int_equal(c.released, LISTED);
	assert_int_equal(c.entries[0], LISTED / 2 - removed);
	assert_int_equal(c.entries[1], LISTED / 2);
	diag_deinit(&d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_packets_reach_backends),
		T(test_nothing_changed_nothing_written),
		T(test_connections_survive_restart_and_exchange),
		T(test_draining_backend_keeps_its_connections),
		T(test_removed_backend_is_freed_when_it_is_quiet),
		T(test_a_flow_that_never_rests),
		T(test_removed_backend_goes_on_sending),
		T(test_removed_backend_is_freed_after_a_restart),
		T(test_local_service_passes),
		T(test_limits_follow_a_service_to_another_row),
		T(test_blocks_are_not_inherited_with_a_row),
		T(test_forged_sources_do_not_fill_the_list),
		T(test_one_user_at_a_time),
		T(test_tables_of_another_version),
		T(test_tunnels_need_a_source),
		T(test_attach),
		T(test_change_without_an_interface),
		T(test_wait_for_packets),
		T(test_sizes_and_memory),
		T(test_entries_end_piece_by_piece),
	};
	cpu_set_t one;

	/* A loopback interface of our own; and one processor, so that LRU lists are not split. */
	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	loader_init_logging();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
