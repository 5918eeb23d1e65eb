/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a worker has too much to do, and whom it then turns away. Two measures make one pressure, the
 * higher of both:
 *
 *	lag	how long a socket that is ready waits for its turn: the length of the loop's turns. As in
 *		CoDel (RFC 8289) only the shortest one of an interval counts, so that a burst that is
 *		worked off does no harm. Above its limit the pressure grows with each interval, below
 *		it falls, until it is where the lag is at its limit.
 *	memory	what connections and requests hold, from OVERLOAD_FROM percent of its limit on
 *
 * Requests of low priority are turned away first: a growing share of them, then all; only then of
 * normal ones, then of high ones. Pure; of one thread.
 */
#ifndef LIMIT_OVERLOAD_H
#define LIMIT_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define OVERLOAD_STEP	     1000U /* of pressure: all of one priority */
#define OVERLOAD_FROM	     80U   /* percent of memory, from which on there is pressure */
#define OVERLOAD_FULL	     95U   /* percent of memory, from which on nobody is let in */
#define OVERLOAD_CROWDED     90U   /* percent of connections, from which on idle ones are closed */
#define OVERLOAD_INTERVAL_NS 100000000U

enum request_priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_COUNT };

/* Of one worker; 0: none. */
struct overload_limits {
	uint64_t lag_ns, memory, connections;
};

/* All zero: at rest. */
struct overload {
	struct overload_limits limits;
	uint32_t pressure;     /* 0..PRIORITY_COUNT * OVERLOAD_STEP */
	uint32_t lag_pressure; /* what the lag has to do with it */
	uint64_t interval_ns;  /* when the interval began */
	uint64_t shortest_ns;  /* turn in it; UINT64_MAX: none yet */
	uint64_t lag_ns;       /* of the interval before */
	bool is_crowded;       /* idle connections are to be closed */
	bool is_full;	       /* no more connections */
};

void overload_set_limits(struct overload *o, const struct overload_limits *limits, uint64_t now_ns);

/* A turn of the loop is over, which took busy_ns from when it woke up. memory, connections: as it is
 * now. */
void overload_turn(struct overload *o, uint64_t now_ns, uint64_t busy_ns, uint64_t memory,
		   uint64_t connections);

/* The same of memory and connections alone, in the middle of a turn: one turn can take in many. */
void overload_look(struct overload *o, uint64_t memory, uint64_t connections);

/* It wakes up: what is long ago counts no more. */
void overload_wake(struct overload *o, uint64_t now_ns);

/* Is a request of that priority to be turned away? chance: any number, another one each time. */
static inline bool overload_sheds(const struct overload *o, enum request_priority priority,
				  uint64_t chance)
{
	uint32_t spared = (uint32_t)priority * OVERLOAD_STEP;

	return o->pressure > spared && chance % OVERLOAD_STEP < o->pressure - spared;
}

#endif
