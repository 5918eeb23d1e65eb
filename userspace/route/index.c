/* SPDX-License-Identifier: BSD-2-Clause */
/* The index over hosts and paths: see index.h. */
#include "route/index.h"

#include <errno.h>
#include <stdlib.h>

#include "route/hash.h"
#include "route/tree.h"

/* All routes with one host pattern; or those with none. */
struct host_group {
	struct slice text; /* as of struct host_pattern; a suffix begins with a dot */
	uint64_t hash;
	struct tree_rows anywhere; /* whose path no tree can say anything of */
	struct tree_node tree;
};

struct route_index {
	const struct host_group *any;	 /* NULL: no such routes */
	const struct host_group **slots; /* open addressing, at most half of them taken */
	size_t mask;
};

/* A route has one for each of its host patterns. */
struct entry {
	struct slice host; /* ptr is NULL: any */
	bool is_anywhere;
	struct tree_row row;
};

/* Names are hashed from their end, so that one pass over a host meets all of its suffixes. */
static uint64_t hash_back(struct slice s)
{
	uint64_t h = ROUTE_HASH_INIT;

	for (size_t i = s.len; i-- > 0;)
		h = route_hash_byte(h, (uint8_t)s.ptr[i]);
	return h;
}

/* The lower bits of FNV-1a know little of the upper ones. */
static size_t slot_of(const struct route_index *x, uint64_t hash)
{
	return (hash ^ hash >> 29) & x->mask;
}

static int entry_cmp(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	struct tree_row host_a = {.text = a->host}, host_b = {.text = b->host};
	int order = tree_row_cmp(&host_a, &host_b);

	if (order)
		return order;
	if (a->is_anywhere != b->is_anywhere)
		return a->is_anywhere ? -1 : 1;
	if (a->is_anywhere)
		return (a->row.number > b->row.number) - (a->row.number < b->row.number);
	return tree_row_cmp(&a->row, &b->row);
}

static struct entry *list_entries(const struct route *routes, size_t count, size_t *ret_count)
{
	struct entry *entries;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += routes[i].match.host_count ? routes[i].match.host_count : 1;
	*ret_count = n;
	entries = calloc(n ? n : 1, sizeof(*entries));
	if (!entries)
		return NULL;
	n = 0;
	for (size_t i = 0; i < count; i++) {
		const struct route_match *m = &routes[i].match;
		enum path_kind kind = m->path.kind;
		struct entry e = {
			.is_anywhere = kind == PATH_ANY || kind == PATH_REGEX,
			.row = {m->path.literal, kind == PATH_EXACT, (uint32_t)i},
		};

		if (!m->host_count)
			entries[n++] = e;
		for (size_t k = 0; k < m->host_count; k++) {
			e.host = m->hosts[k].text;
			entries[n++] = e;
		}
	}
	return entries;
}

/* entries: of one host. rows, numbers: room for as many. */
static int build_group(struct route_mem *m, const struct entry *entries, size_t count,
		       struct tree_row *rows, uint32_t *numbers, struct host_group *ret_group)
{
	struct host_group g = {.text = entries->host, .hash = hash_back(entries->host)};
	size_t anywhere = 0;
	int err;

	for (size_t i = 0; i < count; i++) {
		numbers[i] = entries[i].row.number;
		rows[i] = entries[i].row;
		anywhere += entries[i].is_anywhere;
	}
	g.anywhere = (struct tree_rows){(uint32_t)anywhere, numbers};
	err = tree_build(&m->arena, rows + anywhere, numbers + anywhere, count - anywhere, &g.tree);
	*ret_group = g;
	return err;
}

static void add_group(struct route_index *x, const struct host_group *g)
{
	size_t slot = slot_of(x, g->hash);

	if (!g->text.ptr) {
		x->any = g;
		return;
	}
	while (x->slots[slot])
		slot = (slot + 1) & x->mask;
	x->slots[slot] = g;
}

static int build_groups(struct route_mem *m, struct route_index *x, const struct entry *entries,
			size_t count)
{
	struct tree_row *rows = calloc(count ? count : 1, sizeof(*rows));
	uint32_t *numbers = arena_array(&m->arena, count, sizeof(*numbers));
	int err = rows && numbers ? 0 : -ENOMEM;

	for (size_t from = 0, to; !err && from < count; from = to) {
		struct host_group *g = arena_alloc(&m->arena, sizeof(*g));

		for (to = from; to < count && slice_eq(entries[to].host, entries[from].host);)
			to++;
		if (!g)
			err = -ENOMEM;
		else
			err = build_group(m, entries + from, to - from, rows, numbers + from, g);
		if (!err)
			add_group(x, g);
	}
	free(rows);
	return err;
}

int route_index_build(struct route_mem *m, const struct route *routes, size_t count,
		      const struct route_index **ret_index)
{
	struct route_index *x = arena_alloc(&m->arena, sizeof(*x));
	struct entry *entries;
	size_t entry_count, size = 2;
	int err;

	entries = list_entries(routes, count, &entry_count);
	if (!x || !entries) {
		free(entries);
		return -ENOMEM;
	}
	while (size < 2 * entry_count)
		size *= 2;
	x->mask = size - 1;
	x->slots = arena_array(&m->arena, size, sizeof(x->slots[0]));
	qsort(entries, entry_count, sizeof(*entries), entry_cmp);
	err = x->slots ? build_groups(m, x, entries, entry_count) : -ENOMEM;
	free(entries);
	if (!err)
		*ret_index = x;
	return err;
}

static const struct host_group *find_group(const struct route_index *x, uint64_t hash,
					   struct slice text)
{
	for (size_t slot = slot_of(x, hash); x->slots[slot]; slot = (slot + 1) & x->mask)
		if (x->slots[slot]->hash == hash && slice_eq(x->slots[slot]->text, text))
			return x->slots[slot];
	return NULL;
}

static bool walk_group(const struct host_group *g, struct slice path, route_index_cb cb, void *ctx)
{
	if (!g)
		return true;
	if (g->anywhere.count && !cb(ctx, g->anywhere.numbers, g->anywhere.count))
		return false;
	return tree_walk(&g->tree, path, cb, ctx);
}

void route_index_walk(const struct route_index *x, struct slice host, bool is_suffix,
		      struct slice path, route_index_cb cb, void *ctx)
{
	uint64_t hash = ROUTE_HASH_INIT;

	if (!walk_group(x->any, path, cb, ctx))
		return;
	for (size_t i = host.len; i-- > 0;) {
		hash = route_hash_byte(hash, (uint8_t)host.ptr[i]);
		if (host.ptr[i] != '.' || (!i && !is_suffix))
			continue;
		if (!walk_group(find_group(x, hash, (struct slice){host.ptr + i, host.len - i}),
				path, cb, ctx))
			return;
	}
	/* A host that begins with a dot is no name, and not to be taken for a suffix. */
	if (host.len && host.ptr[0] != '.')
		(void)walk_group(find_group(x, hash, host), path, cb, ctx); /* the last one */
}
