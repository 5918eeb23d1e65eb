/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of backends that were found, and the table of them: see found.h. */
#include "conf/found.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/tree.h"
#include "core/strbuf.h"

/* ---- a set ---- */

const char *discover_kind_name(enum discover_kind kind)
{
	return kind == DISCOVER_DNS ? "dns" : kind == DISCOVER_FILE ? "file" : "config";
}

struct found_set *found_set_new(enum discover_kind kind, const char *source)
{
	struct found_set *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	arena_init(&s->arena);
	s->kind = kind;
	s->source = arena_strdup(&s->arena, source);
	if (!s->source) {
		found_set_free(s);
		return NULL;
	}
	return s;
}

void found_set_free(struct found_set *s)
{
	if (!s)
		return;
	tree_free(s->tree);
	free(s->list);
	arena_deinit(&s->arena);
	free(s);
}

/* "10.0.0.1_8080", "2001-db8--1": a good name, and another one for each endpoint. */
static void name_of(const struct endpoint *ep, char *buf, size_t len)
{
	char text[ADDR_STRLEN];

	addr_format(&ep->addr, text, sizeof(text));
	for (char *c = text; *c; c++)
		if (*c == ':')
			*c = '-';
	if (ep->port)
		(void)snprintf(buf, len, "%s%s_%u", text[0] == '-' ? "0" : "", text, ep->port);
	else
		(void)snprintf(buf, len, "%s%s", text[0] == '-' ? "0" : "", text);
}

static int grow(struct found_set *s)
{
	size_t room = s->room ? s->room * 2 : 8;
	struct found_backend *list;

	if (s->count < s->room)
		return 0;
	list = realloc(s->list, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->list = list;
	s->room = room;
	return 0;
}

bool found_set_add(struct found_set *s, const struct endpoint *ep, unsigned weight,
		   unsigned priority, int *ret_err)
{
	char name[ADDR_STRLEN + 8];
	struct found_backend b = {.ep = *ep, .weight = weight, .priority = priority};

	*ret_err = 0;
	if (field_refuse_address(&ep->addr))
		return false;
	name_of(ep, name, sizeof(name));
	b.name = arena_strdup(&s->arena, name);
	*ret_err = b.name ? grow(s) : -ENOMEM;
	if (*ret_err)
		return false;
	s->list[s->count++] = b;
	return true;
}

static int compare_found(const void *a, const void *b)
{
	const struct found_backend *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->priority > y->priority) - (x->priority < y->priority);
}

void found_set_finish(struct found_set *s)
{
	size_t kept = 0;

	if (s->count)
		qsort(s->list, s->count, sizeof(*s->list), compare_found);
	/* The name of one without a name is its address. */
	for (size_t i = 0; i < s->count; i++)
		if (!kept || strcmp(s->list[i].name, s->list[kept - 1].name) != 0)
			s->list[kept++] = s->list[i];
	s->count = kept;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool found_set_equal(const struct found_set *a, const struct found_set *b)
{
	size_t count = a ? a->count : 0;

	if (count != (b ? b->count : 0))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct found_backend *x = &a->list[i], *y = &b->list[i];

		if (strcmp(x->name, y->name) != 0 || endpoint_cmp(&x->ep, &y->ep) ||
		    x->weight != y->weight || x->priority != y->priority || x->admin != y->admin ||
		    !same_text(x->zone, y->zone))
			return false;
	}
	return true;
}

static int compare_name(const void *key, const void *row)
{
	return strcmp(key, ((const struct found_backend *)row)->name);
}

const struct found_backend *found_set_get(const struct found_set *s, const char *name)
{
	if (!s || !s->count)
		return NULL;
	return bsearch(name, s->list, s->count, sizeof(*s->list), compare_name);
}

char *found_set_text(const struct found_set *s)
{
	char address[ENDPOINT_STRLEN];
	struct strbuf b;

	strbuf_init(&b);
	if (!s->count)
		strbuf_add(&b, "[]\n");
	for (size_t i = 0; i < s->count; i++) {
		const struct found_backend *f = &s->list[i];

		strbuf_printf(&b, "- {name: \"%s\", address: \"%s\", weight: %u", f->name,
			      endpoint_format(&f->ep, address, sizeof(address)), f->weight);
		if (f->priority)
			strbuf_printf(&b, ", priority: %u", f->priority);
		if (f->zone)
			strbuf_printf(&b, ", zone: \"%s\"", f->zone);
		if (f->admin != ADMIN_UP)
			strbuf_printf(&b, ", state: %s", admin_state_name(f->admin));
		strbuf_add(&b, "}\n");
	}
	if (!b.failed)
		return strbuf_take(&b);
	strbuf_deinit(&b);
	return NULL;
}

/* ---- the table ---- */

struct entry {
	char *pool;
	struct found_set *set;
};

struct found {
	struct entry *entries; /* sorted by pool */
	size_t count;
};

struct found *found_new(void)
{
	return calloc(1, sizeof(struct found));
}

void found_free(struct found *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		found_set_free(f->entries[i].set);
		free(f->entries[i].pool);
	}
	free(f->entries);
	free(f);
}

/* The first entry that is not before pool. */
static size_t find(const struct found *f, const char *pool)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(f->entries[middle].pool, pool) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct found *f, size_t at, const char *pool)
{
	return at < f->count && !strcmp(f->entries[at].pool, pool);
}

const struct found_set *found_get(const struct found *f, const char *pool)
{
	size_t at = find(f, pool);

	return is_at(f, at, pool) ? f->entries[at].set : NULL;
}

static int insert(struct found *f, size_t at, const char *pool)
{
	struct entry *entries = realloc(f->entries, (f->count + 1) * sizeof(*entries));
	char *copy = strdup(pool);

	if (entries)
		f->entries = entries;
	if (!entries || !copy) {
		free(copy);
		return -ENOMEM;
	}
	memmove(&entries[at + 1], &entries[at], (f->count - at) * sizeof(*entries));
	entries[at] = (struct entry){.pool = copy};
	f->count++;
	return 0;
}

int found_put(struct found *f, const char *pool, struct found_set *set,
	      struct found_set **ret_former)
{
	size_t at = find(f, pool);

	if (!is_at(f, at, pool)) {
		int err = insert(f, at, pool);

		if (err)
			return err;
	}
	*ret_former = f->entries[at].set;
	f->entries[at].set = set;
	return 0;
}

size_t found_count(const struct found *f)
{
	return f->count;
}

const char *found_pool(const struct found *f, size_t index)
{
	return f->entries[index].pool;
}
