/* SPDX-License-Identifier: BSD-2-Clause */
/* When results of checks change a state, and when checks are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/rise_fall.h"

/* Feed results ('+', '-') and expect the states after each ('u'p, 'd'own). */
static void expect(struct rise_fall *rf, unsigned rise, unsigned fall, const char *results,
		   const char *states)
{
	for (size_t i = 0; results[i]; i++) {
		enum health_state before = rf->state;
		bool changed = rise_fall_step(rf, results[i] == '+', rise, fall);

		assert_int_equal(rf->state, states[i] == 'u' ? HEALTH_UP : HEALTH_DOWN);
		assert_int_equal(changed, before != rf->state);
	}
}

static void test_the_first_result_decides(void **state)
{
	struct rise_fall good = {0}, bad = {0};

	(void)state;
	expect(&good, 5, 5, "+", "u");
	expect(&bad, 5, 5, "-", "d");
}

static void test_fall_needs_failures_in_a_row(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	expect(&rf, 2, 3, "+--+--+---", "uuuuuuuuud");
}

static void test_rise_needs_successes_in_a_row(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	expect(&rf, 3, 1, "-++-+++", "ddddddu");
}

static void test_one_is_enough_where_one_is_asked_for(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	expect(&rf, 1, 1, "+-+-", "udud");
}

static void test_an_adopted_state_stands_until_results_say_otherwise(void **state)
{
	struct rise_fall rf = {.state = HEALTH_DOWN};

	(void)state;
	expect(&rf, 2, 3, "++", "du");
}

static void test_results_in_a_row_are_counted(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		(void)rise_fall_step(&rf, true, 2, 2);
		assert_int_equal(rf.run, i);
	}
	(void)rise_fall_step(&rf, false, 2, 2);
	assert_int_equal(rf.run, 1);
}

static void test_changing_is_what_results_contradict(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	assert_true(rise_fall_is_changing(&rf));
	expect(&rf, 2, 3, "+", "u");
	assert_false(rise_fall_is_changing(&rf));
	expect(&rf, 2, 3, "-", "u");
	assert_true(rise_fall_is_changing(&rf));
	expect(&rf, 2, 3, "+", "u");
	assert_false(rise_fall_is_changing(&rf));
	expect(&rf, 2, 3, "---", "uud");
	assert_false(rise_fall_is_changing(&rf));
	expect(&rf, 2, 3, "+", "d");
	assert_true(rise_fall_is_changing(&rf));
	rf = (struct rise_fall){.state = HEALTH_DOWN}; /* adopted */
	assert_false(rise_fall_is_changing(&rf));
}

/* Down at the one time, up at the other. */
static void relapse(struct rise_fall *rf, uint64_t up_ms, uint64_t down_ms)
{
	rf->state = HEALTH_UP;
	rise_fall_note(rf, up_ms, 1000);
	rf->state = HEALTH_DOWN;
	rise_fall_note(rf, down_ms, 1000);
}

static void test_who_comes_and_goes_is_damped(void **state)
{
	struct rise_fall rf = {0};

	(void)state;
	relapse(&rf, 1, 2); /* up from the start is no recovery */
	assert_int_equal(rise_fall_damped(&rf, 3), 3);
	relapse(&rf, 10, 20);
	assert_int_equal(rise_fall_damped(&rf, 3), 6);
	relapse(&rf, 30, 1029);
	assert_int_equal(rise_fall_damped(&rf, 3), 12);
	for (uint64_t i = 0; i < 40; i++)
		relapse(&rf, 2000 + i * 10, 2005 + i * 10);
	assert_int_equal(rise_fall_damped(&rf, 3), 48);
	relapse(&rf, 3000, 4000); /* it stood for long enough */
	assert_int_equal(rise_fall_damped(&rf, 3), 3);
}

static void test_jitter_stays_within_a_tenth(void **state)
{
	(void)state;
	for (uint64_t random = 0; random < 5000; random++) {
		uint64_t due = schedule_jitter(1000, random * 2654435761U);

		assert_in_range(due, 900, 1100);
	}
	assert_int_equal(schedule_jitter(1000, 0), 900);
	assert_int_equal(schedule_jitter(1000, 200), 1100);
	assert_int_equal(schedule_jitter(1, 12345), 1);
}

static void test_first_checks_are_spread_over_a_tenth(void **state)
{
	(void)state;
	for (uint64_t random = 0; random < 1000; random++)
		assert_in_range(schedule_first(1000, random), 0, 100);
	assert_int_equal(schedule_first(1000, 100), 100);
	assert_int_equal(schedule_first(1, 99), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_result_decides),
		cmocka_unit_test(test_fall_needs_failures_in_a_row),
		cmocka_unit_test(test_rise_needs_successes_in_a_row),
		cmocka_unit_test(test_one_is_enough_where_one_is_asked_for),
		cmocka_unit_test(test_an_adopted_state_stands_until_results_say_otherwise),
		cmocka_unit_test(test_results_in_a_row_are_counted),
		cmocka_unit_test(test_changing_is_what_results_contradict),
		cmocka_unit_test(test_who_comes_and_goes_is_damped),
		cmocka_unit_test(test_jitter_stays_within_a_tenth),
		cmocka_unit_test(test_first_checks_are_spread_over_a_tenth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
