/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes both ways between two streams, until both have ended: for tunnels and passages. Each end is
 * told to the other side, what one side does not take stops the other. Where a side breaks off
 * instead, what it said before is passed on first. Embedded in whoever owns the two. One thread.
 */
#ifndef L7_DUPLEX_H
#define L7_DUPLEX_H

#include <stdbool.h>

#include "core/slice.h"

struct stream;

struct duplex {
	struct stream *ends[2];
	bool is_done[2]; /* what ends[i] says was passed on, and its end too */
	bool is_broken;	 /* one of the two did not end, it broke off */
	bool has_moved;	 /* see duplex_has_moved() */
};

enum duplex_status {
	DUPLEX_OPEN,   /* waits for events of both */
	DUPLEX_DONE,   /* both have ended */
	DUPLEX_BROKEN, /* one broke off; the other was not told of an end */
};

/* From now on; what a has in its buffer goes first, behind head, to b. */
enum duplex_status duplex_start(struct duplex *d, struct stream *a, struct stream *b,
				struct slice head);

/* Something happened on one of the two: move what can be moved, wait for what cannot. Once it is not
 * open any more, there is nothing left to move, and the owner closes both. */
enum duplex_status duplex_on_event(struct duplex *d, struct stream *from, int events);

/* Has one side ended, the other not? */
static inline bool duplex_is_half_closed(const struct duplex *d)
{
	return d->is_done[0] || d->is_done[1];
}

/* Did bytes come or go, or a side end, since the last call? For deadlines; of the first call, true. */
static inline bool duplex_has_moved(struct duplex *d)
{
	bool has_moved = d->has_moved;

	d->has_moved = false;
	return has_moved;
}

#endif
