/* SPDX-License-Identifier: BSD-2-Clause */
/* Maglev tables: weights, disruption, independence of order, odd inputs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ring.h"

#define SIZE 65537U

struct names {
	char text[1000][16];
};

static struct names names;
static uint32_t owner_a[SIZE], owner_b[SIZE];

static int make_names(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		snprintf(names.text[i], sizeof(names.text[i]), "web-%d", i);
	return 0;
}

static void make_members(struct ring_member *members, size_t count, uint32_t even, uint32_t odd)
{
	for (size_t i = 0; i < count; i++) {
		members[i] = (struct ring_member){
			.pool = "web",
			.name = names.text[i],
			.weight = i % 2 == 0 ? even : odd,
		};
	}
}

/* Largest relative error of a member's share, in percent. */
static double weight_error(const struct ring_member *members, size_t count, const uint32_t *owner)
{
	uint32_t held[1000] = {0};
	uint64_t total = 0;
	double worst = 0;

	for (uint32_t i = 0; i < SIZE; i++) {
		assert_true(owner[i] < count);
		held[owner[i]]++;
	}
	for (size_t i = 0; i < count; i++)
		total += members[i].weight;
	for (size_t i = 0; i < count; i++) {
		double want = (double)SIZE * members[i].weight / (double)total;
		double error = (held[i] > want ? held[i] - want : want - held[i]) * 100 / want;

		if (error > worst)
			worst = error;
	}
	return worst;
}

static void test_shares_follow_weights(void **state)
{
	static const uint32_t weights[][2] = {{1, 1}, {1, 3}, {50, 100}, {650, 1300}, {997, 1000}};
	struct ring_member members[100];

	(void)state;
	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		make_members(members, 100, weights[i][0], weights[i][1]);
		assert_int_equal(ring_fill(members, 100, owner_a, SIZE), 0);
		assert_true(weight_error(members, 100, owner_a) < 0.5);
	}
}

static void test_shares_of_few_members(void **state)
{
	struct ring_member members[3];

	(void)state;
	make_members(members, 3, 1, 2);
	assert_int_equal(ring_fill(members, 3, owner_a, SIZE), 0);
	assert_true(weight_error(members, 3, owner_a) < 0.5);
	members[0].weight = 1000;
	members[1].weight = 7;
	members[2].weight = 333;
	assert_int_equal(ring_fill(members, 3, owner_a, SIZE), 0);
	assert_true(weight_error(members, 3, owner_a) < 0.5);
}

static void test_removing_one_moves_little(void **state)
{
	struct ring_member members[100], fewer[99];
	uint32_t moved = 0, lost = 0;

	(void)state;
	make_members(members, 100, 1, 1);
	memcpy(fewer, members, 40 * sizeof(*fewer));
	memcpy(fewer + 40, members + 41, 59 * sizeof(*fewer));
	assert_int_equal(ring_fill(members, 100, owner_a, SIZE), 0);
	assert_int_equal(ring_fill(fewer, 99, owner_b, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++) {
		lost += owner_a[i] == 40;
		moved += strcmp(members[owner_a[i]].name, fewer[owner_b[i]].name) != 0;
	}
	assert_true(moved >= lost);
	assert_true(moved * 1000.0 / SIZE < 25);
}

static void test_order_does_not_matter(void **state)
{
	struct ring_member members[100], turned[100];

	(void)state;
	make_members(members, 100, 3, 5);
	for (size_t i = 0; i < 100; i++)
		turned[i] = members[99 - i];
	assert_int_equal(ring_fill(members, 100, owner_a, SIZE), 0);
	assert_int_equal(ring_fill(turned, 100, owner_b, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(owner_a[i], 99 - owner_b[i]);
}

/* Balancers of different builds stand side by side: the table may never change. */
static void test_table_is_stable(void **state)
{
	struct ring_member members[3];
	uint32_t owner[13];
	static const uint32_t expected[13] = {2, 0, 0, 0, 2, 0, 1, 1, 1, 1, 0, 2, 2};

	(void)state;
	make_members(members, 3, 2, 2);
	assert_int_equal(ring_fill(members, 3, owner, 13), 0);
	assert_memory_equal(owner, expected, sizeof(expected));
}

static void test_weight_zero_takes_nothing(void **state)
{
	struct ring_member members[3];

	(void)state;
	make_members(members, 3, 1, 0);
	assert_int_equal(ring_fill(members, 3, owner_a, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_not_equal(owner_a[i], 1);
}

static void test_single_member_takes_all(void **state)
{
	struct ring_member member = {.pool = "p", .name = "n", .weight = 17};

	(void)state;
	assert_int_equal(ring_fill(&member, 1, owner_a, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(owner_a[i], 0);
}

static void test_more_members_than_slots(void **state)
{
	struct ring_member members[100];
	uint32_t owner[7];

	(void)state;
	make_members(members, 100, 1, 1);
	assert_int_equal(ring_fill(members, 100, owner, 7), 0);
	for (uint32_t i = 0; i < 7; i++) {
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(owner[i], owner[k]);
	}
}

/* One heavy member beside a thousand light ones, and a thousand distinct weights: both are where
 * a careless fill takes seconds. The bound is loose: it catches the wrong order of magnitude. */
static void test_many_members(void **state)
{
	struct ring_member members[1000];

	(void)state;
	make_members(members, 1000, 1, 1);
	members[0].weight = 1000;
	assert_int_equal(ring_fill(members, 1000, owner_a, SIZE), 0);
	for (uint32_t i = 0; i < 1000; i++)
		members[i].weight = i + 1;
	assert_int_equal(ring_fill(members, 1000, owner_a, SIZE), 0);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_true(owner_a[i] < 1000);
}

static void test_bad_input(void **state)
{
	struct ring_member members[30];
	uint32_t owner[16];

	(void)state;
	make_members(members, 30, 0, 0);
	assert_int_equal(ring_fill(members, 30, owner, 13), -ENOENT);
	assert_int_equal(ring_fill(NULL, 0, owner, 13), -ENOENT);
	make_members(members, 30, 1, 1);
	assert_int_equal(ring_fill(members, 30, owner, 1), -EINVAL);
	assert_int_equal(ring_fill(members, 30, owner, 0), -EINVAL);
	/* Not prime: whatever comes of it, it ends. */
	(void)ring_fill(members, 30, owner, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_follow_weights),
		cmocka_unit_test(test_shares_of_few_members),
		cmocka_unit_test(test_removing_one_moves_little),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_table_is_stable),
		cmocka_unit_test(test_weight_zero_takes_nothing),
		cmocka_unit_test(test_single_member_takes_all),
		cmocka_unit_test(test_more_members_than_slots),
		cmocka_unit_test(test_many_members),
		cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests(tests, make_names, NULL);
}
