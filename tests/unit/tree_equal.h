/* SPDX-License-Identifier: BSD-2-Clause */
/* Are two documents the same, wherever they stand? For the tests of conf/ and its fuzz target. */
#ifndef TESTS_UNIT_TREE_EQUAL_H
#define TESTS_UNIT_TREE_EQUAL_H

#include <stdbool.h>
#include <string.h>

#include "conf/tree.h"

/* Could quotes matter: would it be a number, a word or nothing without them? Other text may gain
 * quotes when it is written. */
static inline bool quotes_matter(const struct tree *t)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(t->text);

	return !strcmp(t->text, "~") || strspn(t->text, word) == len;
}

static inline bool tree_equal(const struct tree *a, const struct tree *b)
{
	if (a->kind != b->kind || a->count != b->count || !a->key != !b->key ||
	    (a->key && strcmp(a->key, b->key) != 0))
		return false;
	if (a->kind == TREE_SCALAR)
		return !strcmp(a->text, b->text) && (a->quoted == b->quoted || !quotes_matter(a));
	for (size_t i = 0; i < a->count; i++)
		if (!tree_equal(a->children[i], b->children[i]))
			return false;
	return true;
}

#endif
