/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes that wait for a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/restart_list.h"

static void note(struct change_list *list, const char *field, const char *old, const char *new,
		 bool restart)
{
	struct change c = {.kind = CHANGE_CHANGED,
			   .object = "node",
			   .field = (char *)field,
			   .old_text = (char *)old,
			   .new_text = (char *)new,
			   .restart = restart};
	struct change_list changes = {.items = &c, .count = 1};

	assert_int_equal(restart_list_note(list, &changes), 0);
}

static void test_only_what_needs_a_restart_is_kept(void **state)
{
	struct change_list list = {0};

	(void)state;
	note(&list, "drain_timeout", "30s", "10s", false);
	assert_int_equal(list.count, 0);
	note(&list, "workers", "2", "4", true);
	note(&list, "socket", "/a", "/b", true);
	assert_int_equal(list.count, 2);
	change_list_deinit(&list);
}

static void test_a_second_change_keeps_what_runs(void **state)
{
	struct change_list list = {0};

	(void)state;
	note(&list, "workers", "2", "4", true);
	note(&list, "workers", "4", "8", true);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].old_text, "2");
	assert_string_equal(list.items[0].new_text, "8");
	change_list_deinit(&list);
}

static void test_a_change_taken_back_is_forgotten(void **state)
{
	struct change_list list = {0};

	(void)state;
	note(&list, "workers", "2", "4", true);
	note(&list, "socket", "/a", "/b", true);
	note(&list, "workers", "4", "2", true);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].field, "socket");
	change_list_deinit(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_needs_a_restart_is_kept),
		cmocka_unit_test(test_a_second_change_keeps_what_runs),
		cmocka_unit_test(test_a_change_taken_back_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
