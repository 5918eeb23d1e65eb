/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l4/assign.h"
#include "l4/extents.h"

/* What the planner decided for a desired service. */
struct service_plan {
	struct plan_ring ring; /* base: where it is, once placed */
	bool placed;	       /* the ring is there, or will be by the plan so far */
};

struct planner {
	const struct tables *t;
	const struct desired *want;
	struct diag *d;
	struct plan plan;
	struct assignment assigned;
	struct service_plan *services; /* by position in want */
	struct key_table keys;	       /* as the plan so far leaves them */
	struct extents extents;
	bool unsettled;
	bool deleted; /* the plan has its deletions */
};

int plan_ring_init(struct plan_ring *ring, const struct desired *want,
		   const struct desired_service *service, const struct assignment *assigned)
{
	size_t room = service->backend_count + 1;

	*ring = (struct plan_ring){.size = service->record.ring_size};
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
	}
	free(plan->ops);
	*plan = (struct plan){0};
}

/*
 * New content for slots, a service's counters or the kernel's copy of a record: all may be memory
 * that a packet on another processor is still reading, if something was unpublished since the
 * last wait. (A record that is replaced or deleted is given to the next one that is written.)
 */
static bool reuses_memory(enum plan_kind kind)
{
	return kind == PLAN_RING || kind == PLAN_SERVICE || kind == PLAN_SERVICE_CLAIM;
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

static int emit(struct planner *p, const struct plan_op *op)
{
	if (p->unsettled && reuses_memory(op->kind)) {
		static const struct plan_op wait = {.kind = PLAN_WAIT};

		if (append(p, &wait) < 0)
			return -ENOMEM;
		p->unsettled = false;
	}
	return append(p, op);
}

static int emit_backend(struct planner *p, uint32_t index, const struct shunt_backend *row)
{
	struct plan_op op = {.kind = PLAN_BACKEND, .index = index, .backend = *row};

	if (memcmp(&p->t->backends[index].row, row, sizeof(*row)) == 0)
		return 0;
	return emit(p, &op);
}

static int emit_backend_claim(struct planner *p, const struct assigned_backend *a,
			      const struct desired_backend *b)
{
	struct plan_op op = {.kind = PLAN_BACKEND_CLAIM, .index = a->index};

	memcpy(op.be_meta.pool, b->pool, strlen(b->pool));
	memcpy(op.be_meta.name, b->name, strlen(b->name));
	op.be_meta.id = a->id;
	return emit(p, &op);
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
		err = emit(p, &op);
	}
	return err;
}

static bool ring_is_built(const struct table_service *have, const struct plan_ring *ring)
{
	if (have->members == NULL || have->ring_size != ring->size ||
	    have->member_count != ring->count)
		return false;
	for (size_t i = 0; i < ring->count; i++) {
		if (have->members[i].id != ring->ids[i] ||
		    have->members[i].weight != ring->members[i].weight)
			return false;
	}
	return true;
}

/* Which services keep their ring, or need none? */
static int find_rings(struct planner *p)
{
	for (size_t i = 0; i < p->want->service_count; i++) {
		struct service_plan *s = &p->services[i];
		const struct table_service *have = &p->t->services[p->assigned.services[i].index];
		int err = plan_ring_init(&s->ring, p->want, &p->want->services[i], &p->assigned);

		if (err < 0)
			return err;
		if (s->ring.size == 0) {
			s->placed = true;
		} else if (!p->assigned.services[i].claimed && ring_is_built(have, &s->ring)) {
			s->ring.base = have->ring_base;
			s->placed = true;
		}
	}
	return 0;
}

/* Slots are taken while a record names them, or while a ring stands there that one will name. */
static int mark_extents(struct planner *p)
{
	int err = 0;

	extents_clear(&p->extents);
	for (size_t i = 0; i < p->keys.count && err == 0; i++) {
		const struct shunt_service *r = &p->keys.rows[i].record;

		err = extents_take(&p->extents, r->ring_base, r->ring_size);
	}
	for (size_t i = 0; i < p->want->service_count && err == 0; i++) {
		const struct service_plan *s = &p->services[i];

		if (s->placed)
			err = extents_take(&p->extents, s->ring.base, s->ring.size);
	}
	return err;
}

/* Build as many of the missing rings as there is room for now. */
static int place_rings(struct planner *p, size_t *ret_placed, size_t *ret_missing)
{
	size_t placed = 0, missing = 0;
	int err = mark_extents(p);

	for (size_t i = 0; i < p->want->service_count && err == 0; i++) {
		struct service_plan *s = &p->services[i];
		struct plan_op op = {.kind = PLAN_RING};

		if (s->placed)
			continue;
		err = extents_alloc(&p->extents, s->ring.size, &s->ring.base);
		if (err == -ENOSPC) {
			missing++;
			err = 0;
			continue;
		}
		if (err == 0)
			err = plan_ring_init(&op.ring, p->want, &p->want->services[i],
					     &p->assigned);
		if (err < 0)
			break;
		op.index = p->assigned.services[i].index;
		op.ring.base = s->ring.base;
		err = emit(p, &op);
		if (err < 0)
			plan_ring_deinit(&op.ring);
		s->placed = true;
		placed++;
	}
	*ret_placed = placed;
	*ret_missing = missing;
	return err;
}

