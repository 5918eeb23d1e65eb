/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash of rules: values that users' shares hang on, and whether shares are what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "route/hash.h"

static int64_t hash1(struct slice a)
{
	return route_hash_end(route_hash_add(ROUTE_HASH_INIT, a));
}

static int64_t hash2(struct slice a, struct slice b)
{
	return route_hash_end(route_hash_add(route_hash_add(ROUTE_HASH_INIT, a), b));
}

/* A change here moves users from one side of a split to the other. */
static void test_values_never_change(void **state)
{
	(void)state;
	assert_int_equal(route_hash_end(ROUTE_HASH_INIT), INT64_C(8056974233673738534));
	assert_int_equal(hash1(SLICE("")), INT64_C(8922497616986557598));
	assert_int_equal(hash1(SLICE("alice")), INT64_C(8463848786542415850));
	assert_int_equal(hash2(SLICE("canary"), SLICE("10.0.0.1")), INT64_C(6104476428265560016));
}

static void test_parts_have_ends(void **state)
{
	(void)state;
	assert_int_not_equal(hash2(SLICE("ab"), SLICE("c")), hash2(SLICE("a"), SLICE("bc")));
	assert_int_not_equal(hash1(SLICE("ab")), hash2(SLICE("ab"), SLICE("")));
	assert_int_not_equal(hash2(SLICE("a"), SLICE("b")), hash2(SLICE("b"), SLICE("a")));
}

/* 100,000 names one after the other: each share of a hundred within five standard deviations. */
static void test_shares_are_even(void **state)
{
	unsigned share[100] = {0};

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "user-%u", i);
		int64_t h = hash1((struct slice){name, (size_t)len});

		assert_true(h >= 0);
		share[h % 100]++;
	}
	for (unsigned i = 0; i < 100; i++)
		assert_in_range(share[i], 1000 - 160, 1000 + 160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_never_change),
		cmocka_unit_test(test_parts_have_ends),
		cmocka_unit_test(test_shares_are_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
