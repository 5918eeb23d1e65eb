/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l4/assign.h"
#include "l4/extents.h"
#include "l4/plan_int.h"

int plan_ring_init(struct plan_ring *ring, const struct desired *want,
		   const struct desired_service *service, const struct assignment *assigned)
{
	size_t room = service->backend_count + 1;

	*ring = (struct plan_ring){.size = service->ring_size};
	ring->members = calloc(room, sizeof(*ring->members));
	ring->ids = calloc(room, sizeof(*ring->ids));
	if (ring->members == NULL || ring->ids == NULL) {
		plan_ring_deinit(ring);
		return -ENOMEM;
	}
	for (size_t i = 0; i < service->backend_count; i++) {
		size_t at = service->first_backend + i;
		const struct desired_backend *b = &want->backends[at];

		if (b->weight == 0)
			continue;
		ring->ids[ring->count] = assigned->backends[at].id;
		ring->members[ring->count++] = (struct ring_member){
			.pool = b->pool,
			.name = b->name,
			.weight = b->weight,
		};
	}
	return 0;
}

void plan_ring_deinit(struct plan_ring *ring)
{
	if (ring == NULL)
		return;
	free(ring->members);
	free(ring->ids);
	*ring = (struct plan_ring){0};
}

void plan_deinit(struct plan *plan)
{
	if (plan == NULL)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->ops[i].kind == PLAN_RING)
			plan_ring_deinit(&plan->ops[i].ring);
		if (plan->ops[i].kind == PLAN_GATE)
			free(plan->ops[i].gate);
	}
	free(plan->ops);
	assignment_deinit(&plan->assigned);
	*plan = (struct plan){0};
}

static int append(struct planner *p, const struct plan_op *op)
{
	struct plan *plan = &p->plan;

	if (plan->count == plan->capacity) {
		size_t capacity = plan->capacity > 0 ? 2 * plan->capacity : 32;
		struct plan_op *ops = reallocarray(plan->ops, capacity, sizeof(*ops));

		if (ops == NULL)
			return -ENOMEM;
		plan->ops = ops;
		plan->capacity = capacity;
	}
	plan->ops[plan->count++] = *op;
	return 0;
}

int planner_wait(struct planner *p)
{
	static const struct plan_op wait = {.kind = PLAN_WAIT};

	p->records_unsettled = false;
	extents_clear(&p->retired);
	return append(p, &wait);
}

/* The kernel gives the memory of a record that is replaced or deleted to the next one that is
 * written, though packets on other processors may still be reading it. */
int planner_emit(struct planner *p, const struct plan_op *op)
{
	bool reuses = op->kind == PLAN_SERVICE || op->kind == PLAN_ENTRY;

	if (p->records_unsettled && reuses && planner_wait(p) < 0)
		return -ENOMEM;
	return append(p, op);
}

static int emit_backend(struct planner *p, uint32_t index, const struct shunt_backend *row)
{
	struct plan_op op = {.kind = PLAN_BACKEND, .index = index, .backend = *row};

	if (memcmp(&p->t->backends[index].row, row, sizeof(*row)) == 0)
		return 0;
	return planner_emit(p, &op);
}

static int emit_backend_claim(struct planner *p, const struct assigned_backend *a,
			      const struct desired_backend *b)
{
	struct plan_op op = {.kind = PLAN_BACKEND_CLAIM, .index = a->index};

	memcpy(op.be_meta.pool, b->pool, strlen(b->pool));
	memcpy(op.be_meta.name, b->name, strlen(b->name));
	op.be_meta.id = a->id;
	return planner_emit(p, &op);
}

/* Backends that are not wanted any more keep the flows they have; l4_tick() frees them. */
static int emit_unwanted_backends(struct planner *p, const bool *wanted)
{
	int err = 0;

	for (uint32_t i = 1; i < p->t->sizes.backends && err == 0; i++) {
		struct shunt_backend row = p->t->backends[i].row;

		if (row.id == 0 || wanted[i] || row.state != SHUNT_BACKEND_UP)
			continue;
		row.state = SHUNT_BACKEND_DRAINING;
		err = emit_backend(p, i, &row);
	}
	return err;
}

/*
 * Rows come first: a new one must be there when a ring names it, and one that is down must be so at
 * once: packets whose slot names it choose again until the new ring is there.
 */
