/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/slots.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/ring.h"

static struct table_member *make_members(const struct plan_ring *ring, const uint32_t *owner)
{
	struct table_member *members = calloc(ring->count + 1, sizeof(*members));

	if (members == NULL)
		return NULL;
	for (size_t i = 0; i < ring->count; i++) {
		members[i].id = ring->ids[i];
		members[i].weight = ring->members[i].weight;
	}
	for (uint32_t i = 0; i < ring->size && ring->count > 0; i++)
		members[owner[i]].slots++;
	return members;
}

int slots_build(const struct plan_ring *ring, uint32_t **ret_owner,
		struct table_member **ret_members)
{
	uint32_t *owner = calloc(ring->size, sizeof(*owner));
	struct table_member *members = NULL;
	int err = owner == NULL ? -ENOMEM : 0;

	if (err == 0 && ring->count > 0)
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

static uint32_t new_owner(const struct plan_ring *ring, const uint32_t *owner, uint32_t i)
{
	return ring->count > 0 ? ring->ids[owner[i]] : 0;
}

/* Who has the flows of a slot that no table knows; 0: the slot is settled. */
static uint32_t choose_old(const struct shunt_slot *was, uint32_t backend,
			   const struct plan_ring *ring, const struct tables *t)
{
	if (was->old != 0 && tables_backend_lives(t, was->old))
		return was->old;
	if (was->old != 0 || ring->rule == SLOTS_MOVE_ALL)
		return tables_backend_lives(t, was->backend) ? was->backend : backend;
	return was->backend != backend && tables_backend_lives(t, was->backend) ? was->backend : 0;
}

uint32_t slots_write(const struct slots *to, const struct slots *from, const struct plan_ring *ring,
		     const uint32_t *owner, const struct tables *t, uint32_t now_ticks)
{
	uint32_t moving = 0, now = now_ticks != 0 ? now_ticks : 1; /* 0 is no moment */

	for (uint32_t i = 0; i < ring->size; i++) {
		struct shunt_slot was = {0}, slot = {.backend = new_owner(ring, owner, i)};
		struct shunt_stamp stamp = {.since_ticks = now, .old_ticks = now};

		if (from->slots != NULL && ring->rule != SLOTS_SETTLE) {
			was = from->slots[i];
			if (ring->forget)
				was.old = 0;
			slot.old = choose_old(&was, slot.backend, ring, t);
		}
		if (was.old != 0)
			stamp = from->stamps[i];
		/* Entries have been kept up to date so far, in all slots. */
		if (ring->rule == SLOTS_MOVE_ALL)
			stamp.since_ticks = 0;
		to->slots[i] = slot;
		to->stamps[i] = stamp;
		moving += slot.old != 0;
	}
	return moving;
}

void slots_merge_stamps(const struct slots *to, const struct slots *from, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		uint32_t late = from->stamps[i].old_ticks, *stamp = &to->stamps[i].old_ticks;

		if (from->slots[i].old != 0 && to->slots[i].old != 0 &&
		    ticks_age_ms(*stamp, late) > 0)
			*stamp = late;
	}
}

bool slots_equal(const struct shunt_slot *slots, const struct plan_ring *ring,
		 const uint32_t *owner, uint32_t *ret_moving)
{
	uint32_t moving = 0;

	for (uint32_t i = 0; i < ring->size; i++) {
		if (slots[i].backend != new_owner(ring, owner, i))
			return false;
		moving += slots[i].old != 0;
	}
	*ret_moving = moving;
	return true;
}

void slot_settle(struct shunt_slot *slot)
{
	union {
		uint64_t word;
		struct shunt_slot slot;
	} settled = {.slot = {.backend = slot->backend}};

	atomic_store_explicit((_Atomic uint64_t *)(void *)slot, settled.word, memory_order_release);
}

int64_t ticks_age_ms(uint32_t ticks, uint32_t now_ticks)
{
	return (int64_t)(int32_t)(now_ticks - ticks) * (1 << SHUNT_TICK_SHIFT) / 1000000;
}
