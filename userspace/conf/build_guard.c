/* SPDX-License-Identifier: BSD-2-Clause */
/* The block and allow lists of a document: see draft.h. */
#include <stdlib.h>

#include "conf/draft.h"
#include "conf/schema.h"

/* An entry, and where it is written. */
struct row {
	struct guard_prefix entry;
	const struct tree *node;
};

static const struct tree *list_of(const struct draft *dr, const char *key)
{
	return tree_get(tree_get(dr->root, "guard"), key);
}

/* A bare prefix, or a mapping. False: it was said what is wrong. */
static bool read_entry(struct draft *dr, const struct tree *node, bool allow, struct row *row)
{
	const struct keyword *prefix = section_keyword(&schema_guard_entry, "prefix");
	size_t errors = dr->reader.diag->errors;

	*row = (struct row){.node = node};
	if (node->kind == TREE_SCALAR)
		prefix->read(&dr->reader, prefix, node, &row->entry);
	else
		read_section(&dr->reader, &schema_guard_entry, node, &row->entry);
	row->entry.allow = allow;
	return dr->reader.diag->errors == errors && !dr->reader.out_of_memory;
}

static size_t read_list(struct draft *dr, const char *key, bool allow, struct row *rows)
{
	const struct tree *list = list_of(dr, key);
	size_t count = 0;

	if (!list || tree_is_null(list))
		return 0;
	reader_set_object(&dr->reader, "guard: %s", key);
	if (list->kind != TREE_SEQUENCE) {
		diag_error(dr->reader.diag, &list->pos, "guard: %s: expected a list of prefixes",
			   key);
		return 0;
	}
	for (size_t i = 0; i < list->count; i++)
		count += read_entry(dr, list->children[i], allow, &rows[count]);
	return count;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	const struct pos *p = &x->node->pos, *q = &y->node->pos;
	int c = guard_prefix_cmp(&x->entry, &y->entry);

	if (c)
		return c;
	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	return (p->column > q->column) - (p->column < q->column);
}

static bool same_prefix(const struct guard_prefix *a, const struct guard_prefix *b)
{
	return a->len == b->len && !addr_cmp(&a->addr, &b->addr);
}

static void say_twice(struct draft *dr, const struct row *first, const struct row *again)
{
	char text[PREFIX_STRLEN];

	diag_error(dr->reader.diag, &again->node->pos, "guard: %s is listed twice, in line %d too",
		   prefix_format(&again->entry.addr, again->entry.len, text, sizeof(text)),
		   first->node->pos.line);
}

void draft_read_guard(struct draft *dr)
{
	struct guard_conf *g = &dr->snap->guard;
	const struct tree *block = list_of(dr, "block"), *allow = list_of(dr, "allow");
	size_t most = (block ? block->count : 0) + (allow ? allow->count : 0), count;
	struct row *rows;

	rows = read_alloc(&dr->reader, most, sizeof(*rows));
	g->entries = read_alloc(&dr->reader, most, sizeof(*g->entries));
	if (dr->reader.out_of_memory)
		return;
	count = read_list(dr, "block", false, rows);
	count += read_list(dr, "allow", true, rows + count);
	if (count)
		qsort(rows, count, sizeof(*rows), compare);
	for (size_t i = 0; i < count; i++) {
		g->entries[i] = rows[i].entry;
		if (i && same_prefix(&rows[i - 1].entry, &rows[i].entry))
			say_twice(dr, &rows[i - 1], &rows[i]);
	}
	g->count = count;
}
