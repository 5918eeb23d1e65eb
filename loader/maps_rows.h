/* SPDX-License-Identifier: BSD-2-Clause */
/* All rows of a hash table or a trie that nobody else writes. Main thread. */
#ifndef LOADER_MAPS_ROWS_H
#define LOADER_MAPS_ROWS_H

#include <stddef.h>

#include "loader/state.h"

/* The caller's struct of one row: its size, and where in it key and value stand. */
struct maps_row_form {
	size_t size, key, value;
};

/* ret_rows: malloc'ed, in no order; the rest of each row is zero. 0, or -errno. */
int maps_rows_list(const struct loader *l, enum loader_map map, const struct maps_row_form *form,
		   void **ret_rows, size_t *ret_count);

#endif