static int emit_backends(struct planner *p)
{
	bool *wanted = calloc(p->t->sizes.backends + 1, sizeof(*wanted));
	int err = 0;

	if (wanted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->want->backend_count && err == 0; i++) {
		const struct assigned_backend *a = &p->assigned.backends[i];
		struct shunt_backend row = p->want->backends[i].row;

		row.id = a->id;
		wanted[a->index] = true;
		if (a->claimed)
			err = emit_backend_claim(p, a, &p->want->backends[i]);
		if (err == 0)
			err = emit_backend(p, a->index, &row);
	}
	if (err == 0)
		err = emit_unwanted_backends(p, wanted);
	free(wanted);
	return err;
}

static int emit_service_claims(struct planner *p)
{
	int err = 0;

	for (size_t i = 0; i < p->want->service_count && err == 0; i++) {
		const struct assigned_service *a = &p->assigned.services[i];
		struct plan_op op = {.kind = PLAN_SERVICE_CLAIM, .index = a->index};
		const char *name = p->want->services[i].name;

		if (!a->claimed)
			continue;
		memcpy(op.svc_meta.name, name, strlen(name));
		err = planner_emit(p, &op);
	}
	return err;
}

static bool ring_is_built(const struct table_service *have, const struct plan_ring *ring)
{
	if (have->members == NULL || have->ring.size != ring->size ||
	    have->member_count != ring->count)
		return false;
	for (size_t i = 0; i < ring->count; i++) {
		if (have->members[i].id != ring->ids[i] ||
		    have->members[i].weight != ring->members[i].weight)
			return false;
	}
	/* And what moves in it is what may. */
	return ring->rule == SLOTS_MOVE ? !ring->forget || have->moving == 0
					: ring->rule == SLOTS_SETTLE && have->moving == 0;
}

/* Does the ring of the service's row have to change? */
static bool ring_changes(const struct planner *p, size_t service)
{
	const struct table_service *have = &p->t->services[p->assigned.services[service].index];
	const struct plan_ring *ring = &p->services[service].ring;

	return ring->size == 0 ? have->ring.size != 0 : !ring_is_built(have, ring);
}

/*
 * A service whose ring, or whose source routes change while one of its keys goes to another service gets another row: in
 * the old one the key's packets would, until it has gone, meet a ring that was never meant for them.
 * Its counters start anew. Where there is no room for that the ring changes in place.
 */
static int change_row(struct planner *p, size_t service)
{
	int err;

	if (p->in_place || p->want->services[service].record.action != SHUNT_ACTION_STEER ||
	    p->assigned.services[service].claimed ||
	    (!ring_changes(p, service) && !wide_routes_change(p, service)) ||
	    !assign_row_loses_key(p->t, p->want, p->assigned.services[service].index, service))
		return 0;
	err = assign_other_row(p->t, p->want, &p->assigned, service);
	if (err == 0)
		p->rows_changed = true;
	return err == -ENOSPC ? 0 : err;
}

static int init_ring(const struct planner *p, size_t service, struct plan_ring *ret_ring)
{
	int err = plan_ring_init(ret_ring, p->want, &p->want->services[service], &p->assigned);
	size_t owner = moves_owner(p->want, service);

	if (err < 0)
		return err;
	ret_ring->from = p->services[service].from;
	ret_ring->rule =
		moves_rule(p->t, p->want, owner, p->services[owner].from, &ret_ring->forget);
	return 0;
}

/* Which services keep their ring, or need none? */
static int find_rings(struct planner *p)
{
	for (size_t i = 0; i < p->want->service_count; i++) {
		const struct desired_service *want = &p->want->services[i];
		struct service_plan *s = &p->services[i];
		struct row_plan *row;
		int err;

		s->from = p->assigned.services[i].index;
		err = init_ring(p, i, &s->ring);
		if (err == 0)
			s->ring.size = moves_ring_size(p->t, p->want, &p->assigned, i);
		if (err == 0)
			err = change_row(p, i);
		if (err < 0)
			return err;
		row = &p->rows[p->assigned.services[i].index];
		row->wanted = true;
		row->stays = want->record.action == SHUNT_ACTION_STEER &&
			     !p->assigned.services[i].claimed && !ring_changes(p, i);
		s->placed = row->stays || want->record.action != SHUNT_ACTION_STEER;
	}
	return 0;
}

/* Slots are taken while a row names them, or packets may still look at them. */
static int mark_extents(struct planner *p)
{
	int err = 0;

	extents_clear(&p->extents);
	for (uint32_t i = 0; i < p->t->sizes.services && err == 0; i++)
		err = extents_take(&p->extents, p->rows[i].ring.base, p->rows[i].ring.size);
	for (size_t i = 0; i < p->retired.count && err == 0; i++)
		err = extents_take(&p->extents, p->retired.taken[i].base, p->retired.taken[i].size);
	return err;
}

