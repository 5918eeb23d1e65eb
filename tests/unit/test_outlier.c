/* SPDX-License-Identifier: BSD-2-Clause */
/* When backends are left out and come back, and what pools are spared. */
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
#include "l7/breaker.h"
#include "l7/outlier.h"
#include "tests/unit/pool_util.h"

#define HOUR_MS 3600000U

/* Three failures in a row, one hour. */
static int set_up_outlier(void **state)
{
	int err = set_up(state);
	struct world *w = *state;

	w->pool.outlier = (struct outlier_conf){.consecutive = 3,
						.min_requests = 4,
						.interval_ms = HOUR_MS,
						.base_ms = HOUR_MS,
						.max_ms = 10 * HOUR_MS,
						.max_ejected = 50};
	return err;
}

static void note(const struct backend *be, enum outlier_result result, unsigned times)
{
	while (times--)
		outlier_note(be, result, 1, false);
}

static bool is_out(const struct backend *be)
{
	return backend_is_ejected(be, clock_now_ms());
}

/* May a request go to it? */
static bool is_in(const struct backend *be)
{
	return backend_is_usable(be) && !is_out(be) && !outlier_is_taken(be);
}

/* Its time is over. */
static void expire(const struct backend *be)
{
	atomic_store(&be->rt->outlier.until_ms, clock_now_ms() - 1);
}

static uint64_t left_ms(const struct backend *be)
{
	return atomic_load(&be->rt->outlier.until_ms) - clock_now_ms();
}

static bool is_about(uint64_t ms, uint64_t want)
{
	return ms <= want && ms > want - 60000;
}

static void test_one_pool_for_all(void **state)
{
	struct world *w = *state;

	for (unsigned i = 1; i < BACKENDS; i++)
		assert_ptr_equal(w->backends[i].rt->of, w->pool.rt);
	runtime_sweep(w->rt);
	assert_string_equal(w->pool.rt->name, "p");
}

static void test_in_a_row(void **state)
{
	struct world *w = *state;
	struct backend *be = &w->backends[0];

	note(be, OUTLIER_5XX, 2);
	note(be, OUTLIER_GOOD, 1);
	note(be, OUTLIER_GATEWAY, 2);
	assert_true(is_in(be));
	note(be, OUTLIER_5XX, 1);
	assert_true(is_out(be));
	assert_false(is_in(be));
	/* What began before changes nothing. */
	note(be, OUTLIER_GOOD, 10);
	assert_true(is_out(be));
	w->pool.outlier = (struct outlier_conf){0};
	assert_true(is_in(be));
}

static void test_gateway_errors_apart(void **state)
{
	struct world *w = *state;
	struct backend *be = &w->backends[0];

	w->pool.outlier.consecutive = 0;
	w->pool.outlier.gateway = 2;
	note(be, OUTLIER_5XX, 10);
	note(be, OUTLIER_GATEWAY, 1);
	note(be, OUTLIER_5XX, 1);
	note(be, OUTLIER_GATEWAY, 1);
	assert_true(is_in(be));
	note(be, OUTLIER_GATEWAY, 1);
	assert_false(is_in(be));
}

static void test_trial(void **state)
{
	struct world *w = *state;
	struct backend *be = &w->backends[0];

	assert_false(outlier_try(be));
	note(be, OUTLIER_5XX, 3);
	assert_true(is_about(left_ms(be), HOUR_MS));
	for (unsigned times = 2; times <= 12; times++) {
		uint64_t want = (times < 10 ? times : 10) * (uint64_t)HOUR_MS;

		expire(be);
		assert_true(is_in(be));
		assert_true(outlier_try(be));
		assert_false(outlier_try(be));
		assert_false(is_in(be));
		outlier_note(be, OUTLIER_5XX, 1, true);
		assert_true(is_about(left_ms(be), want));
	}
	expire(be);
	assert_true(outlier_try(be));
	outlier_forget(be); /* nothing is known: another one */
	assert_true(outlier_try(be));
	outlier_note(be, OUTLIER_GOOD, 1, true);
	assert_true(is_in(be));
	assert_int_equal(atomic_load(&be->rt->outlier.until_ms), 0);
	/* It has not been good for long: the time goes on growing. */
	note(be, OUTLIER_5XX, 3);
	assert_true(is_about(left_ms(be), 10 * HOUR_MS));
}

static void test_time_shrinks(void **state)
{
	struct world *w = *state;
	struct backend *be = &w->backends[0];

	atomic_store(&be->rt->outlier.times, 4);
	atomic_store(&be->rt->outlier.back_ms, clock_now_ms() - 2);
	w->pool.outlier.base_ms = 1;
	note(be, OUTLIER_5XX, 3);
	assert_true(atomic_load(&be->rt->outlier.times) <= 3);
}

static void test_share(void **state)
{
	struct world *w = *state;
	unsigned out = 0;

	for (unsigned i = 0; i < BACKENDS; i++)
		note(&w->backends[i], OUTLIER_5XX, 3);
	for (unsigned i = 0; i < BACKENDS; i++)
		out += is_out(&w->backends[i]);
	assert_int_equal(out, 2);
	assert_int_equal(atomic_load(&w->pool.rt->refused[POOL_REFUSAL_EJECTIONS]), 2);
}

static void test_never_the_last_one(void **state)
{
	struct world *w = *state;

	w->pool.outlier.max_ejected = 100;
	w->backends[1].admin = ADMIN_DRAIN;
	w->backends[2].weight = 0;
	atomic_store(&w->backends[3].rt->health, HEALTH_DOWN);
	note(&w->backends[0], OUTLIER_5XX, 10);
	assert_true(is_in(&w->backends[0]));
	atomic_store(&w->backends[3].rt->health, HEALTH_UP);
	note(&w->backends[0], OUTLIER_5XX, 3);
	assert_false(is_in(&w->backends[0]));
}

