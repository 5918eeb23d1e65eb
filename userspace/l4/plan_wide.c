/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a plan that says which service, ring and backend a packet is for beside its exact key:
 * the index of addresses, source routes and server ids. See plan_int.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l4/index.h"
#include "l4/plan_int.h"

int wide_init(struct planner *p)
{
	int err = 0;

	for (int table = 0; table < MAPS_TABLE_COUNT && err == 0; table++)
		err = entries_copy(&p->t->entries[table], &p->have[table]);
	p->gate = p->t->gate;
	return err;
}

void wide_deinit(struct planner *p)
{
	for (int table = 0; table < MAPS_TABLE_COUNT; table++) {
		entries_deinit(&p->have[table]);
		entries_deinit(&p->wanted[table]);
	}
}

/* ---- writes ---- */

static int set_entry(struct planner *p, enum maps_table table, const struct maps_entry *e,
		     size_t *count)
{
	struct plan_op op = {.kind = PLAN_ENTRY, .table = table, .entry = *e};
	const struct maps_entry *have = entries_find(&p->have[table], e);
	bool replaces = have != NULL;
	int err;

	if (replaces && entry_says(have, e))
		return 0;
	err = planner_emit(p, &op);
	if (err == 0)
		err = entries_put(&p->have[table], e);
	p->records_unsettled = p->records_unsettled || replaces;
	(*count)++;
	return err;
}

static int delete_entry(struct planner *p, enum maps_table table, const struct maps_entry *e,
			size_t *count)
{
	struct plan_op op = {.kind = PLAN_ENTRY_DELETE, .table = table, .entry = *e};
	int err = planner_emit(p, &op);

	entries_remove(&p->have[table], e);
	p->records_unsettled = true;
	(*count)++;
	return err;
}

/* ---- what is wanted ---- */

static struct maps_entry route_entry(const struct planner *p, const struct desired_route *r)
{
	uint32_t index = p->assigned.services[r->service].index;
	struct maps_entry e = {0};

	e.lpm_key.prefixlen = SHUNT_LPM_SCOPE_BITS + r->len;
	e.lpm_key.scope = SHUNT_LPM_SCOPE(index, r->family);
	memcpy(e.lpm_key.addr, r->addr, sizeof(r->addr));
	e.route.index = p->assigned.services[r->ring].index;
	return e;
}

/* The row of the service that an entry is for. */
static uint32_t row_of(enum maps_table table, const struct maps_entry *e)
{
	return table == MAPS_ROUTES ? e->lpm_key.scope >> 8 : e->server_id.service;
}

bool wide_routes_change(const struct planner *p, size_t service)
{
	size_t kept = 0, all = 0;

	for (size_t i = 0; i < p->want->route_count; i++) {
		struct maps_entry e = route_entry(p, &p->want->routes[i]);
		const struct maps_entry *have = entries_find(&p->have[MAPS_ROUTES], &e);

		if (p->want->routes[i].service != service)
			continue;
		if (have == NULL || !entry_says(have, &e))
			return true;
		kept++;
	}
	for (size_t i = 0; i < p->have[MAPS_ROUTES].count; i++)
		all += row_of(MAPS_ROUTES, &p->have[MAPS_ROUTES].rows[i]) ==
		       p->assigned.services[service].index;
	return all != kept;
}

static int want_routes(struct planner *p)
{
	int err = 0;

	for (size_t i = 0; i < p->want->route_count && err == 0; i++) {
		struct maps_entry e = route_entry(p, &p->want->routes[i]);

		err = entries_put(&p->wanted[MAPS_ROUTES], &e);
	}
	return err;
}

/* The desired service that has a row; NULL: nobody. */
static const struct desired_service *service_of_row(const struct planner *p, uint32_t index)
{
	for (size_t i = 0; i < p->want->service_count; i++) {
		if (p->assigned.services[i].index == index)
			return &p->want->services[i];
	}
	return NULL;
}

static bool backend_is_wanted(const struct planner *p, uint32_t id)
{
	for (size_t i = 0; i < p->want->backend_count; i++) {
		if (p->assigned.backends[i].id == id)
			return true;
	}
	return false;
}

/* The id of a backend that was removed and keeps its flows (l4_tick() frees it, ids and all). */
static bool id_lingers(const struct planner *p, const struct maps_entry *e)
{
	uint32_t index = SHUNT_ID_INDEX(e->backend);
	const struct desired_service *s = service_of_row(p, e->server_id.service);

	return s != NULL && s->record.cid != SHUNT_CID_NONE &&
	       s->record.server_id_len == e->server_id.len && index < p->t->sizes.backends &&
	       p->t->backends[index].row.id == e->backend && e->backend != 0 &&
	       !backend_is_wanted(p, e->backend);
}

static int id_cmp(const void *a, const void *b)
{
	return entry_cmp(a, b);
}

