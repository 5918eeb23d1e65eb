/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One deadline for a whole connection, all of a worker behind one timer of the loop. Lazy: one that
 * moves away is only remembered, and looked at when its old time has come, so a busy connection
 * leaves timers alone. One thread.
 */
#ifndef L7_DEADLINE_H
#define L7_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define DEADLINE_NONE UINT64_MAX

struct deadline;
typedef void (*deadline_cb)(struct deadline *d);

/* Those of one worker. */
struct deadlines {
	uv_timer_t timer;
	struct deadline **heap; /* those that are armed, the next one first */
	uint32_t count, cap;
	uint32_t members; /* cap is at least as much: arming cannot fail */
	bool is_passing;  /* the timer's callback is at work further up the stack */
};

struct deadline {
	struct deadlines *of;
	uint64_t at;	/* in the loop's milliseconds */
	uint64_t armed; /* when it will be looked at; DEADLINE_NONE: it is not in of->heap */
	uint32_t index; /* there */
	deadline_cb on_passed;
};

void deadlines_init(struct deadlines *all, uv_loop_t *loop);
void deadlines_close(struct deadlines *all);
void deadlines_deinit(struct deadlines *all); /* once closed; no member is left */

/* 0, or -ENOMEM; then d must not be closed. */
int deadline_init(struct deadline *d, struct deadlines *all, deadline_cb on_passed);

/* Once at has passed: on_passed, and no deadline any more. */
void deadline_set(struct deadline *d, uint64_t at);

/* ms from now. */
static inline uint64_t deadline_in(const struct deadline *d, uint64_t ms)
{
	return uv_now(d->of->timer.loop) + ms;
}

void deadline_close(struct deadline *d);

#endif
