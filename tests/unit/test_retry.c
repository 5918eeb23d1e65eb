/* SPDX-License-Identifier: BSD-2-Clause */
/* Which failures are worth another try, and how long is waited before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/http1_parse.h"
#include "l7/retry.h"

static struct head response(unsigned status, struct field *field, const char *grpc)
{
	struct head h = {.status = status, .fields = field};

	if (grpc) {
		*field = (struct field){SLICE("Grpc-Status"), {grpc, strlen(grpc)}, FIELD_OTHER};
		h.count = 1;
	}
	return h;
}

static void test_failures(void **state)
{
	static const struct {
		enum failure_cause cause;
		unsigned on;
	} causes[] = {
		{FAILURE_CONNECT, RETRY_ON_CONNECT}, {FAILURE_REFUSED, RETRY_ON_REFUSED},
		{FAILURE_RESET, RETRY_ON_RESET},     {FAILURE_RESPONSE, RETRY_ON_RESET},
		{FAILURE_TIMEOUT, RETRY_ON_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		struct retry_conf c = {.on = causes[i].on};

		assert_true(retry_wants(&c, causes[i].cause));
		c.on = ~causes[i].on;
		assert_false(retry_wants(&c, causes[i].cause));
		assert_false(retry_wants(&c, FAILURE_LIMIT));
		assert_false(retry_wants(&c, FAILURE_OURS));
	}
}

static void test_statuses(void **state)
{
	struct retry_conf all = {.on = RETRY_ON_5XX}, gateway = {.on = RETRY_ON_GATEWAY};
	struct retry_conf listed = {.statuses = {[0] = 1ULL << 4, [3] = 1ULL << 7}}; /* 404, 599 */
	struct field f;

	(void)state;
	for (unsigned status = 200; status <= 999; status++) {
		struct head h = response(status, &f, NULL);

		assert_int_equal(retry_wants_response(&all, &h), status >= 500 && status < 600);
		assert_int_equal(retry_wants_response(&gateway, &h),
				 status >= 502 && status <= 504);
		assert_int_equal(retry_wants_response(&listed, &h), status == 404 || status == 599);
	}
}

static void test_statuses_of_grpc(void **state)
{
	static const struct {
		const char *text;
		bool wanted;
	} values[] = {{"14", true}, {"0", false},	   {"4", false},   {"1", true},
		      {"", false},  {"4294967310", false}, {"-14", false}, {"x", false}};
	struct retry_conf c = {.grpc = 1U << 14 | 1U << 1};
	struct field f;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct head h = response(200, &f, values[i].text);

		assert_int_equal(retry_wants_response(&c, &h), values[i].wanted);
	}
}

static void test_backoff(void **state)
{
	struct retry_conf c = {.backoff_base_ms = 10, .backoff_max_ms = 55};
	static const uint64_t most[] = {10, 20, 40, 55, 55, 55, 55};

	(void)state;
	for (unsigned tries = 1; tries <= sizeof(most) / sizeof(most[0]); tries++) {
		bool seen[56] = {false};

		for (uint64_t random = 0; random < 1000; random++) {
			uint64_t ms = retry_backoff_ms(&c, tries, random);

			assert_true(ms <= most[tries - 1]);
			seen[ms] = true;
		}
		for (uint64_t ms = 0; ms <= most[tries - 1]; ms++)
			assert_true(seen[ms]);
	}
}

static void test_bodies(void **state)
{
	struct retry_conf c = {.attempts = 3, .on = RETRY_ON_SAFE};

	(void)state;
	assert_false(retry_needs_body(&c, true, false));
	assert_true(retry_needs_body(&c, false, true));
	c.on |= RETRY_ON_RESET;
	assert_true(retry_needs_body(&c, true, false));
	assert_false(retry_needs_body(&c, false, false));
	c.non_idempotent = NON_IDEMPOTENT_ON;
	assert_true(retry_needs_body(&c, false, false));
	c.attempts = 1;
	assert_false(retry_needs_body(&c, true, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures),	 cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_statuses_of_grpc), cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
