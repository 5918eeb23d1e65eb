/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/value: numbers, durations and sizes, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "conf/value.h"
#include "core/strbuf.h"

static void numbers(void **state)
{
	static const char *const bad[] = {"",	"-1",	"+1",  "01",  "00", "1 ",
					  " 1", "0x10", "1.0", "1e3", "a"};
	uint64_t n;

	(void)state;
	assert_int_equal(value_number("0", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(value_number("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(value_number("18446744073709551616", &n), -ERANGE);
	assert_int_equal(value_number("99999999999999999999999", &n), -ERANGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(value_number(bad[i], &n), -EINVAL);
}

static void durations_and_sizes(void **state)
{
	static const struct {
		int (*parse)(const char *text, uint64_t *ret_n);
		void (*format)(struct strbuf *b, uint64_t n);
		const char *text;
		uint64_t n;
		const char *again;
	} good[] = {
		{value_duration, value_format_duration, "250ms", 250, "250ms"},
		{value_duration, value_format_duration, "1500ms", 1500, "1500ms"},
		{value_duration, value_format_duration, "5s", 5000, "5s"},
		{value_duration, value_format_duration, "60s", 60000, "1m"},
		{value_duration, value_format_duration, "90s", 90000, "90s"},
		{value_duration, value_format_duration, "2m", 120000, "2m"},
		{value_duration, value_format_duration, "24h", 86400000, "24h"},
		{value_duration, value_format_duration, "0s", 0, "0s"},
		{value_size, value_format_size, "0", 0, "0"},
		{value_size, value_format_size, "1000", 1000, "1000"},
		{value_size, value_format_size, "1024", 1024, "1KiB"},
		{value_size, value_format_size, "8KiB", 8192, "8KiB"},
		{value_size, value_format_size, "1536KiB", 1536 << 10, "1536KiB"},
		{value_size, value_format_size, "1MiB", 1 << 20, "1MiB"},
		{value_size, value_format_size, "2048GiB", 2ULL << 40, "2TiB"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct strbuf b;
		uint64_t n;

		assert_int_equal(good[i].parse(good[i].text, &n), 0);
		assert_true(n == good[i].n);
		strbuf_init(&b);
		good[i].format(&b, n);
		assert_string_equal(b.text, good[i].again);
		strbuf_deinit(&b);
	}
}

static void units_are_not_guessed(void **state)
{
	static const char *const bad_durations[] = {"5",    "s",   "5S", "5 s", "1.5s", "-5s",
						    "5sec", "5us", "1d", "05s", ""};
	static const char *const bad_sizes[] = {"KiB",	 "8K", "8k",	 "8KB", "8kib",
						"8 KiB", "-1", "1.5MiB", "8B",	""};
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_durations) / sizeof(bad_durations[0]); i++)
		assert_int_equal(value_duration(bad_durations[i], &n), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
		assert_int_equal(value_size(bad_sizes[i], &n), -EINVAL);
	assert_int_equal(value_duration("18446744073709551615h", &n), -ERANGE);
	assert_int_equal(value_size("18446744073709551615KiB", &n), -ERANGE);
}

static void primes(void **state)
{
	static const uint64_t good[] = {2, 3, 5, 251, 4093, 65537, 4194301};
	static const uint64_t bad[] = {0, 1, 4, 9, 252, 65536, 65539ULL * 3, 4194303, 251 * 251};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(value_is_prime(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(value_is_prime(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(durations_and_sizes),
		cmocka_unit_test(units_are_not_guessed),
		cmocka_unit_test(primes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
