/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands say of backends that were found, kept in the document as overrides: see edit.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/edit.h"

/* The list of overrides, made where there is none. NULL: see ret_err. */
static struct tree *need_overrides(struct tree *doc, const char *pool, struct diag *d, int *ret_err)
{
	struct tree *discover = tree_get(tree_get(tree_get(doc, "pools"), pool), "discover");
	struct tree *list = tree_get(discover, "overrides");

	*ret_err = -ENOENT;
	if (!discover || discover->kind != TREE_MAPPING) {
		diag_error(d, NULL, "pool %s finds no backends", pool);
		return NULL;
	}
	if (list && list->kind == TREE_SEQUENCE)
		return list;
	*ret_err = -ENOMEM;
	list = tree_new(TREE_SEQUENCE);
	if (!list || tree_set(discover, "overrides", list) < 0) {
		tree_free(list);
		diag_error(d, NULL, "out of memory");
		return NULL;
	}
	return list;
}

static struct tree *find_in(const struct tree *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct tree *value = tree_get(list->children[i], "name");

		if (value && value->kind == TREE_SCALAR && !strcmp(value->text, name))
			return list->children[i];
	}
	return NULL;
}

static int set_word(struct tree *mapping, const char *key, const char *word)
{
	struct tree *value = tree_new_scalar(word);

	if (value && !tree_set(mapping, key, value))
		return 0;
	tree_free(value);
	return -ENOMEM;
}

static struct tree *need_row(struct tree *list, const char *name)
{
	struct tree *row = find_in(list, name);

	if (row)
		return row;
	row = tree_new(TREE_MAPPING);
	if (row && !set_word(row, "name", name) && !tree_append(list, row))
		return row;
	tree_free(row);
	return NULL;
}

/* What says what was found anyway is not kept. */
static void drop_key(struct tree *doc, const char *pool, struct tree *list, const char *name,
		     const char *key)
{
	struct tree *row = find_in(list, name);
	struct tree *value = row ? tree_get(row, key) : NULL;

	if (value)
		tree_remove(row, value);
	if (row && row->count < 2)
		tree_remove(list, row);
	if (!list->count)
		tree_remove(tree_get(tree_get(tree_get(doc, "pools"), pool), "discover"), list);
}

static int set_override(struct tree *doc, const char *pool, const char *name, const char *key,
			const char *word, bool was_found, struct diag *d)
{
	int err;
	struct tree *list = need_overrides(doc, pool, d, &err), *row;

	if (!list)
		return err;
	if (was_found) {
		drop_key(doc, pool, list, name, key);
		return 0;
	}
	row = need_row(list, name);
	if (row && !set_word(row, key, word))
		return 0;
	diag_error(d, NULL, "out of memory");
	return -ENOMEM;
}

int edit_found_state(struct tree *doc, const char *pool, const char *name, enum admin_state state,
		     enum admin_state found, struct diag *d)
{
	return set_override(doc, pool, name, "state", admin_state_name(state), state == found, d);
}

int edit_found_weight(struct tree *doc, const char *pool, const char *name, unsigned weight,
		      unsigned found, struct diag *d)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", weight); /* ten digits at most */
	return set_override(doc, pool, name, "weight", text, weight == found, d);
}

bool edit_lists_backend(const struct tree *doc, const char *pool, const char *name)
{
	const struct tree *list = tree_get(tree_get(tree_get(doc, "pools"), pool), "backends");

	return list && find_in(list, name);
}