static int want_server_ids(struct planner *p)
{
	const struct entries *have = &p->have[MAPS_SERVER_IDS];
	struct entries *wanted = &p->wanted[MAPS_SERVER_IDS];
	size_t count = p->want->server_id_count;
	struct maps_entry *rows = calloc(count + 1, sizeof(*rows));
	int err = 0;

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct desired_server_id *id = &p->want->server_ids[i];

		rows[i].server_id.service = p->assigned.services[id->service].index;
		rows[i].server_id.len = id->len;
		memcpy(rows[i].server_id.id, id->id, sizeof(id->id));
		rows[i].backend = p->assigned.backends[id->backend].id;
	}
	qsort(rows, count, sizeof(*rows), id_cmp);
	entries_take(wanted, rows, count);
	for (size_t i = 0; i < have->count && err == 0; i++) {
		const struct maps_entry *e = &have->rows[i];

		if (entries_find(wanted, e) == NULL && id_lingers(p, e) &&
		    wanted->count < p->t->sizes.backends)
			err = entries_put(wanted, e);
	}
	return err;
}

int wide_want(struct planner *p)
{
	int err = want_routes(p);

	return err < 0 ? err : want_server_ids(p);
}

/* ---- the index ---- */

int wide_check_index(struct planner *p, bool *ret_delete_first)
{
	struct index index;
	int err = index_build(&p->keys, p->want, &index);

	if (err == -ENOSPC) {
		*ret_delete_first = true;
		return 0;
	}
	if (err == 0)
		index_deinit(&index);
	return err;
}

static int check_table(struct planner *p, enum maps_table table, uint32_t size, const char *what,
		       const char *limit)
{
	size_t come = 0, stand = p->have[table].count;

	for (size_t i = 0; i < p->wanted[table].count; i++)
		come += entries_find(&p->have[table], &p->wanted[table].rows[i]) == NULL;
	if (come == 0 || stand + come <= size)
		return 0;
	if (p->rows_changed)
		return -ENOSPC; /* not the last word: in a row in place they may stand already */
	diag_error(
		p->d, NULL,
		"%zu %s that are new do not fit beside the %zu that stand into a table of %u, even "
		"if some of those are to go: take them out by a change of its own, or raise %s and "
		"run `shunt-load detach --all --purge` before the next start",
		come, what, stand, size, limit);
	return -ENOSPC;
}

int wide_check_entries(struct planner *p)
{
	int err = check_table(p, MAPS_ROUTES, p->t->sizes.services, "source routes",
			      "node.limits.services");

	return err < 0 ? err
		       : check_table(p, MAPS_SERVER_IDS, p->t->sizes.backends, "server ids",
				     "node.limits.backends");
}

static int set_gate(struct planner *p, const struct maps_index *gate)
{
	struct plan_op op = {.kind = PLAN_GATE};
	int err;

	if (memcmp(&p->gate, gate, sizeof(*gate)) == 0)
		return 0;
	op.gate = malloc(sizeof(*op.gate));
	if (op.gate == NULL)
		return -ENOMEM;
	*op.gate = *gate;
	err = planner_emit(p, &op);
	if (err < 0)
		free(op.gate);
	else
		p->gate = *gate;
	return err;
}

static int set_table(struct planner *p, enum maps_table table, const struct entries *rows)
{
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; i < rows->count && err == 0; i++)
		err = set_entry(p, table, &rows->rows[i], &count);
	return err;
}

static int trim_table(struct planner *p, enum maps_table table, const struct entries *rows)
{
	size_t count = 0;
	int err = 0;

	for (size_t i = p->have[table].count; i > 0 && err == 0; i--) {
		struct maps_entry e = p->have[table].rows[i - 1];

		if (entries_find(rows, &e) == NULL)
			err = delete_entry(p, table, &e, &count);
	}
	return err;
}

int wide_open_index(struct planner *p)
{
	struct index index;
	int err = index_build(&p->keys, p->want, &index);

	if (err < 0)
		return err;
	/* What stands there stays open for the keys that stand: both have them. */
	err = set_gate(p, &index.gate);
	if (err == 0)
		err = set_table(p, MAPS_ADDRS, &index.addrs);
	if (err == 0)
		err = set_table(p, MAPS_PREFIXES, &index.prefixes);
	/* A prefix that a change which was cut short left has no list of what comes around it. */
	if (err == 0)
		err = trim_table(p, MAPS_PREFIXES, &index.prefixes);
	index_deinit(&index);
	return err;
}

int wide_close_index(struct planner *p)
{
	struct index index;
	int err = index_build(&p->keys, NULL, &index);

	if (err < 0)
		return err;
	err = set_table(p, MAPS_ADDRS, &index.addrs);
	if (err == 0)
		err = set_table(p, MAPS_PREFIXES, &index.prefixes);
	if (err == 0)
		err = trim_table(p, MAPS_ADDRS, &index.addrs);
	if (err == 0)
		err = trim_table(p, MAPS_PREFIXES, &index.prefixes);
	if (err == 0)
		err = set_gate(p, &index.gate);
	index_deinit(&index);
	return err;
}

