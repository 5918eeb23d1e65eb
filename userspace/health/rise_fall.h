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
	unsigned run; /* results equal to the last one in a row; 0: none yet */
};

/* Take in a result. rise, fall: at least 1. True where the state is another one than before. */
bool rise_fall_step(struct rise_fall *rf, bool ok, unsigned rise, unsigned fall);

/* base_ms -10 % to +10 %, by a random number. */
uint64_t schedule_jitter(uint64_t base_ms, uint64_t random);

/* Until a first check, so that many backends are spread over a tenth of the interval. */
uint64_t schedule_first(uint64_t every_ms, uint64_t random);

#endif
