/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists, limits and blocks: who gets through, who does not, and under which name. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define OTHER4	"198.51.100.8"
#define CLIENT6 "2001:db8:c::7"
#define OTHER6	"2001:db8:d::7"

#define OTHER_ROW   5 /* of a second service, at port 81 */
#define SCOPE	    7
#define OTHER_SCOPE 8
#define SECOND	    1000000000ULL

/* What most tests want of the limits; each adds its own. */
static struct shunt_svc_guard limits(uint32_t scope)
{
	struct shunt_svc_guard g = {
		.scope = scope,
		.burst_ns = SECOND,
		.block_ns = 10 * SECOND,
		.mask4 = htonl(0xffffffff),
		.mask6 = {htonl(0xffffffff), htonl(0xffffffff)},
		.prefix_len4 = 32,
		.prefix_len6 = 64,
	};

	return g;
}

static void set_limits(struct env *env, uint32_t row, const struct shunt_svc_guard *g)
{
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_svc_guard, &row, sizeof(row), g,
					      sizeof(*g), BPF_ANY),
			 0);
}

static void listen_at(struct env *env, uint16_t port)
{
	env_service(env, VIP4, port, IPPROTO_TCP);
	env_service(env, VIP4, port, IPPROTO_UDP);
	env_service(env, VIP6, port, IPPROTO_TCP);
	env_service(env, VIP6, port, IPPROTO_UDP);
}

/* Port 80 is guarded by g (NULL: by nothing), port 81 another service with the same limits. */
static void open_env(struct env *env, const struct shunt_svc_guard *g)
{
	struct env_backend be = {.id = env_id(1, 1), .src = "10.0.0.1", .dst = "10.1.0.1"};
	struct shunt_ring ring = {.base = RING_BASE, .size = RING_SIZE};
	uint32_t other = OTHER_ROW;

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_svc_rings, &other, sizeof(other),
					      &ring, sizeof(ring), BPF_ANY),
			 0);
	env->svc.guard = g ? SHUNT_GUARDS_LIMITS : 0;
	listen_at(env, 80);
	env->svc.index = OTHER_ROW;
	listen_at(env, 81);
	env->svc.index = SVC_ROW;
	if (g) {
		struct shunt_svc_guard second = *g;

		second.scope = OTHER_SCOPE;
		set_limits(env, SVC_ROW, g);
		set_limits(env, OTHER_ROW, &second);
	}
}

/* Turn the lists on, as user space does before the first entry. */
static void switch_lists(struct env *env, uint8_t on)
{
	struct shunt_switches switches = {.guard4 = on, .guard6 = on};
	uint32_t zero = 0;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_switches, &zero, sizeof(zero),
					      &switches, sizeof(switches), BPF_ANY),
			 0);
}

static void list_scope(struct env *env, uint32_t scope, const char *addr, unsigned len,
		       enum shunt_guard_action action, uint64_t expires_ns)
{
	struct shunt_guard_entry e = {
		.expires_ns = expires_ns, .action = action, .prefix_len = len};
	struct shunt_guard4_key key4 = {.prefix_len = 32 + len, .scope = scope};
	struct shunt_guard6_key key6 = {.prefix_len = 32 + len, .scope = scope};
	int err;

	if (strchr(addr, ':')) {
		assert_int_equal(inet_pton(AF_INET6, addr, key6.addr), 1);
		err = bpf_map__update_elem(env->skel->maps.sh_guard6, &key6, sizeof(key6), &e,
					   sizeof(e), BPF_ANY);
	} else {
		assert_int_equal(inet_pton(AF_INET, addr, &key4.addr), 1);
		err = bpf_map__update_elem(env->skel->maps.sh_guard4, &key4, sizeof(key4), &e,
					   sizeof(e), BPF_ANY);
	}
	assert_int_equal(err, 0);
}

static void list(struct env *env, const char *addr, unsigned len, enum shunt_guard_action action)
{
	list_scope(env, SHUNT_SCOPE_NODE, addr, len, action, 0);
}

static const struct frame *packet(const char *src, uint16_t port, uint8_t proto, uint8_t flags)
{
	static struct frame f;
	struct pkt_spec spec = {.src = src,
				.dst = strchr(src, ':') ? VIP6 : VIP4,
				.sport = 40000,
				.dport = port,
				.proto = proto,
				.tcp_flags = flags,
				.payload_len = 20};

	pkt_build(&spec, &f);
	return &f;
}

