/* SPDX-License-Identifier: BSD-2-Clause */
/* What tcp and tls services need of the rest of a configuration: see draft.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/draft.h"

/* What one route asks for: a name, or "" for any, with a protocol, or "" for any. */
struct ask {
	const char *name, *protocol;
	size_t route;
};

static int compare_ask(const void *a, const void *b)
{
	const struct ask *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	if (!c)
		c = strcmp(x->protocol, y->protocol);
	if (!c)
		c = (x->route > y->route) - (x->route < y->route);
	return c;
}

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/* All that the routes ask for, sorted; their number. */
static size_t sort_asks(struct draft *dr, const struct service *s, struct ask **ret_asks)
{
	size_t count = 0;
	struct ask *asks;

	for (size_t i = 0; i < s->sni_route_count; i++)
		count += at_least_one(s->sni_routes[i].name_count) *
			 at_least_one(s->sni_routes[i].protocol_count);
	asks = read_alloc(&dr->reader, count, sizeof(*asks));
	if (!asks)
		return 0;
	count = 0;
	for (size_t i = 0; i < s->sni_route_count; i++) {
		const struct sni_route *r = &s->sni_routes[i];

		for (size_t n = 0; n < at_least_one(r->name_count); n++)
			for (size_t p = 0; p < at_least_one(r->protocol_count); p++)
				asks[count++] =
					(struct ask){r->name_count ? r->names[n] : "",
						     r->protocol_count ? r->protocols[p] : "", i};
	}
	qsort(asks, count, sizeof(*asks), compare_ask);
	*ret_asks = asks;
	return count;
}

static void check_routes(struct draft *dr, const struct service *s, const struct tree *list)
{
	struct ask *asks = NULL;
	size_t count = sort_asks(dr, s, &asks);
	struct diag *d = dr->reader.diag;

	for (size_t i = 0; i < s->sni_route_count; i++) {
		const struct pool *pool = s->sni_routes[i].pool;
		const struct tree *route = list->children[i];

		if (route->kind == TREE_MAPPING && !tree_get(route, "sni") &&
		    !tree_get(route, "alpn"))
			diag_error(
				d, &route->pos,
				"service %s: a route needs sni or alpn; what no route is for goes "
				"to the pool of the service",
				s->name);
		if (pool && !pool->backend_count)
			diag_error(d, draft_key_pos(route, "pool"),
				   "service %s: pool %s has no backends", s->name, pool->name);
	}
	for (size_t i = 1; i < count; i++) {
		const struct ask *a = &asks[i - 1], *b = &asks[i];

		if (strcmp(a->name, b->name) != 0 || strcmp(a->protocol, b->protocol) != 0 ||
		    (!*a->name && !*a->protocol))
			continue;
		diag_error(d, &list->children[b->route]->pos,
			   "service %s: a route for %s%s%s is already there%s", s->name,
			   *a->name ? a->name : "any name", *a->protocol ? " with " : "",
			   a->protocol, draft_place(&list->children[a->route]->pos).s);
	}
}

/* pool: NULL is fine. at: where the service names it. */
static void check_plain(struct draft *dr, const struct service *s, const struct pool *pool,
			const struct pos *at)
{
	if (pool && pool_has_tls(pool))
		diag_error(
			dr->reader.diag, at,
			"service %s: pool %s has tls, and in mode %s bytes are passed on as they "
			"are",
			s->name, pool->name, s->mode == SERVICE_TCP ? "tcp" : "tls");
}

static void check_plain_pools(struct draft *dr, const struct service *s, const struct tree *node)
{
	check_plain(dr, s, s->pool, draft_key_pos(node, "pool"));
	for (size_t i = 0; i < s->sni_route_count; i++)
		check_plain(dr, s, s->sni_routes[i].pool, draft_key_pos(node, "sni_routes"));
}

void draft_check_relay(struct draft *dr)
{
	for (size_t i = 0; i < dr->snap->service_count; i++) {
		const struct service *s = &dr->snap->services[i];
		const struct tree *node = dr->services[i].node;

		if (!draft_knows_mode(dr, s))
			continue;
		if (s->mode == SERVICE_TCP || s->mode == SERVICE_TLS)
			check_plain_pools(dr, s, node);
		if (s->mode != SERVICE_TLS)
			continue;
		if (!tree_get(node, "pool") && !s->sni_route_count)
			diag_error(dr->reader.diag, &node->key_pos,
				   "service %s: expected pool, sni_routes or both in mode tls",
				   s->name);
		if (s->sni_route_count)
			check_routes(dr, s, tree_get(node, "sni_routes"));
	}
}
