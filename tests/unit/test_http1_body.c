/* SPDX-License-Identifier: BSD-2-Clause */
/* Body framing: every way to cut the input gives the same body and the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/http1_body.h"

struct result {
	char body[1024];
	size_t len, taken;
	bool ended;
	enum reason reason;
};

/* Feed the text in pieces of at most step bytes. */
static struct result run(enum body_kind kind, uint64_t length, const char *text, size_t len,
			 size_t step)
{
	struct result r = {.reason = REASON_NONE};
	struct body b;

	body_init(&b, kind, length);
	while (r.taken < len && !b.ended) {
		size_t n = len - r.taken < step ? len - r.taken : step, took;
		struct slice span;

		took = body_decode(&b, text + r.taken, n, &span, &r.reason);
		if (r.reason != REASON_NONE)
			break;
		assert_true(took > 0 && took <= n);
		assert_true(r.len + span.len < sizeof(r.body));
		if (span.len)
			memcpy(r.body + r.len, span.ptr, span.len);
		r.len += span.len;
		r.taken += took;
	}
	assert_true(r.reason != REASON_NONE || b.total == r.len);
	r.ended = b.ended;
	return r;
}

static void check(enum body_kind kind, uint64_t length, const char *text, const char *body,
		  size_t taken)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct result r = run(kind, length, text, strlen(text), step);

		if (r.reason != REASON_NONE || !r.ended || r.len != strlen(body) ||
		    memcmp(r.body, body, r.len) || r.taken != taken)
			fail_msg("\"%s\" in steps of %zu: \"%.*s\", %zu taken, %s", text, step,
				 (int)r.len, r.body, r.taken, reason_text(r.reason));
	}
}

static void test_length(void **state)
{
	struct body b;

	(void)state;
	check(BODY_LENGTH, 5, "helloGET", "hello", 5);
	check(BODY_LENGTH, 1, "h", "h", 1);
	body_init(&b, BODY_LENGTH, 0);
	assert_true(b.ended);
	body_init(&b, BODY_NONE, 0);
	assert_true(b.ended);
}

static void test_bytes_that_nobody_looked_at(void **state)
{
	struct slice span;
	enum reason reason;
	struct body b;

	(void)state;
	body_init(&b, BODY_LENGTH, 10);
	assert_int_equal(body_decode(&b, "abc", 3, &span, &reason), 3);
	body_pass(&b, 6);
	assert_true(!b.ended && b.left == 1 && b.total == 9);
	body_pass(&b, 1);
	assert_true(b.ended && b.total == 10);
	body_init(&b, BODY_EOF, 0);
	body_pass(&b, 1000);
	assert_true(!b.ended && b.total == 1000);
	assert_true(body_eof(&b));
}

static void test_until_eof(void **state)
{
	struct slice span;
	enum reason r;
	struct body b;

	(void)state;
	body_init(&b, BODY_EOF, 0);
	assert_int_equal(body_decode(&b, "abc", 3, &span, &r), 3);
	assert_int_equal(span.len, 3);
	assert_false(b.ended);
	assert_true(body_eof(&b));
	assert_true(b.ended);
	body_init(&b, BODY_LENGTH, 3);
	assert_false(body_eof(&b));
}

static void test_chunked(void **state)
{
	(void)state;
	check(BODY_CHUNKED, 0, "0\r\n\r\n", "", 5);
	check(BODY_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\nGET", "hello", 15);
	check(BODY_CHUNKED, 0, "1\r\na\r\n00a\r\n0123456789\r\n000\r\n\r\n", "a0123456789", 30);
	check(BODY_CHUNKED, 0, "A;x=y;z=\"q r\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 37);
	check(BODY_CHUNKED, 0, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 12);
	check(BODY_CHUNKED, 0, "1\r\na\r\n0\r\nTrailer: x y\r\nB:\r\n\r\nGET", "a", 29);
}

static void test_bad_chunks(void **state)
{
	static const char *const bad[] = {
		"x",
		"\r\n",
		";x\r\n",
		" 1\r\n",
		"1 \r\n",
		"+1\r\n",
		"-1\r\n",
		"0x1\r\n",
		"1_0\r\n",
		"1\n",
		"1\r\r",
		"1\rx",
		"1;x\n",
		"1;x\rx",
		"1;\x01\r\n",
		"1\r\nab",
		"1\r\na\n",
		"1\r\na\rx",
		"1\r\na\r\n\r\n",
		"00000000000000001\r\n",
		"fffffffffffffffff\r\n",
		"8000000000000000\r\n",
		"0\r\n\n",
		"0\r\n\rx",
		"0\r\nA b\r\n",
		"0\r\n A: b\r\n",
		"0\r\n: b\r\n",
		"0\r\nA: b\n",
		"0\r\nA: \x01\r\n",
		"0\r\nA: b\r\r",
		"0\r\nA\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t step = 1; step <= 4; step++) {
			struct result r = run(BODY_CHUNKED, 0, bad[i], strlen(bad[i]), step);

			if (r.reason != REASON_CHUNK_BAD)
				fail_msg("\"%s\": %s", bad[i], reason_text(r.reason));
		}
}

static void test_cut_chunks_are_not_ended(void **state)
{
	static const char whole[] = "5;a\r\nhello\r\n0\r\nA: b\r\n\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct result r = run(BODY_CHUNKED, 0, whole, n, 7);

		assert_int_equal(r.reason, REASON_NONE);
		assert_false(r.ended);
	}
}

static void test_extensions_and_trailers_have_limits(void **state)
{
	static char text[HTTP1_TRAILER_MAX + 64];
	struct result r;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "1;", 2);
	r = run(BODY_CHUNKED, 0, text, sizeof(text), 1000);
	assert_int_equal(r.reason, REASON_CHUNK_EXTENSION);
	memcpy(text, "0\r\nA:", 5);
	r = run(BODY_CHUNKED, 0, text, sizeof(text), 1000);
	assert_int_equal(r.reason, REASON_TRAILER_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_bytes_that_nobody_looked_at),
		cmocka_unit_test(test_until_eof),
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_bad_chunks),
		cmocka_unit_test(test_cut_chunks_are_not_ended),
		cmocka_unit_test(test_extensions_and_trailers_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
