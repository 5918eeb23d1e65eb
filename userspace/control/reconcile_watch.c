/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/reconcile_watch.h"

#include "control/diag_log.h"
#include "core/clock.h"
#include "l4/l4.h"

#define TICK_MS 1000

/* Once a second, so that a change of the key is noticed. */
static void on_tick(uv_timer_t *timer)
{
	struct reconcile_watch *w = timer->data;
	const struct snapshot *snap = reload_current(w->reload);
	struct diag d;

	if (!snap)
		return;
	diag_init(&d);
	l4_reconcile(w->l4, snap->node.reconcile_ms, &d);
	diag_log(&d);
	diag_deinit(&d);
}

void reconcile_watch_start(struct reconcile_watch *w, uv_loop_t *loop, struct l4 *l4,
			   struct reload *reload)
{
	w->reload = reload;
	(void)uv_timer_init(loop, &w->timer); /* cannot fail */
	w->timer.data = w;
	reconcile_watch_resume(w, l4);
}

void reconcile_watch_pause(struct reconcile_watch *w)
{
	(void)uv_timer_stop(&w->timer); /* always 0 */
	w->l4 = NULL;
}

void reconcile_watch_resume(struct reconcile_watch *w, struct l4 *l4)
{
	w->l4 = l4;
	(void)uv_timer_start(&w->timer, on_tick, TICK_MS, TICK_MS); /* fails when closing */
}
