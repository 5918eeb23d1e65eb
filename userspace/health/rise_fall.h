/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When results of checks change a state: so many equal ones in a row, except that the very first
 * one decides. Pure; any thread.
 */
#ifndef HEALTH_RISE_FALL_H
#define HEALTH_RISE_FALL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/runtime.h"

struct rise_fall {
	enum health_state state;
	bool last_ok;
	unsigned run;	   /* results equal to the last one in a row; 0: none yet */
	bool recovered;	   /* it came up from being down */
	uint64_t since_ms; /* of the last change */
	unsigned relapses; /* in a row: down again soon after having come up */
};

/* Take in a result. rise, fall: at least 1. True where the state is another one than before. */
bool rise_fall_step(struct rise_fall *rf, bool ok, unsigned rise, unsigned fall);

/* Do the results of late contradict the state, or is there none yet? */
bool rise_fall_is_changing(const struct rise_fall *rf);

/* To be told of each change: one that goes down less than damping_ms after it came up relapses. */
void rise_fall_note(struct rise_fall *rf, uint64_t now_ms, uint64_t damping_ms);
/* How many good results it takes after that. */
unsigned rise_fall_damped(const struct rise_fall *rf, unsigned rise);

/* base_ms -10 % to +10 %, by a random number. */
uint64_t schedule_jitter(uint64_t base_ms, uint64_t random);

/* Until a first check, so that many backends are spread over a tenth of the interval. */
uint64_t schedule_first(uint64_t every_ms, uint64_t random);

#endif
