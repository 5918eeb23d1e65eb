/* SPDX-License-Identifier: BSD-2-Clause */
/* Checksum arithmetic against the plain definition. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/csum.h"
#include "bpf/hash.h"

/* Byte by byte, with the carry added at each step. */
static uint16_t plain_sum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)data[i] << 8 | data[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return htons(~sum & 0xffff);
}

static void make_header(uint32_t n, uint32_t words[5])
{
	for (int i = 0; i < 5; i++)
		words[i] = (uint32_t)hash_mix((uint64_t)n * 5 + i);
	if (n % 7 == 0)
		memset(words, 0xff, 20);
	if (n % 11 == 0)
		memset(words, 0, 12);
	memset((uint8_t *)words + 10, 0, 2);
}

static void test_header(void **state)
{
	uint32_t words[5];

	(void)state;
	for (uint32_t n = 0; n < 20000; n++) {
		make_header(n, words);
		assert_int_equal(csum_ipv4(words), plain_sum((uint8_t *)words, 20));
	}
}

/* From RFC 1071's neighbourhood: a header whose checksum is known to everybody. */
static void test_known_header(void **state)
{
	static const uint8_t header[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40,
					   0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8,
					   0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	uint32_t words[5];

	(void)state;
	memcpy(words, header, sizeof(words));
	assert_int_equal(csum_ipv4(words), htons(0xb861));
}

static void test_fold(void **state)
{
	(void)state;
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_fold(0xffff), 0xffff);
	assert_int_equal(csum_fold(0x10000), 1);
	assert_int_equal(csum_fold(0x1ffff), 1);
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(csum_fold(0xffff0001ffff0001ULL), 2);
}

/* A changed word: the same as summing again, for each value of the first word's lower byte. */
static void test_replace(void **state)
{
	uint32_t words[5];
	uint16_t halves[10], check, old;

	(void)state;
	for (uint32_t n = 1; n < 400; n++) {
		make_header(n, words);
		((uint8_t *)words)[0] = 0x45;
		check = csum_ipv4(words);
		for (unsigned tos = 0; tos < 256; tos++) {
			memcpy(halves, words, sizeof(halves));
			old = halves[0];
			halves[0] = htons(0x4500 | tos);
			assert_int_equal(csum_replace(check, old, halves[0]),
					 plain_sum((uint8_t *)halves, 20));
		}
	}
}

/* ---- csum_change(), csum_update() ---- */

#define WORDS 8 /* of 32 bits */

/* What is covered: some words, never all zero (there is a protocol and a length in each sum). */
static void fill_words(uint64_t *x, uint32_t words[WORDS])
{
	for (int i = 0; i < WORDS; i++) {
		*x ^= *x << 13;
		*x ^= *x >> 7;
		*x ^= *x << 17;
		/* Zeros and ones are where the two forms of zero meet. */
		words[i] = *x >> 60 < 4 ? 0 : *x >> 60 < 8 ? UINT32_MAX : (uint32_t)(*x >> 20);
	}
	words[WORDS - 1] = htonl(IPPROTO_TCP);
}

/* Some words change, of 32 and of 16 bits: as if the sum were made anew. */
static void test_changes(void **state)
{
	uint32_t before[WORDS], after[WORDS];
	uint64_t x = 88172645463325252ULL;

	(void)state;
	for (int n = 0; n < 300000; n++) {
		uint64_t change = 0;

		fill_words(&x, before);
		fill_words(&x, after);
		for (int i = 0; i < WORDS - 1; i++) {
			if (i == n % WORDS)
				after[i] = before[i];
			change += csum_change(before[i], after[i]);
		}
		assert_int_equal(csum_update(plain_sum((uint8_t *)before, sizeof(before)), change),
				 plain_sum((uint8_t *)after, sizeof(after)));
	}
}

/* Every checksum, every change of one port (from one of some to any): nothing is left out of the
 * 16 bits. */
static void test_every_port_and_sum(void **state)
{
	static const uint16_t olds[] = {0, 1, 80, 0x7fff, 0x8000, 0xfffe, 0xffff};
	uint16_t halves[3];

	(void)state;
	for (size_t o = 0; o < sizeof(olds) / sizeof(olds[0]); o++) {
		for (uint32_t rest = 1; rest < 0x10000; rest += 251) {
			for (uint32_t port = 0; port < 0x10000; port += 13) {
				uint16_t check;

				halves[0] = htons(olds[o]);
				halves[1] = htons(rest);
				halves[2] = htons(IPPROTO_UDP);
				check = plain_sum((uint8_t *)halves, sizeof(halves));
				halves[0] = htons(port);
				assert_int_equal(csum_update(check, csum_change(htons(olds[o]),
										htons(port))),
						 plain_sum((uint8_t *)halves, sizeof(halves)));
			}
		}
	}
}

/* UDP: no checksum stays none; one that is there never becomes none, and is right whichever of its
 * two forms of zero it had. */
static void test_udp(void **state)
{
	uint32_t before[2] = {0, htonl(IPPROTO_UDP)}, after[2] = {0, htonl(IPPROTO_UDP)};

	(void)state;
	for (uint32_t n = 0; n < 0x10000; n++) {
		uint16_t check, full, got;
		uint64_t change;

		before[0] = htonl(n * 40503);
		after[0] = htonl(0xffff0000 | n); /* all sums once */
		change = csum_change(before[0], after[0]);
		check = plain_sum((uint8_t *)before, sizeof(before));
		full = plain_sum((uint8_t *)after, sizeof(after));
		got = csum_update_udp(check ? check : 0xffff, change);
		assert_int_equal(got, full ? full : 0xffff);
		assert_int_equal(csum_update_udp(0, change), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),	cmocka_unit_test(test_known_header),
		cmocka_unit_test(test_fold),	cmocka_unit_test(test_replace),
		cmocka_unit_test(test_changes), cmocka_unit_test(test_every_port_and_sum),
		cmocka_unit_test(test_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
