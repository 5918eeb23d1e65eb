/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backend a packet goes to: tables, states, idle times, draining, generations, the ring. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "bpf/hash.h"
#include "core/clock.h"
#include "tests/bpf/steer_env.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

#define ID_1 env_id(1, 1)
#define ID_2 env_id(1, 2)

/* Backends 1 and 2 are up; the ring names 1 only. */
static void open_env(struct env *env, const struct env_opts *opts)
{
	env_open(env, opts);
	env_backend_in(env, ID_1, SHUNT_BACKEND_UP);
	env_backend_in(env, ID_2, SHUNT_BACKEND_UP);
	env_ring(env, ID_1);
	env_services(env, VIP4, VIP6);
}

static struct frame *packet(uint8_t proto, uint8_t flags, uint16_t sport, bool v6)
{
	static struct frame frames[4];
	static unsigned next;
	struct frame *f = &frames[next++ % 4];
	struct pkt_spec spec = {.src = v6 ? CLIENT6 : CLIENT4,
				.dst = v6 ? VIP6 : VIP4,
				.sport = sport,
				.dport = 80,
				.proto = proto,
				.tcp_flags = flags};

	pkt_build(&spec, f);
	return f;
}

static struct frame *tcp(uint8_t flags)
{
	return packet(IPPROTO_TCP, flags, 40000, false);
}

static struct frame *udp(void)
{
	return packet(IPPROTO_UDP, 0, 40000, false);
}

static void establish(struct env *env)
{
	assert_int_equal(env_backend_of(env, tcp(F_SYN)), 1);
	assert_int_equal(env_backend_of(env, tcp(F_ACK)), 1);
}

static uint8_t flow_state(struct env *env, enum env_table table, const struct frame *f)
{
	struct shunt_flow flow;

	assert_true(env_flow(env, table, f, &flow));
	return flow.state;
}

static uint64_t svc_count(struct env *env, enum shunt_svc_counter c)
{
	return env_svc_stats(env).count[c];
}

/* SYN: pending. Next: promoted. The entry, not the ring, decides from the SYN on. */
static void check_promotion(uint8_t proto, bool v6)
{
	bool is_tcp = proto == IPPROTO_TCP;
	struct frame *first = packet(proto, is_tcp ? F_SYN : 0, 40000, v6);
	struct shunt_flow flow;
	struct env env;
	uint32_t now;

	open_env(&env, NULL);
	now = SHUNT_TICKS(clock_coarse_ns());
	assert_int_equal(env_backend_of(&env, first), 1);
	assert_true(env_flow(&env, TABLE_PENDING, first, &flow));
	assert_int_equal(flow.state, is_tcp ? SHUNT_FLOW_SYN : SHUNT_FLOW_UDP);
	assert_int_equal(flow.backend, ID_1);
	assert_true(flow.seen_ticks - now <= SHUNT_TICKS(clock_coarse_ns()) - now);
	assert_int_equal(flow.hash, env_hash(first) >> 32);
	assert_int_equal(flow.service, SVC_ROW);
	assert_false(env_flow(&env, TABLE_FLOWS, first, NULL));

	env_ring(&env, ID_2);
	first = packet(proto, is_tcp ? F_ACK : 0, 40000, v6);
	assert_int_equal(env_backend_of(&env, first), 1);
	assert_false(env_flow(&env, TABLE_PENDING, first, NULL));
	assert_true(env_flow(&env, TABLE_FLOWS, first, &flow));
	assert_int_equal(flow.state, is_tcp ? SHUNT_FLOW_ESTABLISHED : SHUNT_FLOW_UDP);
	assert_int_equal(flow.backend, ID_1);
	assert_int_equal(env_backend_of(&env, first), 1);
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 1);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	assert_int_equal(env_be_stats(&env, 1).new_flows, 1);
	assert_int_equal(env_be_stats(&env, 1).packets, 3);
	env_close(&env);
}

