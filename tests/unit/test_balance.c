/* SPDX-License-Identifier: BSD-2-Clause */
/* The policies of balancing, and who is a candidate. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/runtime.h"
#include "core/clock.h"
#include "l7/balance.h"
#include "tests/unit/pool_util.h"

static void count(struct balancer *b, unsigned turns, unsigned counts[BACKENDS])
{
	memset(counts, 0, BACKENDS * sizeof(counts[0]));
	while (turns--) {
		const struct backend *be = balancer_pick(b, NULL);

		assert_non_null(be);
		counts[be - b->pool->backends]++;
	}
}

static void test_each_run_of_turns_has_the_weights(void **state)
{
	struct world *w = *state;
	unsigned counts[BACKENDS];

	for (unsigned start = 0; start < 7; start++) {
		struct balancer *b = balancer_new(&w->pool, NULL, start);

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
	b = balancer_new(&w->pool, NULL, 2);
	for (unsigned i = 0; i < 10 * BACKENDS; i++) {
		const struct backend *be = balancer_pick(b, NULL);

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
	unsigned counts[BACKENDS];
	struct balancer *b;

	w->backends[0].admin = ADMIN_DRAIN;
	w->backends[2].weight = 0;
	b = balancer_new(&w->pool, NULL, 0);
	backend_rt_set_health(w->backends[1].rt, HEALTH_DOWN);
	count(b, 100, counts);
	assert_int_equal(counts[3], 100);
	backend_rt_set_health(w->backends[3].rt, HEALTH_DOWN);
	assert_null(balancer_pick(b, NULL));
	backend_rt_set_health(w->backends[1].rt, HEALTH_UP);
	count(b, 100, counts);
	assert_int_equal(counts[1], 100);
	balancer_free(b);
}

/* ---- policies ---- */

#define PICKS 40000

static struct balancer *open_policy(struct world *w, enum balance policy)
{
	struct balancer *b;

	w->pool.balance = policy;
	b = balancer_new(&w->pool, NULL, 1);
	assert_non_null(b);
	return b;
}

/* Within five standard deviations of what the weights say. */
static void assert_weights(const unsigned counts[BACKENDS], unsigned picks)
{
	for (unsigned i = 0; i < BACKENDS; i++) {
		double p = (i + 1) / 10.0, deviation = sqrt(picks * p * (1 - p));

		assert_true(fabs(counts[i] - picks * p) < 5 * deviation);
	}
}

static void test_random_has_the_weights(void **state)
{
	struct balancer *b = open_policy(*state, BALANCE_RANDOM);
	unsigned counts[BACKENDS];

	count(b, PICKS, counts);
	assert_weights(counts, PICKS);
	balancer_free(b);
}

/* Requests that stay: what is under way is as the weights are, to the request. */
static void test_least_request_fills_up_evenly(void **state)
{
	struct world *w = *state;
	struct balancer *b = open_policy(w, BALANCE_LEAST_REQUEST);

	for (unsigned i = 0; i < 1000; i++) {
		const struct backend *at = NULL;

		balance_move(&at, balancer_pick(b, NULL));
	}
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_in_range(w->backends[i].rt->active, 100 * (i + 1) - 2, 100 * (i + 1) + 2);
	/* Who has nothing to do gets the next ones. */
	w->backends[0].rt->active = 0;
	for (unsigned i = 0; i < 90; i++) {
		const struct backend *at = NULL;

		balance_move(&at, balancer_pick(b, NULL));
		assert_ptr_equal(at, &w->backends[0]);
	}
	balancer_free(b);
}

/* Workers that see the same numbers do not all go to the same place. */
static void test_equals_are_taken_by_chance(void **state)
{
	struct world *w = *state;
	unsigned seen = 0;

	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 1;
	for (unsigned worker = 0; worker < 32; worker++) {
		struct balancer *b;

		w->pool.balance = BALANCE_LEAST_REQUEST;
		b = balancer_new(&w->pool, NULL, worker * 7 + 1);
		seen |= 1U << (balancer_pick(b, NULL) - w->backends);
		balancer_free(b);
	}
	assert_int_equal(seen, 0xf);
}

static void test_ewma_leaves_the_slow_alone(void **state)
{
	struct world *w = *state;
	struct balancer *b = open_policy(w, BALANCE_EWMA);
	uint64_t now = clock_now_ms();
	unsigned counts[BACKENDS];

	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 1;
	balance_set_fill(&b->set, &w->pool, now);
	for (unsigned i = 0; i < BACKENDS; i++)
		backend_rt_note_latency(w->backends[i].rt, i == 2 ? 50000 : 1000, now);
	count(b, PICKS, counts);
	assert_true(counts[2] < PICKS / 4 / 3);
	assert_true(counts[0] > PICKS / 5 && counts[1] > PICKS / 5 && counts[3] > PICKS / 5);
	balancer_free(b);
}

