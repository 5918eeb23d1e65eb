/* SPDX-License-Identifier: BSD-2-Clause */
/* The copy of exact service keys: what a packet would find in it, beside sh_services itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/maps_exact.c"

#define KEYS 2000

/* sh_services, and one process's hold of the tables. */
static struct {
	struct maps_service_row rows[KEYS];
	size_t count;
	struct shunt_exact_bucket buckets[SHUNT_EXACT_BUCKETS];
	struct shunt_exact_row exact[SHUNT_EXACT_ROWS];
	struct loader loader;
} k;

int maps_service_list(struct loader *l, struct maps_service_row **ret_rows, size_t *ret_count)
{
	(void)l;
	*ret_rows = calloc(k.count + 1, sizeof(**ret_rows));
	assert_non_null(*ret_rows);
	memcpy(*ret_rows, k.rows, k.count * sizeof(*k.rows));
	*ret_count = k.count;
	return 0;
}

int maps_wait_for_packets(void)
{
	return 0;
}

static void start(void)
{
	memset(&k.loader, 0, sizeof(k.loader));
	k.loader.mapped[LOADER_MAP_EXACT] = k.buckets;
	k.loader.mapped[LOADER_MAP_EXACT_ROWS] = k.exact;
	assert_int_equal(exact_open(&k.loader), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	start();
	return 0;
}

static struct shunt_vip_key key_of(uint32_t n)
{
	return (struct shunt_vip_key){
		.addr = {n * 2654435761U}, .port = 80, .proto = 6, .family = 4};
}

static void set(const struct shunt_vip_key *key, uint32_t index)
{
	struct shunt_service svc = {.index = index};
	size_t at = 0;

	while (at < k.count && memcmp(&k.rows[at].key, key, sizeof(*key)) != 0)
		at++;
	k.count += at == k.count;
	k.rows[at] = (struct maps_service_row){*key, svc};
	exact_set(&k.loader, key, &svc);
}

static void unset(const struct shunt_vip_key *key)
{
	exact_remove(&k.loader, key);
	for (size_t at = 0; at < k.count; at++) {
		if (memcmp(&k.rows[at].key, key, sizeof(*key)) == 0)
			k.rows[at] = k.rows[--k.count];
	}
}

/* As bpf/service.h does it. The record's index; -1: there is none. */
static int look_up(const struct shunt_vip_key *key, bool *ret_slow)
{
	const struct shunt_exact_bucket *b = &k.buckets[bucket_of(key)];

	*ret_slow = false;
	for (int way = 0; way < SHUNT_EXACT_WAYS; way++) {
		if (b->way[way] == SHUNT_EXACT_END)
			return -1;
		if (b->way[way] == 0)
			break;
		if (memcmp(&k.exact[b->way[way] - 1].key, key, sizeof(*key)) == 0)
			return (int)k.exact[b->way[way] - 1].service.index;
	}
	*ret_slow = true;
	for (size_t at = 0; at < k.count; at++) {
		if (memcmp(&k.rows[at].key, key, sizeof(*key)) == 0)
			return (int)k.rows[at].svc.index;
	}
	return -1;
}

/* Every key below `keys` is found with the record that it has, or not at all. Returns how many ended
 * in sh_services. */
static unsigned check(uint32_t keys)
{
	unsigned slow = 0;

	for (uint32_t n = 0; n < keys; n++) {
		struct shunt_vip_key key = key_of(n);
		int expected = -1;
		bool was_slow;

		for (size_t at = 0; at < k.count; at++) {
			if (memcmp(&k.rows[at].key, &key, sizeof(key)) == 0)
				expected = (int)k.rows[at].svc.index;
		}
		assert_int_equal(look_up(&key, &was_slow), expected);
		slow += was_slow;
	}
	return slow;
}

static void test_as_many_as_there_can_be(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < SHUNT_MAX_SERVICES; n++) {
		struct shunt_vip_key key = key_of(n);

		set(&key, n);
	}
	assert_true(check(KEYS) < 5);
	for (uint32_t n = 0; n < SHUNT_MAX_SERVICES; n += 2) {
		struct shunt_vip_key key = key_of(n);

		unset(&key);
	}
	assert_true(check(KEYS) < 5);
}

