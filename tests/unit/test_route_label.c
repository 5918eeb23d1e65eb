/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts that requests of a route are counted by: bounded, printable, summed over workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/route_label.c"

static struct slice of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static void test_one_for_each_text(void **state)
{
	struct route_labels *labels = route_labels_new();
	struct route_label *a = route_labels_get(labels, of("a"));

	(void)state;
	assert_ptr_equal(route_labels_get(labels, of("a")), a);
	assert_ptr_not_equal(route_labels_get(labels, of("ab")), a);
	assert_string_equal(route_labels_get(labels, of("a b\n\xc3\xa4\x7f"))->text, "a b____");
	assert_string_equal(route_labels_get(labels, of(""))->text, ROUTE_LABEL_NONE);
	route_labels_free(labels);
}

static void test_texts_that_are_too_long(void **state)
{
	struct route_labels *labels = route_labels_new();
	char text[ROUTE_LABEL_LEN + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[ROUTE_LABEL_LEN - 1] = '\0';
	assert_string_equal(route_labels_get(labels, of(text))->text, text);
	text[ROUTE_LABEL_LEN - 1] = 'x';
	text[ROUTE_LABEL_LEN] = '\0';
	assert_string_equal(route_labels_get(labels, of(text))->text, ROUTE_LABEL_OTHER);
	route_labels_free(labels);
}

static void test_no_more_than_there_may_be(void **state)
{
	static struct route_label sums[2 * ROUTE_LABELS_MAX + 1];
	struct route_labels *one = route_labels_new(), *two = route_labels_new();
	char text[16];
	size_t count;

	(void)state;
	for (unsigned i = 0; i < 10 * ROUTE_LABELS_MAX; i++) {
		snprintf(text, sizeof(text), "n%u", i);
		route_labels_get(one, of(text))->requests++;
	}
	assert_int_equal(route_labels_get(one, of("n0"))->requests, 1);
	assert_int_equal(route_labels_get(one, of("n999"))->requests, 9 * ROUTE_LABELS_MAX);
	route_labels_get(two, of("n0"))->requests += 2;
	route_labels_get(two, of("else"))->responses[3] += 3;
	count = route_labels_sum(one, sums, 0, 2 * ROUTE_LABELS_MAX);
	assert_int_equal(count, ROUTE_LABELS_MAX + 1);
	assert_string_equal(sums[0].text, ROUTE_LABEL_OTHER);
	assert_int_equal(sums[0].requests, 9 * ROUTE_LABELS_MAX);
	count = route_labels_sum(two, sums, count, 2 * ROUTE_LABELS_MAX);
	assert_int_equal(count, ROUTE_LABELS_MAX + 2);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(sums[i].text, "n0"))
			assert_int_equal(sums[i].requests, 3);
		if (!strcmp(sums[i].text, "else"))
			assert_int_equal(sums[i].responses[3], 3);
	}
	/* Less room: nothing is lost. */
	assert_int_equal(route_labels_sum(one, sums, 0, 5), 5);
	assert_int_equal(sums[0].requests, 10 * ROUTE_LABELS_MAX - 4);
	route_labels_free(one);
	route_labels_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_for_each_text),
		cmocka_unit_test(test_texts_that_are_too_long),
		cmocka_unit_test(test_no_more_than_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
