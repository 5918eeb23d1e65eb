/* SPDX-License-Identifier: BSD-2-Clause */
/* What l4/ makes of guards: whose limits and blocks are whose, and how entries end. See l4_stage.h. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l4/guard.h"
#include "l4/l4.h"
#include "tests/bpf/l4_stage.h"

#define DEADLINE 20000 /* ms */

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

	(void)stage_change(s, before);
	assert_true(stage_send(s, 4, 1000, F_SYN) > 0);
	(void)stage_change(s, after);
	assert_true(stage_send(s, 4, 1000, F_SYN) > 0);
	assert_int_equal(stage_send(s, 4, 1001, F_SYN | F_FIN), 0);
	assert_int_equal(stage_send(s, 4, 1002, F_SYN), 0);
	/* And its blocks with them, on the way back. */
	(void)stage_change(s, before);
	assert_int_equal(stage_send(s, 4, 1003, F_SYN), 0);
	(void)stage_change(s, after);
	assert_int_equal(stage_send(s, 4, 1004, F_SYN), 0);
}

static void test_blocks_are_not_inherited_with_a_row(void **state)
{
	static const char other[] = TWO_POOLS SERVICE("other", "two", AT_81, "");
	static const char late[] =
		TWO_POOLS SERVICE("other", "two", AT_81, "") SERVICE("late", "two", AT_80, "");
	static const char guarded[] = TWO_POOLS SERVICE("other", "two", AT_81, "")
		SERVICE("late", "two", AT_80, ", guard: {packets_per_source: 1000000}");
	struct stage *s = *state;

	(void)stage_change(s, TWO_POOLS SERVICE("web", "two", AT_80,
						", guard: {bad_flags: drop, abuse: block}"));
	assert_int_equal(stage_send(s, 4, 1000, F_SYN | F_FIN), 0);
	assert_int_equal(stage_send(s, 4, 1000, F_SYN), 0);
	(void)stage_change(s, other);
	(void)stage_change(s, late);
	assert_true(stage_send(s, 4, 1000, F_SYN) > 0);
	(void)stage_change(s, guarded);
	assert_true(stage_send(s, 4, 1000, F_SYN) > 0);
}

/* One forged packet a source blocks it: that must not take the room of those who defend. */
static void test_forged_sources_do_not_fill_the_list(void **state)
{
	struct stage *s = *state;
	struct guard_prefix entry = {.len = 32};
	struct guard_counters counters;
	struct diag d;

	(void)stage_change(s, TWO_POOLS SERVICE("web", "two", AT_80,
						", guard: {bad_flags: drop, abuse: block}"));
	for (int i = 0; i < 20; i++) {
		char src[INET_ADDRSTRLEN];

		snprintf(src, sizeof(src), "203.0.113.%d", i);
		assert_int_equal(stage_send_from(s, 4, src, 1000, F_SYN | F_FIN), 0);
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
	assert_int_equal(stage_send_from(s, 4, "203.0.113.19", 1000, F_SYN), 0);
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
#define T(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		T(test_limits_follow_a_service_to_another_row),
		T(test_blocks_are_not_inherited_with_a_row),
		T(test_forged_sources_do_not_fill_the_list),
		cmocka_unit_test_setup_teardown(test_entries_end_piece_by_piece,
						stage_setup_long_lists, stage_teardown),
	};

	if (stage_isolate() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
