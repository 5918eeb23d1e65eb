/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of a document: see objects.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/json_build.h"
#include "control/objects.h"

static json_t *scalar_json(const struct tree *t)
{
	char *end;
	long long n;

	if (!t->quoted && (!strcmp(t->text, "true") || !strcmp(t->text, "false")))
		return json_boolean(t->text[0] == 't');
	errno = 0;
	n = strtoll(t->text, &end, 10);
	/* Only what JSON writes the same way: no sign, no zero in front, nothing behind. */
	if (!t->quoted && !errno && !*end && t->text[0] >= '0' && t->text[0] <= '9' &&
	    (t->text[0] != '0' || !t->text[1]))
		return json_integer(n);
	return json_text(t->text);
}

/* The depth is bounded by tree_parse(). */
json_t *object_tree(const struct tree *t)
{
	json_t *value;
	bool failed;

	if (t->kind == TREE_SCALAR)
		return scalar_json(t);
	value = t->kind == TREE_MAPPING ? json_object() : json_array();
	failed = !value;
	for (size_t i = 0; i < t->count; i++) {
		const struct tree *child = t->children[i];

		if (t->kind == TREE_MAPPING)
			json_put(value, child->key, object_tree(child), &failed);
		else
			json_push(value, object_tree(child), &failed);
	}
	return json_finish(value, failed);
}
