/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of one of the tables of loader/maps_wide.h, sorted by key. Pure; main thread. */
#ifndef L4_ENTRIES_H
#define L4_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/maps_wide.h"

struct entries {
	struct maps_entry *rows;
	size_t count, capacity;
};

int entry_cmp(const struct maps_entry *a, const struct maps_entry *b);	 /* by key */
bool entry_says(const struct maps_entry *a, const struct maps_entry *b); /* the same value */

/* NULL: there is none with that key. */
struct maps_entry *entries_find(const struct entries *t, const struct maps_entry *key);
/* Insert or replace. 0, or -ENOMEM. */
int entries_put(struct entries *t, const struct maps_entry *e);
void entries_remove(struct entries *t, const struct maps_entry *key);
int entries_copy(const struct entries *t, struct entries *ret_copy); /* 0, or -ENOMEM */
void entries_deinit(struct entries *t);				     /* NULL is fine */

/* Takes rows (malloc'ed), in any order. */
void entries_take(struct entries *t, struct maps_entry *rows, size_t count);

#endif
