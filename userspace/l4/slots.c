/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/slots.h"

#include <errno.h>
#include <stdlib.h>

#include "l4/ring.h"

static struct table_member *make_members(const struct plan_ring *ring, const uint32_t *owner)
{
	struct table_member *members = calloc(ring->count, sizeof(*members));

	if (members == NULL)
		return NULL;
	for (size_t i = 0; i < ring->count; i++) {
		members[i].id = ring->ids[i];
		members[i].weight = ring->members[i].weight;
	}
	for (uint32_t i = 0; i < ring->size; i++)
		members[owner[i]].slots++;
	return members;
}

int slots_build(const struct plan_ring *ring, uint32_t **ret_owner,
		struct table_member **ret_members)
{
	uint32_t *owner = calloc(ring->size, sizeof(*owner));
	struct table_member *members = NULL;
	int err = owner == NULL ? -ENOMEM : 0;

	if (err == 0)
		err = ring_fill(ring->members, ring->count, owner, ring->size);
	if (err == 0) {
		members = make_members(ring, owner);
		err = members == NULL ? -ENOMEM : 0;
	}
	if (err < 0) {
		free(owner);
		return err;
	}
	*ret_owner = owner;
	*ret_members = members;
	return 0;
}

void slots_write(struct shunt_slot *slots, const struct plan_ring *ring, const uint32_t *owner)
{
	for (uint32_t i = 0; i < ring->size; i++)
		slots[i] = (struct shunt_slot){.backend = ring->ids[owner[i]]};
}

bool slots_equal(const struct shunt_slot *slots, const struct plan_ring *ring,
		 const uint32_t *owner)
{
	for (uint32_t i = 0; i < ring->size; i++) {
		if (slots[i].backend != ring->ids[owner[i]])
			return false;
	}
	return true;
}
