/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "l4/assign.h"
#include "l4/plan.h"
#include "l4/slots.h"

struct adoption {
	struct tables *t;
	const struct shunt_slot *arena;
	const struct desired *want;
	struct assignment assigned;
};

static int adopt_ring(struct adoption *a, struct table_service *s, const struct plan_ring *ring)
{
	struct table_member *members;
	uint32_t *owner, moving;
	int err = slots_build(ring, &owner, &members);

	if (err < 0)
		return err;
	if (slots_equal(a->arena + s->ring.base, ring, owner, &moving)) {
		table_service_set_ring(s, &s->ring, members, ring->count);
		s->moving = moving;
	} else {
		free(members);
	}
	free(owner);
	return 0;
}

/* Does the row name a ring of that size, within the arena? */
static bool has_ring(const struct adoption *a, const struct table_service *s, uint32_t size)
{
	return size > 0 && s->ring.size == size && s->ring.base <= a->t->sizes.ring_slots &&
	       size <= a->t->sizes.ring_slots - s->ring.base;
}

static int adopt_service(struct adoption *a, size_t service)
{
	const struct desired_service *want = &a->want->services[service];
	const struct assigned_service *assigned = &a->assigned.services[service];
	struct table_service *s = &a->t->services[assigned->index];
	uint32_t size = moves_ring_size(a->t, a->want, &a->assigned, service);
	struct plan_ring ring;
	int err;

	if (assigned->claimed || s->members != NULL || !has_ring(a, s, size))
		return 0;
	err = plan_ring_init(&ring, a->want, want, &a->assigned);
	ring.size = size;
	if (err == 0)
		err = adopt_ring(a, s, &ring);
	plan_ring_deinit(&ring);
	return err;
}

/* Is there a ring whose members are not known? */
static bool any_unknown(const struct tables *t)
{
	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (t->services[i].members == NULL && t->services[i].ring.size > 0)
			return true;
	}
	return false;
}

int adopt_rings(struct tables *t, const struct shunt_slot *arena, const struct desired *want,
		struct diag *d)
{
	struct adoption a = {.t = t, .arena = arena, .want = want};
	int err = any_unknown(t) ? assign_rows(t, want, &a.assigned, d) : -EALREADY;

	if (err == -EALREADY)
		return 0;
	for (size_t i = 0; i < want->service_count && err == 0; i++)
		err = adopt_service(&a, i);
	assignment_deinit(&a.assigned);
	return err;
}

static const struct backend *find_backend(const struct snapshot *snap,
					  const struct table_backend *row)
{
	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *pool = &snap->pools[i];

		if (strcmp(pool->name, row->meta.pool) != 0)
			continue;
		for (size_t k = 0; k < pool->backend_count; k++) {
			if (strcmp(pool->backends[k].name, row->meta.name) == 0)
				return &pool->backends[k];
		}
	}
	return NULL;
}

static bool row_is_of(const struct table_backend *row, const struct backend *b)
{
	__be32 dst[4];

	desired_row_addr(&b->ep.addr, dst);
	return row->row.family == (b->ep.addr.family == AF_INET ? 4 : 6) &&
	       memcmp(row->row.dst, dst, sizeof(dst)) == 0;
}

void adopt_health(const struct tables *t, const struct snapshot *snap)
{
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		const struct table_backend *row = &t->backends[i];
		const struct backend *b;

		if (!table_backend_is_owned(row) || row->row.state != SHUNT_BACKEND_DOWN)
			continue;
		b = find_backend(snap, row);
		/* Without a check nobody would ever find it up again. */
		if (b != NULL && row_is_of(row, b) && b->admin != ADMIN_DISABLED &&
		    b->pool->health.kind != HEALTH_NONE)
			atomic_store(&b->rt->health, HEALTH_DOWN);
	}
}