static void test_promotion(void **state)
{
	(void)state;
	check_promotion(IPPROTO_TCP, false);
	check_promotion(IPPROTO_TCP, true);
	check_promotion(IPPROTO_UDP, false);
	check_promotion(IPPROTO_UDP, true);
}

static void test_syn_retransmission(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
	/* Its backend is drained before the connection stands: the retransmission moves on. */
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DRAINING);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	env_close(&env);
}

static void test_unknown_flow_enters_pending(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 1);
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	env_close(&env);
}

/* Nothing follows a reset: no entry, and no new flow. */
static void test_unknown_reset_is_not_entered(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	assert_int_equal(env_backend_of(&env, tcp(F_RST | F_ACK)), 1);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 0);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_UNTRACKED), 0);
	env_close(&env);
}

/* A forged SYN does not tear a live connection away, nor does it change the entry. */
static void test_syn_on_established(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_ESTABLISHED);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	env_close(&env);
}

/* Only a lone SYN opens: with ACK, FIN or RST beside it, it is a packet like others. */
static void test_odd_syn_does_not_reselect(void **state)
{
	static const uint8_t flags[] = {F_SYN | F_ACK, F_SYN | F_FIN, F_SYN | F_RST};
	struct env env;

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		open_env(&env, NULL);
		establish(&env);
		assert_int_equal(env_backend_of(&env, tcp(F_FIN | F_ACK)), 1);
		env_ring(&env, ID_2);
		assert_int_equal(env_backend_of(&env, tcp(flags[i])), 1);
		env_close(&env);
	}
}

/* FIN and RST end a flow: shorter idle time, and the next SYN is a new one. */
static void check_end(uint8_t flags)
{
	struct env env;

	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, tcp(flags)), 1);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_FIN);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_FIN);

	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 2);
	assert_int_equal(env_be_stats(&env, 2).new_flows, 1);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_SYN);
	env_ring(&env, ID_1);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2); /* retransmitted */
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_ESTABLISHED);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

static void test_fin_and_rst(void **state)
{
	(void)state;
	check_end(F_FIN | F_ACK);
	check_end(F_RST);
}

/* A FIN of a flow that no table knows: its entry is a closing one, before and after promotion. */
static void test_unknown_fin(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	assert_int_equal(env_backend_of(&env, tcp(F_FIN | F_ACK)), 1);
	assert_int_equal(flow_state(&env, TABLE_PENDING, tcp(0)), SHUNT_FLOW_FIN);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(flow_state(&env, TABLE_FLOWS, tcp(0)), SHUNT_FLOW_FIN);
	env_close(&env);
}

/* An entry holds for the idle time of its state, and no longer. */
static void check_idle(enum env_table table, struct frame *f, uint8_t flow_state, unsigned idle_s)
{
	struct shunt_flow flow = {.backend = ID_1, .state = flow_state};
	struct env env;

	open_env(&env, NULL);
	env_ring(&env, ID_2);
	env_flow_set(&env, table, f, &flow);
	env_flow_age(&env, table, f, idle_s - 2);
	assert_int_equal(env_backend_of(&env, f), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 0);
	env_close(&env);

	open_env(&env, NULL);
	env_ring(&env, ID_2);
	env_flow_set(&env, table, f, &flow);
	env_flow_age(&env, table, f, idle_s + 2);
	assert_int_equal(env_backend_of(&env, f), 2);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_STALE), 0);
	/* The void entry does not shadow its successor. */
	env_ring(&env, ID_1);
	assert_int_equal(env_backend_of(&env, f), 2);
	assert_int_equal(env_backend_of(&env, f), 2);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	env_close(&env);
}

