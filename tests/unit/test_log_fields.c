/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of the log taken apart, and written as JSON and for journald. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/log_fields.h"

static char out[8192];

static const char *json(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *json(const char *fmt, ...)
{
	struct log_fields f;
	va_list ap;

	va_start(ap, fmt);
	log_fields_read(&f, fmt, ap);
	va_end(ap);
	out[log_fields_json(&f, "T", "info", out, sizeof(out) - 1)] = '\0';
	return out;
}

static const char *journal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *journal(const char *fmt, ...)
{
	struct log_fields f;
	va_list ap;

	va_start(ap, fmt);
	log_fields_read(&f, fmt, ap);
	va_end(ap);
	out[log_fields_journal(&f, out, sizeof(out) - 1)] = '\0';
	return out;
}

#define HEAD "{\"time\":\"T\",\"level\":\"info\",\"module\":"

static void test_json(void **state)
{
	(void)state;
	assert_string_equal(json("main: ready n=%d name=%s error=\"%s\"", 7, "a b", "no, 1=2"),
			    HEAD "\"main\",\"message\":\"ready\",\"n\":7,\"name\":\"a b\","
				 "\"error\":\"no, 1=2\"}\n");
	assert_string_equal(json("%s", "a: b c=1"), HEAD "\"\",\"message\":\"a: b c=1\"}\n");
	assert_string_equal(json("x: no keys, 100%%"),
			    HEAD "\"x\",\"message\":\"no keys, 100%\"}\n");
	assert_string_equal(json("x: y v="
				 "1.0"
				 " n=%s z=%s",
				 "007", ""),
			    HEAD
			    "\"x\",\"message\":\"y\",\"v\":\"1.0\",\"n\":\"007\",\"z\":\"\"}\n");
	assert_string_equal(json("x: y a=%s", "q\"\\\x80"),
			    HEAD "\"x\",\"message\":\"y\",\"a\":\"q\\u0022\\u005c\\u0080\"}\n");
}

/* What a value says makes no key, even with the marks that keys are found by. */
static void test_forgery(void **state)
{
	(void)state;
	assert_string_equal(json("x: y a=%s b=%s", "1 b=2 c=3\n d=4", "5"),
			    HEAD "\"x\",\"message\":\"y\",\"a\":\"1 b=2 c=3? d=4\",\"b\":5}\n");
	assert_string_equal(json("x: y a=%s", "1\x1f"
					      "b\x1e"
					      "2"),
			    HEAD "\"x\",\"message\":\"y a=1?b?2\"}\n");
	assert_string_equal(json("x: y a=%s", "1\x1f"), HEAD "\"x\",\"message\":\"y a=1?\"}\n");
	assert_string_equal(json("x: %s a=%d", "\x1f\x1e", 1),
			    HEAD "\"x\",\"message\":\"?? a=1\"}\n");
}

static void test_journal(void **state)
{
	(void)state;
	assert_string_equal(journal("x: y a_b=%s n=%d", "v\nSHUNT_N=9", 1),
			    "SHUNT_MODULE=x\nSHUNT_A_B=v?SHUNT_N=9\nSHUNT_N=1\n");
}

static void test_long_ones(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	(void)json("x: y a=%s b=%d", text, 1);
	assert_non_null(strstr(out, "aaaa"));
	assert_true(strlen(out) < LOG_MESSAGE_MAX + 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_forgery),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
