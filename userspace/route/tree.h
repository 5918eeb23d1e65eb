/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A radix tree over paths, for rules that fit one path or all below one. Each rule is a row; rows
 * of one tree are sorted by text before it is built. Immutable; pure.
 */
#ifndef ROUTE_TREE_H
#define ROUTE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/slice.h"

struct tree_rows {
	uint32_t count;
	const uint32_t *numbers; /* the caller's, of all rows that end in one node */
};

struct tree_node {
	struct slice label; /* bytes from the parent to here */
	struct tree_rows exact, below;
	const uint8_t *first_bytes; /* of the children's labels, sorted */
	const struct tree_node *children;
	uint32_t child_count;
};

struct tree_row {
	struct slice text;
	bool is_exact; /* else all below it too, by whole segments */
	uint32_t number;
};

/* Sorted by text, then exact ones, then number; numbers: of each row, in that order. */
int tree_build(struct arena *a, const struct tree_row *rows, const uint32_t *numbers, size_t count,
	       struct tree_node *ret_root);

int tree_row_cmp(const struct tree_row *a, const struct tree_row *b);

/* One call for each list of rows that fit. False: the callback said so. */
typedef bool (*tree_cb)(void *ctx, const uint32_t *numbers, size_t count);
bool tree_walk(const struct tree_node *root, struct slice path, tree_cb cb, void *ctx);

#endif
