/* SPDX-License-Identifier: BSD-2-Clause */
/* What shuntctl prints: units, tables, and nothing that a terminal would obey. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/print.c"

static void test_counts(void **state)
{
	char buf[PRINT_UNIT_MAX];

	(void)state;
	assert_string_equal(format_count(0, buf), "0");
	assert_string_equal(format_count(9999, buf), "9999");
	assert_string_equal(format_count(10000, buf), "10.0k");
	assert_string_equal(format_count(999400, buf), "999k");
	assert_string_equal(format_count(999600, buf), "1.00M");
	assert_string_equal(format_count(12345678, buf), "12.3M");
	assert_string_equal(format_count(UINT64_MAX, buf), "18447P");
}

static void test_bytes(void **state)
{
	char buf[PRINT_UNIT_MAX];

	(void)state;
	assert_string_equal(format_bytes(1023, buf), "1023 B");
	assert_string_equal(format_bytes(1024, buf), "1 KiB");
	assert_string_equal(format_bytes(1025, buf), "1.00 KiB");
	assert_string_equal(format_bytes((1 << 20) - 1, buf), "1.00 MiB");
	assert_string_equal(format_bytes(1536 * 1024, buf), "1.50 MiB");
	assert_string_equal(format_bytes(1ULL << 40, buf), "1 TiB");
}

static void test_ages(void **state)
{
	char buf[PRINT_UNIT_MAX];

	(void)state;
	assert_string_equal(format_age(0, buf), "0s");
	assert_string_equal(format_age(999, buf), "999ms");
	assert_string_equal(format_age(119999, buf), "119s");
	assert_string_equal(format_age(120000, buf), "2m");
	assert_string_equal(format_age(7500 * 1000, buf), "2h5m");
	assert_string_equal(format_age((49ULL * 3600 + 60) * 1000, buf), "2d1h");
}

/* What is written to standard output while f runs. */
static void capture(void (*f)(void), char *buf, size_t len)
{
	FILE *file = tmpfile();
	int saved = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	f();
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	rewind(file);
	n = fread(buf, 1, len - 1, file);
	buf[n] = '\0';
	fclose(file);
}

static void print_a_table(void)
{
	static const char *const headings[] = {"NAME", ">COUNT", "TEXT"};
	struct table t;

	table_init(&t, headings, 3);
	table_add(&t, "a");
	table_add(&t, "%d", 5);
	table_add(&t, "x\033[31my");
	table_add(&t, "caf\xc3\xa9 long");
	table_add(&t, "%d", 123456);
	table_add(&t, "-");
	assert_int_equal(table_print(&t), API_EXIT_OK);
}

static void test_columns_are_aligned_and_control_bytes_masked(void **state)
{
	char out[512];

	(void)state;
	capture(print_a_table, out, sizeof(out));
	assert_string_equal(out, "NAME        COUNT  TEXT\n"
				 "a               5  x?[31my\n"
				 "caf\xc3\xa9 long  123456  -\n");
}

static void print_an_empty_table(void)
{
	static const char *const headings[] = {"NAME", ">COUNT"};
	struct table t;

	table_init(&t, headings, 2);
	assert_int_equal(table_print(&t), API_EXIT_OK);
}

static void test_an_empty_table_has_its_headings(void **state)
{
	char out[64];

	(void)state;
	capture(print_an_empty_table, out, sizeof(out));
	assert_string_equal(out, "NAME  COUNT\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_columns_are_aligned_and_control_bytes_masked),
		cmocka_unit_test(test_an_empty_table_has_its_headings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
