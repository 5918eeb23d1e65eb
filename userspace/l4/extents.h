/* SPDX-License-Identifier: BSD-2-Clause */
/* Which parts of the ring arena are taken: first fit, sizes in slots. Pure; one thread. */
#ifndef L4_EXTENTS_H
#define L4_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct extent {
	uint32_t base, size;
};

/* Owner: whoever embeds it. */
struct extents {
	struct extent *taken; /* by base; equal ones once, overlaps are kept as they are */
	size_t count, capacity;
	uint32_t total;
};

void extents_init(struct extents *e, uint32_t total);
void extents_deinit(struct extents *e); /* NULL is fine */

/* Nothing is taken any more. */
void extents_clear(struct extents *e);

/* Mark as taken, whether it is or not; what lies behind the end, or size 0, is ignored. 0, or
 * -ENOMEM. */
int extents_take(struct extents *e, uint32_t base, uint32_t size);

/* Find room and take it. 0, -ENOSPC or -ENOMEM. */
int extents_alloc(struct extents *e, uint32_t size, uint32_t *ret_base);

/* Slots in no extent, and the longest run of them. */
void extents_room(const struct extents *e, uint32_t *ret_free, uint32_t *ret_longest);

#endif
