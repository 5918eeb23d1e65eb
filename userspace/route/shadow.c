/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes that can never be the one: see table.h. What hides a route is found where requests for it
 * would be looked for. */
#include "route/index.h"

struct shadow {
	const struct route *routes;
	struct route_room *room;
	size_t number; /* of the route that may be hidden */
	size_t best;   /* of the first one that hides it */
	unsigned looked_at;
};

static bool look_at_list(void *ctx, const uint32_t *numbers, size_t count)
{
	struct shadow *s = ctx;

	for (size_t i = 0; i < count && numbers[i] < s->best; i++) {
		if (s->looked_at++ == SHADOW_CANDIDATES_MAX)
			return false;
		if (route_match_covers(&s->routes[numbers[i]].match, &s->routes[s->number].match,
				       s->room)) {
			s->best = numbers[i];
			break;
		}
	}
	return true;
}

const struct route *route_table_shadow(const struct route_table *t, size_t i,
				       struct route_room *room)
{
	const struct route_match *m = &t->routes[i].match;
	struct shadow s = {.routes = t->routes, .room = room, .number = i, .best = i};
	struct host_pattern any = {0};
	/* What hides the route fits all of its hosts, so the first one too. */
	const struct host_pattern *host = m->host_count ? &m->hosts[0] : &any;

	route_index_walk(t->index, host->text, host->is_suffix, m->path.literal, look_at_list, &s);
	return s.best < i ? &t->routes[s.best] : NULL;
}

static void name_route(const struct route_table *t, const struct route *r, char *buf, size_t len)
{
	if (r->name)
		snprintf(buf, len, "\"%s\"", r->name);
	else
		snprintf(buf, len, "number %zu", (size_t)(r - t->routes) + 1);
}

void route_table_warn(const struct route_table *t, struct route_room *room, struct diag *d)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct route *hidden = &t->routes[i];
		const struct route *by = route_table_shadow(t, i, room);
		char hidden_name[96], by_name[96];

		if (!by)
			continue;
		name_route(t, hidden, hidden_name, sizeof(hidden_name));
		name_route(t, by, by_name, sizeof(by_name));
		diag_warning(d, &hidden->pos,
			     "route %s is never used: route %s (line %d) takes all that it would",
			     hidden_name, by_name, by->pos.line);
	}
}