static const struct frame *segment(const char *src, uint8_t flags)
{
	return packet(src, 80, IPPROTO_TCP, flags);
}

static void expect_sent(struct env *env, const struct frame *f)
{
	env_expect(env, f, SHUNT_VERDICT_TX, NULL);
}

/* As the program sees the source at 80. */
static struct shunt_source_key source_key(const char *addr, uint32_t scope)
{
	struct shunt_source_key key = {.scope = scope, .family = strchr(addr, ':') ? 6 : 4};

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	if (key.family == 6)
		key.addr[2] = key.addr[3] = 0;
	return key;
}

static struct shunt_source source_of(struct env *env, const char *addr)
{
	struct shunt_source_key key = source_key(addr, SCOPE);
	struct shunt_source s;

	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_sources, &key, sizeof(key), &s,
					      sizeof(s), 0),
			 0);
	return s;
}

static void set_source(struct env *env, const char *addr, const struct shunt_source *s)
{
	struct shunt_source_key key = source_key(addr, SCOPE);

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_sources, &key, sizeof(key), s,
					      sizeof(*s), BPF_ANY),
			 0);
}

static int keep_event(void *ctx, void *data, size_t len)
{
	struct shunt_guard_event *e = ctx;

	assert_int_equal(len, sizeof(*e));
	*e = *(struct shunt_guard_event *)data;
	return 0;
}

/* How many events there were; the last one. */
static int take_events(struct env *env, struct shunt_guard_event *ret_last)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(env->skel->maps.sh_events),
						    keep_event, ret_last, NULL);
	int n;

	assert_non_null(ring);
	n = ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return n;
}

/* ---- lists ---- */

static void test_a_block_holds_for_its_prefix_alone(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	switch_lists(&env, 1);
	list(&env, "198.51.100.6", 31, SHUNT_GUARD_BLOCK);
	list(&env, "2001:db8:c::", 48, SHUNT_GUARD_BLOCK);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(CLIENT4, F_ACK), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, packet(CLIENT4, 80, IPPROTO_UDP, 0), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(CLIENT6, F_SYN), SHUNT_DROP_BLOCKED);
	expect_sent(&env, segment(OTHER4, F_SYN));
	expect_sent(&env, segment(OTHER6, F_SYN));
	env_close(&env);
}

static void test_what_is_for_no_service_is_never_dropped(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.packets_per_source = 1;
	open_env(&env, &g);
	switch_lists(&env, 1);
	list(&env, "0.0.0.0", 0, SHUNT_GUARD_BLOCK);
	list(&env, "::", 0, SHUNT_GUARD_BLOCK);
	env_expect_pass(&env, packet(CLIENT4, 82, IPPROTO_TCP, F_SYN),
			SHUNT_VERDICT_PASS_NO_SERVICE);
	env_expect_pass(&env, packet(CLIENT6, 82, IPPROTO_UDP, 0), SHUNT_VERDICT_PASS_NO_SERVICE);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_BLOCKED);
	env_close(&env);
}

static void test_the_longest_prefix_decides(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	switch_lists(&env, 1);
	list(&env, "198.51.0.0", 16, SHUNT_GUARD_BLOCK);
	list(&env, "198.51.100.0", 24, SHUNT_GUARD_ALLOW);
	list(&env, OTHER4, 32, SHUNT_GUARD_BLOCK);
	list(&env, "2001:db8::", 32, SHUNT_GUARD_BLOCK);
	list(&env, CLIENT6, 128, SHUNT_GUARD_ALLOW);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	env_expect_drop(&env, segment(OTHER4, F_SYN), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment("198.51.7.7", F_SYN), SHUNT_DROP_BLOCKED);
	expect_sent(&env, segment(CLIENT6, F_SYN));
	env_expect_drop(&env, segment(OTHER6, F_SYN), SHUNT_DROP_BLOCKED);
	env_close(&env);
}

