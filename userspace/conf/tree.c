/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration documents as they were written, the nodes: see tree.h. */
#include "conf/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tree *tree_new(enum tree_kind kind)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (t)
		t->kind = kind;
	return t;
}

struct tree *tree_new_scalar(const char *text)
{
	struct tree *t = tree_new(TREE_SCALAR);

	if (!t)
		return NULL;
	t->text = strdup(text);
	if (!t->text) {
		tree_free(t);
		return NULL;
	}
	return t;
}

/* Recursion is bounded: tree_parse() limits the depth. */
void tree_free(struct tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		tree_free(t->children[i]);
	free(t->children);
	free(t->text);
	free(t->key);
	free(t);
}

/* There is always room for the next power of two, so a count of one calls for more. */
static int reserve_child(struct tree *t)
{
	size_t room = t->count ? t->count * 2 : 4;
	struct tree **children;

	if (t->count && (t->count < 4 || (t->count & (t->count - 1))))
		return 0;
	children = realloc(t->children, room * sizeof(struct tree *));
	if (!children)
		return -ENOMEM;
	t->children = children;
	return 0;
}

int tree_append(struct tree *sequence, struct tree *value)
{
	if (reserve_child(sequence) < 0)
		return -ENOMEM;
	sequence->children[sequence->count++] = value;
	return 0;
}

static size_t child_index(const struct tree *t, const char *key)
{
	size_t i = 0;

	while (i < t->count &&
	       (t->children[i]->key[0] != key[0] || strcmp(t->children[i]->key, key) != 0))
		i++;
	return i;
}

struct tree *tree_get(const struct tree *t, const char *key)
{
	size_t i;

	if (!t || t->kind != TREE_MAPPING)
		return NULL;
	i = child_index(t, key);
	return i < t->count ? t->children[i] : NULL;
}

bool tree_is_null(const struct tree *t)
{
	return !t || (t->kind == TREE_SCALAR && !t->quoted &&
		      (!*t->text || !strcmp(t->text, "~") || !strcmp(t->text, "null")));
}

int tree_set(struct tree *mapping, const char *key, struct tree *value)
{
	size_t i = child_index(mapping, key);
	char *copy = strdup(key);

	if (!copy)
		return -ENOMEM;
	if (i < mapping->count) {
		value->key_pos = mapping->children[i]->key_pos;
		tree_free(mapping->children[i]);
		mapping->children[i] = value;
	} else if (tree_append(mapping, value) < 0) {
		free(copy);
		return -ENOMEM;
	}
	free(value->key);
	value->key = copy;
	return 0;
}

void tree_remove(struct tree *parent, struct tree *child)
{
	size_t i = 0;

	while (i < parent->count && parent->children[i] != child)
		i++;
	if (i == parent->count)
		return;
	parent->count--;
	memmove(parent->children + i, parent->children + i + 1,
		(parent->count - i) * sizeof(struct tree *));
	tree_free(child);
}

struct tree *tree_copy(const struct tree *t)
{
	struct tree *copy = tree_new(t->kind);

	if (!copy)
		return NULL;
	copy->pos = t->pos;
	copy->key_pos = t->key_pos;
	copy->quoted = t->quoted;
	if ((t->text && !(copy->text = strdup(t->text))) ||
	    (t->key && !(copy->key = strdup(t->key))))
		goto fail;
	for (size_t i = 0; i < t->count; i++) {
		struct tree *child = tree_copy(t->children[i]);

		if (!child)
			goto fail;
		if (tree_append(copy, child) < 0) {
			tree_free(child);
			goto fail;
		}
	}
	return copy;
fail:
	tree_free(copy);
	return NULL;
}
