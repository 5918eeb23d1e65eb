/* SPDX-License-Identifier: BSD-2-Clause */
/* From a document to a snapshot: reads every row, then resolves and checks. See build.h. */
#include "conf/build.h"

#include <stdlib.h>
#include <string.h>

#include "conf/draft.h"
#include "conf/fields.h"
#include "conf/runtime.h"
#include "conf/route_set.h"
#include "conf/schema.h"
#include "core/text.h"

static int compare_key(const void *a, const void *b)
{
	return strcmp((*(struct tree *const *)a)->key, (*(struct tree *const *)b)->key);
}

size_t draft_sort_named(struct draft *dr, const char *key, const char *what,
			const struct tree ***ret_sorted)
{
	const struct tree *mapping = tree_get(dr->root, key);
	const struct tree **sorted;

	reader_set_object(&dr->reader, "%s", key);
	if (!mapping || !read_expect_mapping(&dr->reader, mapping) || !mapping->count)
		return 0;
	sorted = read_alloc(&dr->reader, mapping->count, sizeof(*sorted));
	if (!sorted)
		return 0;
	for (size_t i = 0; i < mapping->count; i++) {
		const struct tree *child = mapping->children[i];
		const char *expected = field_refuse_name(child->key);

		if (expected)
			diag_error(dr->reader.diag, &child->key_pos,
				   "%s: expected as the name of a %s %s, found %s", key, what,
				   expected, text_quote(child->key).s);
		sorted[i] = child;
	}
	qsort(sorted, mapping->count, sizeof(*sorted), compare_key);
	*ret_sorted = sorted;
	return mapping->count;
}

struct backend_row {
	struct backend backend;
	const struct tree *node;
};

static int compare_row(const void *a, const void *b)
{
	const struct backend_row *x = a, *y = b;
	const struct pos *p = &x->node->pos, *q = &y->node->pos;
	int c = strcmp(x->backend.name, y->backend.name);

	if (c)
		return c;
	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	return (p->column > q->column) - (p->column < q->column);
}

/* blank: with the defaults. */
static void read_backend(struct draft *dr, const struct pool *pool, const struct tree *node,
			 size_t index, const struct backend *blank, struct backend_row *row)
{
	const struct tree *name = tree_get(node, "name");

	if (name && name->kind == TREE_SCALAR && !field_refuse_name(name->text))
		reader_set_member(&dr->reader, "backend", pool->name, name->text);
	else
		reader_set_object(&dr->reader, "pool %s: backend %zu", pool->name, index + 1);
	row->node = node;
	memcpy(&row->backend, blank, sizeof(*blank));
	row->backend.name = "";
	row->backend.pool = pool;
	read_given(&dr->reader, &schema_backend, node, &row->backend);
}

/* The list of backends, sorted by name, with their nodes beside them. */
static void read_backends(struct draft *dr, struct pool_draft *pd, struct pool *pool,
			  const struct backend *blank)
{
	const struct tree *list = tree_get(pd->node, "backends");
	struct backend_row *rows;

	if (!list || tree_is_null(list))
		return;
	if (list->kind != TREE_SEQUENCE) {
		read_expected(&dr->reader, section_keyword(&schema_pool, "backends"), list,
			      "a list of backends");
		return;
	}
	rows = read_alloc(&dr->reader, list->count, sizeof(*rows));
	pool->backends = read_alloc(&dr->reader, list->count, sizeof(*pool->backends));
	pd->backend_nodes = read_alloc(&dr->reader, list->count, sizeof(*pd->backend_nodes));
	if (dr->reader.out_of_memory)
		return;
	for (size_t i = 0; i < list->count; i++) {
		read_backend(dr, pool, list->children[i], i, blank, &rows[i]);
		if (!rows[i].backend.name) /* no memory for it */
			return;
	}
	qsort(rows, list->count, sizeof(*rows), compare_row);
	for (size_t i = 0; i < list->count; i++) {
		pool->backends[i] = rows[i].backend;
		pd->backend_nodes[i] = rows[i].node;
	}
	pool->backend_count = list->count;
}

