/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of backends in a file of its own, YAML or JSON: see found.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/found.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/tree.h"
#include "conf/tree_dir.h"

/* What schema_endpoint describes. */
static void read_row(struct reader *r, const struct tree *node, struct endpoint_row *row)
{
	const struct keyword *address = section_keyword(&schema_endpoint, "address");

	read_section(r, &schema_endpoint, node->kind == TREE_SCALAR ? NULL : node, row);
	if (node->kind == TREE_SCALAR) /* an address alone */
		address->read(r, address, node, row);
	if (row->port && row->backend.ep.port && row->port != row->backend.ep.port)
		diag_error(r->diag, &node->pos,
			   "%saddress has port %u, and port says %u; write one of them", r->object,
			   row->backend.ep.port, row->port);
	if (row->port)
		row->backend.ep.port = row->port;
}

static void add_row(struct found_set *s, struct reader *r, const struct tree *node, size_t index)
{
	struct endpoint_row row = {0};
	int err;

	reader_set_object(r, "endpoint %zu", index + 1);
	read_row(r, node, &row);
	if (!row.backend.ep.addr.family || r->out_of_memory)
		return; /* was reported */
	if (found_set_add(s, &row.backend.ep, row.backend.weight, row.backend.priority, &err)) {
		struct found_backend *b = &s->list[s->count - 1];

		if (row.backend.name)
			b->name = row.backend.name;
		b->zone = row.backend.zone;
		b->admin = row.backend.admin;
		b->node = node;
	}
	r->out_of_memory |= err != 0;
}

static void report_twice(const struct found_backend *a, const struct found_backend *b,
			 struct diag *d)
{
	diag_error(d, &b->node->pos, "endpoint \"%s\" is here twice, first at line %d", b->name,
		   a->node->pos.line);
}

static int compare_names(const void *a, const void *b)
{
	const struct found_backend *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->node->pos.line - y->node->pos.line;
}

static int compare_addresses(const void *a, const void *b)
{
	const struct found_backend *x = a, *y = b;
	int c = endpoint_cmp(&x->ep, &y->ep);

	return c ? c : x->node->pos.line - y->node->pos.line;
}

static void check_twice(struct found_set *s, struct diag *d)
{
	if (!s->count)
		return;
	qsort(s->list, s->count, sizeof(*s->list), compare_addresses);
	for (size_t i = 1; i < s->count; i++)
		if (!endpoint_cmp(&s->list[i].ep, &s->list[i - 1].ep))
			report_twice(&s->list[i - 1], &s->list[i], d);
	qsort(s->list, s->count, sizeof(*s->list), compare_names);
	for (size_t i = 1; i < s->count; i++)
		if (!strcmp(s->list[i].name, s->list[i - 1].name) &&
		    endpoint_cmp(&s->list[i].ep, &s->list[i - 1].ep))
			report_twice(&s->list[i - 1], &s->list[i], d);
}

static void read_list(struct found_set *s, struct diag *d)
{
	const struct tree *list = s->tree;
	struct reader r;

	reader_init(&r, &s->arena, d);
	if (list->kind != TREE_SEQUENCE) {
		diag_error(d, &list->pos,
			   "expected a list of endpoints, such as "
			   "[{address: 10.0.0.1, port: 8080}]");
		return;
	}
	if (list->count > FOUND_MAX) {
		diag_error(d, &list->pos, "at most %d endpoints", FOUND_MAX);
		return;
	}
	for (size_t i = 0; i < list->count && !r.out_of_memory; i++)
		add_row(s, &r, list->children[i], i);
	if (r.out_of_memory)
		diag_error(d, NULL, "out of memory");
	else
		check_twice(s, d);
}

struct found_set *found_set_load(const char *path, enum discover_kind kind, const char *source,
				 struct diag *d)
{
	struct found_set *s = found_set_new(kind, source);
	const char *file = s ? arena_strdup(&s->arena, path) : NULL;
	size_t errors = d->errors;

	if (!file)
		diag_error(d, NULL, "out of memory");
	else
		s->tree = tree_load_file(file, d);
	if (file && s->tree)
		read_list(s, d);
	diag_sort(d, 0);
	if (d->errors == errors)
		return s;
	/* What was said has places in a file whose name is in the set: its owner must not need it. */
	for (size_t i = 0; i < d->count; i++)
		if (d->items[i].pos.file == file)
			d->items[i].pos.file = path;
	found_set_free(s);
	return NULL;
}
