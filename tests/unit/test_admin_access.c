/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts, tokens, and the text that Prometheus reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "admin/access.h"
#include "admin/exposition.h"

static void test_hosts(void **state)
{
	static const char *const hosts[] = {"lb.example.com"};
	static const char *const good[] = {"127.0.0.1",	      "127.0.0.1:9180", "[::1]:80",
					   "[::1]",	      "localhost",	"LocalHost:1",
					   "10.0.0.1",	      "10.0.0.1:1",	"lb.example.com",
					   "LB.EXAMPLE.COM:9"};
	static const char *const bad[] = {"",
					  "evil.test",
					  "127.0.0.1.evil.test",
					  "::1",
					  "[::1",
					  "localhost:80:80",
					  "localhost:x",
					  "xlb.example.com",
					  "localhost.",
					  ":80",
					  "127.0.0.1:99999"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!access_host_is_ours(good[i], hosts, 1))
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (access_host_is_ours(bad[i], hosts, 1))
			fail_msg("%s was taken", bad[i]);
	assert_false(access_host_is_ours(NULL, hosts, 1));
}

static void test_tokens(void **state)
{
	const char *token = "0123456789abcdef";

	(void)state;
	assert_int_equal(access_token_check(NULL, token), ACCESS_TOKEN_MISSING);
	assert_int_equal(access_token_check("Basic eDp5", token), ACCESS_TOKEN_MISSING);
	assert_int_equal(access_token_check("Bearer ", token), ACCESS_TOKEN_MISSING);
	assert_int_equal(access_token_check("Bearer 0123456789abcdef", token), ACCESS_TOKEN_GOOD);
	assert_int_equal(access_token_check("bearer 0123456789abcdef", token), ACCESS_TOKEN_GOOD);
	assert_int_equal(access_token_check("Bearer 0123456789abcde", token), ACCESS_TOKEN_WRONG);
	assert_int_equal(access_token_check("Bearer 0123456789abcdef0123456789abcdef", token),
			 ACCESS_TOKEN_WRONG);
	assert_int_equal(access_token_check("Bearer 0", "0000000000000000"), ACCESS_TOKEN_WRONG);
}

static void test_text(void **state)
{
	const struct label odd[] = {{"a", "x\"\n\\"}, {"b", ""}, {0}};
	const double bounds[] = {0.001, 2.5};
	const uint64_t counts[] = {3, 0, 4};
	struct exposition e;
	char *text;

	(void)state;
	exposition_init(&e);
	exposition_family(&e, "f_total", METRIC_COUNTER, "Help.");
	exposition_count(&e, NULL, UINT64_MAX);
	exposition_count(&e, odd, 1);
	exposition_family(&e, "h", METRIC_HISTOGRAM, "H.");
	exposition_histogram(&e, NULL, bounds, counts, 2, 7.25);
	text = strbuf_take(&e.text);
	assert_string_equal(text, "# HELP f_total Help.\n# TYPE f_total counter\n"
				  "f_total 18446744073709551615\n"
				  "f_total{a=\"x\\\"\\n\\\\\",b=\"\"} 1\n"
				  "# HELP h H.\n# TYPE h histogram\n"
				  "h_bucket{le=\"0.001\"} 3\n"
				  "h_bucket{le=\"2.5\"} 3\n"
				  "h_bucket{le=\"+Inf\"} 7\n"
				  "h_sum 7.25\n"
				  "h_count 7\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
