/* SPDX-License-Identifier: BSD-2-Clause */
/* What rules see of a request: header fields, parameters, cookies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/route_util.h"

typedef bool (*lookup)(const struct route_input *in, struct slice name, struct slice *ret_value);

/* want: NULL, there is none. */
static void check(lookup get, const struct route_input *in, const char *name, const char *want)
{
	struct slice got = SLICE("untouched");

	if (get(in, text_slice(name), &got) != (want != NULL))
		fail_msg("%s: %s", name, want ? "not found" : "found");
	if (want && !slice_eq(got, text_slice(want)))
		fail_msg("%s: \"%.*s\", not \"%s\"", name, (int)got.len, got.ptr, want);
	if (!want)
		assert_true(slice_eq(got, SLICE("untouched")));
}

static void test_header_fields(void **state)
{
	static const struct request r = {
		.fields = {{"X-A", "1"}, {"x-b", ""}, {"x-a", "2"}},
	};
	struct route_input in;
	unsigned cursor = 0;
	struct slice value;
	struct world w;

	(void)state;
	world_init(&w);
	in = world_input(&w, &r);
	check(route_header, &in, "x-a", "1");
	check(route_header, &in, "x-b", "");
	check(route_header, &in, "x", NULL);
	check(route_header, &in, "x-a-b", NULL);
	assert_true(in.next_field(&in, SLICE("x-a"), &cursor, &value));
	assert_true(in.next_field(&in, SLICE("x-a"), &cursor, &value));
	assert_true(slice_eq(value, SLICE("2")));
	assert_false(in.next_field(&in, SLICE("x-a"), &cursor, &value));
	in.next_field = NULL;
	check(route_header, &in, "x-a", NULL);
	check(route_cookie, &in, "x-a", NULL);
	world_deinit(&w);
}

static void test_parameters(void **state)
{
	static const struct {
		const char *query, *name, *want;
	} rows[] = {
		{"", "a", NULL},	 {"a", "a", ""},
		{"a=", "a", ""},	 {"a=1", "a", "1"},
		{"a=1&a=2", "a", "1"},	 {"b=1&a=2", "a", "2"},
		{"&&a=2&", "a", "2"},	 {"A=1", "a", NULL},
		{"ab=1", "a", NULL},	 {"a=b=c", "a", "b=c"},
		{"=1", "", "1"},	 {"a=%41%42+c", "a", "AB c"},
		{"%61=1", "a", "1"},	 {"a+b=1", "a b", "1"},
		{"a+b=1", "a+b", NULL},	 {"a=%4", "a", "%4"},
		{"a=%zz%", "a", "%zz%"}, {"a=%e4%00", "a", NULL}, /* checked below: it has a zero */
		{"a=1;b=2", "b", NULL},				  /* not a separator */
	};
	struct request r = {0};
	struct slice value;
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_input in;

		r.query = rows[i].query;
		in = world_input(&w, &r);
		if (strstr(r.query, "%00")) {
			assert_true(route_parameter(&in, SLICE("a"), &value));
			assert_int_equal(value.len, 2);
			assert_memory_equal(value.ptr, "\xe4\0", 2);
			continue;
		}
		check(route_parameter, &in, rows[i].name, rows[i].want);
	}
	world_deinit(&w);
}

static void test_two_decoded_parameters_at_a_time(void **state)
{
	static const struct request r = {.query = "a=%41&b=%42"};
	struct slice a, b;
	struct route_input in;
	struct world w;

	(void)state;
	world_init(&w);
	in = world_input(&w, &r);
	assert_true(route_parameter(&in, SLICE("a"), &a));
	assert_true(route_parameter(&in, SLICE("b"), &b));
	assert_true(slice_eq(a, SLICE("A")));
	assert_true(slice_eq(b, SLICE("B")));
	world_deinit(&w);
}

static void test_a_parameter_longer_than_the_room(void **state)
{
	char query[400] = "a=%41";
	struct request r = {.query = query};
	struct route_input in;
	struct world w;

	(void)state;
	world_init(&w);
	memset(query + 5, 'x', 253); /* 256 in all */
	in = world_input(&w, &r);
	assert_true(route_parameter(&in, SLICE("a"), &(struct slice){0}));
	memset(query + 5, 'x', 254);
	in = world_input(&w, &r);
	check(route_parameter, &in, "a", NULL);
	world_deinit(&w);
}

static void test_cookies(void **state)
{
	static const struct request r = {
		.fields = {{"Cookie", "a=1; b=\"2 3\";c = 4 ;; d; e==;a=5"}, {"cookie", "f=6"}},
	};
	struct route_input in;
	struct world w;

	(void)state;
	world_init(&w);
	in = world_input(&w, &r);
	check(route_cookie, &in, "a", "1");
	check(route_cookie, &in, "b", "2 3");
	check(route_cookie, &in, "c", "4");
	check(route_cookie, &in, "d", "");
	check(route_cookie, &in, "e", "=");
	check(route_cookie, &in, "f", "6");
	check(route_cookie, &in, "A", NULL);
	check(route_cookie, &in, "", NULL);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_two_decoded_parameters_at_a_time),
		cmocka_unit_test(test_a_parameter_longer_than_the_room),
		cmocka_unit_test(test_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
