/* SPDX-License-Identifier: BSD-2-Clause */
/* Trailer sections: what is passed on, and that it is whole however it came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/http1_body.h"
#include "l7/http1_trailers.h"

/* The section that the decoder finds in text with so many bytes at a time; its length. */
static size_t find(const char *text, size_t step, char *section)
{
	size_t len = strlen(text), at = 0, found = 0;
	enum reason r;
	struct body b;

	body_init(&b, BODY_CHUNKED, 0);
	while (!b.ended) {
		size_t n = len - at < step ? len - at : step;
		struct slice span;

		assert_true(n > 0);
		n = body_decode(&b, text + at, n, &span, &r);
		assert_int_equal(r, REASON_NONE);
		if (b.in_trailers) {
			assert_int_equal(span.len, 0);
			memcpy(section + found, text + at, n);
			found += n;
		}
		at += n;
	}
	assert_int_equal(at, len);
	return found;
}

static void check(const char *text, const char *want)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		char section[512];
		struct slice s = {section, find(text, step, section)};
		size_t bound = http1_trailers_bound(s.len);
		char *out = malloc(bound);
		size_t n;

		assert_non_null(out);
		n = http1_write_trailers(out, s);
		assert_true(n <= bound);
		if (n != strlen(want) || memcmp(out, want, n))
			fail_msg("%s in steps of %zu: %.*s", text, step, (int)n, out);
		free(out);
	}
}

#define BODY "3;x\r\nabc\r\n0\r\n"

static void test_fields_are_passed_on(void **state)
{
	(void)state;
	check(BODY "\r\n", "\r\n0\r\n\r\n");
	check("0\r\nA: b\r\n\r\n", "\r\n0\r\nA: b\r\n\r\n");
	check(BODY "grpc-status:0\r\nX: \t a b \t\r\nEmpty:\r\n\r\n",
	      "\r\n0\r\ngrpc-status: 0\r\nX: a b\r\nEmpty: \r\n\r\n");
	check(BODY "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\n\r\n",
	      "\r\n0\r\na: \r\nb: \r\nc: \r\nd: \r\ne: \r\nf: \r\n\r\n");
}

static void test_what_belongs_into_the_header_is_dropped(void **state)
{
	static const char *const names[] = {
		"Host",
		"content-length",
		"Transfer-Encoding",
		"Connection",
		"TE",
		"Trailer",
		"Upgrade",
		"Expect",
		"Cookie",
		"Set-Cookie",
		"Authorization",
		"Content-Type",
		"Content-Encoding",
		"Cache-Control",
		"X-Forwarded-For",
		"Forwarded",
		"X_Forwarded_For",
		"content_length",
		"Keep-Alive",
		"If-None-Match",
		"Proxy-Authorization",
		"Content-Range",
		"WWW-Authenticate",
		"Location",
		"Age",
		"Vary",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text), BODY "A: b\r\n%s: 1\r\nC: d\r\n\r\n", names[i]);
		check(text, "\r\n0\r\nA: b\r\nC: d\r\n\r\n");
		snprintf(text, sizeof(text), BODY "%s: 1\r\n\r\n", names[i]);
		check(text, "\r\n0\r\n\r\n");
	}
}

static void test_many_lines_are_refused(void **state)
{
	char text[8 * HTTP1_TRAILER_LINES + 64] = "0\r\n";
	struct slice span;
	enum reason r;
	struct body b;

	(void)state;
	for (unsigned i = 0; i < HTTP1_TRAILER_LINES; i++)
		strncat(text, "a:b\r\n", sizeof(text) - strlen(text) - 1);
	for (int i = 0; i < 2; i++) {
		size_t n, at = 0;

		body_init(&b, BODY_CHUNKED, 0);
		do {
			n = body_decode(&b, text + at, strlen(text) - at, &span, &r);
			at += n;
		} while (r == REASON_NONE && at < strlen(text));
		assert_int_equal(r, i ? REASON_TRAILER_LARGE : REASON_NONE);
		strncat(text, "a:b\r\n", sizeof(text) - strlen(text) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_passed_on),
		cmocka_unit_test(test_what_belongs_into_the_header_is_dropped),
		cmocka_unit_test(test_many_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
