/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings that move: adoption, switching, rings of former owners, rows that are exchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sync_util.h"

#define TWO_BACKENDS                                                                               \
	HEAD "pools:\n" POOL("p", A ", " B) "services:\n" SERVICE(                                 \
		"web", "p", "\"192.0.2.10:80/tcp\", \"[2001:db8::10]:80/tcp\"", "251")
#define THREE_BACKENDS                                                                             \
	HEAD "pools:\n" POOL("p", A ", " B ", " C) "services:\n" SERVICE(                          \
		"web", "p", "\"192.0.2.10:80/tcp\", \"[2001:db8::10]:80/tcp\"", "251")
#define TWO_POOLS(first, of_first, second, of_second, backends)                                    \
	HEAD "pools:\n" POOL("p", backends) POOL("q", C) "services:\n" SERVICE(                    \
		first, of_first, "\"192.0.2.1:81/tcp\", \"192.0.2.2:81/tcp\"", "251")              \
		SERVICE(second, of_second, "\"192.0.2.3:82/tcp\"", "251")

#define TRACKED(backends, tracking)                                                                \
	HEAD "pools:\n" POOL("p", backends) "services:\n"                                          \
					    "  web: {mode: l4, pool: p, listen: "                  \
					    "[\"192.0.2.10:80/tcp\", \"192.0.2.10:53/udp\"], "     \
					    "ring_size: 251, tracking: " tracking "}\n"

/* Slots of the only service's ring that are moving; how many of them take entries of any age. */
static uint32_t count_moving(uint32_t *ret_any_age)
{
	const struct shunt_ring *r = &kernel.rings[0].ring;
	uint32_t moving = 0, any_age = 0;

	for (uint32_t i = r->base; i < r->base + r->size; i++) {
		moving += kernel.slots[i].old != 0;
		any_age += kernel.slots[i].old != 0 && kernel.stamps[i].since_ticks == 0;
	}
	if (ret_any_age != NULL)
		*ret_any_age = any_age;
	return moving;
}

/* The daemon that follows takes a ring that is moving as it is. */
static void test_adoption_of_a_moving_ring(void **state)
{
	struct snapshot *two = build(TWO_BACKENDS), *three = build(THREE_BACKENDS);
	struct l4_report report;
	uint32_t moving;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), 0);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	moving = count_moving(NULL);
	assert_in_range(moving, 251 / 3 - 10, 251 / 3 + 20);
	assert_int_equal(t.services[0].moving, moving);
	tables_deinit(&t);
	open_tables(&t);
	check_in_step(&t, three);
	assert_int_equal(t.services[0].moving, moving);
	/* Back again: what moved stays moving, with who had it. */
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), moving);
	check_in_step(&t, two);
	tables_deinit(&t);
	snapshot_unref(two);
	snapshot_unref(three);
}

/* What packets stamped in the ring that is left comes along, before its slots are reused. */
static void test_late_stamps_come_along(void **state)
{
	struct snapshot *two = build(TWO_BACKENDS), *three = build(THREE_BACKENDS);
	struct shunt_ring before, after;
	struct l4_report report;
	uint32_t slot = 0;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	before = kernel.rings[0].ring;
	while (kernel.slots[before.base + slot].old == 0)
		slot++;
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	after = kernel.rings[0].ring;
	assert_int_not_equal(after.base, before.base);
	kernel.stamps[before.base + slot].old_ticks += 100;
	assert_int_equal(sync_settle(NULL, &t), 0);
	assert_int_equal(kernel.stamps[after.base + slot].old_ticks,
			 kernel.stamps[before.base + slot].old_ticks);
	assert_int_equal(t.handovers.count, 0);
	tables_deinit(&t);
	snapshot_unref(two);
	snapshot_unref(three);
}

static void test_tracking_is_switched(void **state)
{
	struct snapshot *always = build(TRACKED(A ", " B, "always"));
	struct snapshot *change = build(TRACKED(A ", " B, "on-change"));
	struct snapshot *never = build(TRACKED(A ", " B, "never"));
	struct snapshot *automatic = build(TRACKED(A ", " B, "auto"));
	struct l4_report report;
	uint32_t any_age;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, always, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), 0);
	assert_int_equal(apply(&t, change, &report, NULL), 0);
	assert_int_equal(count_moving(&any_age), 251);
	assert_int_equal(any_age, 251);
	check_in_step(&t, change);
	assert_int_equal(apply(&t, always, &report, NULL), 0);
	assert_int_equal(report.rings_built, 0);
	assert_int_equal(apply(&t, never, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), 0);
	check_in_step(&t, never);
	assert_int_equal(apply(&t, automatic, &report, NULL), 0);
	assert_int_equal(report.rings_built, 0);
	for (size_t i = 0; i < kernel.service_count; i++)
		assert_int_equal(kernel.services[i].record.tracking,
				 kernel.services[i].key.proto == IPPROTO_UDP
					 ? SHUNT_TRACK_ALWAYS
					 : SHUNT_TRACK_ON_CHANGE);
	check_in_step(&t, automatic);
	tables_deinit(&t);
	snapshot_unref(always);
	snapshot_unref(change);
	snapshot_unref(never);
	snapshot_unref(automatic);
}

