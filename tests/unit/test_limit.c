/* SPDX-License-Identifier: BSD-2-Clause */
/* Rate limits: how exact they are by a clock of ours, and what a table does that is too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "limit/hash.h"
#include "limit/table.h"

#define MS     1000000ULL
#define SECOND (1000 * MS)
#define START  (12345 * SECOND + 678 * MS)

static const struct meter bucket = {METER_TOKEN_BUCKET, 100, 1000, 20};
static const struct meter window = {METER_SLIDING_WINDOW, 100, 1000, 0};
static const struct meter leaky = {METER_LEAKY_BUCKET, 100, 1000, 20};

static unsigned take_at_once(const struct meter *m, _Atomic uint64_t *word, uint64_t now)
{
	unsigned n = 0;

	while (!meter_take(m, word, now).is_refused)
		assert_true(++n < 2 * METER_COUNT_MAX);
	return n;
}

/* Far more than is taken, and at odd times: how many are, in that time? */
static uint64_t flood(const struct meter *m, _Atomic uint64_t *word, uint64_t from, uint64_t time)
{
	uint64_t step = (uint64_t)m->period_ms * MS / m->count / 7 + 1, n = 0;

	for (uint64_t now = from; now < from + time; now += step + now % 13)
		n += !meter_take(m, word, now).is_refused;
	return n;
}

static void assert_near(uint64_t found, uint64_t wanted)
{
	if (found * 100 < wanted * 98 || found * 100 > wanted * 102)
		fail_msg("%lu is not within 2 %% of %lu", found, wanted);
}

static void test_burst_then_rate(void **state)
{
	_Atomic uint64_t word = 0;
	struct meter_answer a;

	(void)state;
	assert_int_equal(meter_take(&bucket, &word, START).left, 19);
	assert_int_equal(take_at_once(&bucket, &word, START), 19);
	a = meter_take(&bucket, &word, START);
	assert_int_equal(a.wait_ns, 10 * MS);
	assert_true(meter_take(&bucket, &word, START + 10 * MS - 1).is_refused);
	assert_false(meter_take(&bucket, &word, START + 10 * MS).is_refused);
	/* Idle for long, it is full again, and no fuller. */
	assert_int_equal(take_at_once(&bucket, &word, START + SECOND), 20);
}

static void test_rates_are_kept(void **state)
{
	static const struct meter meters[] = {
		{METER_TOKEN_BUCKET, 100, 1000, 1},	  {METER_TOKEN_BUCKET, 7, 1000, 1},
		{METER_TOKEN_BUCKET, 300, 60000, 1},	  {METER_TOKEN_BUCKET, 999983, 1000, 10},
		{METER_SLIDING_WINDOW, 100, 1000, 0},	  {METER_SLIDING_WINDOW, 300, 60000, 0},
		{METER_SLIDING_WINDOW, 1000000, 1000, 0}, {METER_LEAKY_BUCKET, 100, 1000, 0},
		{METER_LEAKY_BUCKET, 3000, 1000, 50},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(meters) / sizeof(meters[0]); i++) {
		const struct meter *m = &meters[i];
		uint64_t periods = m->count > 10000 ? 2 : 200;
		uint64_t time = periods * m->period_ms * MS;
		_Atomic uint64_t word = 0;

		/* From a state of its own: what may come at once has come. */
		(void)flood(m, &word, START, 2 * m->period_ms * MS);
		assert_near(flood(m, &word, START + 2 * m->period_ms * MS, time),
			    periods * m->count);
	}
}

static void test_window_counts_the_period_before(void **state)
{
	_Atomic uint64_t word = 0;
	uint64_t begin = START / SECOND * SECOND;

	(void)state;
	/* All at the end of a period: none at the start of the next one, as the last second had them. */
	assert_int_equal(take_at_once(&window, &word, begin + 990 * MS), 100);
	assert_int_equal(take_at_once(&window, &word, begin + SECOND), 0);
	assert_in_range(take_at_once(&window, &word, begin + SECOND + 500 * MS), 49, 51);
	assert_int_equal(take_at_once(&window, &word, begin + 4 * SECOND), 100);
}

/* Who waits as long as he is told to is taken, and had he come much sooner he would not have been. */
static void test_the_wait_is_true(void **state)
{
	static const struct meter *const meters[] = {&bucket, &window, &leaky};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned ms = 1; ms < 1000; ms += 37) {
			_Atomic uint64_t word = 0, copy;
			uint64_t now = START + ms * MS;
			struct meter_answer a;

			(void)take_at_once(meters[i], &word, now - 600 * MS);
			(void)take_at_once(meters[i], &word, now);
			a = meter_take(meters[i], &word, now);
			assert_true(a.is_refused && a.wait_ns > 0);
			copy = word;
			assert_false(meter_take(meters[i], &copy, now + a.wait_ns + MS).is_refused);
			copy = word;
			if (a.wait_ns > 2 * MS)
				assert_true(meter_take(meters[i], &copy, now + a.wait_ns - 2 * MS)
						    .is_refused);
		}
	}
}