static void test_idle_times(void **state)
{
	(void)state;
	check_idle(TABLE_PENDING, tcp(F_ACK), SHUNT_FLOW_SYN, IDLE_SYN_S);
	check_idle(TABLE_PENDING, tcp(F_SYN), SHUNT_FLOW_SYN, IDLE_SYN_S);
	check_idle(TABLE_FLOWS, tcp(F_ACK), SHUNT_FLOW_ESTABLISHED, IDLE_ESTABLISHED_S);
	check_idle(TABLE_FLOWS, tcp(F_SYN), SHUNT_FLOW_ESTABLISHED, IDLE_ESTABLISHED_S);
	check_idle(TABLE_FLOWS, tcp(F_ACK), SHUNT_FLOW_FIN, IDLE_FIN_S);
	check_idle(TABLE_FLOWS, udp(), SHUNT_FLOW_UDP, IDLE_UDP_S);
	check_idle(TABLE_PENDING, udp(), SHUNT_FLOW_UDP, IDLE_UDP_S);
}

/* The stamp moves in steps of more than a second; one from the future (another processor's) is
 * fresh. */
static void test_stamp(void **state)
{
	struct shunt_flow flow = {.backend = ID_1, .state = SHUNT_FLOW_ESTABLISHED}, after;
	struct frame *f = tcp(F_ACK);
	struct env env;

	(void)state;
	open_env(&env, NULL);
	flow.seen_ticks = SHUNT_TICKS(clock_coarse_ns()) - 1;
	env_flow_set(&env, TABLE_FLOWS, f, &flow);
	env_run(&env, f, NULL);
	assert_true(env_flow(&env, TABLE_FLOWS, f, &after));
	assert_int_equal(after.seen_ticks, flow.seen_ticks);

	env_flow_age(&env, TABLE_FLOWS, f, 2);
	env_run(&env, f, NULL);
	assert_true(env_flow(&env, TABLE_FLOWS, f, &after));
	assert_true(after.seen_ticks > flow.seen_ticks);

	env_ring(&env, ID_2);
	flow.seen_ticks = SHUNT_TICKS(clock_coarse_ns() + 900ULL * 1000 * 1000 * 1000);
	env_flow_set(&env, TABLE_FLOWS, f, &flow);
	assert_int_equal(env_backend_of(&env, f), 1);
	env_close(&env);
}

/* The packet's flow has just been looked up and goes to backend 1; then its entry goes, and backend 2 is
 * for new ones. Does it still go to 1? */
static bool is_cached(struct env *env, const struct frame *f)
{
	open_env(env, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(env_backend_of(env, f), 1);
	env_flow_delete(env, TABLE_FLOWS, f);
	env_ring(env, ID_2);
	return env_backend_of(env, f) == 1;
}

/* A flow whose entry was just looked up goes on without a look at it, for a moment. */
static void check_cached(uint8_t proto, bool v6)
{
	struct frame *f = packet(proto, proto == IPPROTO_TCP ? F_ACK : 0, 40000, v6);
	uint64_t until = clock_coarse_ns() + 30ULL * 1000 * 1000 * 1000;
	struct env env;

	/* Rarely the moment ends before it is looked at. */
	while (!is_cached(&env, f)) {
		assert_true(clock_coarse_ns() < until);
		env_close(&env);
	}
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
	while (env_backend_of(&env, f) == 1)
		assert_true(clock_coarse_ns() < until);
	env_close(&env);
}

static void test_cached(void **state)
{
	(void)state;
	check_cached(IPPROTO_TCP, false);
	check_cached(IPPROTO_TCP, true);
	check_cached(IPPROTO_UDP, false);
	check_cached(IPPROTO_UDP, true);
}

/* A backend that goes is found out at once. */
static void test_cached_and_gone(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	env_ring(&env, ID_2);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DOWN);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_UP);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_close(&env);
}

/* The same ports anew, by way of another processor: this one is not to remember the former flow. */
static void test_cached_elsewhere(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	if (!env_other_cpu()) {
		print_message("one processor\n");
		skip();
	}
	assert_int_equal(env_backend_of(&env, tcp(F_FIN | F_ACK)), 1);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_true(env_other_cpu());
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_close(&env);
}

static void test_draining(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DRAINING);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_backend_of(&env, packet(IPPROTO_TCP, F_SYN, 40001, false)), 2);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_STALE), 0);
	/* The same ports again: a new connection, which the draining backend does not get. */
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_close(&env);
}