/* An entry is void at once when its time is over, and what stands below it holds again. */
static void test_an_entry_ends_by_itself(void **state)
{
	uint64_t now = clock_coarse_ns();
	struct env env;

	(void)state;
	open_env(&env, NULL);
	switch_lists(&env, 1);
	list_scope(&env, 0, CLIENT4, 32, SHUNT_GUARD_BLOCK, now - 1);
	list_scope(&env, 0, OTHER4, 32, SHUNT_GUARD_BLOCK, now + 100 * SECOND);
	list_scope(&env, 0, CLIENT6, 128, SHUNT_GUARD_BLOCK, now - 1);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	expect_sent(&env, segment(CLIENT6, F_SYN));
	env_expect_drop(&env, segment(OTHER4, F_SYN), SHUNT_DROP_BLOCKED);

	list_scope(&env, 0, "198.51.100.0", 24, SHUNT_GUARD_ALLOW, now - 1);
	list_scope(&env, 0, "198.51.0.0", 16, SHUNT_GUARD_BLOCK, 0);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_BLOCKED);
	list_scope(&env, 0, "::", 0, SHUNT_GUARD_BLOCK, 0);
	env_expect_drop(&env, segment(CLIENT6, F_SYN), SHUNT_DROP_BLOCKED);
	/* The last of all, void as well. */
	list_scope(&env, 0, "::", 0, SHUNT_GUARD_BLOCK, now - 1);
	expect_sent(&env, segment(CLIENT6, F_SYN));
	env_close(&env);
}

static void test_lists_hold_while_the_switch_is_on(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	list(&env, CLIENT4, 32, SHUNT_GUARD_BLOCK);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	switch_lists(&env, 1);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_BLOCKED);
	switch_lists(&env, 0);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	env_close(&env);
}

static void test_a_block_holds_for_local_services(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	env.svc.action = SHUNT_ACTION_LOCAL;
	listen_at(&env, 80);
	switch_lists(&env, 1);
	list(&env, CLIENT4, 32, SHUNT_GUARD_BLOCK);
	list(&env, CLIENT6, 128, SHUNT_GUARD_BLOCK);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(CLIENT6, F_SYN), SHUNT_DROP_BLOCKED);
	env_expect_pass(&env, segment(OTHER4, F_SYN), SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&env, segment(OTHER6, F_SYN), SHUNT_VERDICT_PASS_LOCAL);
	env_close(&env);
}

/* A defect is the stack's to judge, and the guard's rates do not take such a SYN for a new flow. */
static void test_a_defect_of_a_local_packet_still_passes(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct frame bad;
	struct env env;

	(void)state;
	g.flow_ns = SECOND;
	g.burst_ns = 1;
	g.bad_flags = 1;
	open_env(&env, &g);
	env.svc.action = SHUNT_ACTION_LOCAL;
	listen_at(&env, 80);
	bad = *segment(CLIENT4, F_SYN);
	bad.data[pkt_l4(&bad) + 12] = 0x10; /* a header of four bytes */
	for (int i = 0; i < 3; i++)
		env_expect_pass(&env, &bad, SHUNT_VERDICT_PASS_LOCAL);
	env_expect_pass(&env, segment(CLIENT4, F_SYN), SHUNT_VERDICT_PASS_LOCAL);
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_SERVICE_RATE);
	env_close(&env);
}

/* ---- rates ---- */

/* A burst of what fits, then nothing until time has passed. */
static void expect_burst(struct env *env, const struct frame *f, unsigned fits,
			 enum shunt_drop reason)
{
	for (unsigned i = 0; i < fits; i++)
		expect_sent(env, f);
	env_expect_drop(env, f, reason);
	env_expect_drop(env, f, reason);
}

static void set_flood(struct env *env, const struct shunt_svc_flood *flood)
{
	uint32_t row = SVC_ROW;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_svc_flood, &row, sizeof(row),
					      flood, sizeof(*flood), BPF_ANY),
			 0);
}

