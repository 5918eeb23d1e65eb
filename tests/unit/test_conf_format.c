/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents in the form in which they are written, with their comments. */
#include "conf_util.h"

#include <glob.h>
#include <stdlib.h>

#include "conf/format.h"
#include "tests/unit/tree_equal.h"

static char *format(const char *text)
{
	struct diag d;
	char *result;

	diag_init(&d);
	result = format_document("t", text, strlen(text), &d);
	show_diag(&d);
	assert_non_null(result);
	diag_deinit(&d);
	return result;
}

static size_t count_remarks(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '#')); text++)
		n++;
	return n;
}

/* It says the same, has as many comments, and formatting it again changes nothing. */
static void check(const char *text, const char *want)
{
	char *once = format(text), *twice = format(once);
	struct tree *before = parse_good(text), *after = parse_good(once);

	assert_true(tree_equal(before, after));
	assert_int_equal(count_remarks(once), count_remarks(text));
	if (want)
		assert_string_equal(once, want);
	assert_string_equal(twice, once);
	tree_free(before);
	tree_free(after);
	free(once);
	free(twice);
}

static void comments_stay_with_what_they_are_about(void **state)
{
	(void)state;
	check("# head\n\n\n# about node\nnode:   # this one\n    workers:   2 # two\n\n"
	      "    # about echo\n    echo: off\n\n# end\n",
	      "# head\n\n# about node\nnode: # this one\n  workers: 2 # two\n\n"
	      "  # about echo\n  echo: off\n# end\n");
}

static void what_comes_onto_one_line_has_its_comments_before_it(void **state)
{
	(void)state;
	check("a:\n  b:\n    - x # first\n    # second\n    - y # third\n    - z\nc: 1\n",
	      "a:\n  # first\n  # second\n  # third\n  b: [x, y, z]\nc: 1\n");
	check("a: {b: [x, # one\n  y] # two\n  } # three\nc: 1 # four\n", NULL);
}

static void a_number_sign_in_text_is_no_comment(void **state)
{
	(void)state;
	check("a: \"x # y\"\nb: 'it''s # so' # yes\nc: x#y\nd: \"\\\" # no\" # yes\ne: don't # "
	      "yes\n",
	      NULL);
	check("{\"a\":\"x # no\", 'b':'y # no'} # yes\n", NULL);
	check("a: |\n  # text\n\n  more # text\nb: 1 # yes\n", NULL);
	check("a: \"over # no\n  lines # no\" # yes\nb: >-\n  # text\nc: 1\n", NULL);
}

static void what_is_no_document_is_refused(void **state)
{
	struct diag d;

	(void)state;
	diag_init(&d);
	assert_null(format_document("t", "a: [\n", 5, &d));
	assert_int_equal(d.errors, 1);
	diag_deinit(&d);
}

static void examples_keep_every_comment(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob("examples/*.yaml", 0, NULL, &found), 0);
	assert_int_equal(glob("examples/*/*.yaml", GLOB_APPEND, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char text[16384];
		FILE *f = fopen(found.gl_pathv[i], "r");
		size_t len;

		assert_non_null(f);
		len = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
		text[len] = 0;
		check(text, NULL);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_stay_with_what_they_are_about),
		cmocka_unit_test(what_comes_onto_one_line_has_its_comments_before_it),
		cmocka_unit_test(a_number_sign_in_text_is_no_comment),
		cmocka_unit_test(what_is_no_document_is_refused),
		cmocka_unit_test(examples_keep_every_comment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
