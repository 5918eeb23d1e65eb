/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/guard_watch.h"

#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "l4/guard.h"
#include "l4/l4.h"

#define TICK_MS	       500
#define BUSY_TICK_MS   100 /* a twentieth of the time goes to it then */
#define LINES_A_SECOND 20

/* A flood from many sources must not become a flood of the log. */
static bool may_log(struct guard_watch *w)
{
	uint64_t second = clock_now_ms() / 1000;

	if (second != w->second) {
		if (w->hidden)
			log_warning("guard: more blocks and releases than are logged lines=%u",
				    w->hidden);
		w->second = second;
		w->lines = w->hidden = 0;
	}
	if (w->lines >= LINES_A_SECOND) {
		w->hidden++;
		return false;
	}
	w->lines++;
	return true;
}

static void on_report(void *ctx, enum guard_report what, const struct guard_item *item)
{
	char prefix[PREFIX_STRLEN];
	const char *service = item->service ? item->service : "-";

	if (!may_log(ctx))
		return;
	prefix_format(&item->addr, item->len, prefix, sizeof(prefix));
	switch (what) {
	case GUARD_REPORT_BLOCKED:
		log_warning("guard: blocked source=%s service=%s reason=%s for_ms=%llu", prefix,
			    service, guard_reason_words[item->reason],
			    (unsigned long long)item->left_ms);
		break;
	case GUARD_REPORT_LOST:
		log_error("guard: blocked, but no room to list it (node.limits.guard) source=%s "
			  "service=%s reason=%s for_ms=%llu",
			  prefix, service, guard_reason_words[item->reason],
			  (unsigned long long)item->left_ms);
		break;
	case GUARD_REPORT_RELEASED:
		log_info("guard: released source=%s service=%s action=%s origin=%s", prefix,
			 service, guard_action_words[item->action],
			 guard_origin_words[item->origin]);
		break;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct guard_watch *w = timer->data;

	bool more = guard_tick(l4_guard(w->l4));

	(void)uv_timer_start(timer, on_tick, more ? BUSY_TICK_MS : TICK_MS,
			     0); /* fails when closing */
}

void guard_watch_start(struct guard_watch *w, uv_loop_t *loop, struct l4 *l4)
{
	*w = (struct guard_watch){0};
	(void)uv_timer_init(loop, &w->timer); /* cannot fail */
	w->timer.data = w;
	guard_watch_resume(w, l4);
}

void guard_watch_pause(struct guard_watch *w)
{
	(void)uv_timer_stop(&w->timer); /* always 0 */
	w->l4 = NULL;
}

void guard_watch_resume(struct guard_watch *w, struct l4 *l4)
{
	w->l4 = l4;
	guard_on_report(l4_guard(l4), on_report, w);
	(void)uv_timer_start(&w->timer, on_tick, 0, 0); /* fails when closing */
}