static void test_tracking_is_switched_and_cut_short(void **state)
{
	(void)state;
	cut_short_everywhere(TRACKED(A ", " B, "always"), TRACKED(A ", " C, "on-change"));
	cut_short_everywhere(TRACKED(A ", " B, "on-change"), TRACKED(A ", " C, "always"));
	cut_short_everywhere(TRACKED(A ", " B, "never"), TRACKED(A ", " C, "auto"));
	cut_short_everywhere(TRACKED(A ", " B, "auto"), TRACKED(A ", " C, "never"));
}

/* All drain: there still is a ring, for the connections that they have. They die: there is none. */
static void test_ring_of_former_owners(void **state)
{
	struct snapshot *up = build(TRACKED(A ", " B, "on-change"));
	struct snapshot *drained = build(TRACKED("{name: a, address: 10.0.0.1, state: drain}, "
						 "{name: b, address: 10.0.0.2, weight: 0}",
						 "on-change"));
	struct snapshot *disabled = build(TRACKED("{name: a, address: 10.0.0.1, state: disabled}, "
						  "{name: b, address: 10.0.0.2, state: disabled}",
						  "on-change"));
	struct l4_report report;
	unsigned writes;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, drained, &report, NULL), 0);
	assert_int_equal(kernel.rings[0].ring.size, 0);
	assert_int_equal(apply(&t, up, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), 0);
	assert_int_equal(apply(&t, drained, &report, NULL), 0);
	assert_int_equal(kernel.rings[0].ring.size, 251);
	assert_int_equal(count_moving(NULL), 251);
	assert_int_equal(kernel.slots[kernel.rings[0].ring.base].backend, 0);
	writes = kernel.writes;
	assert_int_equal(apply(&t, drained, &report, NULL), 0);
	tables_deinit(&t);
	open_tables(&t);
	assert_int_equal(apply(&t, drained, &report, NULL), 0);
	assert_int_equal(kernel.writes, writes);
	assert_int_equal(t.services[0].moving, 251);
	assert_int_equal(apply(&t, up, &report, NULL), 0);
	assert_int_equal(count_moving(NULL), 251);
	check_in_step(&t, up);
	assert_int_equal(apply(&t, disabled, &report, NULL), 0);
	assert_int_equal(kernel.rings[0].ring.size, 0);
	check_in_step(&t, disabled);
	tables_deinit(&t);
	snapshot_unref(up);
	snapshot_unref(drained);
	snapshot_unref(disabled);
}

/* A service that gets another row takes along what moves, and is known by the former one too. */
static void test_another_row_goes_on(void **state)
{
	struct snapshot *before = build(TWO_POOLS("x", "p", "y", "q", A ", " B));
	struct snapshot *after =
		build(HEAD "pools:\n" POOL("p", A)
			      POOL("q", C ", {name: d, address: 10.0.0.4}") "services:\n" SERVICE(
				      "x", "p", "\"192.0.2.1:81/tcp\"", "251")
				      SERVICE("y", "q",
					      "\"192.0.2.2:81/tcp\", \"192.0.2.3:82/tcp\"", "251"));
	struct l4_report report;
	uint32_t moving = 0, row = 0;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, before, &report, NULL), 0);
	assert_int_equal(apply(&t, after, &report, NULL), 0);
	while (row < SERVICES &&
	       (strcmp(kernel.svc_meta[row].name, "x") != 0 || kernel.rings[row].ring.size == 0))
		row++;
	assert_int_equal(row, 2);
	for (uint32_t i = 0; i < 251; i++)
		moving += kernel.slots[kernel.rings[row].ring.base + i].old != 0;
	assert_in_range(moving, 100, 150);
	assert_true(t.services[row].has_former);
	assert_int_equal(t.services[row].former_row, 0);
	check_in_step(&t, after);
	tables_deinit(&t);
	snapshot_unref(before);
	snapshot_unref(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_adoption_of_a_moving_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_stamps_come_along, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tracking_is_switched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tracking_is_switched_and_cut_short, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ring_of_former_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_row_goes_on, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
