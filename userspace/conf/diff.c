/* SPDX-License-Identifier: BSD-2-Clause */
/* What differs between two snapshots, by the keyword table: see diff.h. */
#include "conf/diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"
#include "core/strbuf.h"

/* What a key that is not set and has no default stands for in a change. */
#define UNSET "default"

struct walk {
	struct change_list list;
	const char *object; /* of the changes found now */
	bool failed;	    /* out of memory */
};

static void change_deinit(struct change *c)
{
	free(c->object);
	free(c->field);
	free(c->old_text);
	free(c->new_text);
}

/* There is always room for the next power of two. */
static int append(struct change_list *l, const struct change *c)
{
	if (!(l->count & (l->count - 1))) {
		size_t room = l->count ? l->count * 2 : 1;
		struct change *items = realloc(l->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		l->items = items;
	}
	l->items[l->count++] = *c;
	return 0;
}

/* Takes the three texts, which may be NULL where an allocation failed or nothing stands. */
static void add(struct walk *w, enum change_kind kind, char *field, char *old_text, char *new_text,
		bool restart)
{
	struct change c = {.kind = kind,
			   .object = strdup(w->object),
			   .field = field,
			   .old_text = old_text,
			   .new_text = new_text,
			   .restart = restart};
	bool whole = c.object && (kind != CHANGE_CHANGED || (field && old_text && new_text));

	if (whole && !append(&w->list, &c))
		return;
	w->failed = true;
	change_deinit(&c);
}

/* "limits.flows" */
static char *join(const char *prefix, const char *name)
{
	struct strbuf b;

	strbuf_init(&b);
	strbuf_printf(&b, "%s%s%s", prefix, *prefix ? "." : "", name);
	return strbuf_take(&b);
}

static char *format(const struct section *s, const struct keyword *k, const void *object)
{
	struct strbuf b;

	strbuf_init(&b);
	if (keyword_is_set(s, k, object))
		keyword_format(&b, k, object);
	if (!b.len)
		strbuf_add(&b, UNSET);
	return strbuf_take(&b);
}

static void compare_value(struct walk *w, const char *prefix, const struct section *s,
			  const struct keyword *k, const void *old, const void *new)
{
	char *old_text = format(s, k, old), *new_text = format(s, k, new);

	if (old_text && new_text && !strcmp(old_text, new_text)) {
		free(old_text);
		free(new_text);
		return;
	}
	add(w, CHANGE_CHANGED, join(prefix, k->name), old_text, new_text,
	    k->restart || (k->restart_if && k->restart_if(old, new)));
}

/* Another kind altogether is one change, not one for each key. */
static bool is_other_variant(const struct section *s, const void *old, const void *new)
{
	return s->one_of && *(const unsigned *)((const char *)old + s->tag_offset) !=
				    *(const unsigned *)((const char *)new + s->tag_offset);
}

static void compare_section(struct walk *w, const char *prefix, const struct section *s,
			    const void *old, const void *new)
{
	for (size_t i = 0; i < s->count && !w->failed; i++) {
		const struct keyword *k = &s->keys[i];
		const char *old_field = (const char *)old + k->offset;
		const char *new_field = (const char *)new + k->offset;
		char *below;

		if (k->type == KEY_NAMED || k->type == KEY_ITEMS)
			continue;
		if (k->type != KEY_SECTION || is_other_variant(k->section, old_field, new_field)) {
			compare_value(w, prefix, s, k, old, new);
			continue;
		}
		if (!keyword_is_set(s, k, new))
			continue;
		below = join(prefix, k->name);
		if (below)
			compare_section(w, below, k->section, old_field, new_field);
		w->failed |= !below;
		free(below);
	}
}

/* One object that is in either or in both. */
static void compare_object(struct walk *w, const struct section *s, const char *label,
			   const void *old, const void *new)
{
	w->object = label;
	if (!old)
		add(w, CHANGE_ADDED, NULL, NULL, NULL, false);
	else if (!new)
		add(w, CHANGE_REMOVED, NULL, NULL, NULL, false);
	else
		compare_section(w, "", s, old, new);
}

/* Which of two sorted lists is ahead: <0 the old one's row stands alone, >0 the new one's, 0 both. */
static int compare_heads(const char *old, const char *new)
{
	if (!old || !new)
		return old ? -1 : 1;
	return strcmp(old, new);
}

static void compare_backends(struct walk *w, const struct pool *old, const struct pool *new)
{
	size_t i = 0, j = 0;
	size_t old_count = old ? old->backend_count : 0, new_count = new ? new->backend_count : 0;

	while ((i < old_count || j < new_count) && !w->failed) {
		const struct backend *a = i < old_count ? &old->backends[i] : NULL;
		const struct backend *b = j < new_count ? &new->backends[j] : NULL;
		int c = compare_heads(a ? a->name : NULL, b ? b->name : NULL);
		char label[160];

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		(void)snprintf(label, sizeof(label), "backend %s/%s", (old ? old : new)->name,
			       (a ? a : b)->name);
		compare_object(w, &schema_backend, label, a, b);
	}
}

static void compare_pools(struct walk *w, const struct snapshot *old, const struct snapshot *new)
{
	size_t i = 0, j = 0, old_count = old ? old->pool_count : 0;

	while ((i < old_count || j < new->pool_count) && !w->failed) {
		const struct pool *a = i < old_count ? &old->pools[i] : NULL;
		const struct pool *b = j < new->pool_count ? &new->pools[j] : NULL;
		int c = compare_heads(a ? a->name : NULL, b ? b->name : NULL);
		char label[80];

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		(void)snprintf(label, sizeof(label), "pool %s", (a ? a : b)->name);
		compare_object(w, &schema_pool, label, a, b);
		compare_backends(w, a, b);
	}
}

static void compare_services(struct walk *w, const struct snapshot *old, const struct snapshot *new)
{
	size_t i = 0, j = 0, old_count = old ? old->service_count : 0;

	while ((i < old_count || j < new->service_count) && !w->failed) {
		const struct service *a = i < old_count ? &old->services[i] : NULL;
		const struct service *b = j < new->service_count ? &new->services[j] : NULL;
		int c = compare_heads(a ? a->name : NULL, b ? b->name : NULL);
		char label[80];

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		(void)snprintf(label, sizeof(label), "service %s", (a ? a : b)->name);
		compare_object(w, &schema_service, label, a, b);
	}
}

static void compare_rate_limits(struct walk *w, const struct snapshot *old,
				const struct snapshot *new)
{
	for (size_t i = 0; old && i < old->rate_limit_count && !w->failed; i++) {
		const struct rate_limit *a = &old->rate_limits[i];
		char label[80];

		(void)snprintf(label, sizeof(label), "rate limit %s", a->name);
		compare_object(w, &schema_rate_limit, label, a, snapshot_rate_limit(new, a->name));
	}
	for (size_t i = 0; i < new->rate_limit_count && !w->failed; i++) {
		const struct rate_limit *b = &new->rate_limits[i];
		char label[80];

		(void)snprintf(label, sizeof(label), "rate limit %s", b->name);
		if (!old || !snapshot_rate_limit(old, b->name))
			compare_object(w, &schema_rate_limit, label, NULL, b);
	}
}

static void compare_guard(struct walk *w, const struct guard_conf *old,
			  const struct guard_conf *new)
{
	size_t i = 0, j = 0, old_count = old ? old->count : 0;

	while ((i < old_count || j < new->count) && !w->failed) {
		const struct guard_prefix *a = i < old_count ? &old->entries[i] : NULL;
		const struct guard_prefix *b = j < new->count ? &new->entries[j] : NULL;
		int c = !a ? 1 : !b ? -1 : guard_prefix_cmp(a, b);
		char label[PREFIX_STRLEN + 16], prefix[PREFIX_STRLEN];
		const struct guard_prefix *one;

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		one = a ? a : b;
		(void)snprintf(label, sizeof(label), "guard %s %s", one->allow ? "allow" : "block",
			       prefix_format(&one->addr, one->len, prefix, sizeof(prefix)));
		compare_object(w, &schema_guard_entry, label, a, b);
	}
}

int diff_snapshots(const struct snapshot *old, const struct snapshot *new,
		   struct change_list *ret_list)
{
	struct walk w = {0};

	if (old) {
		compare_object(&w, &schema_node, "node", &old->node, &new->node);
		compare_object(&w, &schema_admin, "admin", &old->admin, &new->admin);
		compare_object(&w, &schema_overload, "overload", &old->overload, &new->overload);
	}
	compare_guard(&w, old ? &old->guard : NULL, &new->guard);
	compare_rate_limits(&w, old, new);
	compare_pools(&w, old, new);
	compare_services(&w, old, new);
	if (w.failed) {
		change_list_deinit(&w.list);
		return -ENOMEM;
	}
	*ret_list = w.list;
	return 0;
}

void change_list_deinit(struct change_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		change_deinit(&l->items[i]);
	free(l->items);
	*l = (struct change_list){0};
}
