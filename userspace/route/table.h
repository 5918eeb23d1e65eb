/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes in the order in which they were written: the first whose conditions all hold is the one. A
 * table finds it by way of an index over hosts and paths (index.h), so that what a request costs
 * depends on the routes that are about its host and path, not on all. Built by one thread, then
 * immutable and read by any.
 */
#ifndef ROUTE_TABLE_H
#define ROUTE_TABLE_H

#include "core/diag.h"
#include "route/match.h"

#define ROUTES_MAX 65536

struct route {
	const char *name; /* for people; may be NULL */
	struct pos pos;
	struct route_match match;
	void *action; /* the caller's */
};

struct route_index;

struct route_table {
	const struct route *routes;
	size_t count;
	const struct route_index *index;
};

/* routes: in memory of m's, where the table will be too. 0, -ENOMEM, -E2BIG (above ROUTES_MAX). */
int route_table_build(struct route_mem *m, const struct route *routes, size_t count,
		      struct route_table *ret_table);

struct route_found {
	const struct route *route; /* NULL: none */
	struct path_captures captures;
	bool gave_up; /* a regular expression on the way did: the route may be another than was meant */
};

void route_table_find(const struct route_table *t, const struct route_input *in,
		      struct route_found *ret_found);

/* The same without the index, one route after the other: what the index is held against. */
void route_table_scan(const struct route_table *t, const struct route_input *in,
		      struct route_found *ret_found);

/*
 * Warn of each route that can never be the one, because one before it fits all that it fits, with
 * the place of that one. What several routes take from one together is not found, and of very many
 * candidates for one only the first SHADOW_CANDIDATES_MAX are looked at.
 */
#define SHADOW_CANDIDATES_MAX 1000
void route_table_warn(const struct route_table *t, struct route_room *room, struct diag *d);

/* Which route hides routes[i]? NULL: none that is seen. */
const struct route *route_table_shadow(const struct route_table *t, size_t i,
				       struct route_room *room);

/* What becomes of each route up to the one that is found, in order. */
struct route_verdict {
	const struct route *route;
	enum route_part fails; /* ROUTE_ALL: this is the one */
	size_t test; /* of match.tests, if fails is about one: for route_match_explain() */
};
typedef void (*route_verdict_cb)(void *ctx, const struct route_verdict *v);
const struct route *route_table_explain(const struct route_table *t, const struct route_input *in,
					route_verdict_cb cb, void *ctx);

#endif
