/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes new OCSP responses from the files of the configuration in force, and logs what becomes of
 * them. Main thread. */
#ifndef CONTROL_STAPLE_WATCH_H
#define CONTROL_STAPLE_WATCH_H

#include <uv.h>

struct reload;

/* Owner: the caller, until its loop has closed all handles. */
struct staple_watch {
	uv_timer_t timer;
	const struct reload *reload;
};

/* reload must outlive the timer. */
void staple_watch_start(struct staple_watch *w, uv_loop_t *loop, const struct reload *reload);

#endif
