/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths in their one form: what becomes of each, and that it stays so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/path.h"

static const struct http_paths defaults; /* all safe choices are zero */

struct row {
	const char *target, *want; /* NULL: refused */
	enum reason reason;
};

/* In memory of exactly the size that is asked for. */
static void check(const struct http_paths *rules, const struct row *row)
{
	struct slice in = {row->target, strlen(row->target)}, got = {0};
	char *out = malloc(path_bound(in)), *again = malloc(3 * path_bound(in));
	enum reason r;

	assert_non_null(out);
	assert_non_null(again);
	r = path_normalise(in, rules, out, &got);
	if (r != row->reason)
		fail_msg("%s: %s, not %s", row->target, reason_text(r), reason_text(row->reason));
	if (r == REASON_NONE) {
		if (!slice_eq(got, (struct slice){row->want, strlen(row->want)}))
			fail_msg("%s: %.*s, not %s", row->target, (int)got.len, got.ptr, row->want);
		if (path_is_plain(in) && strcmp(row->target, row->want) != 0)
			fail_msg("%s is not plain", row->target);
		r = path_normalise(got, rules, again, &in);
		if (r != REASON_NONE || !slice_eq(in, got))
			fail_msg("%s: the second time %.*s", row->target, (int)in.len, in.ptr);
	}
	free(out);
	free(again);
}

static void check_all(const struct http_paths *rules, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(rules, &rows[i]);
}

#define CHECK(rules, rows) check_all(rules, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_by_default(void **state)
{
	static const struct row rows[] = {
		{"/", "/", REASON_NONE},
		{"/?", "/?", REASON_NONE},
		{"/a/b.c/.d/..e?x=/../%2f%00//", "/a/b.c/.d/..e?x=/../%2f%00//", REASON_NONE},
		{"/...", "/...", REASON_NONE},
		{"/.", "/", REASON_NONE},
		{"/./", "/", REASON_NONE},
		{"/a/.", "/a/", REASON_NONE},
		{"/a/./b", "/a/b", REASON_NONE},
		{"/a/..", "/", REASON_NONE},
		{"/a/../", "/", REASON_NONE},
		{"/a/b/../c", "/a/c", REASON_NONE},
		{"/a/b/../../c?..", "/c?..", REASON_NONE},
		{"/public/../private", "/private", REASON_NONE},
		{"/public/%2e%2E/private", "/private", REASON_NONE},
		{"/public/.%2e/private", "/private", REASON_NONE},
		{"/public/%2e/private", "/public/private", REASON_NONE},
		{"//", "/", REASON_NONE},
		{"//a///b//", "/a/b/", REASON_NONE},
		{"/a//../b", "/b", REASON_NONE},
		{"/%61%7e%2D%5F%41", "/a~-_A", REASON_NONE},
		{"/%c3%a4%20%3b%3f%23%25", "/%C3%A4%20%3B%3F%23%25", REASON_NONE},
		{"/%252e%252e/", "/%252e%252e/", REASON_NONE},
		{"/a;b=c/d", "/a;b=c/d", REASON_NONE},
		{"/a..;b", "/a..;b", REASON_NONE},
		/* above the root */
		{"/..", NULL, REASON_PATH_DOTS},
		{"/../a", NULL, REASON_PATH_DOTS},
		{"/a/../../b", NULL, REASON_PATH_DOTS},
		{"//../a", NULL, REASON_PATH_DOTS},
		/* behind parameters */
		{"/a/..;/b", NULL, REASON_PATH_DOTS},
		{"/a/..;x=y", NULL, REASON_PATH_DOTS},
		{"/a/.;/b", NULL, REASON_PATH_DOTS},
		{"/a/%2e%2e;/b", NULL, REASON_PATH_DOTS},
		/* what some take for slashes, or for the end */
		{"/a%2fb", NULL, REASON_PATH_SLASH},
		{"/a%2Fb", NULL, REASON_PATH_SLASH},
		{"/a%5cb", NULL, REASON_PATH_SLASH},
		{"/a\\b", NULL, REASON_PATH_SLASH},
		{"/a%00b", NULL, REASON_PATH_ZERO},
		/* escapes that are none */
		{"/%", NULL, REASON_PATH_ESCAPE},
		{"/%2", NULL, REASON_PATH_ESCAPE},
		{"/%zz", NULL, REASON_PATH_ESCAPE},
		{"/%2?e", NULL, REASON_PATH_ESCAPE},
		{"/%%32e", NULL, REASON_PATH_ESCAPE},
		{"/%u002e", NULL, REASON_PATH_ESCAPE},
	};

	(void)state;
	CHECK(&defaults, rows);
}

static void test_refuse_all(void **state)
{
	static const struct http_paths rules = {.dot_segments = DOT_SEGMENTS_REFUSE,
						.double_slashes = DOUBLE_SLASHES_REFUSE};
	static const struct row rows[] = {
		{"/a/b/", "/a/b/", REASON_NONE},       {"/a/.b", "/a/.b", REASON_NONE},
		{"/a/./b", NULL, REASON_PATH_DOTS},    {"/a/%2e%2e/b", NULL, REASON_PATH_DOTS},
		{"/a//b", NULL, REASON_PATH_DOUBLE},   {"//", NULL, REASON_PATH_DOUBLE},
		{"/a?//../", "/a?//../", REASON_NONE},
	};

	(void)state;
	CHECK(&rules, rows);
}

static void test_keep_what_can_be_kept(void **state)
{
	static const struct http_paths rules = {.dot_segments = DOT_SEGMENTS_KEEP,
						.double_slashes = DOUBLE_SLASHES_KEEP,
						.escaped_slashes = ESCAPED_SLASHES_KEEP,
						.bad_escapes = BAD_ESCAPES_ESCAPE};
	static const struct row rows[] = {
		{"/a/../..//./b\\", "/a/../..//./b\\", REASON_NONE},
		{"/a%2fb%5c%2e", "/a%2Fb%5C.", REASON_NONE},
		{"/..;x/", "/..;x/", REASON_NONE},
		{"/%", "/%25", REASON_NONE},
		{"/%%32e%zz", "/%252e%25zz", REASON_NONE},
		{"/%00", NULL, REASON_PATH_ZERO},
	};

	(void)state;
	CHECK(&rules, rows);
}

static void test_slashes_are_decoded_before_segments_are_looked_at(void **state)
{
	static const struct http_paths rules = {.escaped_slashes = ESCAPED_SLASHES_DECODE};
	static const struct row rows[] = {
		{"/a%2fb", "/a/b", REASON_NONE},     {"/a%2f..%5cb", "/b", REASON_NONE},
		{"/a\\..\\b", "/b", REASON_NONE},    {"/%2f%5c\\a", "/a", REASON_NONE},
		{"/..%2fa", NULL, REASON_PATH_DOTS},
	};

	(void)state;
	CHECK(&rules, rows);
}

static void test_empty_segments_may_be_dropped_by_dots(void **state)
{
	static const struct http_paths rules = {.double_slashes = DOUBLE_SLASHES_KEEP};
	static const struct row rows[] = {
		{"/a//../b", "/a/b", REASON_NONE},
		{"//..", "/", REASON_NONE},
		{"/.//a", "//a", REASON_NONE},
		{"/a//", "/a//", REASON_NONE},
	};

	(void)state;
	CHECK(&rules, rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_default),
		cmocka_unit_test(test_refuse_all),
		cmocka_unit_test(test_keep_what_can_be_kept),
		cmocka_unit_test(test_slashes_are_decoded_before_segments_are_looked_at),
		cmocka_unit_test(test_empty_segments_may_be_dropped_by_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
