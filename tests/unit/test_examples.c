/* SPDX-License-Identifier: BSD-2-Clause */
/* Every configuration in examples/ is good as it is, without a warning, and survives being written. */
#include "tests/unit/conf_util.h"

#include <glob.h>
#include <stdlib.h>

#include "tests/unit/tree_equal.h"

static void check_example(const char *path)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s;
	struct tree *t, *again;
	struct diag d;
	char *text;

	diag_init(&d);
	t = tree_load(path, &d);
	s = t ? conf_build(t, rt, &d) : NULL;
	show_diag(&d);
	assert_non_null(s);
	assert_int_equal(d.count, 0);
	assert_true(s->service_count > 0);
	text = tree_emit(t);
	assert_non_null(text);
	again = parse_good(text);
	assert_true(tree_equal(t, again));
	free(text);
	tree_free(again);
	tree_free(t);
	snapshot_unref(s);
	runtime_free(rt);
	diag_deinit(&d);
}

static void examples_are_good(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob("examples/*.yaml", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 3);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_example(found.gl_pathv[i]);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