/* ---- routes and server ids ---- */

/* The row was nobody's: nothing that is left of a former owner may meet the next one's packets. */
static int clean_claimed(struct planner *p, enum maps_table table, size_t *count)
{
	int err = 0;

	for (size_t k = 0; k < p->want->service_count && err == 0; k++) {
		if (!p->assigned.services[k].claimed)
			continue;
		for (size_t i = p->have[table].count; i > 0 && err == 0; i--) {
			struct maps_entry e = p->have[table].rows[i - 1];

			if (row_of(table, &e) == p->assigned.services[k].index &&
			    entries_find(&p->wanted[table], &e) == NULL)
				err = delete_entry(p, table, &e, count);
		}
	}
	return err;
}

static void mark_unrouted(struct planner *p)
{
	for (size_t i = 0; i < p->want->service_count; i++)
		p->services[i].unrouted = false;
	for (size_t i = 0; i < p->want->route_count; i++) {
		const struct desired_route *r = &p->want->routes[i];

		if (!p->services[r->ring].placed)
			p->services[r->service].unrouted = true;
	}
}

/* Records of a service that has no routes yet look for them before its ring changes: a source that is
 * routed from now on would meet the new ring in between. */
static int look_for_routes(struct planner *p, size_t *count)
{
	int err = 0;

	for (size_t i = 0; i < p->keys.count && err == 0; i++) {
		const struct shunt_vip_key key = p->keys.rows[i].key;
		struct shunt_service record = p->keys.rows[i].record;
		const struct desired_service *s = service_of_row(p, record.index);
		const struct service_plan *plan;

		if (s == NULL || record.routed || !s->record.routed)
			continue;
		plan = &p->services[s - p->want->services];
		if (plan->placed || plan->unrouted)
			continue;
		record.routed = 1;
		err = planner_set_key(p, &key, &record, true);
		(*count)++;
	}
	return err;
}

int wide_set_entries(struct planner *p, size_t *count)
{
	int err = clean_claimed(p, MAPS_ROUTES, count);

	if (err == 0)
		err = clean_claimed(p, MAPS_SERVER_IDS, count);
	for (size_t i = 0; i < p->wanted[MAPS_SERVER_IDS].count && err == 0; i++)
		err = set_entry(p, MAPS_SERVER_IDS, &p->wanted[MAPS_SERVER_IDS].rows[i], count);
	mark_unrouted(p);
	/* The longest first: while some are written, a source meets the one that it had or the one
	 * that it will have, and none that is only in between. */
	for (size_t i = p->wanted[MAPS_ROUTES].count; i > 0 && err == 0; i--) {
		const struct maps_entry *e = &p->wanted[MAPS_ROUTES].rows[i - 1];
		const struct desired_service *s = service_of_row(p, e->lpm_key.scope >> 8);

		if (s != NULL && !p->services[s - p->want->services].unrouted)
			err = set_entry(p, MAPS_ROUTES, e, count);
	}
	return err < 0 ? err : look_for_routes(p, count);
}

/* Has a record of a key that stands the row? */
static bool row_is_looked_up(const struct planner *p, uint32_t index)
{
	for (size_t i = 0; i < p->keys.count; i++) {
		if (p->keys.rows[i].record.index == index)
			return true;
	}
	return false;
}

/* May what the row's service does not want any more go? Not while its packets would then meet neither
 * what it had nor what it will have. */
static bool may_drop(const struct planner *p, uint32_t index)
{
	const struct desired_service *s = service_of_row(p, index);

	if (s == NULL)
		return !row_is_looked_up(p, index);
	return p->services[s - p->want->services].placed;
}

static int drop_entry(struct planner *p, enum maps_table table, size_t at, size_t *count)
{
	struct maps_entry e = p->have[table].rows[at];
	int err = 0;

	if (entries_find(&p->wanted[table], &e) != NULL || !may_drop(p, row_of(table, &e)))
		return 0;
	/* Packets with a record that was replaced or deleted look them up still. */
	if (p->records_unsettled && *count == 0)
		err = planner_wait(p);
	return err < 0 ? err : delete_entry(p, table, &e, count);
}

int wide_drop_entries(struct planner *p, size_t *count)
{
	const struct entries *routes = &p->have[MAPS_ROUTES];
	const struct entries *ids = &p->have[MAPS_SERVER_IDS];
	size_t dropped = 0, left = 0;
	int err = 0;

	/* The shortest first, for the reason that the longest came first. */
	while (left < routes->count && err == 0) {
		size_t before = routes->count;

		err = drop_entry(p, MAPS_ROUTES, left, &dropped);
		left += routes->count == before;
	}
	for (size_t i = ids->count; i > 0 && err == 0; i--)
		err = drop_entry(p, MAPS_SERVER_IDS, i - 1, &dropped);
	*count += dropped;
	return err;
}
