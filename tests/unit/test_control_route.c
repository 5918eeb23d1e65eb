/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths of the commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/route.h"

static void test_names_are_taken_out(void **state)
{
	struct route_args args;

	(void)state;
	assert_true(route_match("/v1/status", "/v1/status", &args));
	assert_true(route_match("/v1/pools/{}", "/v1/pools/web", &args));
	assert_string_equal(args.name[0], "web");
	assert_true(route_match("/v1/pools/{}/backends/{}", "/v1/pools/web/backends/b-1", &args));
	assert_string_equal(args.name[0], "web");
	assert_string_equal(args.name[1], "b-1");
}

static void test_only_whole_paths_fit(void **state)
{
	static const struct {
		const char *pattern, *path;
	} cases[] = {
		{"/v1/status", "/v1/statu"},
		{"/v1/status", "/v1/status/"},
		{"/v1/status", "/v1/statusx"},
		{"/v1/status", ""},
		{"/v1/pools/{}", "/v1/pools/"},
		{"/v1/pools/{}", "/v1/pools"},
		{"/v1/pools/{}", "/v1/pools/web/"},
		{"/v1/pools/{}", "/v1/pools/web/backends"},
		{"/v1/pools/{}/backends", "/v1/pools//backends"},
		{"/v1/pools/{}/backends/{}", "/v1/pools/web/backends"},
		{"/v1/pools/{}/backends/{}", "/v1/pools/web/backends/"},
		{"/v1/pools/{}/backends/{}", "/v1/pools/web/backends/a/b"},
	};
	struct route_args args;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (route_match(cases[i].pattern, cases[i].path, &args))
			fail_msg("%s took %s", cases[i].pattern, cases[i].path);
}

static void test_a_name_may_not_be_longer_than_names_are(void **state)
{
	char path[128] = "/v1/pools/";
	size_t start = strlen(path);
	struct route_args args;

	(void)state;
	memset(path + start, 'a', SHUNT_NAME_MAX - 1);
	assert_true(route_match("/v1/pools/{}", path, &args));
	assert_int_equal(strlen(args.name[0]), SHUNT_NAME_MAX - 1);
	path[start + SHUNT_NAME_MAX - 1] = 'a';
	assert_false(route_match("/v1/pools/{}", path, &args));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_taken_out),
		cmocka_unit_test(test_only_whole_paths_fit),
		cmocka_unit_test(test_a_name_may_not_be_longer_than_names_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