static void read_pools(struct draft *dr)
{
	struct snapshot *snap = dr->snap;
	const struct tree **sorted = NULL;
	size_t count = draft_sort_named(dr, "pools", "pool", &sorted);
	/* The defaults are read once, and copied. */
	struct pool *blank = read_alloc(&dr->reader, 1, sizeof(*blank));
	struct backend *blank_backend = read_alloc(&dr->reader, 1, sizeof(*blank_backend));

	snap->pools = read_alloc(&dr->reader, count, sizeof(*snap->pools));
	dr->pools = read_alloc(&dr->reader, count, sizeof(*dr->pools));
	if (!blank || !blank_backend || dr->reader.out_of_memory)
		return;
	read_section(&dr->reader, &schema_pool, NULL, blank);
	read_section(&dr->reader, &schema_backend, NULL, blank_backend);
	for (size_t i = 0; i < count && !dr->reader.out_of_memory; i++) {
		struct pool *pool = &snap->pools[i];

		memcpy(pool, blank, sizeof(*pool));
		dr->pools[i].node = sorted[i];
		pool->name = read_strdup(&dr->reader, sorted[i]->key);
		if (!pool->name)
			return;
		snap->pool_count = i + 1;
		reader_set_object(&dr->reader, "pool %s", pool->name);
		read_given(&dr->reader, &schema_pool, sorted[i], pool);
		read_backends(dr, &dr->pools[i], pool, blank_backend);
		draft_add_found(dr, &dr->pools[i], pool);
	}
}

void draft_unknown_pool(struct draft *dr, const struct tree *name)
{
	const struct snapshot *snap = dr->snap;
	bool shown = dr->reader.diag->errors < DIAG_MAX_KEPT;
	size_t count = shown ? snap->pool_count : 0; /* nobody reads the rest */
	const char **names = read_alloc(&dr->reader, count, sizeof(*names));
	const char *meant;

	if (!names)
		return;
	for (size_t i = 0; i < count; i++)
		names[i] = snap->pools[i].name;
	meant = text_closest(name->text, names, count);
	if (meant)
		diag_error(dr->reader.diag, &name->pos, "%spool %s is not there; did you mean %s?",
			   dr->reader.object, text_quote(name->text).s, text_quote(meant).s);
	else
		diag_error(dr->reader.diag, &name->pos, "%spool %s is not there, add it to pools",
			   dr->reader.object, text_quote(name->text).s);
}

/* The pools of a service's source routes. */
static void find_route_pools(struct draft *dr, const struct tree *node, struct service *s)
{
	const struct tree *list = tree_get(node, "source_routes");

	for (size_t i = 0; i < s->source_route_count; i++) {
		struct source_route *route = &s->source_routes[i];

		if (!route->pool_name)
			continue;
		route->pool = snapshot_pool(dr->snap, route->pool_name);
		if (!route->pool)
			draft_unknown_pool(dr, tree_get(list->children[i], "pool"));
	}
}

/* The same of its SNI routes. */
static void find_sni_pools(struct draft *dr, const struct tree *node, struct service *s)
{
	const struct tree *list = tree_get(node, "sni_routes");

	for (size_t i = 0; i < s->sni_route_count; i++) {
		struct sni_route *route = &s->sni_routes[i];

		if (!route->pool_name)
			continue;
		route->pool = snapshot_pool(dr->snap, route->pool_name);
		if (!route->pool)
			draft_unknown_pool(dr, tree_get(list->children[i], "pool"));
	}
}

static void read_services(struct draft *dr)
{
	struct snapshot *snap = dr->snap;
	const struct tree **sorted = NULL;
	size_t count = draft_sort_named(dr, "services", "service", &sorted);
	struct service *blank = read_alloc(&dr->reader, 1, sizeof(*blank));

	snap->services = read_alloc(&dr->reader, count, sizeof(*snap->services));
	dr->services = read_alloc(&dr->reader, count, sizeof(*dr->services));
	if (!blank || dr->reader.out_of_memory)
		return;
	read_section(&dr->reader, &schema_service, NULL, blank);
	for (size_t i = 0; i < count && !dr->reader.out_of_memory; i++) {
		struct service *s = &snap->services[i];
		const struct tree *pool = tree_get(sorted[i], "pool");

		memcpy(s, blank, sizeof(*s));
		dr->services[i].node = sorted[i];
		s->name = read_strdup(&dr->reader, sorted[i]->key);
		if (!s->name)
			return;
		snap->service_count = i + 1;
		reader_set_object(&dr->reader, "service %s", s->name);
		read_given(&dr->reader, &schema_service, sorted[i], s);
		find_route_pools(dr, sorted[i], s);
		find_sni_pools(dr, sorted[i], s);
		draft_build_routes(dr, sorted[i], s);
		if (!pool && s->mode == SERVICE_HTTP && !tree_get(sorted[i], "routes"))
			diag_error(dr->reader.diag, &sorted[i]->key_pos,
				   "%sexpected pool, routes or both in mode http",
				   dr->reader.object);
		else if (!pool && s->mode != SERVICE_TLS && s->mode != SERVICE_HTTP)
			diag_error(dr->reader.diag, &sorted[i]->key_pos,
				   "%spool is missing, expected the name of a pool",
				   dr->reader.object);
		if (!pool || pool->kind != TREE_SCALAR || tree_is_null(pool))
			continue;
		s->pool = snapshot_pool(snap, pool->text);
		if (!s->pool)
			draft_unknown_pool(dr, pool);
	}
}

