/* SPDX-License-Identifier: BSD-2-Clause */
/* core/text, core/strbuf and core/arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/strbuf.h"
#include "core/text.h"

static void distances(void **state)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} rows[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "acb", 1},
		{"abcd", "bacd", 1},
		{"kitten", "sitting", 3},
		{"wieght", "weight", 1},
		{"interfaces", "intefaces", 1},
		{"ab", "ba", 1},
		{"abcdef", "badcfe", 3},
	};
	char longest[80];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(text_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(text_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
	memset(longest, 'a', sizeof(longest));
	longest[63] = 0;
	assert_int_equal(text_distance(longest, ""), 63);
	longest[63] = 'a';
	longest[64] = 0;
	assert_true(text_distance(longest, "") == SIZE_MAX);
}

static void what_was_meant(void **state)
{
	static const char *const words[] = {"name", "address", "weight", "state", "tcp"};

	(void)state;
	assert_string_equal(text_closest("adress", words, 5), "address");
	assert_string_equal(text_closest("wieght", words, 5), "weight");
	assert_string_equal(text_closest("State", words, 5), "state");
	assert_string_equal(text_closest("tpc", words, 5), "tcp");
	assert_null(text_closest("port", words, 5));
	assert_null(text_closest("x", words, 5));
	assert_null(text_closest("", words, 5));
	assert_null(text_closest("weight", NULL, 0));
}

static void quotes_are_short_and_clean(void **state)
{
	char text[200];
	struct text_quoted q;

	(void)state;
	assert_string_equal(text_quote("a b").s, "\"a b\"");
	assert_string_equal(text_quote("").s, "\"\"");
	assert_string_equal(text_quote("\x1b\n").s, "\"??\"");
	memset(text, 'x', sizeof(text));
	text[60] = 0;
	assert_int_equal(strlen(text_quote(text).s), 62);
	text[60] = 'x';
	text[199] = 0;
	q = text_quote(text);
	assert_int_equal(strlen(q.s), 62);
	assert_string_equal(q.s + 55, "xxx...\"");
	/* A character of three bytes is not cut in two. */
	memcpy(text + 55, "\xe2\x82\xac", 3);
	q = text_quote(text);
	assert_string_equal(q.s + 55, "x...\"");
	memset(text, '\x80', sizeof(text) - 1);
	assert_string_equal(text_quote(text).s, "\"...\"");
}

static void hashes_differ_by_where_a_string_ends(void **state)
{
	uint64_t a = text_hash(text_hash(TEXT_HASH_INIT, "ab"), "c");
	uint64_t b = text_hash(text_hash(TEXT_HASH_INIT, "a"), "bc");

	(void)state;
	assert_true(a != b);
	assert_true(a == text_hash(text_hash(TEXT_HASH_INIT, "ab"), "c"));
}

static void a_strbuf_grows(void **state)
{
	struct strbuf b;
	char *text;

	(void)state;
	strbuf_init(&b);
	text = strbuf_take(&b);
	assert_string_equal(text, "");
	free(text);
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%03d,", i);
	strbuf_add(&b, "end");
	strbuf_add_bytes(&b, "!x", 1);
	assert_int_equal(b.len, 4004);
	text = strbuf_take(&b);
	assert_non_null(text);
	assert_memory_equal(text, "000,001,", 8);
	assert_string_equal(text + 3996, "999,end!");
	free(text);
	for (size_t i = 0; i < 300; i++) {
		strbuf_add(&b, "x");
		assert_true(b.room > b.len); /* for the zero */
	}
	strbuf_deinit(&b);
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 16, 100, 2047, 2048, 2049, 5000, 8192, 100000};
	unsigned char *blocks[300];
	size_t lens[300];
	struct arena a;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < 300; i++) {
		lens[i] = sizes[i * 7 % 11];
		blocks[i] = arena_alloc(&a, lens[i]);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
		for (size_t j = 0; j < lens[i]; j++)
			assert_int_equal(blocks[i][j], 0);
		memset(blocks[i], (int)(i & 0xff), lens[i]);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t j = 0; j < lens[i]; j++)
			assert_int_equal(blocks[i][j], i & 0xff);
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	assert_null(arena_alloc(&a, SIZE_MAX - 3));
	assert_string_equal(arena_strdup(&a, "text"), "text");
	arena_deinit(&a);
	arena_deinit(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(what_was_meant),
		cmocka_unit_test(quotes_are_short_and_clean),
		cmocka_unit_test(hashes_differ_by_where_a_string_ends),
		cmocka_unit_test(a_strbuf_grows),
		cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