/* Room that packets have left comes first; a wait for packets makes more of it. */
static int find_room(struct planner *p, uint32_t size, uint32_t *ret_base)
{
	int err = extents_alloc(&p->extents, size, ret_base);

	if (err != -ENOSPC || p->retired.count == 0)
		return err;
	err = planner_wait(p);
	if (err == 0)
		err = mark_extents(p);
	return err < 0 ? err : extents_alloc(&p->extents, size, ret_base);
}

static int set_row_ring(struct planner *p, uint32_t index, const struct shunt_ring *ring)
{
	struct shunt_ring *row = &p->rows[index].ring;
	int err = extents_take(&p->retired, row->base, row->size);

	*row = *ring;
	return err;
}

static int emit_ring_clear(struct planner *p, uint32_t index)
{
	static const struct shunt_ring none;
	struct plan_op op = {.kind = PLAN_RING_CLEAR, .index = index};
	int err = p->rows[index].ring.size == 0 ? 0 : planner_emit(p, &op);

	return err < 0 ? err : set_row_ring(p, index, &none);
}

static int emit_ring(struct planner *p, size_t service)
{
	struct plan_op op = {.kind = PLAN_RING, .index = p->assigned.services[service].index};
	struct shunt_ring ring = {.size = p->services[service].ring.size};
	int err = find_room(p, ring.size, &ring.base);

	if (err == 0)
		err = init_ring(p, service, &op.ring);
	if (err < 0)
		return err;
	op.ring.base = ring.base;
	op.ring.size = ring.size;
	err = planner_emit(p, &op);
	if (err < 0) {
		plan_ring_deinit(&op.ring);
		return err;
	}
	return set_row_ring(p, op.index, &ring);
}

/* As many of the rings that differ as there is room for now: those of source routes, or the others. */
static int emit_some_rings(struct planner *p, bool routes, size_t *ret_missing, size_t *count)
{
	size_t missing = 0;
	int err = mark_extents(p);

	for (size_t i = 0; i < p->want->service_count && err == 0; i++) {
		struct service_plan *s = &p->services[i];

		if (s->placed || p->want->services[i].is_route != routes)
			continue;
		if (s->unrouted) {
			missing++;
			continue;
		}
		if (s->ring.size == 0)
			err = emit_ring_clear(p, p->assigned.services[i].index);
		else
			err = emit_ring(p, i);
		s->placed = err == 0;
		p->rows[p->assigned.services[i].index].stays = s->placed;
		*count += s->placed;
		if (err == -ENOSPC) {
			missing++;
			err = 0;
		}
	}
	*ret_missing = missing;
	return err;
}

/* A source that gets a route of its own must not meet its service's next ring before. */
static int emit_rings(struct planner *p, size_t *ret_missing, size_t *count)
{
	size_t routes, others = 0;
	int err = emit_some_rings(p, true, &routes, count);

	if (err == 0)
		err = wide_set_entries(p, count);
	if (err == 0)
		err = emit_some_rings(p, false, &others, count);
	*ret_missing = routes + others;
	return err;
}

int planner_set_key(struct planner *p, const struct shunt_vip_key *key,
		    const struct shunt_service *record, bool replaces)
{
	struct plan_op op = {.kind = PLAN_SERVICE, .service = {.key = *key, .record = *record}};
	int err = planner_emit(p, &op);

	if (err == 0)
		err = keys_put(&p->keys, key, record);
	if (replaces)
		p->records_unsettled = true;
	return err;
}

/* Publish what has its ring: either the keys that are new, or those whose record changes. The one that
 * a packet goes by first, so that it meets none that is only in between. */
static int emit_keys(struct planner *p, bool replace, size_t *count)
{
	int err = 0;

	for (size_t i = 0; i < p->want->key_count && err == 0; i++) {
		const struct desired_key *k = p->in_order[i];
		const struct service_plan *s = &p->services[k->service];
		const struct table_key *have = keys_find(&p->keys, &k->key);
		struct shunt_service record = p->want->services[k->service].record;

		if (!s->placed || (have != NULL) != replace)
			continue;
		record.index = p->assigned.services[k->service].index;
		record.tracking = k->tracking;
		if (replace && memcmp(&have->record, &record, sizeof(record)) == 0)
			continue;
		err = planner_set_key(p, &k->key, &record, replace);
		(*count)++;
	}
	return err;
}

static int precedence_of_key(const void *a, const void *b)
{
	return vip_key_precedence(a, b);
}

