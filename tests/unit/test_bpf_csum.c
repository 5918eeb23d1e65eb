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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_known_header),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
