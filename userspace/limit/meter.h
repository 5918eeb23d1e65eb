/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many requests of one key are taken: three algorithms, each with one word of state, which all
 * threads move by compare and swap. So a limit is exact whichever worker the requests come to. A word
 * of zero is a key that was never seen, or not for so long that nothing of it counts. Pure.
 *
 *	token bucket	burst requests at once, then count a period. The word is a time: up to where
 *			what was taken uses the rate up (GCRA, the generic cell rate algorithm)
 *	leaky bucket	the same word; requests leave at the rate, one after the other: those that come
 *			too fast wait, burst of them at most
 *	sliding window	count in the last period: what was taken in this period, and of the one before
 *			that share that the last period reaches back to. The word has the period's number
 *			and both counts
 */
#ifndef LIMIT_METER_H
#define LIMIT_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define METER_COUNT_MAX	 1000000U
#define METER_PERIOD_MAX 86400000U /* ms */

enum meter_algorithm { METER_TOKEN_BUCKET, METER_SLIDING_WINDOW, METER_LEAKY_BUCKET };

struct meter {
	enum meter_algorithm algorithm;
	uint32_t count;	    /* 1..METER_COUNT_MAX */
	uint32_t period_ms; /* 1..METER_PERIOD_MAX */
	uint32_t burst; /* 1..METER_COUNT_MAX; leaky bucket: also 0; sliding window: no meaning */
};

struct meter_answer {
	bool is_refused;
	uint64_t wait_ns; /* refused: until one may be taken; else how long this one is to wait */
	uint32_t left;	  /* that would be taken now */
};

/* now_ns: of a clock that only goes forward, the same in all threads, and past zero. */
struct meter_answer meter_take(const struct meter *m, _Atomic uint64_t *word, uint64_t now_ns);

/* How much a word still says: 0: as much as a word of zero; else the more, the later it is forgotten. */
uint64_t meter_weight(const struct meter *m, uint64_t word, uint64_t now_ns);

/* The longest that a request of a leaky bucket waits. */
uint64_t meter_longest_wait_ms(const struct meter *m);

#endif
