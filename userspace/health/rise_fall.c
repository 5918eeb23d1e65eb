/* SPDX-License-Identifier: BSD-2-Clause */
/* The state machine and the arithmetic of checks: see rise_fall.h. */
#include "health/rise_fall.h"

#include <limits.h>

#define DOUBLINGS_MAX 4

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

bool rise_fall_is_changing(const struct rise_fall *rf)
{
	if (rf->state == HEALTH_UNKNOWN)
		return true;
	return rf->run > 0 && rf->last_ok != (rf->state == HEALTH_UP);
}

void rise_fall_note(struct rise_fall *rf, uint64_t now_ms, uint64_t damping_ms)
{
	if (rf->state == HEALTH_UP) {
		rf->recovered = rf->since_ms > 0; /* else it is the first that is known of it */
	} else if (rf->recovered && now_ms - rf->since_ms < damping_ms) {
		rf->relapses++;
	} else {
		rf->relapses = 0;
	}
	rf->since_ms = now_ms;
}

unsigned rise_fall_damped(const struct rise_fall *rf, unsigned rise)
{
	return rise << (rf->relapses < DOUBLINGS_MAX ? rf->relapses : DOUBLINGS_MAX);
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