static void test_latency_rises_at_once_and_falls_slowly(void **state)
{
	struct world *w = *state;
	struct backend_rt *rt = w->backends[0].rt;

	assert_int_equal(backend_rt_latency_us(rt, 1000), 0);
	backend_rt_note_latency(rt, 800, 1000);
	backend_rt_note_latency(rt, 8000, 1000);
	assert_int_equal(backend_rt_latency_us(rt, 1000), 8000);
	backend_rt_note_latency(rt, 0, 1000);
	assert_int_equal(backend_rt_latency_us(rt, 1000), 7000);
	assert_int_equal(backend_rt_latency_us(rt, 6000),
			 3500); /* nobody asked it for five seconds */
	assert_int_equal(backend_rt_latency_us(rt, 1000000000), 0);
	backend_rt_note_latency(rt, UINT64_MAX, 2000);
	assert_int_equal(backend_rt_latency_us(rt, 2000), UINT32_MAX);
}

static void pick_all(struct balancer *b, const struct backend **owner, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct balance_ask ask = {.hash = i * 0x9e3779b97f4a7c15ULL};

		owner[i] = balancer_pick(b, &ask);
		assert_ptr_equal(owner[i], balancer_pick(b, &ask)); /* and again */
	}
}

#define KEYS 10000

static void test_maglev_moves_little(void **state)
{
	static const struct backend *before[KEYS], *after[KEYS];
	struct world *w = *state;
	struct balancer *b = open_policy(w, BALANCE_MAGLEV);
	unsigned counts[BACKENDS] = {0};

	pick_all(b, before, KEYS);
	for (unsigned i = 0; i < KEYS; i++)
		counts[before[i] - w->backends]++;
	assert_weights(counts, KEYS);
	backend_rt_set_health(w->backends[1].rt, HEALTH_DOWN);
	pick_all(b, after, KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		assert_ptr_not_equal(after[i], &w->backends[1]);
		if (before[i] != &w->backends[1])
			assert_ptr_equal(before[i], after[i]);
	}
	backend_rt_set_health(w->backends[1].rt, HEALTH_UP);
	pick_all(b, after, KEYS);
	assert_memory_equal(before, after, sizeof(before));
	balancer_free(b);
}

/* One key that all ask for goes to more than one, with a bound. */
static void test_maglev_with_a_bound(void **state)
{
	struct world *w = *state;
	struct balancer *b;

	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 1;
	w->pool.load_bound = 125;
	b = open_policy(w, BALANCE_MAGLEV);
	for (unsigned i = 0; i < 1000; i++) {
		const struct balance_ask ask = {.hash = 42};
		const struct backend *at = NULL;

		balance_move(&at, balancer_pick(b, &ask));
	}
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_in_range(w->backends[i].rt->active, 60, 1000 * 125 / 100 / BACKENDS + 1);
	balancer_free(b);
}

/* ---- groups ---- */

