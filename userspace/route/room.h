/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Working memory for looking at requests: what regular expressions and decoded query values need,
 * taken once, so that a request allocates nothing. Owner: one thread, never shared.
 */
#ifndef ROUTE_ROOM_H
#define ROUTE_ROOM_H

#include <stddef.h>
#include <stdint.h>

struct route_room;

/* text_max: the longest query that requests can have. NULL: out of memory. */
struct route_room *route_room_new(size_t text_max);
void route_room_free(struct route_room *room);

/* How many times a regular expression gave up at its limits, since the room was made. What gave up
 * counts as no match; who cares compares the number before and after. */
uint64_t route_room_gave_up(const struct route_room *room);

#endif
