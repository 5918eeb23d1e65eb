/* SPDX-License-Identifier: BSD-2-Clause */
/* A planned ring as the slots of the arena. Main thread. */
#ifndef L4_SLOTS_H
#define L4_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "l4/plan.h"
#include "l4/tables.h"

/* Who gets which slot (an index into the ring's members), and what the table is to remember of it.
 * Both malloc'ed. 0, or -errno as ring_fill(). */
int slots_build(const struct plan_ring *ring, uint32_t **ret_owner,
		struct table_member **ret_members);

void slots_write(struct shunt_slot *slots, const struct plan_ring *ring, const uint32_t *owner);
bool slots_equal(const struct shunt_slot *slots, const struct plan_ring *ring,
		 const uint32_t *owner);

#endif
