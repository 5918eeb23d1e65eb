/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of session tickets: workers agree, and what is over is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tls/tickets.h"

#define ROTATION 1000
#define START	 5000

static const unsigned char secret[TLS_SECRET_LEN] = "of all workers";
static const unsigned char web[32] = "web", other[32] = "other";

static struct tls_tickets begin(void)
{
	struct tls_tickets t;

	assert_true(tls_tickets_init(&t, secret, START, ROTATION));
	return t;
}

static struct tls_ticket_key key_at(struct tls_tickets *t, uint64_t now_ms)
{
	struct tls_ticket_key key;

	(void)tls_tickets_advance(t, now_ms);
	assert_true(tls_tickets_key(t, web, &key));
	return key;
}

static void test_workers_agree_whenever_they_look(void **state)
{
	struct tls_tickets busy = begin(), idle = begin();
	struct tls_ticket_key a, b;

	(void)state;
	for (uint64_t now = START; now < START + 10 * ROTATION; now += 300)
		(void)key_at(&busy, now);
	a = key_at(&busy, START + 10 * ROTATION);
	b = key_at(&idle, START + 10 * ROTATION + 999);
	assert_memory_equal(&a, &b, sizeof(a));
}

static void test_another_process_goes_on_with_them(void **state)
{
	struct tls_tickets t = begin(), next;
	struct tls_ticket_state saved;
	struct tls_ticket_key first = key_at(&t, START), second = key_at(&t, START + ROTATION),
			      found;

	(void)state;
	tls_tickets_save(&t, &saved);
	tls_tickets_restore(&next, &saved);
	assert_int_equal(tls_tickets_find(&next, web, first.name, &found), 2);
	assert_memory_equal(&first, &found, sizeof(first));
	assert_int_equal(tls_tickets_find(&next, web, second.name, &found), 1);
	first = key_at(&t, START + 2 * ROTATION);
	second = key_at(&next, START + 2 * ROTATION);
	assert_memory_equal(&first, &second, sizeof(first));
}

static void test_a_key_is_good_for_two_epochs(void **state)
{
	struct tls_tickets t = begin();
	struct tls_ticket_key key = key_at(&t, START), found;

	(void)state;
	assert_int_equal(tls_tickets_find(&t, web, key.name, &found), 1);
	assert_memory_equal(&key, &found, sizeof(key));
	assert_int_equal(tls_tickets_advance(&t, START + ROTATION + 400), 600);
	assert_int_equal(tls_tickets_find(&t, web, key.name, &found), 2);
	assert_memory_equal(&key, &found, sizeof(key));
	(void)tls_tickets_advance(&t, START + 2 * ROTATION);
	assert_int_equal(tls_tickets_find(&t, web, key.name, &found), 0);
}

static void test_keys_of_the_future_and_of_others_are_unknown(void **state)
{
	struct tls_tickets t = begin(), ahead = begin(), foreign;
	unsigned char another[TLS_SECRET_LEN] = "of another daemon";
	struct tls_ticket_key found, key = key_at(&ahead, START + ROTATION);

	(void)state;
	assert_int_equal(tls_tickets_find(&t, web, key.name, &found), 0);
	assert_true(tls_tickets_init(&foreign, another, START, ROTATION));
	key = key_at(&foreign, START);
	assert_int_equal(tls_tickets_find(&t, web, key.name, &found), 0);
}

static void test_services_have_keys_of_their_own(void **state)
{
	struct tls_tickets t = begin();
	struct tls_ticket_key key = key_at(&t, START), found;

	(void)state;
	assert_int_equal(tls_tickets_find(&t, other, key.name, &found), 1);
	assert_memory_not_equal(key.cipher, found.cipher, sizeof(key.cipher));
	assert_memory_not_equal(key.mac, found.mac, sizeof(key.mac));
}

static bool holds(const struct tls_tickets *t, const unsigned char *bytes)
{
	for (size_t at = 0; at + TLS_SECRET_LEN <= sizeof(*t); at++)
		if (!memcmp((const char *)t + at, bytes, TLS_SECRET_LEN))
			return true;
	return false;
}

static void test_what_is_over_is_forgotten(void **state)
{
	struct tls_tickets t = begin();
	struct tls_tickets first = t;
	struct tls_ticket_key key = key_at(&t, START), later;

	(void)state;
	assert_false(holds(&t, secret));
	assert_true(holds(&t, key.cipher) && holds(&t, key.mac));
	assert_true(holds(&t, first.secrets[0]));
	(void)tls_tickets_advance(&t, START + ROTATION);
	assert_true(holds(&t, first.secrets[0])); /* for tickets of the epoch before */
	assert_false(holds(&t, first.chain));
	assert_false(holds(&t, key.cipher) || holds(&t, key.mac));
	assert_int_equal(tls_tickets_find(&t, web, key.name, &later), 2);
	assert_memory_equal(&key, &later, sizeof(key));
	assert_true(holds(&t, key.cipher) && holds(&t, key.mac));
	(void)tls_tickets_advance(&t, START + 2 * ROTATION);
	assert_false(holds(&t, first.secrets[0]));
	assert_false(holds(&t, key.cipher) || holds(&t, key.mac));
}

/* More of them than are kept, in turn. */
static void test_many_services(void **state)
{
	struct tls_tickets t = begin();
	struct tls_ticket_key keys[3 * TLS_TICKET_KEYS], key;
	unsigned char id[32] = {0};

	(void)state;
	for (int turn = 0; turn < 2; turn++)
		for (unsigned char i = 0; i < 3 * TLS_TICKET_KEYS; i++) {
			id[0] = id[31] = i;
			assert_true(tls_tickets_key(&t, id, turn ? &key : &keys[i]));
			if (turn)
				assert_memory_equal(&key, &keys[i], sizeof(key));
			if (i)
				assert_memory_not_equal(keys[i].cipher, keys[i - 1].cipher,
							sizeof(key.cipher));
			assert_int_equal(tls_tickets_find(&t, id, keys[i].name, &key), 1);
			assert_memory_equal(&key, &keys[i], sizeof(key));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_services),
		cmocka_unit_test(test_workers_agree_whenever_they_look),
		cmocka_unit_test(test_another_process_goes_on_with_them),
		cmocka_unit_test(test_a_key_is_good_for_two_epochs),
		cmocka_unit_test(test_keys_of_the_future_and_of_others_are_unknown),
		cmocka_unit_test(test_services_have_keys_of_their_own),
		cmocka_unit_test(test_what_is_over_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