static void test_leaky_bucket_queues(void **state)
{
	_Atomic uint64_t word = 0;

	(void)state;
	for (unsigned i = 0; i <= 20; i++)
		assert_int_equal(meter_take(&leaky, &word, START).wait_ns, i * 10 * MS);
	assert_true(meter_take(&leaky, &word, START).is_refused);
	assert_int_equal(meter_take(&leaky, &word, START + 10 * MS).wait_ns, 200 * MS);
	assert_int_equal(meter_longest_wait_ms(&leaky), 200);
}

static void test_weight(void **state)
{
	static const struct meter *const meters[] = {&bucket, &window, &leaky};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		_Atomic uint64_t word = 0;
		uint64_t one;

		(void)meter_take(meters[i], &word, START);
		one = meter_weight(meters[i], word, START);
		(void)meter_take(meters[i], &word, START);
		assert_true(one > 0 && meter_weight(meters[i], word, START) > one);
		assert_int_equal(meter_weight(meters[i], word, START + 3 * SECOND), 0);
	}
}

static void test_table_is_bounded(void **state)
{
	const uint64_t seed[2] = {1, 2};
	unsigned lost_count = 0;
	struct limit_table t;
	bool lost;

	(void)state;
	assert_int_equal(limit_table_init(&t, 1000), 0);
	assert_int_equal(t.sets * LIMIT_WAYS, 1000);
	for (uint64_t i = 0; i < 5000; i++) {
		struct limit_hash h = limit_hash_begin(seed);
		uint64_t key;

		limit_hash_add(&h, (struct slice){(const char *)&i, sizeof(i)});
		key = limit_hash_end(&h);
		(void)meter_take(&bucket, limit_table_find(&t, key, &bucket, START, &lost), START);
		lost_count += lost;
	}
	assert_int_equal(limit_table_live(&t, &bucket, START), 1000);
	assert_int_equal(lost_count, 4000);
	/* Those that are idle make room in silence. */
	(void)limit_table_find(&t, 77, &bucket, START + SECOND, &lost);
	assert_false(lost);
	assert_int_equal(limit_table_live(&t, &bucket, START + SECOND), 0);
	limit_table_deinit(&t);
}

static void test_table_keeps_who_uses_most(void **state)
{
	_Atomic uint64_t *heavy;
	struct limit_table t;
	bool lost;

	(void)state;
	assert_int_equal(limit_table_init(&t, LIMIT_WAYS), 0);
	heavy = limit_table_find(&t, 1000, &bucket, START, &lost);
	assert_int_equal(take_at_once(&bucket, heavy, START), 20);
	for (uint64_t key = 1; key < 500; key++)
		(void)meter_take(&bucket, limit_table_find(&t, key, &bucket, START, &lost), START);
	assert_ptr_equal(limit_table_find(&t, 1000, &bucket, START, &lost), heavy);
	assert_false(lost);
	assert_true(meter_take(&bucket, heavy, START).is_refused);
	limit_table_deinit(&t);
}

/* ---- threads ---- */

#define THREADS 4
#define KEYS	16

struct crowd {
	struct limit_table table;
	_Atomic unsigned taken[KEYS];
};

static void *take_all(void *arg)
{
	struct crowd *c = arg;
	bool lost;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned key = i % KEYS;
		_Atomic uint64_t *word = limit_table_find(
			&c->table, (key + 1) * 0x123456789abcdefULL, &bucket, START, &lost);

		if (!meter_take(&bucket, word, START).is_refused)
			atomic_fetch_add(&c->taken[key], 1);
	}
	return NULL;
}

static void test_threads_share_one_account(void **state)
{
	struct crowd c = {0};
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(limit_table_init(&c.table, 1024), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_all, &c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < KEYS; i++)
		assert_int_equal(c.taken[i], 20);
	limit_table_deinit(&c.table);
}

static uint64_t hash(const char *a, const char *b)
{
	const uint64_t seed[2] = {3, 4};
	struct limit_hash h = limit_hash_begin(seed);

	limit_hash_add(&h, (struct slice){a, strlen(a)});
	limit_hash_add(&h, (struct slice){b, strlen(b)});
	return limit_hash_end(&h);
}

static void test_hash(void **state)
{
	(void)state;
	assert_true(hash("a", "bc") != hash("ab", "c"));
	assert_true(hash("", "abcdefgh") != hash("abcdefgh", ""));
	assert_true(hash("abcdefgh", "x") == hash("abcdefgh", "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_rate),
		cmocka_unit_test(test_rates_are_kept),
		cmocka_unit_test(test_window_counts_the_period_before),
		cmocka_unit_test(test_the_wait_is_true),
		cmocka_unit_test(test_leaky_bucket_queues),
		cmocka_unit_test(test_weight),
		cmocka_unit_test(test_table_is_bounded),
		cmocka_unit_test(test_table_keeps_who_uses_most),
		cmocka_unit_test(test_threads_share_one_account),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
