/* SPDX-License-Identifier: BSD-2-Clause */
/* See edit_guard.h. */
#include "conf/edit_guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const lists[] = {"block", "allow"};

static int fail_memory(struct diag *d)
{
	diag_error(d, NULL, "out of memory");
	return -ENOMEM;
}

/* An item is a bare prefix, or a mapping with one. */
static bool item_is(const struct tree *item, const struct addr *addr, unsigned len)
{
	const struct tree *prefix = item->kind == TREE_MAPPING ? tree_get(item, "prefix") : item;
	struct addr found;
	unsigned found_len;

	return prefix && prefix->kind == TREE_SCALAR &&
	       !addr_parse_prefix(prefix->text, true, &found, &found_len) && found_len == len &&
	       !addr_cmp(&found, addr);
}

/* Where a prefix stands; false: nowhere. */
static bool find(const struct tree *doc, const struct addr *addr, unsigned len,
		 struct tree **ret_list, struct tree **ret_item)
{
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
		struct tree *list = tree_get(tree_get(doc, "guard"), lists[l]);

		for (size_t i = 0; list && i < list->count; i++) {
			if (!item_is(list->children[i], addr, len))
				continue;
			*ret_list = list;
			*ret_item = list->children[i];
			return true;
		}
	}
	return false;
}

/* A mapping's child of a kind, made where there is none or nothing in it. */
static struct tree *need(struct tree *mapping, const char *key, enum tree_kind kind, struct diag *d)
{
	struct tree *child = tree_get(mapping, key);

	if (child && child->kind == kind)
		return child;
	if (!tree_is_null(child)) {
		diag_error(d, &child->pos, "%s is no %s", key,
			   kind == TREE_MAPPING ? "mapping" : "list");
		return NULL;
	}
	child = tree_new(kind);
	if (!child || tree_set(mapping, key, child) < 0) {
		tree_free(child);
		(void)fail_memory(d);
		return NULL;
	}
	return child;
}

/* As a person would write it: what has a colon does not stand bare. NULL: out of memory. */
static struct tree *make_text(const char *text)
{
	struct tree *value = tree_new_scalar(text);

	if (value)
		value->quoted = strpbrk(text, ":#,{}[]\"'") != NULL;
	return value;
}

static int set_text(struct tree *mapping, const char *key, const char *text)
{
	struct tree *value = make_text(text);

	if (!value || tree_set(mapping, key, value) < 0) {
		tree_free(value);
		return -ENOMEM;
	}
	return 0;
}

/* NULL: out of memory. */
static struct tree *make_item(const struct guard_prefix *entry)
{
	char text[PREFIX_STRLEN];
	struct tree *item;

	prefix_format(&entry->addr, entry->len, text, sizeof(text));
	if (!entry->note)
		return make_text(text);
	item = tree_new(TREE_MAPPING);
	if (item &&
	    (set_text(item, "prefix", text) < 0 || set_text(item, "note", entry->note) < 0)) {
		tree_free(item);
		item = NULL;
	}
	return item;
}

int edit_guard_add(struct tree *doc, const struct guard_prefix *entry, struct diag *d)
{
	struct tree *guard, *list, *item;
	char text[PREFIX_STRLEN];

	if (find(doc, &entry->addr, entry->len, &list, &item)) {
		diag_error(d, NULL, "%s is in the list %s of the configuration already",
			   prefix_format(&entry->addr, entry->len, text, sizeof(text)), list->key);
		return -EEXIST;
	}
	guard = need(doc, "guard", TREE_MAPPING, d);
	list = guard ? need(guard, entry->allow ? "allow" : "block", TREE_SEQUENCE, d) : NULL;
	if (!list)
		return d->out_of_memory ? -ENOMEM : -EINVAL;
	item = make_item(entry);
	if (!item || tree_append(list, item) < 0) {
		tree_free(item);
		return fail_memory(d);
	}
	return 0;
}

int edit_guard_remove(struct tree *doc, const struct addr *addr, unsigned len, struct diag *d)
{
	struct tree *list, *item;
	char text[PREFIX_STRLEN];

	if (!find(doc, addr, len, &list, &item)) {
		diag_error(d, NULL, "%s is in no list of the guard",
			   prefix_format(addr, len, text, sizeof(text)));
		return -ENOENT;
	}
	tree_remove(list, item);
	return 0;
}