static void test_records_are_replaced(void **state)
{
	struct shunt_vip_key key = key_of(1);

	(void)state;
	for (uint32_t round = 0; round < 3 * SHUNT_EXACT_ROWS; round++) {
		set(&key, round);
		assert_int_equal(check(3), 0);
	}
}

static void test_ranges_and_prefixes_are_not_in_it(void **state)
{
	struct shunt_vip_key range = key_of(1), prefix = key_of(2);

	(void)state;
	range.port_hi = 90;
	prefix.prefix_len = 24;
	exact_set(&k.loader, &range, &(struct shunt_service){0});
	exact_set(&k.loader, &prefix, &(struct shunt_service){0});
	for (uint32_t at = 0; at < SHUNT_EXACT_BUCKETS; at++)
		assert_int_equal(k.buckets[at].way[0], SHUNT_EXACT_END);
	exact_remove(&k.loader, &range);
}

/* More keys of one bucket than it has ways. */
static size_t find_crowd(struct shunt_vip_key crowd[SHUNT_EXACT_WAYS + 2])
{
	uint32_t bucket = 0;
	size_t n = 0;

	for (uint32_t port = 0; n < SHUNT_EXACT_WAYS + 2; port++) {
		struct shunt_vip_key key = key_of(port >> 16);

		assert_true(port < UINT32_MAX);
		key.port = (uint16_t)port;
		if (n == 0)
			bucket = bucket_of(&key);
		if (bucket_of(&key) == bucket)
			crowd[n++] = key;
	}
	return n;
}

static void test_a_bucket_that_overflows(void **state)
{
	struct shunt_vip_key crowd[SHUNT_EXACT_WAYS + 2];
	size_t n = find_crowd(crowd);
	bool slow;

	(void)state;
	for (size_t i = 0; i < n; i++)
		set(&crowd[i], (uint32_t)i);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(look_up(&crowd[i], &slow), i);
	for (size_t gone = 0; gone < n; gone++) {
		unset(&crowd[gone]);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(look_up(&crowd[i], &slow), i > gone ? (int)i : -1);
	}
	for (size_t i = 0; i < n; i++)
		set(&crowd[i], (uint32_t)i);
	start();
	for (size_t i = 0; i < n; i++)
		assert_int_equal(look_up(&crowd[i], &slow), i);
}

/* Room that comes back does not hide those which found none. */
static void test_a_bucket_that_was_full_fills_again(void **state)
{
	struct shunt_vip_key crowd[SHUNT_EXACT_WAYS + 2];
	size_t n = find_crowd(crowd);
	bool slow;

	(void)state;
	for (size_t i = 0; i + 1 < n; i++)
		set(&crowd[i], (uint32_t)i);
	unset(&crowd[0]);
	unset(&crowd[1]);
	set(&crowd[n - 1], (uint32_t)n - 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(look_up(&crowd[i], &slow), i > 1 ? (int)i : -1);
}

/* A process can die anywhere, and pins can be lost. */
static void test_what_is_found_at_the_start(void **state)
{
	struct shunt_vip_key key;

	(void)state;
	for (uint32_t n = 0; n < 100; n++) {
		key = key_of(n);
		set(&key, n);
	}
	start();
	assert_int_equal(check(KEYS), 0);
	/* Written there and not here; deleted there and not here; replaced there and not here. */
	k.rows[k.count++] = (struct maps_service_row){key_of(500), {.index = 500}};
	k.rows[3] = k.rows[--k.count];
	k.rows[7].svc.index = 700;
	start();
	assert_int_equal(check(KEYS), 0);
	memset(k.buckets, 0, sizeof(k.buckets));
	memset(k.exact, 0, sizeof(k.exact));
	(void)check(KEYS);
	start();
	assert_int_equal(check(KEYS), 0);
	memset(k.buckets, 0x5a, sizeof(k.buckets));
	start();
	assert_int_equal(check(KEYS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_as_many_as_there_can_be, setup),
		cmocka_unit_test_setup(test_records_are_replaced, setup),
		cmocka_unit_test_setup(test_ranges_and_prefixes_are_not_in_it, setup),
		cmocka_unit_test_setup(test_a_bucket_that_overflows, setup),
		cmocka_unit_test_setup(test_a_bucket_that_was_full_fills_again, setup),
		cmocka_unit_test_setup(test_what_is_found_at_the_start, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
