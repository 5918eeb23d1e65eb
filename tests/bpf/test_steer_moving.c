/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots of a ring that are settled and such that are moving, for services that have entries for the
 * flows of the latter alone; and how many entries a service may make.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/bpf/steer_env.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define OTHER4	"203.0.113.11"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define PORT	40000

/* The former owner of the slots, the present one, and one that is neither. */
#define OLD   env_id(1, 1)
#define CUR   env_id(1, 2)
#define THIRD env_id(1, 3)

#define MINUTE_S 60

static uint32_t ticks_ago(unsigned seconds)
{
	return SHUNT_TICKS(clock_coarse_ns() - seconds * 1000000000ULL);
}

/* All slots go from OLD to CUR, since ten minutes. */
static void move(struct env *env)
{
	const struct shunt_stamp stamp = {ticks_ago(10 * MINUTE_S), ticks_ago(10 * MINUTE_S)};

	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_slot_move(env, slot, CUR, OLD, &stamp);
}

static void open_env(struct env *env, enum shunt_tracking tracking)
{
	env_open(env, NULL);
	for (uint32_t index = 1; index <= 3; index++)
		env_backend_in(env, env_id(1, index), SHUNT_BACKEND_UP);
	env_ring(env, OLD);
	env->svc.tracking = (uint8_t)tracking;
	env_services(env, VIP4, VIP6);
}

static struct frame *packet_to(const char *dst, uint8_t proto, uint8_t flags, uint16_t sport)
{
	static struct frame frames[4];
	static unsigned next;
	struct frame *f = &frames[next++ % 4];
	struct pkt_spec spec = {.src = strchr(dst, ':') ? CLIENT6 : CLIENT4,
				.dst = dst,
				.sport = sport,
				.dport = 80,
				.proto = proto,
				.tcp_flags = flags};

	pkt_build(&spec, f);
	return f;
}

static struct frame *tcp(uint8_t flags)
{
	return packet_to(VIP4, IPPROTO_TCP, flags, PORT);
}

static struct frame *udp(void)
{
	return packet_to(VIP4, IPPROTO_UDP, 0, PORT);
}

static unsigned entries(struct env *env)
{
	return env_flow_count(env, TABLE_PENDING) + env_flow_count(env, TABLE_FLOWS);
}

static uint64_t count(struct env *env, enum shunt_svc_counter c)
{
	return env_svc_stats(env).count[c];
}

static uint32_t slot_of(const struct frame *f)
{
	return (uint32_t)((env_hash(f) >> 32) * RING_SIZE >> 32);
}

static struct shunt_stamp stamp_of(struct env *env, const struct frame *f)
{
	return env_stamp(env, slot_of(f));
}

/* What was stamped is the moment, give or take a second. */
static bool is_now(uint32_t ticks)
{
	return (int32_t)(ticks - ticks_ago(1)) >= 0;
}

static void test_settled_slots_have_no_entries(void **state)
{
	static const char *const vips[] = {VIP4, VIP6};
	static const uint8_t flags[] = {F_SYN, F_ACK, F_FIN | F_ACK, F_RST};
	struct shunt_stamp none = {0, 0}, after;
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < sizeof(flags); i++)
			assert_int_equal(env_backend_of(&env, packet_to(vips[v6], IPPROTO_TCP,
									flags[i], PORT)),
					 1);
		assert_int_equal(env_backend_of(&env, packet_to(vips[v6], IPPROTO_UDP, 0, PORT)),
				 1);
	}
	assert_int_equal(entries(&env), 0);
	assert_int_equal(count(&env, SHUNT_COUNT_NEW_FLOWS), 2); /* one SYN each */
	after = stamp_of(&env, tcp(F_ACK));
	assert_memory_equal(&after, &none, sizeof(none));
	env_close(&env);
}

/* An entry that is left from former times is not looked at. */
static void test_settled_slots_ignore_entries(void **state)
{
	struct shunt_flow flow = {.backend = THIRD,
				  .state = SHUNT_FLOW_ESTABLISHED,
				  .seen_ticks = ticks_ago(0),
				  .service = SVC_ROW};
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	env_flow_set(&env, TABLE_FLOWS, tcp(F_ACK), &flow);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	env_close(&env);
}