static int emit_key(struct planner *p, const struct shunt_vip_key *key,
		    const struct shunt_service *record, bool replaces)
{
	struct plan_op op = {.kind = PLAN_SERVICE, .service = {.key = *key, .record = *record}};
	int err = emit(p, &op);

	if (err == 0)
		err = keys_put(&p->keys, key, record);
	if (replaces)
		p->unsettled = true;
	return err;
}

/* Publish what has its ring: either the keys that are new, or those whose record changes. */
static int emit_keys(struct planner *p, bool replace, size_t *ret_count)
{
	int err = 0;

	for (size_t i = 0; i < p->want->key_count && err == 0; i++) {
		const struct desired_key *k = &p->want->keys[i];
		const struct service_plan *s = &p->services[k->service];
		const struct table_key *have = keys_find(&p->keys, &k->key);
		struct shunt_service record = p->want->services[k->service].record;

		if (!s->placed || (have != NULL) != replace)
			continue;
		record.index = p->assigned.services[k->service].index;
		record.ring_base = s->ring.base;
		if (replace && memcmp(&have->record, &record, sizeof(record)) == 0)
			continue;
		err = emit_key(p, &k->key, &record, replace);
		(*ret_count)++;
	}
	return err;
}

static bool key_is_wanted(const struct planner *p, const struct shunt_vip_key *key)
{
	size_t low = 0, high = p->want->key_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int cmp = vip_key_cmp(&p->want->keys[middle].key, key);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int emit_deletes(struct planner *p, size_t *ret_count)
{
	int err = 0;

	p->deleted = true;
	for (size_t i = p->keys.count; i > 0 && err == 0; i--) {
		struct plan_op op = {.kind = PLAN_SERVICE_DELETE};

		op.service.key = p->keys.rows[i - 1].key;
		if (key_is_wanted(p, &op.service.key))
			continue;
		err = emit(p, &op);
		keys_remove(&p->keys, &op.service.key);
		p->unsettled = true;
		(*ret_count)++;
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
 * As many rounds as the arena makes necessary: each builds what fits, publishes it, and so frees
 * the slots of the rings that were replaced for the next one.
 */
static int emit_services(struct planner *p)
{
	bool delete_first = false;
	size_t placed, missing, published = 0;
	int err = check_keys(p, &delete_first);

	if (err == 0 && delete_first)
		err = emit_deletes(p, &published);
	while (err == 0) {
		published = 0;
		err = place_rings(p, &placed, &missing);
		if (err == 0)
			err = emit_keys(p, false, &published);
		if (err == 0)
			err = emit_keys(p, true, &published);
		if (err == 0 && !p->deleted)
			err = emit_deletes(p, &published);
		if (err < 0 || missing == 0)
			break;
		if (published == 0)
			err = say_slots_missing(p);
	}
	return err;
}

static int emit_service_releases(struct planner *p)
{
	bool *wanted = calloc(p->t->sizes.services + 1, sizeof(*wanted));
	int err = 0;

	if (wanted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->want->service_count; i++)
		wanted[p->assigned.services[i].index] = true;
	for (uint32_t i = 0; i < p->t->sizes.services && err == 0; i++) {
		struct plan_op op = {.kind = PLAN_SERVICE_RELEASE, .index = i};

		if (!wanted[i] && p->t->services[i].meta.name[0] != '\0')
			err = emit(p, &op);
	}
	free(wanted);
	return err;
}

static int planner_init(struct planner *p)
{
	int err;

	extents_init(&p->extents, p->t->sizes.ring_slots);
	p->unsettled = p->t->unsettled;
	p->services = calloc(p->want->service_count + 1, sizeof(*p->services));
	if (p->services == NULL)
		return -ENOMEM;
	err = keys_copy(&p->t->keys, &p->keys);
	if (err == 0)
		err = assign_rows(p->t, p->want, &p->assigned, p->d);
	return err;
}

static void planner_deinit(struct planner *p)
{
	if (p->services != NULL) {
		for (size_t i = 0; i < p->want->service_count; i++)
			plan_ring_deinit(&p->services[i].ring);
	}
	free(p->services);
	keys_deinit(&p->keys);
	extents_deinit(&p->extents);
	assignment_deinit(&p->assigned);
}

int plan_build(const struct tables *t, const struct desired *want, struct plan *ret_plan,
	       struct diag *d)
{
	struct planner p = {.t = t, .want = want, .d = d};
	int err = planner_init(&p);

	if (err == 0)
		err = find_rings(&p);
	if (err == 0)
		err = emit_backends(&p);
	if (err == 0)
		err = emit_service_claims(&p);
	if (err == 0)
		err = emit_services(&p);
	if (err == 0)
		err = emit_service_releases(&p);
	planner_deinit(&p);
	if (err < 0) {
		plan_deinit(&p.plan);
		return err;
	}
	*ret_plan = p.plan;
	return 0;
}
