/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One timer for a whole connection, armed lazily: a deadline that moves away is only remembered,
 * and looked at when the timer fires. So a busy connection leaves the loop's timers alone. One
 * thread.
 */
#ifndef L7_DEADLINE_H
#define L7_DEADLINE_H

#include <stdint.h>
#include <uv.h>

#define DEADLINE_NONE UINT64_MAX

struct deadline;
typedef void (*deadline_cb)(struct deadline *d);

struct deadline {
	uv_timer_t timer;
	uint64_t at;	/* in the loop's milliseconds */
	uint64_t armed; /* when the timer will fire; DEADLINE_NONE: it will not */
	deadline_cb on_passed;
};

void deadline_init(struct deadline *d, uv_loop_t *loop, deadline_cb on_passed);

/* Once at has passed: on_passed, and no deadline any more. */
void deadline_set(struct deadline *d, uint64_t at);

/* ms from now. */
static inline uint64_t deadline_in(const struct deadline *d, uint64_t ms)
{
	return uv_now(d->timer.loop) + ms;
}

void deadline_close(struct deadline *d, uv_close_cb cb); /* handle->data: d */

#endif
