/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands do to a document: see edit.h. */
#include "conf/edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

/* Names that a message can suggest from. */
#define SUGGEST_MAX 256

static int fail_memory(struct diag *d)
{
	diag_error(d, NULL, "out of memory");
	return -ENOMEM;
}

/* what NAME is not there; did you mean ...? */
static int fail_missing(struct diag *d, const char *what, const char *name,
			const char *const *names, size_t count)
{
	const char *meant = text_closest(name, names, count);

	if (meant)
		diag_error(d, NULL, "%s %s is not there; did you mean %s?", what,
			   text_quote(name).s, text_quote(meant).s);
	else
		diag_error(d, NULL, "%s %s is not there", what, text_quote(name).s);
	return -ENOENT;
}

static int find_pool(struct tree *doc, const char *name, struct tree **ret_pool, struct diag *d)
{
	struct tree *pools = tree_get(doc, "pools");
	const char *names[SUGGEST_MAX];
	struct tree *pool = tree_get(pools, name);
	size_t count = 0;

	if (pool && pool->kind != TREE_MAPPING && !tree_is_null(pool)) {
		diag_error(d, &pool->pos, "pool %s is no mapping", text_quote(name).s);
		return -EINVAL;
	}
	if (pool) {
		*ret_pool = pool;
		return 0;
	}
	for (size_t i = 0; pools && i < pools->count && count < SUGGEST_MAX; i++)
		if (pools->children[i]->key)
			names[count++] = pools->children[i]->key;
	return fail_missing(d, "pool", name, names, count);
}

static const char *backend_name(const struct tree *backend)
{
	const struct tree *name = tree_get(backend, "name");

	return name && name->kind == TREE_SCALAR ? name->text : "";
}

/* Where backend name stands in its list; NULL: nowhere. */
static struct tree *find_in(const struct tree *list, const char *name)
{
	for (size_t i = 0; list && i < list->count; i++)
		if (!strcmp(backend_name(list->children[i]), name))
			return list->children[i];
	return NULL;
}

static int find_backend(struct tree *doc, const char *pool, const char *name,
			struct tree **ret_list, struct tree **ret_backend, struct diag *d)
{
	const char *names[SUGGEST_MAX];
	struct tree *node, *list;
	char what[128];
	size_t count = 0;
	int err = find_pool(doc, pool, &node, d);

	if (err < 0)
		return err;
	list = tree_get(node, "backends");
	*ret_list = list;
	*ret_backend = find_in(list, name);
	if (*ret_backend)
		return 0;
	for (size_t i = 0; list && i < list->count && count < SUGGEST_MAX; i++)
		names[count++] = backend_name(list->children[i]);
	(void)snprintf(what, sizeof(what), "pool %.64s: backend", pool); /* cut is fine */
	return fail_missing(d, what, name, names, count);
}

/* The pool's list of backends, made where there is none. */
static int need_list(struct tree *pool, struct tree **ret_list, struct diag *d)
{
	struct tree *list = tree_get(pool, "backends");

	if (list && list->kind == TREE_SEQUENCE) {
		*ret_list = list;
		return 0;
	}
	if (!tree_is_null(list)) {
		diag_error(d, &list->pos, "pool %s: backends is no list", pool->key);
		return -EINVAL;
	}
	if (pool->kind == TREE_SCALAR) { /* "web:" with nothing behind it */
		tree_set_text(pool, NULL);
		pool->kind = TREE_MAPPING;
	}
	list = tree_new(TREE_SEQUENCE);
	if (!list || tree_set(pool, "backends", list) < 0) {
		tree_free(list);
		return fail_memory(d);
	}
	*ret_list = list;
	return 0;
}

static int set_text(struct tree *mapping, const char *key, const char *text)
{
	struct tree *value = tree_new_scalar(text);

	if (!value)
		return -ENOMEM;
	/* As a person would write it: an address with a port does not stand bare on one line. */
	value->quoted = strchr(text, ':') || !*text;
	if (tree_set(mapping, key, value) < 0) {
		tree_free(value);
		return -ENOMEM;
	}
	return 0;
}

static int set_number(struct tree *mapping, const char *key, unsigned n)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", n); /* ten digits at most */
	return set_text(mapping, key, text);
}

int edit_backend_add(struct tree *doc, const char *pool, const char *name, const char *address,
		     const unsigned *weight, struct diag *d)
{
	struct tree *node, *list, *backend;
	int err = find_pool(doc, pool, &node, d);

	if (err < 0)
		return err;
	if (find_in(tree_get(node, "backends"), name)) {
		diag_error(d, NULL, "pool %s has a backend %s already", pool, text_quote(name).s);
		return -EEXIST;
	}
	err = need_list(node, &list, d);
	if (err < 0)
		return err;
	backend = tree_new(TREE_MAPPING);
	if (!backend || set_text(backend, "name", name) < 0 ||
	    set_text(backend, "address", address) < 0 ||
	    (weight && set_number(backend, "weight", *weight) < 0) ||
	    tree_append(list, backend) < 0) {
		tree_free(backend);
		return fail_memory(d);
	}
	return 0;
}

int edit_backend_remove(struct tree *doc, const char *pool, const char *name, struct diag *d)
{
	struct tree *list, *backend;
	int err = find_backend(doc, pool, name, &list, &backend, d);

	if (!err)
		tree_remove(list, backend);
	return err;
}

int edit_backend_state(struct tree *doc, const char *pool, const char *name, enum admin_state state,
		       struct diag *d)
{
	struct tree *list, *backend, *old;
	int err = find_backend(doc, pool, name, &list, &backend, d);

	if (err < 0)
		return err;
	old = tree_get(backend, "state");
	if (state == ADMIN_UP && old)
		tree_remove(backend, old);
	else if (state != ADMIN_UP && set_text(backend, "state", admin_state_name(state)) < 0)
		return fail_memory(d);
	return 0;
}

int edit_backend_weight(struct tree *doc, const char *pool, const char *name, unsigned weight,
			struct diag *d)
{
	struct tree *list, *backend;
	int err = find_backend(doc, pool, name, &list, &backend, d);

	if (err < 0)
		return err;
	return set_number(backend, "weight", weight) < 0 ? fail_memory(d) : 0;
}
