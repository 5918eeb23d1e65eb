/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A planned ring as the slots of the arena: whose each is, and whose it was while flows of then may
 * live (struct shunt_slot). Pure; main thread.
 */
#ifndef L4_SLOTS_H
#define L4_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "l4/plan.h"
#include "l4/tables.h"

/* Who gets which slot (an index into the ring's members), and what the table is to remember of it.
 * Both malloc'ed. 0, or -errno as ring_fill(). A ring without members has only former owners. */
int slots_build(const struct plan_ring *ring, uint32_t **ret_owner,
		struct table_member **ret_members);

/* Slots, and what is remembered of each. */
struct slots {
	struct shunt_slot *slots;
	struct shunt_stamp *stamps;
};

/*
 * Fill `to` with what follows the ring `from`, which packets look at now: of the same size, or
 * from.slots NULL. By ring->rule:
 * - A settled slot that goes to another backend moves, and its flows stay with the one that has it.
 * - A moving slot keeps `old`: every flow that began since is in the tables.
 * - A backend that is dead (not to be found in t, or down) is worth nothing as `old`: a settled slot
 *   of its is settled on the new one; in a moving one whoever has the slot takes its place.
 * Returns how many slots are moving.
 */
uint32_t slots_write(const struct slots *to, const struct slots *from, const struct plan_ring *ring,
		     const uint32_t *owner, const struct tables *t, uint32_t now_ticks);

/* Packets that had looked at the slots `from` may have stamped them after they were copied. */
void slots_merge_stamps(const struct slots *to, const struct slots *from, uint32_t size);

/* Is it the ring that would be built, whatever is moving in it? Counts what is. */
bool slots_equal(const struct shunt_slot *slots, const struct plan_ring *ring,
		 const uint32_t *owner, uint32_t *ret_moving);

/* One store, as packets see it. */
void slot_settle(struct shunt_slot *slot);

/* How long ago; negative: that is to come. */
int64_t ticks_age_ms(uint32_t ticks, uint32_t now_ticks);

#endif
