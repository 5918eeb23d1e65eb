/* SPDX-License-Identifier: BSD-2-Clause */
/* The first line of a backend's answer to a check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/status_line.h"

/* Whole at once, and byte by byte: both must say the same. */
static enum status_line_state feed(const char *text, struct status_line *ret_sl)
{
	struct status_line whole = {0}, pieces = {0};
	enum status_line_state a = status_line_feed(&whole, text, strlen(text));
	enum status_line_state b = STATUS_LINE_MORE;

	for (size_t i = 0; text[i] && b == STATUS_LINE_MORE; i++)
		b = status_line_feed(&pieces, text + i, 1);
	assert_int_equal(a, b);
	assert_int_equal(whole.code, pieces.code);
	assert_string_equal(whole.reason, pieces.reason);
	*ret_sl = whole;
	return a;
}

static void test_good_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned code;
		const char *reason;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nServer: x\r\n", 200, "OK"},
		{"HTTP/1.0 503 Service Unavailable\r\n", 503, "Service Unavailable"},
		{"HTTP/1.1 204 \r\n", 204, ""},
		{"HTTP/1.1 204\r\n", 204, ""},
		{"HTTP/1.1 599 a\tb\r\n", 599, "a?b"},
		{"HTTP/1.1 200 caf\xc3\xa9\r\n", 200, "caf??"},
	};
	struct status_line sl;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed(cases[i].text, &sl), STATUS_LINE_DONE);
		assert_int_equal(sl.code, cases[i].code);
		assert_string_equal(sl.reason, cases[i].reason);
	}
}

static void test_what_is_no_status_line(void **state)
{
	static const char *const cases[] = {
		"SSH-2.0-OpenSSH\r\n",	   "HTTP/2 200 OK\r\n",	      "HTTP/1.2 200 OK\r\n",
		"http/1.1 200 OK\r\n",	   "HTTP/1.1  200 OK\r\n",    "HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 OK\r\n",	   "HTTP/1.1 099 OK\r\n",     "HTTP/1.1 2x0 OK\r\n",
		"HTTP/1.1 200\n",	   "HTTP/1.1 200 OK\n",	      "HTTP/1.1 200 O\rK\r\n",
		"HTTP/1.1 200 O\x01K\r\n", "HTTP/1.1 200\tOK\r\n",    "\r\nHTTP/1.1 200 OK\r\n",
		"HTTP/1.1 -20 OK\r\n",	   "HTTP/1.1 200 O\x7fK\r\n", "HTTP/1.1 200\r\r\n",
	};
	struct status_line sl;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (feed(cases[i], &sl) != STATUS_LINE_BAD)
			fail_msg("taken: %s", cases[i]);
}

static void test_no_strict_prefix_is_an_answer(void **state)
{
	static const char line[] = "HTTP/1.1 200 OK\r\n";
	struct status_line sl;

	(void)state;
	for (size_t len = 0; len < sizeof(line) - 1; len++) {
		memset(&sl, 0, sizeof(sl));
		assert_int_equal(status_line_feed(&sl, line, len), STATUS_LINE_MORE);
	}
}

static void test_a_long_reason_is_cut_and_an_endless_one_refused(void **state)
{
	char text[STATUS_LINE_MAX + 64] = "HTTP/1.1 200 ";
	size_t start = strlen(text);
	struct status_line sl;

	(void)state;
	memset(text + start, 'a', 100);
	memcpy(text + start + 100, "\r\n", 3);
	assert_int_equal(feed(text, &sl), STATUS_LINE_DONE);
	assert_int_equal(strlen(sl.reason), STATUS_REASON_MAX - 1);
	memset(text + start, 'a', sizeof(text) - start - 1);
	assert_int_equal(feed(text, &sl), STATUS_LINE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_lines),
		cmocka_unit_test(test_what_is_no_status_line),
		cmocka_unit_test(test_no_strict_prefix_is_an_answer),
		cmocka_unit_test(test_a_long_reason_is_cut_and_an_endless_one_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
