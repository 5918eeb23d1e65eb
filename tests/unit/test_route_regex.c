/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions: whole texts, groups, what is refused, and an end to those that never end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/regex.h"
#include "tests/unit/route_util.h"

static bool try_match(struct world *w, const char *pattern, const char *text, struct slice *groups)
{
	struct regex_error error;
	const struct regex *r = NULL;

	if (regex_compile(&w->mem, text_slice(pattern), &r, &error))
		fail_msg("%s: %s at %zu", pattern, error.text, error.offset);
	assert_true(slice_eq(regex_pattern(r), text_slice(pattern)));
	return regex_match(r, text_slice(text), w->room, groups);
}

static void test_the_whole_text(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{"abc", "abc", true},
		{"abc", "abcd", false},
		{"abc", "zabc", false},
		{".*abc.*", "zabcd", true},
		{"a|ab", "ab", true}, /* the first way is not the last */
		{"a|b", "ab", false},
		{"a$", "a\n", false}, /* $ is the very end */
		{"(?m)a$", "a\nb", false},
		{"^a", "a", true},
		{"", "", true},
		{"", "a", false},
		{"[0-9]{3}", "123", true},
		{"(?i)ABC", "abc", true},
		{"\\d+", "42", true},
		{"\\x41", "A", true},
		{"a.c",
		 "a\xff"
		 "c",
		 true}, /* bytes, not characters */
		{"(?<=x)a", "a", false},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (try_match(&w, rows[i].pattern, rows[i].text, NULL) != rows[i].matches)
			fail_msg("%s on %s", rows[i].pattern, rows[i].text);
	assert_int_equal(route_room_gave_up(w.room), 0);
	world_deinit(&w);
}

static void test_groups(void **state)
{
	struct slice groups[REGEX_GROUPS_MAX];
	const struct regex *r = NULL;
	struct regex_error error;
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(
		regex_compile(&w.mem, SLICE("/(?<kind>[a-z]+)(-x)?/(?<id>\\d*)(q)?"), &r, &error),
		0);
	assert_int_equal(regex_group_count(r), 5);
	assert_string_equal(regex_group_name(r, 0), "");
	assert_string_equal(regex_group_name(r, 1), "kind");
	assert_string_equal(regex_group_name(r, 2), "");
	assert_string_equal(regex_group_name(r, 3), "id");
	assert_true(regex_match(r, SLICE("/img/42"), w.room, groups));
	assert_true(slice_eq(groups[0], SLICE("/img/42")));
	assert_true(slice_eq(groups[1], SLICE("img")));
	assert_true(slice_eq(groups[2], SLICE(""))); /* took no part, in the middle */
	assert_true(slice_eq(groups[3], SLICE("42")));
	assert_true(slice_eq(groups[4], SLICE(""))); /* at the end */
	/* A match that moves its own beginning behind its end gives nothing, not something wild. */
	assert_int_equal(regex_compile(&w.mem, SLICE("(?=ab\\K)a?b?"), &r, &error), -EINVAL);
	world_deinit(&w);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *pattern, *text;
		size_t offset;
	} rows[] = {
		{"a(b", "missing closing parenthesis", 3},
		{"a[", "missing terminating ] for character class", 2},
		{"*a", "quantifier does not follow a repeatable item", 0},
		{"(*LIMIT_MATCH=4000000)a", "a pattern does not begin with (*", 0},
		{"(*UTF)a", "a pattern does not begin with (*", 0},
		{"()()()()()()()()()()()()()()()()", "the pattern has too many groups", 0},
		{"a\\C", "using \\C is disabled by the application", 3},
	};
	struct regex_error error;
	const struct regex *r = NULL;
	char big[REGEX_LEN_MAX + 1];
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(regex_compile(&w.mem, text_slice(rows[i].pattern), &r, &error),
				 -EINVAL);
		assert_string_equal(error.text, rows[i].text);
		assert_int_equal(error.offset, rows[i].offset);
	}
	memset(big, 'a', sizeof(big));
	assert_int_equal(regex_compile(&w.mem, (struct slice){big, sizeof(big)}, &r, &error),
			 -EINVAL);
	assert_string_equal(error.text, "the pattern is too long");
	assert_int_equal(regex_compile(&w.mem, (struct slice){big, sizeof(big) - 1}, &r, &error),
			 0);
	memset(big, '(', 400);
	memset(big + 400, ')', 400);
	assert_int_equal(regex_compile(&w.mem, (struct slice){big, 800}, &r, &error), -EINVAL);
	world_deinit(&w);
}

/* Each of these would take longer than anyone waits. */
static void test_an_end_to_all_matches(void **state)
{
	static const char *const patterns[] = {"(a+)+[bc]", "(a|aa)+[bc]",
					       "(.*)*(.*)*(.*)*(.*)*[xy]", "(?:(a)|b|a)*[cd]",
					       "(a(?R)?|aa)+[bc]"};
	char text[2001];
	struct world w;

	(void)state;
	world_init(&w);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_false(try_match(&w, patterns[i], text, NULL));
	assert_in_range(route_room_gave_up(w.room), 3, 5);
	assert_true(try_match(&w, "a+", text, NULL)); /* and the room is as good as before */
	world_deinit(&w);
}

static void test_somewhere_within_a_text(void **state)
{
	struct regex_error error;
	const struct regex *r;
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(regex_compile_within(&w.mem, SLICE("b+c"), &r, &error), 0);
	assert_true(regex_match(r, SLICE("a\nbbcd"), w.room, NULL));
	assert_false(regex_match(r, SLICE("a\nbbd"), w.room, NULL));
	assert_int_equal(regex_compile_within(&w.mem, SLICE("^b$"), &r, &error), 0);
	assert_true(regex_match(r, SLICE("b"), w.room, NULL));
	assert_false(regex_match(r, SLICE("ab"), w.room, NULL));
	assert_int_equal(regex_compile_within(&w.mem, SLICE("b("), &r, &error), -EINVAL);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_text),
		cmocka_unit_test(test_somewhere_within_a_text),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_an_end_to_all_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
