/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/moves.h"

#include <string.h>

static bool is_steered_by(const struct table_key *k, uint32_t row, enum shunt_tracking tracking)
{
	return k->record.index == row && k->record.action == SHUNT_ACTION_STEER &&
	       k->record.tracking == tracking;
}

size_t moves_owner(const struct desired *want, size_t service)
{
	for (size_t i = 0; want->services[service].is_route && i < want->route_count; i++) {
		if (want->routes[i].ring == service)
			return want->routes[i].service;
	}
	return service;
}

enum slots_rule moves_rule(const struct tables *t, const struct desired *want, size_t service,
			   uint32_t row, bool *ret_forget)
{
	enum slots_rule rule = SLOTS_MOVE;
	bool forget = false;

	for (size_t i = 0; i < t->keys.count; i++) {
		const struct table_key *k = &t->keys.rows[i];
		const struct desired_key *next;

		forget = forget || is_steered_by(k, row, SHUNT_TRACK_NEVER);
		if (!is_steered_by(k, row, SHUNT_TRACK_ALWAYS))
			continue;
		next = desired_find_key(want, &k->key);
		if (next != NULL && next->service == service &&
		    next->tracking == SHUNT_TRACK_ON_CHANGE)
			rule = SLOTS_MOVE_ALL;
	}
	*ret_forget = forget;
	return want->services[service].record.tracking == SHUNT_TRACK_NEVER ? SLOTS_SETTLE : rule;
}

/* Will the row have flows, once the plan is carried out? What nobody wants any more drains. */
static bool row_will_live(const struct tables *t, const struct desired *want,
			  const struct assignment *assigned, uint32_t index)
{
	const struct table_backend *b = &t->backends[index];

	for (size_t i = 0; i < want->backend_count; i++) {
		if (assigned->backends[i].index == index)
			return want->backends[i].row.state != SHUNT_BACKEND_DOWN;
	}
	return table_backend_is_owned(b) && b->row.state != SHUNT_BACKEND_DOWN;
}

uint32_t moves_ring_size(const struct tables *t, const struct desired *want,
			 const struct assignment *assigned, size_t service)
{
	const struct desired_service *s = &want->services[service];
	const struct table_service *have = &t->services[assigned->services[service].index];

	if (s->ring_size > 0 || s->record.action != SHUNT_ACTION_STEER ||
	    s->record.tracking == SHUNT_TRACK_NEVER || assigned->services[service].claimed ||
	    have->ring.size != s->slots)
		return s->ring_size;
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		if (t->backends[i].row.id != 0 && strcmp(t->backends[i].meta.pool, s->pool) == 0 &&
		    row_will_live(t, want, assigned, i))
			return s->slots;
	}
	return 0;
}

static bool has_untracked_flows(const struct tables *t, uint32_t row)
{
	for (size_t i = 0; i < t->keys.count; i++) {
		if (is_steered_by(&t->keys.rows[i], row, SHUNT_TRACK_ON_CHANGE))
			return true;
	}
	return false;
}

void moves_warn(const struct tables *t, const struct desired *want,
		const struct assignment *assigned, struct diag *d)
{
	for (size_t i = 0; i < want->service_count; i++) {
		uint32_t row = assigned->services[i].index;
		uint32_t have = t->services[row].ring.size, size = want->services[i].ring_size;

		if (have == 0 || size == 0 || have == size || !has_untracked_flows(t, row))
			continue;
		diag_warning(d, NULL,
			     "service %s: a ring of %u slots instead of %u breaks connections that "
			     "have no entry, which with tracking: on-change is most of them",
			     want->services[i].name, size, have);
	}
}
