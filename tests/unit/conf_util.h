/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents and snapshots from text, for the tests of conf/. Failures end the test. */
#ifndef TESTS_UNIT_CONF_UTIL_H
#define TESTS_UNIT_CONF_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "conf/tree.h"

static inline void show_diag(const struct diag *d)
{
	diag_print(d, stderr);
}

/* A document without an error. */
static inline struct tree *parse_good(const char *text)
{
	struct diag d;
	struct tree *t;

	diag_init(&d);
	t = tree_parse("t", text, strlen(text), &d);
	show_diag(&d);
	assert_non_null(t);
	assert_int_equal(d.errors, 0);
	diag_deinit(&d);
	return t;
}

/* A snapshot of a document without an error or a warning. */
static inline struct snapshot *build_good(struct runtime *rt, const char *text)
{
	struct tree *t = parse_good(text);
	struct snapshot *s;
	struct diag d;

	diag_init(&d);
	s = conf_build(t, rt, &d);
	show_diag(&d);
	assert_non_null(s);
	assert_int_equal(d.count, 0);
	diag_deinit(&d);
	tree_free(t);
	return s;
}

/* All that is said of a text, one line an item; built: was there a snapshot? */
static inline void report(const char *text, char *buf, size_t len, bool *ret_built)
{
	struct runtime *rt = runtime_new();
	struct snapshot *s = NULL;
	struct tree *t;
	struct diag d;
	size_t at = 0;

	assert_non_null(rt);
	diag_init(&d);
	t = tree_parse("t", text, strlen(text), &d);
	if (t)
		s = conf_build(t, rt, &d);
	*ret_built = s != NULL;
	assert_int_equal(s != NULL, d.errors == 0);
	buf[0] = 0;
	for (size_t i = 0; i < d.count && at < len; i++) {
		char line[1024];

		diag_format(&d.items[i], line, sizeof(line));
		at += (size_t)snprintf(buf + at, len - at, "%s\n", line);
	}
	snapshot_unref(s);
	tree_free(t);
	diag_deinit(&d);
	runtime_free(rt);
}

#endif
