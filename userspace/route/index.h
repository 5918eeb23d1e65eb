/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which routes can be about a host and a path: a hash of names and suffixes, under each of them a
 * tree of path prefixes. What it names must still be looked at; what it does not name cannot fit.
 * For table.c and shadow.c.
 */
#ifndef ROUTE_INDEX_H
#define ROUTE_INDEX_H

#include "route/table.h"

int route_index_build(struct route_mem *m, const struct route *routes, size_t count,
		      const struct route_index **ret_index);

/* Numbers of routes, ascending. False: enough. */
typedef bool (*route_index_cb)(void *ctx, const uint32_t *numbers, size_t count);

/* One call for each list of candidates, in no order. host: of a request, or the text of a pattern,
 * with is_suffix: then lists of that suffix and of those around it. */
void route_index_walk(const struct route_index *x, struct slice host, bool is_suffix,
		      struct slice path, route_index_cb cb, void *ctx);

#endif