/* The one that a packet goes by last, for the same reason. */
static int emit_deletes(struct planner *p, size_t *count)
{
	struct shunt_vip_key *keys = calloc(p->keys.count + 1, sizeof(*keys));
	size_t unwanted = 0;
	int err = keys == NULL ? -ENOMEM : 0;

	p->deleted = true;
	for (size_t i = 0; i < p->keys.count && err == 0; i++) {
		if (desired_find_key(p->want, &p->keys.rows[i].key) == NULL)
			keys[unwanted++] = p->keys.rows[i].key;
	}
	if (unwanted > 0)
		qsort(keys, unwanted, sizeof(*keys), precedence_of_key);
	for (size_t i = unwanted; i > 0 && err == 0; i--) {
		struct plan_op op = {.kind = PLAN_SERVICE_DELETE};

		op.service.key = keys[i - 1];
		err = planner_emit(p, &op);
		keys_remove(&p->keys, &op.service.key);
		p->records_unsettled = true;
		(*count)++;
	}
	free(keys);
	return err;
}

/* Which rows do the records of keys, and source routes, name at this point? */
static void mark_named(struct planner *p)
{
	for (uint32_t i = 0; i < p->t->sizes.services; i++)
		p->rows[i].named = p->rows[i].named_to_steer = false;
	for (size_t i = 0; i < p->keys.count; i++) {
		const struct shunt_service *r = &p->keys.rows[i].record;

		if (r->index >= p->t->sizes.services)
			continue;
		p->rows[r->index].named = true;
		if (r->action == SHUNT_ACTION_STEER)
			p->rows[r->index].named_to_steer = true;
	}
	for (size_t i = 0; i < p->have[MAPS_ROUTES].count; i++) {
		const struct shunt_route *r = &p->have[MAPS_ROUTES].rows[i].route;

		if (r->index < p->t->sizes.services)
			p->rows[r->index].named = p->rows[r->index].named_to_steer = true;
	}
}

/* Once no packet can look at them: rings that no service is to have any more, and the rows of services
 * that are gone. */
static int emit_leavings(struct planner *p, size_t *count)
{
	int err = 0;

	mark_named(p);
	for (uint32_t i = 0; i < p->t->sizes.services && err == 0; i++) {
		struct row_plan *row = &p->rows[i];
		struct plan_op op = {.kind = PLAN_SERVICE_RELEASE, .index = i};
		bool clear = row->ring.size != 0 && !row->stays && !row->named_to_steer;
		bool release = row->owned && !row->wanted && !row->named;

		if (!clear && !release)
			continue;
		if (p->records_unsettled)
			err = planner_wait(p);
		if (err == 0 && clear)
			err = emit_ring_clear(p, i);
		if (err == 0 && release)
			err = planner_emit(p, &op);
		row->owned = row->owned && !release;
		(*count)++;
	}
	return err;
}

/* Would old and new keys together overflow the table? */
static int check_keys(struct planner *p, bool *ret_delete_first)
{
	size_t both = p->keys.count;

	if (p->want->key_count > p->t->sizes.services) {
		diag_error(p->d, NULL,
			   "%zu listen addresses do not fit into a table of %u: raise "
			   "node.limits.services and run `shunt-load detach --all --purge` before "
			   "the next start",
			   p->want->key_count, p->t->sizes.services);
		return -ENOSPC;
	}
	for (size_t i = 0; i < p->want->key_count; i++)
		both += keys_find(&p->keys, &p->want->keys[i].key) == NULL;
	*ret_delete_first = both > p->t->sizes.services;
	return 0;
}

static int say_slots_missing(struct planner *p)
{
	uint32_t free_slots, longest;
	uint64_t needed = 0;

	if (p->rows_changed)
		return -ENOSPC; /* not the last word */
	for (size_t i = 0; i < p->want->service_count; i++) {
		if (!p->services[i].placed)
			needed += p->services[i].ring.size;
	}
	extents_room(&p->extents, &free_slots, &longest);
	diag_error(p->d, NULL,
		   "rings need %llu slots beside those in use, where %u of %u are free and %u at a "
		   "stretch: raise node.limits.ring_slots by %llu or more and run `shunt-load "
		   "detach --all --purge` before the next start",
		   (unsigned long long)needed, free_slots, p->t->sizes.ring_slots, longest,
		   (unsigned long long)(needed - (longest < needed ? longest : 0)));
	return -ENOSPC;
}

/*
 * As many rounds as the arena makes necessary: each writes the rings that there is room for, moves
 * the keys that have theirs, and so frees the slots of services that are gone for the next one.
 */
