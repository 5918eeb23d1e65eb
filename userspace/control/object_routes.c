/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of the routes of a service: see objects.h. */
#include "conf/route_set.h"
#include "conf/runtime.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "l7/reason.h"

json_t *object_route_name(const struct route_set *set, const struct route *r)
{
	return json_pack("{s:I, s:s*, s:i}", "index", (json_int_t)(r - set->table.routes), "name",
			 r->name, "line", r->pos.line);
}

static const char *action_word(const struct route_action *a)
{
	switch (a ? a->answer : ROUTE_TO_POOL) {
	case ROUTE_TO_POOL: break;
	case ROUTE_REDIRECT: return "redirect";
	case ROUTE_RESPOND: return "respond";
	}
	return "pool";
}

static void push_pool(json_t *pools, const struct pool *p, unsigned weight, bool *failed)
{
	json_push(pools, json_pack("{s:s, s:I}", "pool", p->name, "weight", (json_int_t)weight),
		  failed);
}

void object_put_action(json_t *o, const struct service *s, const struct route *r, bool *failed)
{
	const struct route_action *a = r ? r->action : NULL;
	json_t *pools = json_array();

	for (size_t i = 0; a && a->answer == ROUTE_TO_POOL && i < a->pool_count; i++)
		push_pool(pools, a->pools[i], a->pool_count > 1 ? a->weights[i] : 1, failed);
	if (!a && s->pool)
		push_pool(pools, s->pool, 1, failed);
	json_put(o, "action", json_string(a || s->pool ? action_word(a) : "respond"), failed);
	json_put(o, "pools", pools, failed);
	if (!a && !s->pool)
		json_put_int(o, "status", reason_status(REASON_NO_ROUTE), failed);
	else if (a && a->answer != ROUTE_TO_POOL)
		json_put_int(o, "status", a->status, failed);
}

/* As the document has it; {}: it fits all. */
static json_t *match_json(const struct tree *list, size_t i)
{
	const struct tree *match =
		list && i < list->count ? tree_get(list->children[i], "match") : NULL;

	return match && match->kind == TREE_MAPPING ? object_tree(match) : json_object();
}

static json_t *route_json(const struct service *s, size_t i, const struct tree *list)
{
	const struct route *r = &s->routes->table.routes[i];
	json_t *o = object_route_name(s->routes, r);
	const struct route_action *a = r->action;
	struct route_counters n;
	bool failed = !o;

	route_rt_sum(a->rt, &n);
	json_put(o, "match", match_json(list, i), &failed);
	object_put_action(o, s, r, &failed);
#define X(name, text) json_put_counter(o, text, n.name, &failed);
	ROUTE_COUNTERS(X)
#undef X
	return json_finish(o, failed);
}

json_t *object_routes(const struct snapshot *snap, const struct service *s)
{
	const struct tree *services = tree_get(snap->document, "services");
	const struct tree *node = services ? tree_get(services, s->name) : NULL;
	const struct tree *list = node ? tree_get(node, "routes") : NULL;
	json_t *routes = json_array();
	bool failed = !routes;

	for (size_t i = 0; s->routes && i < s->routes->table.count; i++)
		json_push(routes, route_json(s, i, list), &failed);
	return json_pack("{s:s, s:o}", "service", s->name, "routes", json_finish(routes, failed));
}
