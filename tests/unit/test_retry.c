/* SPDX-License-Identifier: BSD-2-Clause */
/* When a request is sent once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "l7/retry.h"

static void test_statuses(void **state)
{
	const struct retry_conf conf = {.statuses = {429, 599}, .status_count = 2};

	(void)state;
	assert_int_equal(retry_on_status(&conf, 200), 0);
	assert_int_equal(retry_on_status(&conf, 404), 0);
	assert_int_equal(retry_on_status(&conf, 429), RETRY_STATUS);
	assert_int_equal(retry_on_status(&conf, 500), RETRY_5XX);
	assert_int_equal(retry_on_status(&conf, 501), RETRY_5XX);
	for (unsigned status = 502; status <= 504; status++)
		assert_int_equal(retry_on_status(&conf, status), RETRY_5XX | RETRY_GATEWAY);
	assert_int_equal(retry_on_status(&conf, 599), RETRY_5XX | RETRY_STATUS);
}

static void test_budget(void **state)
{
	const struct retry_conf conf = {.budget_percent = 20, .budget_min = 3};
	struct retry_account a = {.requests = 1};

	(void)state;
	for (a.retries = 0; a.retries < 3; a.retries++)
		assert_true(retry_is_affordable(&conf, &a));
	assert_false(retry_is_affordable(&conf, &a));
	a = (struct retry_account){.requests = 1000, .retries = 199};
	assert_true(retry_is_affordable(&conf, &a));
	a.retries = 200;
	assert_false(retry_is_affordable(&conf, &a));
}

static void test_backoff(void **state)
{
	const struct retry_conf conf = {.base_ms = 25, .max_ms = 250};
	static const unsigned most[] = {0, 0, 0, 25, 50, 100, 200, 250, 250};

	(void)state;
	for (unsigned attempt = 1; attempt < sizeof(most) / sizeof(most[0]); attempt++) {
		unsigned longest = 0;

		for (uint64_t random = 0; random < 1000; random++) {
			unsigned ms = retry_backoff_ms(&conf, attempt, random);

			longest = ms > longest ? ms : longest;
		}
		assert_int_equal(longest, most[attempt]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