/* The interval ends with the next request. */
static void end_interval(const struct backend *be)
{
	atomic_store(&be->rt->outlier.interval_end_ms, 0);
	outlier_note(be, OUTLIER_GOOD, 1, false);
}

static void test_error_rate(void **state)
{
	struct world *w = *state;
	struct backend *be = &w->backends[0];

	w->pool.outlier.consecutive = 0;
	w->pool.outlier.error_rate = 50;
	end_interval(be);
	note(be, OUTLIER_5XX, 1);
	note(be, OUTLIER_GOOD, 3);
	end_interval(be); /* 1 of 5 */
	assert_true(is_in(be));
	note(be, OUTLIER_5XX, 2); /* 2 of 3: too few */
	end_interval(be);
	assert_true(is_in(be));
	note(be, OUTLIER_5XX, 3); /* 3 of 4 */
	end_interval(be);
	assert_false(is_in(be));
}

static void test_latency(void **state)
{
	struct world *w = *state;

	w->pool.outlier.consecutive = 0;
	w->pool.outlier.latency = 300;
	for (unsigned i = 0; i < BACKENDS; i++)
		end_interval(&w->backends[i]);
	for (unsigned i = 0; i < BACKENDS; i++)
		for (unsigned k = 0; k < 9; k++)
			outlier_note(&w->backends[i], OUTLIER_GOOD, i == 2 ? 50 : 10, false);
	for (unsigned i = 0; i < BACKENDS; i++)
		end_interval(&w->backends[i]);
	for (unsigned i = 0; i < BACKENDS; i++)
		assert_int_equal(is_out(&w->backends[i]), i == 2);
}

static void test_limits(void **state)
{
	struct world *w = *state;
	struct claims claims[3] = {{0}};
	bool taken[3];

	w->pool.limits = (struct pool_limits){.requests = 2, .pending = 1};
	assert_true(breaker_take_request(&w->pool, &taken[0]));
	assert_true(breaker_take_request(&w->pool, &taken[1]));
	assert_false(breaker_take_request(&w->pool, &taken[2]));
	breaker_give_request(&w->pool, &taken[0]);
	breaker_give_request(&w->pool, &taken[0]);
	assert_true(breaker_take_request(&w->pool, &taken[2]));
	assert_false(breaker_take_request(&w->pool, &taken[0]));

	breaker_try(&w->backends[0], &claims[0]);
	assert_true(breaker_wait(&w->backends[0], &claims[0]));
	assert_false(breaker_wait(&w->backends[1], &claims[1]));
	breaker_go(&w->backends[0], &claims[0]);
	assert_true(breaker_wait(&w->backends[1], &claims[1]));
	breaker_end(&w->backends[1], &claims[1]);
	breaker_end(&w->backends[0], &claims[0]);
	breaker_end(&w->backends[0], &claims[0]);
	assert_int_equal(atomic_load(&w->pool.rt->pending), 0);
	assert_int_equal(atomic_load(&w->pool.rt->refused[POOL_REFUSAL_REQUESTS]), 2);
	assert_int_equal(atomic_load(&w->pool.rt->refused[POOL_REFUSAL_PENDING]), 1);
}

static void test_connections(void **state)
{
	struct world *w = *state;
	struct pool_limits l = {.connections = 3, .backend_connections = 2};

	assert_true(breaker_take_connection(&l, w->backends[0].rt));
	assert_true(breaker_take_connection(&l, w->backends[0].rt));
	assert_false(breaker_take_connection(&l, w->backends[0].rt));
	assert_true(breaker_take_connection(&l, w->backends[1].rt));
	assert_false(breaker_take_connection(&l, w->backends[1].rt));
	assert_int_equal(atomic_load(&w->backends[1].rt->connections), 1);
	breaker_give_connection(w->backends[0].rt);
	assert_true(breaker_take_connection(&l, w->backends[1].rt));
	assert_int_equal(atomic_load(&w->pool.rt->connections), 3);
	assert_int_equal(atomic_load(&w->pool.rt->refused[POOL_REFUSAL_CONNECTIONS]), 2);
}

static void test_budget(void **state)
{
	struct world *w = *state;
	struct retry_conf retry = {.budget_percent = 20, .budget_min = 2};

	assert_true(breaker_take_retry(&w->pool, &retry, 2));
	assert_true(breaker_take_retry(&w->pool, &retry, 2));
	assert_false(breaker_take_retry(&w->pool, &retry, 2));
	/* 20 requests in two workers, 5 of them done. */
	counter_add(&w->backends[0].rt->counters[0].active_up, 12);
	counter_add(&w->backends[0].rt->counters[0].active_down, 5);
	counter_add(&w->backends[3].rt->counters[1].active_up, 8);
	assert_true(breaker_take_retry(&w->pool, &retry, 2));
	assert_false(breaker_take_retry(&w->pool, &retry, 2));
	w->pool.limits.retries = 3;
	retry.budget_percent = 100;
	assert_false(breaker_take_retry(&w->pool, &retry, 2));
	breaker_give_retry(&w->pool);
	assert_true(breaker_take_retry(&w->pool, &retry, 2));
	assert_int_equal(atomic_load(&w->pool.rt->retries), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_outlier, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_pool_for_all),
		TEST(test_in_a_row),
		TEST(test_gateway_errors_apart),
		TEST(test_trial),
		TEST(test_time_shrinks),
		TEST(test_share),
		TEST(test_error_rate),
		TEST(test_never_the_last_one),
		TEST(test_latency),
		TEST(test_limits),
		TEST(test_connections),
		TEST(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