/* One flow in ten seconds: the clock gives nothing back during the test. */
static void test_new_flows_of_a_service(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct shunt_svc_flood flood = {};
	struct env env;

	(void)state;
	g.flow_ns = 10 * SECOND;
	g.burst_ns = 50 * SECOND;
	open_env(&env, &g);
	expect_burst(&env, segment(CLIENT4, F_SYN), 5, SHUNT_DROP_SERVICE_RATE);
	/* Whoever it comes from, and in the other family too: it is one service. */
	env_expect_drop(&env, segment(OTHER4, F_SYN), SHUNT_DROP_SERVICE_RATE);
	env_expect_drop(&env, segment(CLIENT6, F_SYN), SHUNT_DROP_SERVICE_RATE);
	/* What is no new flow goes on. */
	expect_sent(&env, segment(CLIENT4, F_ACK));
	expect_sent(&env, segment(OTHER4, F_ACK | F_FIN));
	/* Another service has its own. */
	expect_sent(&env, packet(CLIENT4, 81, IPPROTO_TCP, F_SYN));
	/* As if twenty of the fifty seconds had passed. */
	flood.taken_ns = clock_coarse_ns() + 30 * SECOND;
	set_flood(&env, &flood);
	expect_burst(&env, segment(CLIENT4, F_SYN), 2, SHUNT_DROP_SERVICE_RATE);
	/* Long idle: no more than the burst. */
	flood.taken_ns = 0;
	set_flood(&env, &flood);
	expect_burst(&env, segment(CLIENT4, F_SYN), 5, SHUNT_DROP_SERVICE_RATE);
	env_close(&env);
}

static void test_new_flows_of_a_source(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct shunt_source s;
	struct env env;

	(void)state;
	g.source_flow_ns = 10 * SECOND;
	g.burst_ns = 30 * SECOND;
	g.flow_ns = 1; /* never reached, though it counts */
	open_env(&env, &g);
	expect_burst(&env, segment(CLIENT4, F_SYN), 3, SHUNT_DROP_SOURCE_RATE);
	expect_burst(&env, segment(OTHER4, F_SYN), 3, SHUNT_DROP_SOURCE_RATE);
	expect_burst(&env, segment(CLIENT6, F_SYN), 3, SHUNT_DROP_SOURCE_RATE);
	/* The same /64 is the same source. */
	env_expect_drop(&env, segment("2001:db8:c::8", F_SYN), SHUNT_DROP_SOURCE_RATE);
	expect_burst(&env, segment(OTHER6, F_SYN), 3, SHUNT_DROP_SOURCE_RATE);
	expect_sent(&env, segment(CLIENT4, F_ACK));
	expect_sent(&env, packet(CLIENT4, 81, IPPROTO_TCP, F_SYN));
	s = source_of(&env, CLIENT4);
	s.taken_ns -= 10 * SECOND;
	set_source(&env, CLIENT4, &s);
	expect_burst(&env, segment(CLIENT4, F_SYN), 1, SHUNT_DROP_SOURCE_RATE);
	env_close(&env);
}

static void test_wider_prefixes_can_be_one_source(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.source_flow_ns = 10 * SECOND;
	g.burst_ns = 10 * SECOND;
	g.mask4 = htonl(0xffffff00);
	g.mask6[2] = g.mask6[3] = htonl(0xffffffff);
	open_env(&env, &g);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	env_expect_drop(&env, segment(OTHER4, F_SYN), SHUNT_DROP_SOURCE_RATE);
	expect_sent(&env, segment(CLIENT6, F_SYN));
	expect_sent(&env, segment("2001:db8:c::8", F_SYN));
	env_close(&env);
}

static void test_a_source_over_its_limit_takes_nothing_of_the_service(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.source_flow_ns = 100 * SECOND;
	g.flow_ns = 50 * SECOND;
	g.burst_ns = 100 * SECOND;
	open_env(&env, &g);
	expect_sent(&env, segment(CLIENT4, F_SYN));
	for (int i = 0; i < 10; i++)
		env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_SOURCE_RATE);
	expect_sent(&env, segment(OTHER4, F_SYN));
	env_expect_drop(&env, segment("198.51.100.9", F_SYN), SHUNT_DROP_SERVICE_RATE);
	env_close(&env);
}

