/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void extents_init(struct extents *e, uint32_t total)
{
	*e = (struct extents){.total = total};
}

void extents_deinit(struct extents *e)
{
	if (e == NULL)
		return;
	free(e->taken);
	extents_init(e, 0);
}

void extents_clear(struct extents *e)
{
	e->count = 0;
}

static int insert(struct extents *e, size_t at, uint32_t base, uint32_t size)
{
	if (e->count == e->capacity) {
		size_t capacity = e->capacity > 0 ? 2 * e->capacity : 16;
		struct extent *taken = reallocarray(e->taken, capacity, sizeof(*taken));

		if (taken == NULL)
			return -ENOMEM;
		e->taken = taken;
		e->capacity = capacity;
	}
	memmove(&e->taken[at + 1], &e->taken[at], (e->count - at) * sizeof(*e->taken));
	e->taken[at] = (struct extent){.base = base, .size = size};
	e->count++;
	return 0;
}

int extents_take(struct extents *e, uint32_t base, uint32_t size)
{
	size_t at = 0;

	if (base >= e->total || size == 0)
		return 0;
	if (size > e->total - base)
		size = e->total - base;
	while (at < e->count && e->taken[at].base < base)
		at++;
	for (size_t i = at; i < e->count && e->taken[i].base == base; i++) {
		if (e->taken[i].size == size)
			return 0;
	}
	return insert(e, at, base, size);
}

int extents_alloc(struct extents *e, uint32_t size, uint32_t *ret_base)
{
	uint32_t end = 0; /* of all that was passed: overlaps do no harm */
	size_t at;
	int err;

	for (at = 0; at < e->count; at++) {
		const struct extent *x = &e->taken[at];

		if (x->base > end && x->base - end >= size)
			break;
		if (x->base + x->size > end)
			end = x->base + x->size;
	}
	if (e->total - end < size)
		return -ENOSPC;
	err = insert(e, at, end, size);
	if (err < 0)
		return err;
	*ret_base = end;
	return 0;
}

void extents_room(const struct extents *e, uint32_t *ret_free, uint32_t *ret_longest)
{
	uint32_t end = 0, sum = 0, longest = 0;

	for (size_t i = 0; i <= e->count; i++) {
		uint32_t base = i < e->count ? e->taken[i].base : e->total;

		if (base > end) {
			sum += base - end;
			if (base - end > longest)
				longest = base - end;
		}
		if (i < e->count && base + e->taken[i].size > end)
			end = base + e->taken[i].size;
	}
	*ret_free = sum;
	*ret_longest = longest;
}
