/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/staple_watch.h"

#include "control/reload.h"
#include "core/log.h"
#include "tls/staple.h"

#define TICK_MS 1000

static void look_at(const struct service *s, size_t i)
{
	const char *path = s->tls.certificates[i].ocsp;
	char text[TLS_PROBLEM_MAX];

	switch (tls_staple_refresh(s->tls.staples[i], s->tls.loaded[i], text)) {
	case TLS_STAPLE_SAME: break;
	case TLS_STAPLE_RENEWED:
		log_info("tls: new OCSP response service=%s file=%s", s->name, path);
		break;
	case TLS_STAPLE_FAILED:
		log_warning("tls: the OCSP response stays what it was service=%s reason=\"%s\"",
			    s->name, text);
		break;
	case TLS_STAPLE_RAN_OUT:
		log_warning("tls: the OCSP response has expired, clients get none service=%s "
			    "file=%s",
			    s->name, path);
		break;
	}
}

static void on_tick(uv_timer_t *timer)
{
	const struct staple_watch *w = timer->data;
	const struct snapshot *snap = reload_current(w->reload);

	for (size_t s = 0; snap && s < snap->service_count; s++)
		for (size_t i = 0; i < snap->services[s].tls.certificate_count; i++)
			if (snap->services[s].tls.staples[i])
				look_at(&snap->services[s], i);
}

void staple_watch_start(struct staple_watch *w, uv_loop_t *loop, const struct reload *reload)
{
	*w = (struct staple_watch){.reload = reload};
	(void)uv_timer_init(loop, &w->timer); /* neither can fail */
	w->timer.data = w;
	(void)uv_timer_start(&w->timer, on_tick, TICK_MS, TICK_MS);
}
