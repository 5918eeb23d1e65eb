/* SPDX-License-Identifier: BSD-2-Clause */
/* The state machine and the arithmetic of checks: see rise_fall.h. */
#include "health/rise_fall.h"

#include <limits.h>

bool rise_fall_step(struct rise_fall *rf, bool ok, unsigned rise, unsigned fall)
{
	enum health_state before = rf->state;

	if (rf->run == 0 || rf->last_ok != ok)
		rf->run = 1;
	else if (rf->run < UINT_MAX)
		rf->run++;
	rf->last_ok = ok;
	switch (before) {
	case HEALTH_UNKNOWN: rf->state = ok ? HEALTH_UP : HEALTH_DOWN; break;
	case HEALTH_UP:
		if (!ok && rf->run >= fall)
			rf->state = HEALTH_DOWN;
		break;
	case HEALTH_DOWN:
		if (ok && rf->run >= rise)
			rf->state = HEALTH_UP;
		break;
	}
	return rf->state != before;
}

uint64_t schedule_jitter(uint64_t base_ms, uint64_t random)
{
	uint64_t span = base_ms / 5; /* from -10 % to +10 % */

	return base_ms - span / 2 + (span ? random % (span + 1) : 0);
}

uint64_t schedule_first(uint64_t every_ms, uint64_t random)
{
	return random % (every_ms / 10 + 1);
}
