/* SPDX-License-Identifier: BSD-2-Clause */
/* core/diag: what is kept, counted, sorted and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/diag.h"

static char *printed(const struct diag *d)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	diag_print(d, out);
	fclose(out);
	return text;
}

static void items_are_printed_with_their_place(void **state)
{
	const struct pos place = {.file = "a.yaml", .line = 3, .column = 7};
	const struct pos file = {.file = "a.yaml"};
	struct diag d;
	char *text;

	(void)state;
	diag_init(&d);
	diag_error(&d, &place, "expected %s", "x");
	diag_warning(&d, &file, "odd");
	diag_error(&d, NULL, "of no place");
	assert_int_equal(d.count, 3);
	assert_int_equal(d.errors, 2);
	assert_int_equal(d.warnings, 1);
	text = printed(&d);
	assert_string_equal(text, "a.yaml:3:7: error: expected x\n"
				  "a.yaml: warning: odd\n"
				  "error: of no place\n");
	free(text);
	diag_deinit(&d);
}

static void control_bytes_do_not_reach_a_terminal(void **state)
{
	struct diag d;

	(void)state;
	diag_init(&d);
	diag_error(&d, NULL, "a\nb\x1b[31mc\x7f");
	assert_string_equal(d.items[0].text, "a?b?[31mc?");
	diag_deinit(&d);
}

static void only_so_many_are_kept(void **state)
{
	struct diag d;
	char *text;

	(void)state;
	diag_init(&d);
	for (int i = 0; i < DIAG_MAX_KEPT + 5; i++)
		diag_error(&d, NULL, "error %d", i);
	diag_warning(&d, NULL, "a warning has its own room");
	assert_int_equal(d.count, DIAG_MAX_KEPT + 1);
	assert_int_equal(d.errors, DIAG_MAX_KEPT + 5);
	text = printed(&d);
	assert_non_null(strstr(text, "and 5 more errors\n"));
	assert_null(strstr(text, "more warnings"));
	free(text);
	diag_deinit(&d);
}

static void sorting_follows_the_file_and_keeps_ties(void **state)
{
	static const struct pos places[] = {{"f", 9, 1}, {"f", 2, 5}, {NULL, 0, 0},
					    {"f", 2, 3}, {"f", 2, 5}, {"f", 1, 9}};
	struct diag d;
	char order[8] = "";

	(void)state;
	diag_init(&d);
	diag_error(&d, &places[0], "-");
	for (size_t i = 0; i < 6; i++)
		diag_error(&d, &places[i], "%c", 'a' + (int)i);
	diag_sort(&d, 1);
	for (size_t i = 0; i < d.count; i++)
		order[i] = d.items[i].text[0];
	assert_string_equal(order, "-fdbeac");
	diag_deinit(&d);
}

static void a_buffer_is_not_overrun(void **state)
{
	const struct diag_item item = {
		.level = DIAG_WARNING, .pos = {"a.yaml", 1, 2}, .text = (char *)"long text"};
	char buf[16];

	(void)state;
	assert_int_equal(diag_format(&item, buf, sizeof(buf)),
			 strlen("a.yaml:1:2: warning: long text"));
	assert_string_equal(buf, "a.yaml:1:2: war");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_printed_with_their_place),
		cmocka_unit_test(control_bytes_do_not_reach_a_terminal),
		cmocka_unit_test(only_so_many_are_kept),
		cmocka_unit_test(sorting_follows_the_file_and_keeps_ties),
		cmocka_unit_test(a_buffer_is_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