static void expect_stale(struct env *env, struct frame *f)
{
	uint64_t stale = svc_count(env, SHUNT_COUNT_STALE);
	struct shunt_flow flow;

	assert_int_equal(env_backend_of(env, f), 2);
	assert_int_equal(svc_count(env, SHUNT_COUNT_STALE), stale + 1);
	assert_true(env_flow(env, TABLE_FLOWS, f, &flow));
	assert_int_equal(flow.backend, ID_2);
	assert_int_equal(env_backend_of(env, f), 2);
	assert_int_equal(svc_count(env, SHUNT_COUNT_STALE), stale + 1);
	assert_int_equal(svc_count(env, SHUNT_COUNT_NEW_FLOWS), 1);
}

static void test_backend_down(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DOWN);
	expect_stale(&env, tcp(F_ACK));
	/* Back up: the flow stays where it went. */
	env_backend_in(&env, ID_1, SHUNT_BACKEND_UP);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_close(&env);
}

static void test_backend_gone(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	env_backend_free(&env, 1);
	expect_stale(&env, tcp(F_ACK));
	env_close(&env);
}

/* The row goes to another backend: it inherits nothing. */
static void test_row_reused(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	establish(&env);
	env_ring(&env, ID_2);
	env_backend_in(&env, env_id(2, 1), SHUNT_BACKEND_UP);
	expect_stale(&env, tcp(F_ACK));
	env_close(&env);
}

static void test_stale_pending(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	env_ring(&env, ID_2);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DOWN);
	expect_stale(&env, tcp(F_ACK));
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

static void check_flood(uint8_t proto, uint8_t flags)
{
	struct env_opts opts = {.flows = 256, .pending = 128};
	struct shunt_flow flow;
	struct env env;

	open_env(&env, &opts);
	for (unsigned port = 1; port <= 50; port++) {
		env_run(&env, packet(IPPROTO_TCP, F_SYN, port, false), NULL);
		env_run(&env, packet(IPPROTO_TCP, F_ACK, port, false), NULL);
	}
	env_ring(&env, ID_2);
	for (unsigned port = 1000; port < 6000; port++)
		env_run(&env, packet(proto, flags, port, false), NULL);
	for (unsigned port = 1; port <= 50; port++) {
		struct frame *f = packet(IPPROTO_TCP, F_ACK, port, false);

		assert_true(env_flow(&env, TABLE_FLOWS, f, &flow));
		assert_int_equal(flow.backend, ID_1);
		assert_int_equal(env_backend_of(&env, f), 1);
	}
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 50);
	assert_true(env_flow_count(&env, TABLE_PENDING) <= 128);
	env_close(&env);
}

static void test_floods_evict_no_established_flow(void **state)
{
	(void)state;
	check_flood(IPPROTO_TCP, F_SYN);
	check_flood(IPPROTO_TCP, F_ACK);
	check_flood(IPPROTO_TCP, F_RST);
	check_flood(IPPROTO_UDP, 0);
}

/* No room for an entry: the packet goes on all the same. */
static void test_untracked(void **state)
{
	struct env_opts opts = {.pending = 1, .pending_hash = true};
	struct env env;

	(void)state;
	open_env(&env, &opts);
	assert_int_equal(env_backend_of(&env, packet(IPPROTO_TCP, F_SYN, 1, false)), 1);
	assert_int_equal(env_backend_of(&env, packet(IPPROTO_TCP, F_SYN, 2, false)), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_UNTRACKED), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	env_close(&env);

	opts = (struct env_opts){.flows = 1, .flows_hash = true};
	open_env(&env, &opts);
	for (unsigned port = 1; port <= 2; port++) {
		env_backend_of(&env, packet(IPPROTO_TCP, F_SYN, port, false));
		assert_int_equal(env_backend_of(&env, packet(IPPROTO_TCP, F_ACK, port, false)), 1);
	}
	assert_int_equal(svc_count(&env, SHUNT_COUNT_UNTRACKED), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 2);
	/* Still pending, so still bound to its backend. */
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, packet(IPPROTO_TCP, F_ACK, 2, false)), 1);
	env_close(&env);
}

