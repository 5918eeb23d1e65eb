/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which backend of a pool is next. One object for each pool in each worker. What a policy remembers is
 * the worker's own; the requests under way at a backend and how fast it answers (conf/runtime.h) are of
 * all workers, so that they do not send to the same one, each for itself. One thread.
 *
 * A policy is a function that takes one of the candidates of a group: balance_NAME.c.
 */
#ifndef L7_BALANCE_H
#define L7_BALANCE_H

#include "conf/snapshot.h"
#include "l7/balance_set.h"

/* Who wants a backend. Zero is fine. */
struct balance_ask {
	const struct backend *const *tried; /* never one of these again */
	unsigned tried_count;
	uint64_t hash; /* of what the pool balances by, for maglev */
};

struct balancer;

/* One of list that has not been tried; NULL: all have. count > 0. */
typedef const struct candidate *(*balance_policy)(struct balancer *b, const struct candidate *list,
						  unsigned count, const struct balance_ask *ask);

struct balancer {
	const struct pool *pool; /* of the snapshot that it was made for; must outlive it */
	balance_policy policy;
	uint64_t random; /* state of balance_random() */
	int64_t *credit; /* round robin: by index into the pool's backends */
	uint32_t *slots; /* maglev: indices into the pool's backends */
	uint32_t slot_count;
	struct balance_set set;
};

/* before: of the same pool in the snapshot before, so that an order goes on; or NULL. start: how many
 * turns to be ahead, so that workers do not all begin with the same backend. NULL: out of memory. */
struct balancer *balancer_new(const struct pool *pool, const struct balancer *before,
			      unsigned start);
void balancer_free(struct balancer *b); /* NULL is fine */

/* A usable backend that is not among those tried; NULL: there is none. */
const struct backend *balancer_pick(struct balancer *b, const struct balance_ask *ask);

/* Has it no usable backend at all? */
bool balancer_is_empty(struct balancer *b);

/* Of a client, where a pool balances by nothing else. */
uint64_t balance_hash_addr(const struct addr *addr);

/* *at becomes to (or NULL), and the accounts of what is under way say so. */
static inline void balance_move(const struct backend **at, const struct backend *to)
{
	if (*at && pool_counts_active((*at)->pool))
		atomic_fetch_sub_explicit(&(*at)->rt->active, 1, memory_order_relaxed);
	if (to && pool_counts_active(to->pool))
		atomic_fetch_add_explicit(&to->rt->active, 1, memory_order_relaxed);
	*at = to;
}

/* Nobody was picked, of some who could have been: they are full. */
static inline bool balancer_is_full(const struct balancer *b)
{
	return b->set.group_count > 0;
}

/* ---- for policies ---- */

/* 64 bits that nobody needs to be surprised by. */
uint64_t balance_random(struct balancer *b);

/* Tried already, or full. Two workers may see the last place at once: so many more can get in. */
bool balance_is_out(const struct backend *be, const struct balance_ask *ask);

const struct candidate *balance_round_robin(struct balancer *b, const struct candidate *list,
					    unsigned count, const struct balance_ask *ask);
const struct candidate *balance_least(struct balancer *b, const struct candidate *list,
				      unsigned count, const struct balance_ask *ask);
const struct candidate *balance_two_choices(struct balancer *b, const struct candidate *list,
					    unsigned count, const struct balance_ask *ask);
const struct candidate *balance_by_chance(struct balancer *b, const struct candidate *list,
					  unsigned count, const struct balance_ask *ask);

const struct candidate *balance_maglev(struct balancer *b, const struct candidate *list,
				       unsigned count, const struct balance_ask *ask);

int balance_maglev_init(struct balancer *b); /* 0, or -ENOMEM */
void balance_rr_take_over(struct balancer *b, const struct balancer *before);

#endif
