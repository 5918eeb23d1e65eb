/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to checks whose body counts: framing, bounds, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health/answer.h"

#define BODY_MAX 8

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *text;
	enum answer_state fed, ended; /* after all of it; after the end */
	const char *body;
} rows[] = {
	{OK "Content-Length: 3\r\n\r\nabc", ANSWER_DONE, ANSWER_DONE, "abc"},
	{OK "Content-Length: 0\r\n\r\n", ANSWER_DONE, ANSWER_DONE, ""},
	{OK "Content-Length: 4\r\n\r\nabc", ANSWER_MORE, ANSWER_BAD, "abc"},
	{OK "\r\nabc", ANSWER_MORE, ANSWER_DONE, "abc"},
	{OK "\r\n", ANSWER_MORE, ANSWER_DONE, ""},
	{"HTTP/1.1 204 No\r\n\r\n", ANSWER_DONE, ANSWER_DONE, ""},
	{OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", ANSWER_DONE,
	 ANSWER_DONE, "abc"},
	{OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ANSWER_MORE, ANSWER_BAD, "ab"},
	{OK "Transfer-Encoding: chunked\r\n\r\n2\r\nabc", ANSWER_BAD, ANSWER_BAD, "ab"},
	{OK "\r\n0123456789", ANSWER_DONE, ANSWER_DONE, "01234567"},
	{OK "Content-Length: 1000\r\n\r\n0123456789", ANSWER_DONE, ANSWER_DONE, "01234567"},
	{OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", ANSWER_BAD, ANSWER_BAD, ""},
	{OK "A\r\n\r\n", ANSWER_BAD, ANSWER_BAD, ""},
	{OK "A: b", ANSWER_MORE, ANSWER_BAD, ""},
	{"", ANSWER_MORE, ANSWER_BAD, ""},
};

static void feed(size_t i, size_t step)
{
	struct answer *a = answer_new(BODY_MAX);
	size_t len = strlen(rows[i].text);
	enum answer_state state = ANSWER_MORE;

	assert_non_null(a);
	for (size_t at = 0; at < len && state == ANSWER_MORE; at += step)
		state = answer_feed(a, rows[i].text + at, step < len - at ? step : len - at);
	assert_int_equal(state, rows[i].fed);
	if (state == ANSWER_MORE)
		assert_int_equal(answer_end(a), rows[i].ended);
	if (state != ANSWER_BAD)
		assert_true(slice_eq(answer_body(a), slice_of(rows[i].body)));
	answer_free(a);
}

static void bodies_end_where_they_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		feed(i, 1000);
		feed(i, 1);
		feed(i, 7);
	}
}

static void a_header_has_a_bound(void **state)
{
	static char text[20000];
	struct answer *a = answer_new(BODY_MAX);
	size_t n = (size_t)snprintf(text, sizeof(text), OK "A: ");

	(void)state;
	memset(text + n, 'x', sizeof(text) - n);
	assert_int_equal(answer_feed(a, text, 16000), ANSWER_MORE);
	assert_int_equal(answer_feed(a, text + 16000, 4000), ANSWER_BAD);
	answer_free(a);
	answer_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_end_where_they_should),
		cmocka_unit_test(a_header_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