/* Of UDP, what enters a table is new. */
static void test_new_flows_of_udp(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct pkt_spec spec = {.src = CLIENT4,
				.dst = VIP4,
				.sport = 1,
				.dport = 80,
				.proto = IPPROTO_UDP,
				.payload_len = 20};
	static const struct shunt_svc_flood none;
	struct frame f;
	struct env env;

	(void)state;
	g.source_flow_ns = 10 * SECOND;
	g.burst_ns = 30 * SECOND;
	g.flow_ns = 1;
	open_env(&env, &g);
	for (spec.sport = 1; spec.sport <= 3; spec.sport++) {
		pkt_build(&spec, &f);
		for (int i = 0; i < 5; i++)
			expect_sent(&env, &f);
	}
	pkt_build(&spec, &f);
	env_expect_drop(&env, &f, SHUNT_DROP_SOURCE_RATE);
	spec.sport = 1;
	pkt_build(&spec, &f);
	expect_sent(&env, &f);
	g.flow_ns = 10 * SECOND;
	g.source_flow_ns = 0;
	set_limits(&env, SVC_ROW, &g);
	set_flood(&env, &none);
	spec.sport = 4;
	for (; spec.sport <= 6; spec.sport++) {
		pkt_build(&spec, &f);
		expect_sent(&env, &f);
	}
	pkt_build(&spec, &f);
	env_expect_drop(&env, &f, SHUNT_DROP_SERVICE_RATE);
	env_close(&env);
}

static void test_no_limit_holds_for_who_is_allowed(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.source_flow_ns = g.flow_ns = 10 * SECOND;
	g.burst_ns = 1;
	g.packets_per_source = 2;
	g.bad_flags = g.block_abuse = 1;
	open_env(&env, &g);
	switch_lists(&env, 1);
	list(&env, CLIENT4, 32, SHUNT_GUARD_ALLOW);
	list(&env, "2001:db8:c::", 48, SHUNT_GUARD_ALLOW);
	for (int i = 0; i < 5; i++) {
		expect_sent(&env, segment(CLIENT4, F_SYN));
		expect_sent(&env, segment(CLIENT6, F_SYN));
		expect_sent(&env, segment(CLIENT6, 0));
		expect_sent(&env, packet(CLIENT6, 80, IPPROTO_UDP, 0));
	}
	expect_sent(&env, segment(OTHER4, F_SYN));
	env_expect_drop(&env, segment(OTHER4, F_SYN), SHUNT_DROP_SOURCE_RATE);
	env_close(&env);
}

/* ---- blocks by the program itself ---- */

static void expect_event(struct env *env, const char *addr, enum shunt_guard_reason reason)
{
	struct shunt_source_key key = source_key(addr, SCOPE);
	struct shunt_guard_event e;
	uint64_t until = source_of(env, addr).blocked_until_ns, now = clock_coarse_ns();

	assert_int_equal(take_events(env, &e), 1);
	assert_memory_equal(&e.source, &key, sizeof(key));
	assert_int_equal(e.prefix_len, key.family == 4 ? 32 : 64);
	assert_int_equal(e.reason, reason);
	assert_int_equal(e.until_ns, until);
	assert_true(until > now + 9 * SECOND && until <= now + 10 * SECOND);
	assert_int_equal(source_of(env, addr).tell_ns, 0);
}

static void check_packet_rate(const char *client, const char *other)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct shunt_guard_event e;
	struct shunt_source s;
	struct env env;

	g.packets_per_source = 50;
	open_env(&env, &g);
	for (int i = 0; i < 50; i++)
		expect_sent(&env, segment(client, F_ACK));
	assert_int_equal(take_events(&env, &e), 0);
	env_expect_drop(&env, segment(client, F_ACK), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(client, F_ACK), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, packet(client, 80, IPPROTO_UDP, 0), SHUNT_DROP_BLOCKED);
	expect_event(&env, client, SHUNT_REASON_PACKET_RATE);
	/* Others, and this one elsewhere, are not concerned. */
	expect_sent(&env, segment(other, F_ACK));
	expect_sent(&env, packet(client, 81, IPPROTO_TCP, F_ACK));
	/* When its time is over it may send again, as much as before. */
	s = source_of(&env, client);
	s.blocked_until_ns = clock_coarse_ns();
	set_source(&env, client, &s);
	for (int i = 0; i < 50; i++)
		expect_sent(&env, segment(client, F_ACK));
	env_expect_drop(&env, segment(client, F_ACK), SHUNT_DROP_BLOCKED);
	env_close(&env);
}

static void test_too_many_packets_block_a_source(void **state)
{
	(void)state;
	check_packet_rate(CLIENT4, OTHER4);
	check_packet_rate(CLIENT6, OTHER6);
}

