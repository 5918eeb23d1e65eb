/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring that lines pass through: order, ends, and two threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "log/ring.h"

#define SIZE  1024U
#define LINES 200000U

static int tag;

static void pop_is(struct log_ring *r, const char *expected)
{
	const char *line;
	void *got;
	size_t len;

	assert_true(log_ring_peek(r, &got, &line, &len));
	assert_ptr_equal(got, &tag);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(line, expected, len);
	log_ring_drop(r);
}

static void test_order(void **state)
{
	struct log_ring *r = log_ring_new(SIZE);
	const char *line;
	void *got;
	size_t len;

	(void)state;
	assert_false(log_ring_peek(r, &got, &line, &len));
	assert_true(log_ring_is_empty(r));
	assert_true(log_ring_push(r, &tag, "one", 3));
	assert_true(log_ring_push(r, &tag, "", 0));
	assert_true(log_ring_push(r, &tag, "three", 5));
	assert_false(log_ring_is_empty(r));
	pop_is(r, "one");
	pop_is(r, "");
	pop_is(r, "three");
	assert_true(log_ring_is_empty(r));
	log_ring_free(r);
	log_ring_free(NULL);
}

/* Lines of all lengths, at all places, the ring as full as it gets. */
static void test_round_and_round(void **state)
{
	struct log_ring *r = log_ring_new(SIZE);
	char text[SIZE];
	size_t pushed = 0, popped = 0, refused = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	while (popped < 5000) {
		const char *line;
		void *got;
		size_t len;

		if (log_ring_push(r, &tag, text, pushed * 7 % 300)) {
			pushed++;
			continue;
		}
		refused++;
		assert_true(log_ring_peek(r, &got, &line, &len));
		assert_int_equal(len, popped * 7 % 300);
		log_ring_drop(r);
		popped++;
	}
	assert_true(refused > 0);
	assert_false(log_ring_push(r, &tag, text, SIZE / 2));
	log_ring_free(r);
}

static void *push_all(void *arg)
{
	char line[64];

	for (unsigned i = 0; i < LINES; i++) {
		int n = snprintf(line, sizeof(line), "%u%.*s", i, (int)(i % 40),
				 "........................................");

		while (!log_ring_push(arg, &tag, line, (size_t)n))
			(void)sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct log_ring *r = log_ring_new(SIZE);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, push_all, r), 0);
	for (unsigned i = 0; i < LINES;) {
		char expected[64];
		const char *line;
		void *got;
		size_t len;
		int n;

		if (!log_ring_peek(r, &got, &line, &len)) {
			(void)sched_yield();
			continue;
		}
		n = snprintf(expected, sizeof(expected), "%u%.*s", i, (int)(i % 40),
			     "........................................");
		if ((int)len != n || memcmp(line, expected, len) != 0)
			fail_msg("line %u is %.*s", i, (int)len, line);
		log_ring_drop(r);
		i++;
	}
	(void)pthread_join(thread, NULL);
	log_ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_round_and_round),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
