/* SPDX-License-Identifier: BSD-2-Clause */
/* Smooth weighted round robin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/runtime.h"
#include "l7/balance.h"

#define BACKENDS 4

struct world {
	struct runtime *rt;
	struct pool pool;
	struct backend backends[BACKENDS];
};

static int set_up(void **state)
{
	static const char *const names[BACKENDS] = {"a", "b", "c", "d"};
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->rt = runtime_new();
	assert_non_null(w->rt);
	w->pool = (struct pool){.name = "p", .backends = w->backends, .backend_count = BACKENDS};
	for (unsigned i = 0; i < BACKENDS; i++) {
		struct backend *be = &w->backends[i];

		be->name = names[i];
		be->pool = &w->pool;
		be->weight = i + 1;
		assert_int_equal(endpoint_parse("127.0.0.1:80", &be->ep), 0);
		be->rt = runtime_backend(w->rt, "p", be->name, &be->ep);
		assert_non_null(be->rt);
	}
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < BACKENDS; i++)
		backend_rt_unref(w->backends[i].rt);
	runtime_free(w->rt);
	free(w);
	return 0;
}

static void count(struct balancer *b, unsigned turns, unsigned counts[BACKENDS])
{
	memset(counts, 0, BACKENDS * sizeof(counts[0]));
	while (turns--) {
		const struct backend *be = balancer_pick(b, NULL, 0);

		assert_non_null(be);
		counts[be - b->pool->backends]++;
	}
}

static void test_each_run_of_turns_has_the_weights(void **state)
{
	struct world *w = *state;
	unsigned counts[BACKENDS];

	for (unsigned start = 0; start < 7; start++) {
		struct balancer *b = balancer_rr_new(&w->pool, NULL, start);

		for (int run = 0; run < 3; run++) {
			count(b, 1 + 2 + 3 + 4, counts);
			for (unsigned i = 0; i < BACKENDS; i++)
				assert_int_equal(counts[i], i + 1);
		}
		balancer_free(b);
	}
}

static void test_equal_weights_take_turns(void **state)
{
	struct world *w = *state;
	const struct backend *order[BACKENDS];
	struct balancer *b;

	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 7;
	b = balancer_rr_new(&w->pool, NULL, 2);
	for (unsigned i = 0; i < 10 * BACKENDS; i++) {
		const struct backend *be = balancer_pick(b, NULL, 0);

		if (i < BACKENDS)
			order[i] = be;
		assert_ptr_equal(be, order[i % BACKENDS]);
	}
	assert_ptr_equal(order[0], &w->backends[2]); /* it was to be two turns ahead */
	balancer_free(b);
}

static void test_unusable_backends_are_left_out(void **state)
{
	struct world *w = *state;
	struct balancer *b = balancer_rr_new(&w->pool, NULL, 0);
	unsigned counts[BACKENDS];

	w->backends[0].admin = ADMIN_DRAIN;
	w->backends[1].rt->health = HEALTH_DOWN;
	w->backends[2].weight = 0;
	count(b, 100, counts);
	assert_int_equal(counts[3], 100);
	w->backends[3].admin = ADMIN_DISABLED;
	assert_null(balancer_pick(b, NULL, 0));
	balancer_free(b);
}

static void test_tried_backends_are_left_out(void **state)
{
	struct world *w = *state;
	struct balancer *b = balancer_rr_new(&w->pool, NULL, 0);
	const struct backend *tried[BACKENDS];

	for (unsigned n = 0; n < BACKENDS; n++) {
		tried[n] = balancer_pick(b, tried, n);
		assert_non_null(tried[n]);
		for (unsigned i = 0; i < n; i++)
			assert_ptr_not_equal(tried[n], tried[i]);
	}
	assert_null(balancer_pick(b, tried, BACKENDS));
	balancer_free(b);
}

static void test_the_order_goes_on_in_a_new_snapshot(void **state)
{
	struct world *w = *state;
	struct balancer *b = balancer_rr_new(&w->pool, NULL, 0);
	unsigned counts[BACKENDS] = {0};

	for (int i = 0; i < 30; i++) { /* a reload before every request */
		struct balancer *next = balancer_rr_new(&w->pool, b, 0);

		balancer_free(b);
		b = next;
		counts[balancer_pick(b, NULL, 0) - w->backends]++;
	}
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_int_equal(counts[i], 3 * (i + 1));
	balancer_free(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_each_run_of_turns_has_the_weights),
		TEST(test_equal_weights_take_turns),
		TEST(test_unusable_backends_are_left_out),
		TEST(test_tried_backends_are_left_out),
		TEST(test_the_order_goes_on_in_a_new_snapshot),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
