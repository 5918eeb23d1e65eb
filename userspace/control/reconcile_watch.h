/* SPDX-License-Identifier: BSD-2-Clause */
/* Has the kernel's tables compared with what they should say, every node.reconcile, and logs what was
 * put back. Main thread. */
#ifndef CONTROL_RECONCILE_WATCH_H
#define CONTROL_RECONCILE_WATCH_H

#include <uv.h>

#include "control/reload.h"

/* Owner: the caller, until its loop has closed all handles. */
struct reconcile_watch {
	uv_timer_t timer;
	struct l4 *l4;
	struct reload *reload;
};

/* Both must outlive the loop. */
void reconcile_watch_start(struct reconcile_watch *w, uv_loop_t *loop, struct l4 *l4,
			   struct reload *reload);

/* Until reconcile_watch_resume(), l4 is not looked at. */
void reconcile_watch_pause(struct reconcile_watch *w);
void reconcile_watch_resume(struct reconcile_watch *w, struct l4 *l4);

#endif