static void test_packets_are_counted_by_the_second(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct shunt_source s;
	struct env env;

	(void)state;
	g.packets_per_source = 10;
	open_env(&env, &g);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			expect_sent(&env, segment(CLIENT4, F_ACK));
		s = source_of(&env, CLIENT4);
		s.window_ns -= SECOND;
		set_source(&env, CLIENT4, &s);
	}
	env_close(&env);
}

/* A block that stands on the service's list holds when the table of sources has lost it. */
static void test_a_listed_block_outlives_the_table_of_sources(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	uint64_t until = clock_coarse_ns() + 5 * SECOND;
	struct env env;

	(void)state;
	g.packets_per_source = 1000;
	open_env(&env, &g);
	list_scope(&env, SCOPE, CLIENT4, 32, SHUNT_GUARD_BLOCK, until);
	list_scope(&env, SCOPE, "2001:db8:c::", 64, SHUNT_GUARD_BLOCK, until);
	env_expect_drop(&env, segment(CLIENT4, F_ACK), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(CLIENT6, F_ACK), SHUNT_DROP_BLOCKED);
	assert_int_equal(source_of(&env, CLIENT4).blocked_until_ns, until);
	expect_sent(&env, packet(CLIENT4, 81, IPPROTO_TCP, F_ACK));
	expect_sent(&env, segment(OTHER4, F_ACK));
	env_close(&env);
}

/* Where the ring has no room the block holds, and is told of later. */
static void test_a_block_that_could_not_be_told_is_told_later(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct shunt_guard_event e;
	struct shunt_source s;
	struct env env;
	char addr[32];
	int sources = 0;

	(void)state;
	g.bad_flags = g.block_abuse = 1;
	open_env(&env, &g);
	for (bool full = false; !full; sources++) {
		assert_true(sources < 60000);
		snprintf(addr, sizeof(addr), "198.18.%d.%d", sources >> 8, sources & 255);
		env_run(&env, segment(addr, 0), NULL);
		full = source_of(&env, addr).tell_ns != 0;
	}
	assert_int_equal(take_events(&env, &e), sources - 1);
	env_expect_drop(&env, segment(addr, F_ACK), SHUNT_DROP_BLOCKED);
	assert_int_equal(take_events(&env, &e), 0);
	s = source_of(&env, addr);
	s.tell_ns = 1;
	set_source(&env, addr, &s);
	env_expect_drop(&env, segment(addr, F_ACK), SHUNT_DROP_BLOCKED);
	expect_event(&env, addr, SHUNT_REASON_BAD_FLAGS);
	env_expect_drop(&env, segment(addr, F_ACK), SHUNT_DROP_BLOCKED);
	assert_int_equal(take_events(&env, &e), 0);
	env_close(&env);
}

/* ---- abuse ---- */

static void test_bad_flags(void **state)
{
	static const uint8_t bad[] = {0,
				      F_FIN,
				      F_PSH,
				      F_FIN | F_PSH,
				      F_SYN | F_FIN,
				      F_SYN | F_RST,
				      F_SYN | F_FIN | F_ACK,
				      0xff};
	static const uint8_t good[] = {F_SYN, F_SYN | 0xc0,  F_SYN | F_ACK, F_ACK,
				       F_RST, F_ACK | F_PSH, F_ACK | F_FIN, F_RST | F_ACK};
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.bad_flags = 1;
	open_env(&env, &g);
	for (size_t i = 0; i < sizeof(bad); i++) {
		env_expect_drop(&env, segment(CLIENT4, bad[i]), SHUNT_DROP_ABUSE);
		env_expect_drop(&env, segment(CLIENT6, bad[i]), SHUNT_DROP_ABUSE);
		expect_sent(&env, segment(CLIENT4, good[i]));
		expect_sent(&env, segment(CLIENT6, good[i]));
	}
	expect_sent(&env, packet(CLIENT4, 80, IPPROTO_UDP, 0));
	g.bad_flags = 0;
	set_limits(&env, SVC_ROW, &g);
	expect_sent(&env, segment(CLIENT4, F_SYN | F_FIN));
	env_close(&env);
}

