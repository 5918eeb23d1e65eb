/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl top: what lies between two answers of the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/top_rows.c"

/* Of services with so many requests in each of four buckets: to 1, 10, 100 ms, and longer. */
static json_t *services(const char *name, const int counts[4])
{
	static const int bounds[3] = {1, 10, 100};
	json_t *list = json_array();
	int sum = 0;

	for (size_t i = 0; i < 4; i++) {
		json_array_append_new(list, json_pack("{s:o, s:i}", "at_most_ms",
						      i < 3 ? json_integer(bounds[i]) : json_null(),
						      "requests", counts[i]));
		sum += counts[i];
	}
	return json_pack("[{s:s, s:s, s:{s:i, s:o}}]", "name", name, "mode", "http", "http",
			 "requests", sum, "durations", list);
}

static struct top_row row_of(const int then[4], const int now[4])
{
	json_t *before = services("web", then), *after = services("web", now);
	struct top_row *rows, row;
	size_t count;

	assert_true(top_rows(before, after, 2, TOP_REQUESTS, &rows, &count));
	assert_int_equal(count, 1);
	row = rows[0];
	free(rows);
	json_decref(before);
	json_decref(after);
	return row;
}

static void near(double value, double expected)
{
	assert_true(value > expected - 0.5 && value < expected + 0.5);
}

static void test_quantiles_are_of_what_ended_since(void **state)
{
	struct top_row row;

	(void)state;
	row = row_of((int[]){1000, 0, 0, 0}, (int[]){1050, 40, 10, 0});
	near(row.value[TOP_REQUESTS], 50);
	near(row.value[TOP_P50], 1000);
	near(row.value[TOP_P99], 91000); /* nine of the ten between 10 and 100 ms are faster */
	row = row_of((int[]){0, 0, 0, 0}, (int[]){2, 0, 0, 98});
	near(row.value[TOP_P50], 100000);
	near(row.value[TOP_P99], 100000);
	row = row_of((int[]){0, 100, 0, 0}, (int[]){0, 104, 0, 0});
	near(row.value[TOP_P50], 5500);
}

static void test_none_without_requests(void **state)
{
	struct top_row row;

	(void)state;
	row = row_of((int[]){5, 5, 5, 5}, (int[]){5, 5, 5, 5});
	near(row.value[TOP_P50], 0);
	near(row.value[TOP_P99], 0);
	/* Another daemon has begun anew. */
	row = row_of((int[]){500, 5, 5, 5}, (int[]){1, 0, 1, 0});
	near(row.value[TOP_P99], 0);
}

static void test_no_rates_of_who_is_new(void **state)
{
	json_t *before = services("old", (int[]){9, 9, 9, 9});
	json_t *after = services("web", (int[]){9, 9, 9, 9});
	struct top_row *rows;
	size_t count;

	(void)state;
	assert_true(top_rows(before, after, 2, TOP_REQUESTS, &rows, &count));
	assert_string_equal(rows[0].name, "web");
	near(rows[0].value[TOP_REQUESTS], 0);
	near(rows[0].value[TOP_P50], 0);
	free(rows);
	json_decref(before);
	json_decref(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_are_of_what_ended_since),
		cmocka_unit_test(test_none_without_requests),
		cmocka_unit_test(test_no_rates_of_who_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