static void check_moving(const char *vip)
{
	struct shunt_flow flow;
	struct env env;

	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	move(&env);
	/* One that began before. */
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_ACK, PORT)), 1);
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_FIN | F_ACK, PORT)), 1);
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_RST, PORT)), 1);
	assert_int_equal(entries(&env), 0);
	assert_int_equal(count(&env, SHUNT_COUNT_NEW_FLOWS), 0);
	assert_true(is_now(stamp_of(&env, packet_to(vip, IPPROTO_TCP, F_ACK, PORT)).old_ticks));
	/* One that begins: first pending, then promoted. */
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_SYN, PORT)), 2);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 1);
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_ACK, PORT)), 2);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_true(env_flow(&env, TABLE_FLOWS, packet_to(vip, IPPROTO_TCP, F_ACK, PORT), &flow));
	assert_int_equal(flow.backend, CUR);
	assert_int_equal(flow.hash, env_hash(packet_to(vip, IPPROTO_TCP, F_ACK, PORT)) >> 32);
	assert_int_equal(count(&env, SHUNT_COUNT_NEW_FLOWS), 1);
	/* A SYN with a forged source does not move it. */
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_SYN, PORT)), 2);
	assert_int_equal(env_backend_of(&env, packet_to(vip, IPPROTO_TCP, F_ACK, PORT)), 2);
	assert_int_equal(entries(&env), 1);
	env_close(&env);
}

static void test_moving(void **state)
{
	(void)state;
	check_moving(VIP4);
	check_moving(VIP6);
}

/* Its cache line is shared: written to once a second. And `since` is user space's. */
static void test_stamps_are_written_now_and_then(void **state)
{
	struct shunt_stamp fresh = {ticks_ago(10 * MINUTE_S), 0}, after;
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	fresh.old_ticks = ticks_ago(0) - 20;
	env_slot_move(&env, slot_of(tcp(F_ACK)), CUR, OLD, &fresh);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	after = stamp_of(&env, tcp(F_ACK));
	assert_memory_equal(&after, &fresh, sizeof(fresh));
	move(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_false(is_now(stamp_of(&env, tcp(F_ACK)).old_ticks));
	env_close(&env);
}

/* `old` drains: its flows stay. It dies, or its row goes to another backend: they go on. */
static void test_old_that_goes(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	move(&env);
	env_backend_in(&env, OLD, SHUNT_BACKEND_DRAINING);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	env_backend_in(&env, OLD, SHUNT_BACKEND_DOWN);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_backend_in(&env, env_id(2, 1), SHUNT_BACKEND_UP);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	assert_int_equal(entries(&env), 0);
	env_close(&env);
}

/* No backend takes new flows, and one still has some. */
static void test_only_old(void **state)
{
	const struct shunt_stamp stamp = {ticks_ago(0), ticks_ago(0)};
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_slot_move(&env, slot, 0, OLD, &stamp);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	env_expect_drop(&env, tcp(F_SYN), SHUNT_DROP_NO_BACKEND);
	assert_int_equal(entries(&env), 0);
	env_close(&env);
}

/* The entry is of a connection of before: its slot was settled, and is moving again. */
static void check_former(enum env_table table)
{
	struct shunt_flow flow = {.backend = THIRD,
				  .state = table == TABLE_FLOWS ? SHUNT_FLOW_ESTABLISHED
								: SHUNT_FLOW_SYN,
				  .seen_ticks = ticks_ago(5),
				  .service = SVC_ROW};
	const struct shunt_stamp later = {ticks_ago(3), ticks_ago(3)};
	const struct shunt_stamp sooner = {ticks_ago(7), ticks_ago(7)};
	const struct shunt_stamp any = {0, ticks_ago(3)};
	struct env env;

	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	env_flow_set(&env, table, tcp(F_ACK), &flow);
	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_slot_move(&env, slot, CUR, OLD, &later);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_backend_of(&env, tcp(F_RST)), 1);
	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_slot_move(&env, slot, CUR, OLD, &sooner);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 3);
	env_flow_set(&env, table, tcp(F_ACK), &flow);
	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_slot_move(&env, slot, CUR, OLD, &any);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 3);
	env_close(&env);
}