static void test_tracking_never(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	env.svc.tracking = SHUNT_TRACK_NEVER;
	env_services(&env, VIP4, VIP6);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 1);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_backend_of(&env, udp()), 1);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	assert_int_equal(env_be_stats(&env, 1).new_flows, 1);
	env_ring(&env, ID_2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
	env_close(&env);
}

static void test_slot_follows_hash(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	env.svc.tracking = SHUNT_TRACK_NEVER;
	env_services(&env, VIP4, VIP6);
	for (uint16_t port = 1; port < 200; port++) {
		struct frame *f = packet(IPPROTO_TCP, F_ACK, port, port % 2);
		uint32_t slot = hash_to_slot(env_hash(f), RING_SIZE);

		env_ring_slot(&env, slot, ID_2);
		assert_int_equal(env_backend_of(&env, f), 2);
		env_ring_slot(&env, slot, ID_1);
		assert_int_equal(env_backend_of(&env, f), 1);
	}
	env_close(&env);
}

static void test_no_backend(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, NULL);
	env_backend_in(&env, ID_1, SHUNT_BACKEND_DOWN);
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	env_backend_free(&env, 1);
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	env_ring(&env, 0); /* holes, and row 0 of the table is all zero as well */
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	env_ring(&env, ID_2);
	env_ring_publish(&env, RING_BASE, 0);
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	env_ring_publish(&env, 1 << 30, RING_SIZE); /* beyond the arena */
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_int_equal(svc_count(&env, SHUNT_COUNT_NEW_FLOWS), 0);
	env_close(&env);
}

/* Half of the slots name a dead backend: the flows that fall on them draw again, nearly all with
 * success, and always come to the same end. */
static void test_redraw(void **state)
{
	unsigned drops = 0;
	struct env env;

	(void)state;
	open_env(&env, NULL);
	env.svc.tracking = SHUNT_TRACK_NEVER;
	env_services(&env, VIP4, VIP6);
	for (uint32_t slot = 0; slot < RING_SIZE; slot += 2)
		env_ring_slot(&env, slot, ID_2);
	env_backend_in(&env, ID_2, SHUNT_BACKEND_DOWN);
	for (uint16_t port = 1; port <= 400; port++) {
		struct frame *f = packet(IPPROTO_TCP, F_ACK, port, port % 2);

		if (env_run(&env, f, NULL) == XDP_DROP)
			drops++;
		else
			assert_int_equal(env_backend_of(&env, f), 1);
	}
	assert_in_range(drops, 1, 40); /* one in 32 expected: five draws */
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promotion),
		cmocka_unit_test(test_syn_retransmission),
		cmocka_unit_test(test_unknown_flow_enters_pending),
		cmocka_unit_test(test_unknown_reset_is_not_entered),
		cmocka_unit_test(test_syn_on_established),
		cmocka_unit_test(test_odd_syn_does_not_reselect),
		cmocka_unit_test(test_fin_and_rst),
		cmocka_unit_test(test_unknown_fin),
		cmocka_unit_test(test_idle_times),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_cached_and_gone),
		cmocka_unit_test(test_cached_elsewhere),
		cmocka_unit_test(test_draining),
		cmocka_unit_test(test_backend_down),
		cmocka_unit_test(test_backend_gone),
		cmocka_unit_test(test_row_reused),
		cmocka_unit_test(test_stale_pending),
		cmocka_unit_test(test_floods_evict_no_established_flow),
		cmocka_unit_test(test_untracked),
		cmocka_unit_test(test_tracking_never),
		cmocka_unit_test(test_slot_follows_hash),
		cmocka_unit_test(test_no_backend),
		cmocka_unit_test(test_redraw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
