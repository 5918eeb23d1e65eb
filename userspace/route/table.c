/* SPDX-License-Identifier: BSD-2-Clause */
/* The first route that fits: see table.h. */
#include "route/table.h"

#include <errno.h>

#include "route/index.h"

int route_table_build(struct route_mem *m, const struct route *routes, size_t count,
		      struct route_table *ret_table)
{
	const struct route_index *index;
	int err;

	if (count > ROUTES_MAX)
		return -E2BIG;
	err = route_index_build(m, routes, count, &index);
	if (!err)
		*ret_table = (struct route_table){routes, count, index};
	return err;
}

struct search {
	const struct route *routes;
	const struct route_input *in;
	size_t best;
};

/* Lists come in no order: of each, only what is in front of the best so far can be better. */
static bool search_list(void *ctx, const uint32_t *numbers, size_t count)
{
	struct search *s = ctx;

	for (size_t i = 0; i < count && numbers[i] < s->best; i++)
		if (route_match_rest(&s->routes[numbers[i]].match, s->in)) {
			s->best = numbers[i];
			break;
		}
	return s->best > 0;
}

static void finish(const struct route_table *t, const struct route_input *in, size_t best,
		   uint64_t gave_up_before, struct route_found *ret_found)
{
	ret_found->route = best < t->count ? &t->routes[best] : NULL;
	ret_found->captures.values[0] = in->path;
	ret_found->captures.count = 1;
	if (ret_found->route && ret_found->route->match.path.kind > PATH_PREFIX)
		(void)path_rule_fits(&ret_found->route->match.path, in->path, in->room,
				     &ret_found->captures); /* it did just now */
	ret_found->gave_up = route_room_gave_up(in->room) != gave_up_before;
}

void route_table_find(const struct route_table *t, const struct route_input *in,
		      struct route_found *ret_found)
{
	struct search s = {.routes = t->routes, .in = in, .best = t->count};
	uint64_t gave_up = route_room_gave_up(in->room);

	route_index_walk(t->index, in->host, false, in->path, search_list, &s);
	finish(t, in, s.best, gave_up, ret_found);
}

void route_table_scan(const struct route_table *t, const struct route_input *in,
		      struct route_found *ret_found)
{
	uint64_t gave_up = route_room_gave_up(in->room);
	size_t i, test;

	for (i = 0; i < t->count; i++)
		if (route_match_fails(&t->routes[i].match, in, &test) == ROUTE_ALL)
			break;
	finish(t, in, i, gave_up, ret_found);
}