static void test_former_entries_are_void(void **state)
{
	(void)state;
	check_former(TABLE_FLOWS);
	check_former(TABLE_PENDING);
}

/* User space finds an entry's slot by what is in it: another seed or another row are another slot. */
static void test_entries_say_their_slot(void **state)
{
	struct shunt_flow flow = {.backend = OLD,
				  .hash = 1,
				  .state = SHUNT_FLOW_ESTABLISHED,
				  .seen_ticks = ticks_ago(0),
				  .service = SVC_ROW + 7};
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ALWAYS);
	env_flow_set(&env, TABLE_FLOWS, tcp(F_ACK), &flow);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_true(env_flow(&env, TABLE_FLOWS, tcp(F_ACK), &flow));
	assert_int_equal(flow.hash, env_hash(tcp(F_ACK)) >> 32);
	assert_int_equal(flow.service, SVC_ROW);
	env_close(&env);
}

static void test_stale_entry_is_chosen_anew(void **state)
{
	struct shunt_flow flow;
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	move(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	env_backend_in(&env, CUR, SHUNT_BACKEND_DOWN);
	for (uint32_t slot = 0; slot < RING_SIZE; slot++) {
		const struct shunt_stamp stamp = {ticks_ago(MINUTE_S), ticks_ago(MINUTE_S)};

		env_slot_move(&env, slot, THIRD, OLD, &stamp);
	}
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 3);
	assert_true(env_flow(&env, TABLE_FLOWS, tcp(F_ACK), &flow));
	assert_int_equal(flow.backend, THIRD);
	assert_int_equal(count(&env, SHUNT_COUNT_STALE), 1);
	env_close(&env);
}

/* Which says nothing of when a flow begins. */
static void test_udp(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	move(&env);
	assert_int_equal(env_backend_of(&env, udp()), 1);
	assert_int_equal(entries(&env), 0);
	assert_true(is_now(stamp_of(&env, udp()).old_ticks));
	env_close(&env);

	open_env(&env, SHUNT_TRACK_ALWAYS);
	move(&env);
	assert_int_equal(env_backend_of(&env, udp()), 2);
	assert_int_equal(entries(&env), 1);
	env_close(&env);
}

/* A flow whose entry was evicted is entered again, where it was. */
static void test_always(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ALWAYS);
	move(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 1);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 1);
	assert_int_equal(env_backend_of(&env, packet_to(VIP4, IPPROTO_TCP, F_SYN, 1)), 2);
	assert_int_equal(env_backend_of(&env, packet_to(VIP4, IPPROTO_TCP, F_ACK, 1)), 2);
	env_close(&env);
}

static void test_never(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_NEVER);
	move(&env);
	assert_int_equal(env_backend_of(&env, tcp(F_ACK)), 2);
	assert_int_equal(env_backend_of(&env, tcp(F_SYN)), 2);
	assert_int_equal(entries(&env), 0);
	env_close(&env);
}

#define ENTRIES_AT_ONCE 5

/* So many entries, and not a sixth one for a long time. */
static void limit(struct env *env)
{
	env->svc.insert_ns = SHUNT_INSERT_BURST_NS / (ENTRIES_AT_ONCE - 1);
	env_services(env, VIP4, VIP6);
}