static int emit_services(struct planner *p)
{
	bool delete_first = false;
	size_t missing, done = 0;
	int err = check_keys(p, &delete_first);

	if (err == 0)
		err = wide_check_index(p, &delete_first);
	if (err == 0)
		err = wide_check_entries(p);
	if (err == 0 && delete_first)
		err = emit_deletes(p, &done);
	/* What led to the keys that went takes the room of what leads to those that come. */
	if (err == 0 && delete_first)
		err = wide_close_index(p);
	if (err == 0)
		err = wide_open_index(p);
	while (err == 0) {
		done = 0;
		err = emit_rings(p, &missing, &done);
		if (err == 0 && missing > 0 && p->rows_changed)
			err = -ENOSPC; /* a second row takes room that one in place does not */
		/* A key must not come to a row that still has other routes than it will have. */
		if (err == 0)
			err = wide_drop_entries(p, &done);
		if (err == 0)
			err = emit_keys(p, false, &done);
		if (err == 0)
			err = emit_keys(p, true, &done);
		if (err == 0 && !p->deleted)
			err = emit_deletes(p, &done);
		if (err == 0)
			err = wide_drop_entries(p, &done);
		if (err == 0)
			err = emit_leavings(p, &done);
		if (err < 0 || missing == 0)
			break;
		if (done == 0)
			err = say_slots_missing(p);
	}
	return err < 0 ? err : wide_close_index(p);
}

static int init_rows(struct planner *p)
{
	const struct tables *t = p->t;
	int err = 0;

	p->rows = calloc(t->sizes.services + 1, sizeof(*p->rows));
	if (p->rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->sizes.services; i++) {
		p->rows[i].ring = t->services[i].ring;
		p->rows[i].owned = t->services[i].meta.name[0] != '\0';
	}
	for (size_t i = 0; i < t->retired.count && err == 0; i++)
		err = extents_take(&p->retired, t->retired.taken[i].base, t->retired.taken[i].size);
	return err;
}

static int precedence(const void *a, const void *b)
{
	return vip_key_precedence(&(*(const struct desired_key *const *)a)->key,
				  &(*(const struct desired_key *const *)b)->key);
}

static int init_order(struct planner *p)
{
	p->in_order = calloc(p->want->key_count + 1, sizeof(const struct desired_key *));
	if (p->in_order == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->want->key_count; i++)
		p->in_order[i] = &p->want->keys[i];
	qsort(p->in_order, p->want->key_count, sizeof(const struct desired_key *), precedence);
	return 0;
}

static int planner_init(struct planner *p)
{
	int err;

	extents_init(&p->extents, p->t->sizes.ring_slots);
	extents_init(&p->retired, p->t->sizes.ring_slots);
	p->records_unsettled = p->t->records_unsettled;
	p->services = calloc(p->want->service_count + 1, sizeof(*p->services));
	if (p->services == NULL)
		return -ENOMEM;
	err = init_rows(p);
	if (err == 0)
		err = init_order(p);
	if (err == 0)
		err = keys_copy(&p->t->keys, &p->keys);
	if (err == 0)
		err = wide_init(p);
	if (err == 0)
		err = assign_rows(p->t, p->want, &p->plan.assigned, p->d);
	if (err == 0)
		err = assignment_copy(&p->plan.assigned, p->want, &p->assigned);
	return err;
}

static void planner_deinit(struct planner *p)
{
	if (p->services != NULL) {
		for (size_t i = 0; i < p->want->service_count; i++)
			plan_ring_deinit(&p->services[i].ring);
	}
	free(p->services);
	free(p->rows);
	free(p->in_order);
	keys_deinit(&p->keys);
	wide_deinit(p);
	extents_deinit(&p->extents);
	extents_deinit(&p->retired);
	assignment_deinit(&p->assigned);
}

static int build(struct planner *p)
{
	int err = planner_init(p);

	if (err == 0)
		err = find_rings(p);
	if (err == 0)
		err = wide_want(p);
	if (err == 0)
		err = emit_backends(p);
	if (err == 0)
		err = emit_service_claims(p);
	if (err == 0)
		err = emit_services(p);
	planner_deinit(p);
	if (err < 0)
		plan_deinit(&p->plan);
	return err;
}

int plan_build(const struct tables *t, const struct desired *want, struct plan *ret_plan,
	       struct diag *d)
{
	struct planner p = {.t = t, .want = want, .d = d};
	int err = build(&p);

	if (err == -ENOSPC && p.rows_changed) {
		p = (struct planner){.t = t, .want = want, .d = d, .in_place = true};
		err = build(&p);
	}
	if (err == 0)
		*ret_plan = p.plan;
	return err;
}
