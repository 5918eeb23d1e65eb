/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may be chosen now: the usable backends of a pool in groups, each with its share of the choices.
 *
 * Groups are in the order of priority, and in each priority those of the node's own zone come before the
 * others. A group gets choices as long as enough of it is healthy: 1.4 times its healthy share, and at
 * most all; what it does not get goes to the next one. So nothing spills over before two backends in
 * seven are gone, and then just as much as those that are left should not carry. If all groups together
 * fall short, each gets more, in the same proportion; and in a group that has less healthy than the
 * pool's `panic` says, all are chosen from then, healthy or not. Envoy's rules, which people know.
 *
 * A backend that came up a while ago, but less than `slow_start`, has less weight. Pure, but for the
 * health of backends, which is read. One thread.
 */
#ifndef L7_BALANCE_SET_H
#define L7_BALANCE_SET_H

#include "conf/runtime.h"
#include "conf/snapshot.h"

#define BALANCE_WEIGHT_ONE 256 /* of candidates, for a weight of 1 in the configuration */
#define BALANCE_GROUPS	   (2 * POOL_PRIORITIES)
#define BALANCE_CHOICES	   65536

struct candidate {
	const struct backend *be;
	uint32_t weight; /* in BALANCE_WEIGHT_ONEs; never 0 */
};

struct balance_group {
	unsigned first, count; /* of the set's list */
	uint32_t share;	       /* of BALANCE_CHOICES */
	uint8_t priority;
	bool is_local; /* in the node's zone, or there are no zones */
	bool panic;    /* has candidates that are down */
};

struct balance_set {
	struct candidate *list; /* room for all backends of the pool; the owner's */
	struct balance_group groups[BALANCE_GROUPS]; /* those with candidates, in their order */
	unsigned group_count;
	uint64_t epoch;	  /* runtime_epoch() that it was made at */
	uint64_t next_ms; /* when weights are different again */
};

/* Make it anew. */
void balance_set_fill(struct balance_set *set, const struct pool *pool, uint64_t now_ms);

/* The same, if anything has changed since. */
void balance_set_refresh(struct balance_set *set, const struct pool *pool);

#endif