static void test_flood_in_a_moving_slot(void **state)
{
	unsigned by[4] = {0};
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ON_CHANGE);
	limit(&env);
	move(&env);
	for (uint16_t port = 1; port <= 100; port++)
		by[env_backend_of(&env, packet_to(VIP4, IPPROTO_TCP, F_SYN, port))]++;
	/* Some more, where it takes its time. */
	assert_in_range(by[2], ENTRIES_AT_ONCE, 50);
	assert_int_equal(by[1], 100 - by[2]);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), by[2]);
	assert_int_equal(count(&env, SHUNT_COUNT_INSERT_LIMITED), by[1]);
	assert_int_equal(count(&env, SHUNT_COUNT_NEW_FLOWS), by[2]);
	/* Those that have no entry are found where they began. */
	for (uint16_t port = 1; port <= 100; port++)
		by[env_backend_of(&env, packet_to(VIP4, IPPROTO_TCP, F_ACK, port))]++;
	assert_int_equal(by[2], 2 * env_flow_count(&env, TABLE_FLOWS));
	assert_int_equal(by[1] + by[2], 200);
	env_close(&env);
}

/* Resets are nobody's beginning, and cost nothing. */
static void test_limit_of_always(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, SHUNT_TRACK_ALWAYS);
	limit(&env);
	for (uint16_t port = 1; port <= 100; port++)
		assert_int_equal(env_backend_of(&env, packet_to(VIP4, IPPROTO_TCP, F_RST, port)),
				 1);
	assert_int_equal(count(&env, SHUNT_COUNT_INSERT_LIMITED), 0);
	for (uint16_t port = 1; port <= 100; port++)
		assert_int_equal(
			env_backend_of(&env, packet_to(VIP4, port % 2 ? IPPROTO_UDP : IPPROTO_TCP,
						       F_SYN, port)),
			1);
	assert_in_range(entries(&env), ENTRIES_AT_ONCE, 50);
	assert_int_equal(count(&env, SHUNT_COUNT_INSERT_LIMITED), 100 - entries(&env));
	env_close(&env);
}

/* One service is flooded: another one's flows are entered, and found again. */
static void check_flood_beside(enum shunt_tracking tracking)
{
	struct env env;

	open_env(&env, tracking);
	limit(&env);
	env.svc.index = SVC_ROW + 1;
	env_service(&env, OTHER4, 80, IPPROTO_TCP);
	env_ring_publish_of(&env, SVC_ROW + 1, RING_BASE, RING_SIZE);
	move(&env);
	for (uint16_t port = 1; port <= 5000; port++)
		(void)env_run(&env, packet_to(VIP4, IPPROTO_TCP, F_SYN, port), NULL);
	assert_int_equal(env_backend_of(&env, packet_to(OTHER4, IPPROTO_TCP, F_SYN, 7)), 2);
	for (uint16_t port = 1; port <= 5000; port++)
		(void)env_run(&env, packet_to(VIP4, IPPROTO_TCP, F_SYN, port + 5000), NULL);
	assert_true(env_flow(&env, TABLE_PENDING, packet_to(OTHER4, IPPROTO_TCP, F_SYN, 7), NULL));
	assert_int_equal(env_backend_of(&env, packet_to(OTHER4, IPPROTO_TCP, F_ACK, 7)), 2);
	assert_true(env_flow(&env, TABLE_FLOWS, packet_to(OTHER4, IPPROTO_TCP, F_ACK, 7), NULL));
	assert_true(count(&env, SHUNT_COUNT_INSERT_LIMITED) > 9000);
	env_close(&env);
}

static void test_flood_beside(void **state)
{
	(void)state;
	check_flood_beside(SHUNT_TRACK_ON_CHANGE);
	check_flood_beside(SHUNT_TRACK_ALWAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settled_slots_have_no_entries),
		cmocka_unit_test(test_settled_slots_ignore_entries),
		cmocka_unit_test(test_moving),
		cmocka_unit_test(test_stamps_are_written_now_and_then),
		cmocka_unit_test(test_old_that_goes),
		cmocka_unit_test(test_only_old),
		cmocka_unit_test(test_former_entries_are_void),
		cmocka_unit_test(test_entries_say_their_slot),
		cmocka_unit_test(test_stale_entry_is_chosen_anew),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_always),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_flood_in_a_moving_slot),
		cmocka_unit_test(test_limit_of_always),
		cmocka_unit_test(test_flood_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
