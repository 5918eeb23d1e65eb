/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix trees over paths: see tree.h. */
#include "route/tree.h"

#include <errno.h>

int tree_row_cmp(const struct tree_row *a, const struct tree_row *b)
{
	size_t len = a->text.len < b->text.len ? a->text.len : b->text.len;
	int order = len ? memcmp(a->text.ptr, b->text.ptr, len) : 0;

	if (order)
		return order;
	if (a->text.len != b->text.len)
		return a->text.len < b->text.len ? -1 : 1;
	if (a->is_exact != b->is_exact)
		return a->is_exact ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

struct builder {
	struct arena *arena;
	const struct tree_row *rows;
	const uint32_t *numbers;
};

/* Of sorted texts, the first and the last have in common what all have. */
static size_t common_len(const struct tree_row *first, const struct tree_row *last, size_t from)
{
	size_t len = from;

	while (len < first->text.len && len < last->text.len &&
	       first->text.ptr[len] == last->text.ptr[len])
		len++;
	return len;
}

static int build_node(struct builder *b, size_t from, size_t to, size_t depth,
		      struct tree_node *ret_node);

/* rows from..to go on behind depth: a child for each byte there. */
static int build_children(struct builder *b, size_t from, size_t to, size_t depth,
			  struct tree_node *n)
{
	const struct tree_row *rows = b->rows;
	struct tree_node *children;
	uint8_t *first_bytes;
	size_t end;

	for (size_t i = from; i < to; i++)
		n->child_count +=
			i == from || rows[i].text.ptr[depth] != rows[i - 1].text.ptr[depth];
	children = arena_array(b->arena, n->child_count, sizeof(*children));
	first_bytes = arena_alloc(b->arena, n->child_count);
	if (!children || !first_bytes)
		return -ENOMEM;
	n->children = children;
	n->first_bytes = first_bytes;
	for (; from < to; from = end) {
		int err;

		for (end = from;
		     end < to && rows[end].text.ptr[depth] == rows[from].text.ptr[depth];)
			end++;
		*first_bytes++ = (uint8_t)rows[from].text.ptr[depth];
		err = build_node(b, from, end, depth, children++);
		if (err)
			return err;
	}
	return 0;
}

static int build_node(struct builder *b, size_t from, size_t to, size_t depth,
		      struct tree_node *ret_node)
{
	const struct tree_row *rows = b->rows;
	size_t len = common_len(&rows[from], &rows[to - 1], depth);
	struct tree_node n = {.label = {rows[from].text.ptr + depth, len - depth}};

	n.exact.numbers = b->numbers + from;
	for (; from < to && rows[from].text.len == len && rows[from].is_exact; from++)
		n.exact.count++;
	n.below.numbers = b->numbers + from;
	for (; from < to && rows[from].text.len == len; from++)
		n.below.count++;
	*ret_node = n;
	return from < to ? build_children(b, from, to, len, ret_node) : 0;
}

int tree_build(struct arena *a, const struct tree_row *rows, const uint32_t *numbers, size_t count,
	       struct tree_node *ret_root)
{
	struct builder b = {a, rows, numbers};

	*ret_root = (struct tree_node){0};
	return count ? build_node(&b, 0, count, 0, ret_root) : 0;
}

bool tree_walk(const struct tree_node *root, struct slice path, tree_cb cb, void *ctx)
{
	size_t at = 0;

	for (const struct tree_node *n = root;;) {
		const uint8_t *child;

		if (path.len - at < n->label.len ||
		    (n->label.len && memcmp(path.ptr + at, n->label.ptr, n->label.len) != 0))
			return true;
		at += n->label.len;
		if (at == path.len && n->exact.count && !cb(ctx, n->exact.numbers, n->exact.count))
			return false;
		if (n->below.count && (at == path.len || path.ptr[at] == '/') &&
		    !cb(ctx, n->below.numbers, n->below.count))
			return false;
		if (at == path.len || !n->child_count)
			return true;
		child = memchr(n->first_bytes, path.ptr[at], n->child_count);
		if (!child)
			return true;
		n = &n->children[child - n->first_bytes];
	}
}
