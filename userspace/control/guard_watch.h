/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the guard's lists up to date while the daemon runs, and logs what it has blocked and
 * released. Main thread. */
#ifndef CONTROL_GUARD_WATCH_H
#define CONTROL_GUARD_WATCH_H

#include <stdint.h>
#include <uv.h>

struct l4;

/* Owner: the caller, until its loop has closed all handles. */
struct guard_watch {
	uv_timer_t timer;
	struct l4 *l4;
	uint64_t second; /* of the lines below */
	unsigned lines, hidden;
};

/* l4 must outlive the loop. */
void guard_watch_start(struct guard_watch *w, uv_loop_t *loop, struct l4 *l4);

/* Until guard_watch_resume(), l4 is not looked at. */
void guard_watch_pause(struct guard_watch *w);
void guard_watch_resume(struct guard_watch *w, struct l4 *l4);

#endif
