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

static bool is_candidate(const struct adoption *a, const struct table_key *have, uint32_t index,
			 uint32_t size)
{
	return have != NULL && have->record.index == index && have->record.ring_size == size &&
	       have->record.ring_base <= a->t->sizes.ring_slots &&
	       size <= a->t->sizes.ring_slots - have->record.ring_base;
}

/* After a crash in the middle of a publication, the keys of a service may name different rings:
 * any of them will do. */
static bool find_ring(const struct adoption *a, size_t service, const struct plan_ring *ring,
		      const uint32_t *owner, uint32_t *ret_base)
{
	for (size_t i = 0; i < a->want->key_count; i++) {
		const struct desired_key *k = &a->want->keys[i];
		const struct table_key *have;

		if (k->service != service)
			continue;
		have = keys_find(&a->t->keys, &k->key);
		if (is_candidate(a, have, a->assigned.services[service].index, ring->size) &&
		    slots_equal(a->arena + have->record.ring_base, ring, owner)) {
			*ret_base = have->record.ring_base;
			return true;
		}
	}
	return false;
}

static bool has_ring(const struct adoption *a, size_t service, uint32_t size)
{
	for (size_t i = 0; i < a->want->key_count; i++) {
		const struct desired_key *k = &a->want->keys[i];

		if (k->service == service &&
		    is_candidate(a, keys_find(&a->t->keys, &k->key),
				 a->assigned.services[service].index, size))
			return true;
	}
	return false;
}

static int adopt_ring(struct adoption *a, size_t service, const struct plan_ring *ring)
{
	struct table_member *members;
	uint32_t *owner, base;
	int err = slots_build(ring, &owner, &members);

	if (err < 0)
		return err;
	if (find_ring(a, service, ring, owner, &base))
		table_service_set_ring(&a->t->services[a->assigned.services[service].index], base,
				       ring->size, members, ring->count);
	else
		free(members);
	free(owner);
	return 0;
}

static int adopt_service(struct adoption *a, size_t service)
{
	const struct desired_service *s = &a->want->services[service];
	const struct assigned_service *assigned = &a->assigned.services[service];
	struct plan_ring ring;
	int err;

	if (assigned->claimed || a->t->services[assigned->index].members != NULL ||
	    s->record.ring_size == 0 || !has_ring(a, service, s->record.ring_size))
		return 0;
	err = plan_ring_init(&ring, a->want, s, &a->assigned);
	if (err == 0)
		err = adopt_ring(a, service, &ring);
	plan_ring_deinit(&ring);
	return err;
}

int adopt_rings(struct tables *t, const struct shunt_slot *arena, const struct desired *want,
		struct diag *d)
{
	struct adoption a = {.t = t, .arena = arena, .want = want};
	int err = assign_rows(t, want, &a.assigned, d);

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