/* False: out of memory. */
static bool find_routes(const struct service *s, struct runtime *rt)
{
	const struct route_set *set = s->routes;
	char buf[ROUTE_KEY_MAX];

	for (size_t i = 0; set && i < set->table.count; i++) {
		const struct route *r = &set->table.routes[i];
		struct route_action *a = r->action;

		a->rt = runtime_route(rt, s->name, route_key(set, r, buf));
		if (!a->rt)
			return false;
	}
	return true;
}

/* References to what outlives a snapshot. */
static void find_runtime(struct draft *dr, struct runtime *rt)
{
	struct snapshot *snap = dr->snap;
	bool *failed = &dr->reader.out_of_memory;

	for (size_t i = 0; i < snap->pool_count; i++) {
		struct pool *p = &snap->pools[i];

		for (size_t j = 0; j < p->backend_count && !*failed; j++) {
			struct backend *b = &p->backends[j];

			b->rt = runtime_backend(rt, p->name, b->name, &b->ep);
			*failed = !b->rt;
			if (b->rt)
				p->rt = b->rt->of;
		}
	}
	for (size_t i = 0; i < snap->service_count && !*failed; i++) {
		struct service *s = &snap->services[i];

		s->rt = runtime_service(rt, s->name);
		*failed = !s->rt || !find_routes(s, rt);
	}
	for (size_t i = 0; i < snap->rate_limit_count && !*failed; i++) {
		struct rate_limit *l = &snap->rate_limits[i];

		l->rt = runtime_limit(rt, l);
		*failed = !l->rt;
	}
}

/* The document with the environment's values in place of its references; NULL: it has none, or there is
 * no memory. */
static struct tree *resolve_environ(struct draft *dr, const struct tree *document)
{
	struct tree *resolved;

	if (!environ_is_used(document))
		return NULL;
	resolved = environ_resolve(document, snapshot_arena(dr->snap), &dr->snap->secrets,
				   dr->reader.diag);
	dr->reader.out_of_memory |= !resolved;
	return resolved;
}

/* All of it but the document. */
static struct snapshot *build(const struct tree *document, struct runtime *rt, struct diag *d)
{
	struct draft dr = {.snap = snapshot_new()};
	size_t errors = d->errors, first = d->count;
	struct tree *resolved;

	runtime_sweep(rt);
	if (!dr.snap) {
		diag_error(d, NULL, "out of memory");
		return NULL;
	}
	reader_init(&dr.reader, snapshot_arena(dr.snap), d);
	resolved = resolve_environ(&dr, document);
	dr.root = resolved ? resolved : document;
	dr.found = runtime_found(rt);
	read_section(&dr.reader, &schema_root, dr.root, dr.snap);
	draft_read_guard(&dr);
	read_pools(&dr);
	draft_build_pool_rules(&dr);
	draft_read_rate_limits(&dr);
	read_services(&dr);
	if (!dr.reader.out_of_memory) {
		draft_resolve(&dr);
		draft_check(&dr);
	}
	if (!dr.reader.out_of_memory && d->errors == errors)
		find_runtime(&dr, rt);
	if (dr.reader.out_of_memory)
		diag_error(d, NULL, "out of memory");
	tree_free(resolved);
	secrets_mask_diag(&dr.snap->secrets, d, first);
	diag_sort(d, first);
	if (d->errors > errors) {
		snapshot_unref(dr.snap);
		return NULL;
	}
	return dr.snap;
}

struct snapshot *conf_build_taking(struct tree **document, struct runtime *rt, struct diag *d)
{
	struct snapshot *snap = build(*document, rt, d);

	if (!snap)
		return NULL;
	snap->document = *document;
	*document = NULL;
	return snap;
}

struct snapshot *conf_build(const struct tree *document, struct runtime *rt, struct diag *d)
{
	struct snapshot *snap = build(document, rt, d);

	if (!snap)
		return NULL;
	snap->document = tree_copy(document);
	if (!snap->document) {
		diag_error(d, NULL, "out of memory");
		snapshot_unref(snap);
		return NULL;
	}
	return snap;
}