static void check_syn_payload(const char *src, const char *dst)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct pkt_spec spec = {.src = src,
				.dst = dst,
				.sport = 40000,
				.dport = 80,
				.proto = IPPROTO_TCP,
				.tcp_flags = F_SYN,
				.tcp_options = 5,
				.payload_len = 100};
	struct frame f;
	struct env env;

	g.syn_payload = 100;
	open_env(&env, &g);
	for (int words = 0; words <= 10; words += 5) {
		spec.ip_options = strchr(src, ':') ? 0 : words;
		spec.payload_len = 100;
		pkt_build(&spec, &f);
		expect_sent(&env, &f);
		spec.payload_len = 101;
		pkt_build(&spec, &f);
		env_expect_drop(&env, &f, SHUNT_DROP_ABUSE);
	}
	spec.tcp_flags = F_ACK;
	pkt_build(&spec, &f);
	expect_sent(&env, &f);
	env_close(&env);
}

static void test_a_syn_with_too_much_payload(void **state)
{
	(void)state;
	check_syn_payload(CLIENT4, VIP4);
	check_syn_payload(CLIENT6, VIP6);
}

static void test_abuse_can_block_its_source(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.syn_payload = 10; /* segment() has 20 */
	g.bad_flags = 1;
	g.block_abuse = 1;
	open_env(&env, &g);
	expect_sent(&env, segment(CLIENT4, F_ACK));
	env_expect_drop(&env, segment(CLIENT4, F_SYN), SHUNT_DROP_ABUSE);
	expect_event(&env, CLIENT4, SHUNT_REASON_SYN_PAYLOAD);
	env_expect_drop(&env, segment(CLIENT4, F_ACK), SHUNT_DROP_BLOCKED);
	env_expect_drop(&env, segment(CLIENT6, 0), SHUNT_DROP_ABUSE);
	expect_event(&env, CLIENT6, SHUNT_REASON_BAD_FLAGS);
	env_expect_drop(&env, segment(CLIENT6, F_ACK), SHUNT_DROP_BLOCKED);
	expect_sent(&env, segment(OTHER4, F_ACK));
	expect_sent(&env, segment(OTHER6, F_ACK));
	expect_sent(&env, packet(CLIENT4, 81, IPPROTO_TCP, F_ACK));
	env_close(&env);
}

/* Nothing is looked at for a service whose record does not say so. */
static void test_limits_hold_where_the_record_says_so(void **state)
{
	struct shunt_svc_guard g = limits(SCOPE);
	struct env env;

	(void)state;
	g.flow_ns = 100 * SECOND;
	g.burst_ns = 1;
	g.bad_flags = 1;
	open_env(&env, NULL);
	set_limits(&env, SVC_ROW, &g);
	for (int i = 0; i < 3; i++)
		expect_sent(&env, segment(CLIENT4, F_SYN));
	expect_sent(&env, segment(CLIENT4, 0));
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block_holds_for_its_prefix_alone),
		cmocka_unit_test(test_what_is_for_no_service_is_never_dropped),
		cmocka_unit_test(test_the_longest_prefix_decides),
		cmocka_unit_test(test_an_entry_ends_by_itself),
		cmocka_unit_test(test_lists_hold_while_the_switch_is_on),
		cmocka_unit_test(test_a_block_holds_for_local_services),
		cmocka_unit_test(test_a_defect_of_a_local_packet_still_passes),
		cmocka_unit_test(test_new_flows_of_a_service),
		cmocka_unit_test(test_new_flows_of_a_source),
		cmocka_unit_test(test_wider_prefixes_can_be_one_source),
		cmocka_unit_test(test_a_source_over_its_limit_takes_nothing_of_the_service),
		cmocka_unit_test(test_new_flows_of_udp),
		cmocka_unit_test(test_no_limit_holds_for_who_is_allowed),
		cmocka_unit_test(test_too_many_packets_block_a_source),
		cmocka_unit_test(test_packets_are_counted_by_the_second),
		cmocka_unit_test(test_a_listed_block_outlives_the_table_of_sources),
		cmocka_unit_test(test_a_block_that_could_not_be_told_is_told_later),
		cmocka_unit_test(test_bad_flags),
		cmocka_unit_test(test_a_syn_with_too_much_payload),
		cmocka_unit_test(test_abuse_can_block_its_source),
		cmocka_unit_test(test_limits_hold_where_the_record_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
