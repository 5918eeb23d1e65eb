/* SPDX-License-Identifier: BSD-2-Clause */
/* Early data is good once for each ticket, for as long as it could come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls/replay.h"

#define START 1000000U

static int setup(void **state)
{
	struct tls_replay *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	tls_replay_init(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	tls_replay_deinit(*state);
	free(*state);
	return 0;
}

static bool is_first(struct tls_replay *r, uint32_t n, uint64_t now_ms)
{
	unsigned char key[TLS_REPLAY_KEY_LEN] = {0};

	memcpy(key, &n, sizeof(n));
	memcpy(key + 8, &n, sizeof(n));
	key[15] = 1;
	return tls_replay_is_first(r, key, now_ms);
}

static void test_once(void **state)
{
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(is_first(*state, i, START));
		assert_false(is_first(*state, i, START));
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_false(is_first(*state, i, START + 1));
}

/* Wherever in the life of a set it came, it is known for the whole time. */
static void test_kept_long_enough(void **state)
{
	for (unsigned at = 0; at < 3 * TLS_REPLAY_KEPT_MS; at += 777) {
		uint64_t now = START + at;

		assert_true(is_first(*state, at, now));
		assert_false(is_first(*state, at, now + TLS_REPLAY_KEPT_MS - 1));
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

static void test_forgotten_at_last(void **state)
{
	assert_true(is_first(*state, 1, START));
	assert_true(is_first(*state, 2, START + TLS_REPLAY_KEPT_MS));
	assert_false(is_first(*state, 1, START + TLS_REPLAY_KEPT_MS));
	assert_true(is_first(*state, 1, START + 2 * TLS_REPLAY_KEPT_MS));
	assert_true(is_first(*state, 2, START + 10 * TLS_REPLAY_KEPT_MS));
}

/* Keys that want the same place. */
static void test_neighbours(void **state)
{
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(is_first(*state, 7 + i * TLS_REPLAY_PLACES, START));
	for (uint32_t i = 0; i < 1000; i++)
		assert_false(is_first(*state, 7 + i * TLS_REPLAY_PLACES, START));
}

static void test_full_refuses(void **state)
{
	uint32_t n = TLS_REPLAY_PLACES / 2;

	for (uint32_t i = 0; i < n; i++)
		assert_true(is_first(*state, i, START));
	assert_false(is_first(*state, n, START));
	assert_true(is_first(*state, n, START + TLS_REPLAY_KEPT_MS));
	assert_false(is_first(*state, 0, START + TLS_REPLAY_KEPT_MS));
}

static void test_no_key(void **state)
{
	const unsigned char none[TLS_REPLAY_KEY_LEN] = {0};

	assert_false(tls_replay_is_first(*state, none, START));
	assert_false(tls_replay_is_first(*state, none, START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_long_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_at_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_key, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
