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

/* An object: "backend" of "web", "web-1"; "pool", NULL, "web"; "node", NULL, NULL. Most are the same, and
 * their names are never written out. */
struct label {
	const char *kind, *owner, *name;
};

/* A key within a section: "limits" above "flows". */
struct path {
	const struct path *above; /* NULL: none */
	const char *name;
};

struct walk {
	struct change_list list;
	const struct snapshot *old, *new; /* old: NULL where there is none */
	struct label label;		  /* of the changes found now */
	bool failed;			  /* out of memory */
	struct strbuf values[2];	  /* for what is compared as text */
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

static char *label_text(const struct label *l)
{
	struct strbuf b;

	strbuf_init(&b);
	strbuf_add(&b, l->kind);
	if (l->owner)
		strbuf_printf(&b, " %s/%s", l->owner, l->name);
	else if (l->name)
		strbuf_printf(&b, " %s", l->name);
	return strbuf_take(&b);
}

/* Takes the three texts, which may be NULL where an allocation failed or nothing stands. */
static void add(struct walk *w, enum change_kind kind, char *field, char *old_text, char *new_text,
		bool restart)
{
	struct change c = {.kind = kind,
			   .object = label_text(&w->label),
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

static void add_path(struct strbuf *b, const struct path *p)
{
	if (!p)
		return;
	add_path(b, p->above);
	strbuf_printf(b, "%s.", p->name);
}

/* "limits.flows" */
static char *join(const struct path *above, const char *name)
{
	struct strbuf b;

	strbuf_init(&b);
	add_path(&b, above);
	strbuf_add(&b, name);
	return strbuf_take(&b);
}

/* Into b, whose memory is used again. NULL: there is none. */
static const char *format(struct strbuf *b, const struct section *s, const struct keyword *k,
			  const void *object)
{
	b->len = 0;
	if (keyword_is_set(s, k, object))
		keyword_format(b, k, object);
	if (!b->len)
		strbuf_add(b, UNSET);
	return b->failed ? NULL : b->text;
}

/* What needs no text to be compared: most of what there is. */
static bool is_same_value(const struct keyword *k, const void *old, const void *new)
{
	const char *a = (const char *)old + k->offset, *b = (const char *)new + k->offset;
	const char *const *x = (const void *)a, *const *y = (const void *)b;

	switch (k->type) {
	case KEY_NUMBER:
	case KEY_DURATION:
	case KEY_SIZE:
	case KEY_CHOICE: return !memcmp(a, b, k->width);
	case KEY_SPECIAL: return k->width && !memcmp(a, b, k->width);
	case KEY_TEXT:
	case KEY_NAME: return *x == *y || (*x && *y && !strcmp(*x, *y));
	default: return false;
	}
}

static void compare_value(struct walk *w, const struct path *above, const struct section *s,
			  const struct keyword *k, const void *old, const void *new)
{
	const char *a, *b;
	char *old_text, *new_text;

	if (is_same_value(k, old, new))
		return;
	a = format(&w->values[0], s, k, old);
	b = format(&w->values[1], s, k, new);
	if (a && b && !strcmp(a, b))
		return;
	old_text = a ? strdup(a) : NULL;
	new_text = b ? strdup(b) : NULL;
	if (w->old)
		old_text = secrets_mask(&w->old->secrets, old_text);
	new_text = secrets_mask(&w->new->secrets, new_text);
	add(w, CHANGE_CHANGED, join(above, k->name), old_text, new_text,
	    k->restart || (k->restart_if && k->restart_if(old, new)));
}

/* Another kind altogether is one change, not one for each key. */
static bool is_other_variant(const struct section *s, const void *old, const void *new)
{
	return s->one_of && *(const unsigned *)((const char *)old + s->tag_offset) !=
				    *(const unsigned *)((const char *)new + s->tag_offset);
}

static void compare_section(struct walk *w, const struct path *above, const struct section *s,
			    const void *old, const void *new)
{
	for (size_t i = 0; i < s->count && !w->failed; i++) {
		const struct keyword *k = &s->keys[i];
		const char *old_field = (const char *)old + k->offset;
		const char *new_field = (const char *)new + k->offset;
		struct path below = {above, k->name};

		if (k->type == KEY_NAMED || k->type == KEY_ITEMS)
			continue;
		if (k->type != KEY_SECTION || is_other_variant(k->section, old_field, new_field)) {
			compare_value(w, above, s, k, old, new);
			continue;
		}
		if (!keyword_is_set(s, k, new))
			continue;
		compare_section(w, &below, k->section, old_field, new_field);
	}
}

/* One object that is in either or in both. */
static void compare_object(struct walk *w, const struct section *s, struct label label,
			   const void *old, const void *new)
{
	w->label = label;
	if (!old)
		add(w, CHANGE_ADDED, NULL, NULL, NULL, false);
	else if (!new)
		add(w, CHANGE_REMOVED, NULL, NULL, NULL, false);
	else
		compare_section(w, NULL, s, old, new);
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

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		compare_object(
			w, &schema_backend,
			(struct label){"backend", (old ? old : new)->name, (a ? a : b)->name}, a,
			b);
	}
}

static void compare_pools(struct walk *w, const struct snapshot *old, const struct snapshot *new)
{
	size_t i = 0, j = 0, old_count = old ? old->pool_count : 0;

	while ((i < old_count || j < new->pool_count) && !w->failed) {
		const struct pool *a = i < old_count ? &old->pools[i] : NULL;
		const struct pool *b = j < new->pool_count ? &new->pools[j] : NULL;
		int c = compare_heads(a ? a->name : NULL, b ? b->name : NULL);

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		compare_object(w, &schema_pool, (struct label){"pool", NULL, (a ? a : b)->name}, a,
			       b);
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

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		compare_object(w, &schema_service,
			       (struct label){"service", NULL, (a ? a : b)->name}, a, b);
	}
}

static void compare_rate_limits(struct walk *w, const struct snapshot *old,
				const struct snapshot *new)
{
	for (size_t i = 0; old && i < old->rate_limit_count && !w->failed; i++) {
		const struct rate_limit *a = &old->rate_limits[i];

		compare_object(w, &schema_rate_limit, (struct label){"rate limit", NULL, a->name},
			       a, snapshot_rate_limit(new, a->name));
	}
	for (size_t i = 0; i < new->rate_limit_count && !w->failed; i++) {
		const struct rate_limit *b = &new->rate_limits[i];

		if (!old || !snapshot_rate_limit(old, b->name))
			compare_object(w, &schema_rate_limit,
				       (struct label){"rate limit", NULL, b->name}, NULL, b);
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
		char prefix[PREFIX_STRLEN];
		const struct guard_prefix *one;

		a = c <= 0 ? a : NULL;
		b = c >= 0 ? b : NULL;
		i += a != NULL;
		j += b != NULL;
		one = a ? a : b;
		prefix_format(&one->addr, one->len, prefix, sizeof(prefix));
		compare_object(
			w, &schema_guard_entry,
			(struct label){one->allow ? "guard allow" : "guard block", NULL, prefix}, a,
			b);
	}
}

int diff_snapshots(const struct snapshot *old, const struct snapshot *new,
		   struct change_list *ret_list)
{
	struct walk w = {.old = old, .new = new};

	strbuf_init(&w.values[0]);
	strbuf_init(&w.values[1]);
	if (old) {
		compare_object(&w, &schema_node, (struct label){"node", NULL, NULL}, &old->node,
			       &new->node);
		compare_object(&w, &schema_admin, (struct label){"admin", NULL, NULL}, &old->admin,
			       &new->admin);
		compare_object(&w, &schema_log, (struct label){"log", NULL, NULL}, &old->log,
			       &new->log);
		compare_object(&w, &schema_overload, (struct label){"overload", NULL, NULL},
			       &old->overload, &new->overload);
	}
	compare_guard(&w, old ? &old->guard : NULL, &new->guard);
	compare_rate_limits(&w, old, new);
	compare_pools(&w, old, new);
	compare_services(&w, old, new);
	strbuf_deinit(&w.values[0]);
	strbuf_deinit(&w.values[1]);
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
