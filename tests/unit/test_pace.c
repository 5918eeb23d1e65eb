/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a slow peer is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "l7/pace.h"

#define STOCK 1000U
#define RATE  200U

static void test_nothing_moves(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	assert_int_equal(pace_wait(&p, 5000, 0, STOCK, RATE), 6000);
	assert_int_equal(pace_wait(&p, 5400, 0, STOCK, RATE), 6000);
	assert_int_equal(pace_wait(&p, 7000, 0, STOCK, RATE), 7000);
}

static void test_a_trickle_ends(void **state)
{
	uint64_t now = 1, until, bytes = 0;
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	do { /* a byte each 100 ms: of each 100, 95 are lost */
		now += 100;
		until = pace_wait(&p, now, ++bytes, STOCK, RATE);
	} while (until > now + 100 && now < 10000); /* else it passes before the next */
	assert_true(now > 900 && now < 1300);
}

static void test_who_keeps_the_rate_goes_on(void **state)
{
	uint64_t now = 1;
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	for (uint64_t bytes = 0; bytes < 100000; bytes++, now += 5)
		assert_true(pace_wait(&p, now, bytes, STOCK, RATE) > now + STOCK - 20);
}

static void test_small_pieces_count_as_much_as_large_ones(void **state)
{
	uint64_t now = 1;
	struct pace p;

	(void)state;
	pace_init(&p, STOCK); /* seven bytes are less than a millisecond's worth */
	for (uint64_t bytes = 0; bytes < 700000; bytes += 7, now++)
		assert_true(pace_wait(&p, now, bytes, STOCK, 7000) > now + STOCK - 20);
}

static void test_a_burst_is_no_stock_for_ever(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	assert_int_equal(pace_wait(&p, 5000, UINT32_MAX, STOCK, RATE), 6000);
	assert_int_equal(pace_wait(&p, 5500, 2 * (uint64_t)UINT32_MAX, STOCK, RATE), 6500);
}

static void test_time_of_others_does_not_count(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	assert_int_equal(pace_wait(&p, 1000, 0, STOCK, RATE), 2000);
	pace_pause(&p, 1400);
	pace_pause(&p, 9000);
	assert_int_equal(pace_wait(&p, 10000, 0, STOCK, RATE), 10600);
}

static void test_without_a_rate_any_byte_will_do(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, STOCK);
	assert_int_equal(pace_wait(&p, 1000, 0, STOCK, 0), 2000);
	assert_int_equal(pace_wait(&p, 1900, 1, STOCK, 0), 2900);
	assert_int_equal(pace_wait(&p, 2000, 1, STOCK, 0), 2900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_moves),
		cmocka_unit_test(test_a_trickle_ends),
		cmocka_unit_test(test_who_keeps_the_rate_goes_on),
		cmocka_unit_test(test_small_pieces_count_as_much_as_large_ones),
		cmocka_unit_test(test_a_burst_is_no_stock_for_ever),
		cmocka_unit_test(test_time_of_others_does_not_count),
		cmocka_unit_test(test_without_a_rate_any_byte_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
