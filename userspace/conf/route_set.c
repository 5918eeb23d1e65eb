/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes of a service: see route_set.h. */
#include "conf/route_set.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/runtime.h"

struct route_set *route_set_new(void)
{
	struct route_set *set = calloc(1, sizeof(*set));

	if (set)
		route_mem_init(&set->mem);
	return set;
}

void route_set_free(struct route_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->table.count; i++) {
		const struct route_action *a = set->table.routes[i].action;

		route_rt_unref(a->rt);
	}
	route_mem_deinit(&set->mem);
	free(set);
}

const char *route_key(const struct route_set *set, const struct route *r, char buf[ROUTE_KEY_MAX])
{
	if (r->name)
		return r->name;
	(void)snprintf(buf, ROUTE_KEY_MAX, "#%u", (unsigned)(r - set->table.routes) + 1);
	return buf;
}

size_t route_set_pool_count(const struct route_set *set)
{
	return set ? set->pool_count : 0;
}

const struct pool *route_set_pool(const struct route_set *set, size_t i)
{
	return set->pools[i];
}

bool route_set_has_pool(const struct route_set *set, const struct pool *pool)
{
	for (size_t i = 0; i < route_set_pool_count(set); i++)
		if (set->pools[i] == pool)
			return true;
	return false;
}
