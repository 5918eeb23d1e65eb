/* SPDX-License-Identifier: BSD-2-Clause */
/* Shares of requests by weight. Pure. */
#ifndef ROUTE_SPLIT_H
#define ROUTE_SPLIT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Which of the shares a point between 0 and INT64_MAX is in: of a hash (route/hash.h), so that who was
 * sent somewhere is sent there again, or a random one. Where weights change, only what must moves: as
 * much as the bounds between neighbours do. The sum of weights is not 0, and below 2^32.
 */
static inline size_t split_pick(const unsigned *weights, size_t count, int64_t point)
{
	uint64_t total = 0, at;
	size_t i;

	for (i = 0; i < count; i++)
		total += weights[i];
	at = (uint64_t)((unsigned __int128)(uint64_t)point * total >> 63);
	for (i = 0; i + 1 < count && at >= weights[i]; i++)
		at -= weights[i];
	return i;
}

#endif
