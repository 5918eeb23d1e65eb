/* SPDX-License-Identifier: BSD-2-Clause */
/* Lazy timers: see deadline.h. */
#include "l7/deadline.h"

static void arm(struct deadline *d);

static void on_timer(uv_timer_t *timer)
{
	struct deadline *d = timer->data;

	d->armed = DEADLINE_NONE;
	if (d->at == DEADLINE_NONE)
		return;
	if (d->at > uv_now(timer->loop)) {
		arm(d);
		return;
	}
	d->at = DEADLINE_NONE;
	d->on_passed(d);
}

static void arm(struct deadline *d)
{
	uint64_t now = uv_now(d->timer.loop);

	d->armed = d->at;
	/* Cannot fail: the handle is not closing and has a callback. */
	(void)uv_timer_start(&d->timer, on_timer, d->at > now ? d->at - now : 0, 0);
}

void deadline_init(struct deadline *d, uv_loop_t *loop, deadline_cb on_passed)
{
	(void)uv_timer_init(loop, &d->timer); /* always 0 */
	d->timer.data = d;
	d->at = d->armed = DEADLINE_NONE;
	d->on_passed = on_passed;
}

void deadline_set(struct deadline *d, uint64_t at)
{
	d->at = at;
	if (at < d->armed)
		arm(d);
}

void deadline_close(struct deadline *d, uv_close_cb cb)
{
	uv_close((uv_handle_t *)&d->timer, cb);
}
