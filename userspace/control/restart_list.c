/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes that wait for a restart: see restart_list.h. */
#include "control/restart_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void clear_change(struct change *c)
{
	free(c->object);
	free(c->field);
	free(c->old_text);
	free(c->new_text);
}

static int copy_text(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static int append(struct change_list *list, const struct change *from)
{
	struct change c = {.kind = from->kind, .restart = true};
	struct change *items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	if (copy_text(from->object, &c.object) || copy_text(from->field, &c.field) ||
	    copy_text(from->old_text, &c.old_text) || copy_text(from->new_text, &c.new_text)) {
		clear_change(&c);
		return -ENOMEM;
	}
	items[list->count++] = c;
	return 0;
}

static int merge(struct change_list *list, size_t at, const struct change *from)
{
	struct change *c = &list->items[at];
	char *text;

	if (same(c->old_text, from->new_text)) {
		clear_change(c);
		*c = list->items[--list->count];
		return 0;
	}
	if (copy_text(from->new_text, &text))
		return -ENOMEM;
	free(c->new_text);
	c->new_text = text;
	return 0;
}

int restart_list_note(struct change_list *list, const struct change_list *changes)
{
	int err = 0;

	for (size_t i = 0; i < changes->count && !err; i++) {
		const struct change *from = &changes->items[i];
		size_t at = 0;

		if (!from->restart)
			continue;
		while (at < list->count && (!same(list->items[at].object, from->object) ||
					    !same(list->items[at].field, from->field)))
			at++;
		err = at < list->count ? merge(list, at, from) : append(list, from);
	}
	return err;
}