static void expect_shares(struct balancer *b, unsigned count, const double *percent)
{
	balancer_pick(b, NULL);
	assert_int_equal(b->set.group_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_true(fabs(100.0 * b->set.groups[i].share / BALANCE_CHOICES - percent[i]) <
			    0.1);
}

static void test_priorities_spill_over(void **state)
{
	struct world *w = *state;
	unsigned counts[BACKENDS];
	struct balancer *b;

	for (unsigned i = 0; i < BACKENDS; i++) {
		w->backends[i].weight = 1;
		w->backends[i].priority = i / 2;
	}
	b = open_policy(w, BALANCE_ROUND_ROBIN);
	count(b, 1000, counts);
	assert_int_equal(counts[0] + counts[1], 1000);
	/* Half of the first: 1.4 times 50 %. */
	backend_rt_set_health(w->backends[0].rt, HEALTH_DOWN);
	expect_shares(b, 2, (const double[]){70, 30});
	count(b, PICKS, counts);
	assert_in_range(counts[1], PICKS * 68 / 100, PICKS * 72 / 100);
	/* Half of each: not enough for all, but in proportion. */
	backend_rt_set_health(w->backends[2].rt, HEALTH_DOWN);
	expect_shares(b, 2, (const double[]){70, 30});
	backend_rt_set_health(w->backends[1].rt, HEALTH_DOWN);
	count(b, 100, counts);
	assert_int_equal(counts[3], 100);
	balancer_free(b);
}

static void test_the_own_zone_comes_first(void **state)
{
	struct world *w = *state;
	unsigned counts[BACKENDS];
	struct balancer *b;

	w->pool.local_zone = "a";
	for (unsigned i = 0; i < BACKENDS; i++) {
		w->backends[i].weight = 1;
		w->backends[i].zone = i == 3 ? NULL : i == 2 ? "b" : "a";
	}
	b = open_policy(w, BALANCE_ROUND_ROBIN);
	count(b, 1000, counts);
	assert_int_equal(counts[0] + counts[1], 1000);
	backend_rt_set_health(w->backends[0].rt, HEALTH_DOWN);
	backend_rt_set_health(w->backends[1].rt, HEALTH_DOWN);
	count(b, 1000, counts);
	assert_int_equal(counts[2] + counts[3], 1000);
	/* Who has tried all of the group goes on to others. */
	backend_rt_set_health(w->backends[0].rt, HEALTH_UP);
	backend_rt_set_health(w->backends[1].rt, HEALTH_UP);
	for (unsigned n = 0; n < 100; n++) {
		const struct backend *tried[] = {&w->backends[0], &w->backends[1]};
		const struct balance_ask ask = {.tried = tried, .tried_count = 2};

		assert_true(balancer_pick(b, &ask) >= &w->backends[2]);
	}
	balancer_free(b);
}

static void test_panic(void **state)
{
	struct world *w = *state;
	unsigned counts[BACKENDS];
	struct balancer *b;

	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 1;
	w->pool.panic_percent = 50;
	b = open_policy(w, BALANCE_ROUND_ROBIN);
	backend_rt_set_health(w->backends[0].rt, HEALTH_DOWN);
	backend_rt_set_health(w->backends[1].rt, HEALTH_DOWN);
	count(b, 100, counts);
	assert_int_equal(counts[2] + counts[3], 100); /* half is not less than half */
	backend_rt_set_health(w->backends[2].rt, HEALTH_DOWN);
	count(b, 100, counts);
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_int_equal(counts[i], 25);
	assert_true(b->set.groups[0].panic);
	backend_rt_set_health(w->backends[3].rt, HEALTH_DOWN); /* all: better than nobody */
	count(b, 100, counts);
	assert_int_equal(counts[3], 25);
	balancer_free(b);
}

static void test_slow_start(void **state)
{
	struct world *w = *state;
	uint64_t now = 1000000;
	struct balancer *b;

	w->pool.slow_start_ms = 10000;
	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].weight = 1;
	b = open_policy(w, BALANCE_ROUND_ROBIN);
	for (unsigned i = 0; i < BACKENDS; i++)
		w->backends[i].rt->up_since_ms = now - 20000;
	w->backends[1].rt->up_since_ms = now;
	w->backends[2].rt->up_since_ms = now - 5000;
	balance_set_fill(&b->set, &w->pool, now);
	assert_int_equal(b->set.list[0].weight, BALANCE_WEIGHT_ONE);
	assert_int_equal(b->set.list[1].weight, BALANCE_WEIGHT_ONE / 10);
	assert_int_equal(b->set.list[2].weight, BALANCE_WEIGHT_ONE / 2);
	assert_in_range(b->set.next_ms, now + 1, now + 1000);
	balance_set_fill(&b->set, &w->pool, now + 10000);
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_int_equal(b->set.list[i].weight, BALANCE_WEIGHT_ONE);
	assert_int_equal(b->set.next_ms, UINT64_MAX);
	balancer_free(b);
}

static void test_tried_backends_are_left_out(void **state)
{
	struct world *w = *state;
	struct balancer *b = balancer_new(&w->pool, NULL, 0);
	const struct backend *tried[BACKENDS];

	for (unsigned n = 0; n < BACKENDS; n++) {
		tried[n] =
			balancer_pick(b, &(struct balance_ask){.tried = tried, .tried_count = n});
		assert_non_null(tried[n]);
		for (unsigned i = 0; i < n; i++)
			assert_ptr_not_equal(tried[n], tried[i]);
	}
	assert_null(
		balancer_pick(b, &(struct balance_ask){.tried = tried, .tried_count = BACKENDS}));
	balancer_free(b);
}

static void test_the_order_goes_on_in_a_new_snapshot(void **state)
{
	struct world *w = *state;
	struct balancer *b = balancer_new(&w->pool, NULL, 0);
	unsigned counts[BACKENDS] = {0};

	for (int i = 0; i < 30; i++) { /* a reload before every request */
		struct balancer *next = balancer_new(&w->pool, b, 0);

		balancer_free(b);
		b = next;
		counts[balancer_pick(b, NULL) - w->backends]++;
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
		TEST(test_random_has_the_weights),
		TEST(test_least_request_fills_up_evenly),
		TEST(test_equals_are_taken_by_chance),
		TEST(test_ewma_leaves_the_slow_alone),
		TEST(test_latency_rises_at_once_and_falls_slowly),
		TEST(test_maglev_moves_little),
		TEST(test_maglev_with_a_bound),
		TEST(test_priorities_spill_over),
		TEST(test_the_own_zone_comes_first),
		TEST(test_panic),
		TEST(test_slow_start),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
