/* SPDX-License-Identifier: BSD-2-Clause */
/* Overload: which pressure lag and memory make, and who is turned away at which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit/overload.h"

#define MS     1000000ULL
#define SECOND (1000 * MS)
#define START  (500 * SECOND)

static const struct overload_limits lag = {.lag_ns = 50 * MS};
static const struct overload_limits memory = {.memory = 1000000};
static const struct overload_limits connections = {.connections = 100};

/* Turns of that length, one after the other, from *now on. */
static void run(struct overload *o, uint64_t *now, uint64_t turn, uint64_t time)
{
	for (uint64_t end = *now + time; *now < end;) {
		overload_wake(o, *now);
		*now += turn;
		overload_turn(o, *now, turn, 0, 0);
	}
}

static void test_short_turns_are_no_lag(void **state)
{
	struct overload o = {0};
	uint64_t now = START;

	(void)state;
	overload_set_limits(&o, &lag, now);
	run(&o, &now, 49 * MS, 10 * SECOND);
	assert_int_equal(o.pressure, 0);
	assert_false(overload_sheds(&o, PRIORITY_LOW, 0));
}

/* One long turn, with short ones around it. */
static void test_a_burst_is_no_lag(void **state)
{
	struct overload o = {0};
	uint64_t now = START;

	(void)state;
	overload_set_limits(&o, &lag, now);
	for (unsigned i = 0; i < 20; i++) {
		run(&o, &now, 5 * MS, 20 * MS);
		run(&o, &now, 80 * MS, 80 * MS);
	}
	assert_int_equal(o.pressure, 0);
}

static void test_lag_grows_and_falls(void **state)
{
	struct overload o = {0};
	uint64_t now = START;
	uint32_t before;

	(void)state;
	overload_set_limits(&o, &lag, now);
	run(&o, &now, 60 * MS, SECOND);
	assert_in_range(o.pressure, 100, 1000);
	before = o.pressure;
	run(&o, &now, 600 * MS, SECOND);
	assert_true(o.pressure > before + 300);
	run(&o, &now, SECOND, 60 * SECOND);
	/* Some are let through, or nobody would see how long it takes. */
	assert_in_range(o.pressure, 2 * OVERLOAD_STEP, 3 * OVERLOAD_STEP - 1);
	assert_false(overload_sheds(&o, PRIORITY_HIGH, OVERLOAD_STEP - 1));
	before = o.pressure;
	run(&o, &now, 5 * MS, SECOND);
	assert_true(o.pressure < before);
	run(&o, &now, 5 * MS, 10 * SECOND);
	assert_int_equal(o.pressure, 0);
}

static void test_nothing_to_do_ends_it(void **state)
{
	struct overload o = {0};
	uint64_t now = START;

	(void)state;
	overload_set_limits(&o, &lag, now);
	run(&o, &now, 500 * MS, 20 * SECOND);
	assert_true(o.pressure > 2 * OVERLOAD_STEP);
	overload_wake(&o, now + 60 * SECOND);
	assert_int_equal(o.pressure, 0);
	assert_int_equal(o.lag_ns, 0);
}

static void test_memory(void **state)
{
	static const struct {
		uint64_t held;
		uint32_t pressure;
		bool is_crowded, is_full;
	} rows[] = {
		{0, 0, false, false},	     {799999, 0, false, false},
		{800000, 0, true, false},    {866667, 1000, true, false},
		{949999, 2249, true, false}, {950000, 2250, true, true},
		{1000000, 3000, true, true}, {5000000, 3000, true, true},
		{100000, 0, false, false},
	};
	struct overload o = {0};

	(void)state;
	overload_set_limits(&o, &memory, START);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		overload_turn(&o, START + i, 1, rows[i].held, 1000000);
		assert_int_equal(o.pressure, rows[i].pressure);
		assert_int_equal(o.is_crowded, rows[i].is_crowded);
		assert_int_equal(o.is_full, rows[i].is_full);
	}
}

static void test_connections(void **state)
{
	struct overload o = {0};

	(void)state;
	overload_set_limits(&o, &connections, START);
	overload_turn(&o, START, 1, UINT32_MAX, 89);
	assert_false(o.is_crowded || o.is_full);
	overload_turn(&o, START, 1, UINT32_MAX, 90);
	assert_true(o.is_crowded && !o.is_full);
	overload_turn(&o, START, 1, UINT32_MAX, 100);
	assert_true(o.is_full && !o.pressure);
}

/* The share that is turned away, of each priority. */
static void test_low_ones_first(void **state)
{
	static const struct {
		uint32_t pressure;
		unsigned shed[PRIORITY_COUNT];
	} rows[] = {
		{0, {0, 0, 0}},
		{1, {1, 0, 0}},
		{250, {250, 0, 0}},
		{1000, {1000, 0, 0}},
		{1500, {1000, 500, 0}},
		{2900, {1000, 1000, 900}},
		{3000, {1000, 1000, 1000}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overload o = {.pressure = rows[i].pressure};

		for (unsigned p = 0; p < PRIORITY_COUNT; p++) {
			unsigned shed = 0;

			for (unsigned chance = 0; chance < OVERLOAD_STEP; chance++)
				shed += overload_sheds(&o, (enum request_priority)p, chance);
			assert_int_equal(shed, rows[i].shed[p]);
		}
	}
}

static void test_without_limits_it_is_at_rest(void **state)
{
	struct overload o = {0};
	uint64_t now = START;

	(void)state;
	overload_set_limits(&o, &lag, now);
	run(&o, &now, 500 * MS, 20 * SECOND);
	overload_set_limits(&o, &(struct overload_limits){0}, now);
	assert_int_equal(o.pressure, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_turns_are_no_lag),
		cmocka_unit_test(test_a_burst_is_no_lag),
		cmocka_unit_test(test_lag_grows_and_falls),
		cmocka_unit_test(test_nothing_to_do_ends_it),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_low_ones_first),
		cmocka_unit_test(test_without_limits_it_is_at_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
