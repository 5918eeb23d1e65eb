/* SPDX-License-Identifier: BSD-2-Clause */
/* What all checks share: connect, deadline, result, closing. See probe.h. */
#include "health/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "tls/pump.h"

static void probe_free(struct probe *p)
{
	tls_pump_free(p->tls);
	if (p->kind->release)
		p->kind->release(p);
	snapshot_unref(p->snap);
	free(p);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct probe *p = handle->data;
	struct probe_events events = p->events;

	if (--p->open > 0)
		return;
	probe_free(p);
	events.on_freed(events.ctx);
}

static void close_handles(struct probe *p)
{
	p->finished = true;
	probe_io_end(p);
	uv_close((uv_handle_t *)&p->timer, on_handle_closed);
	/* A reset is refused by libuv where the socket was never made or is shut down. */
	if (!p->kind->reset || p->tls || uv_tcp_close_reset(&p->tcp, on_handle_closed))
		uv_close((uv_handle_t *)&p->tcp, on_handle_closed);
}

double probe_elapsed_ms(const struct probe *p)
{
	return (double)(clock_now_ns() - p->start_ns) / 1e6;
}

static void finish(struct probe *p, bool ok, bool local, const char *fmt, va_list ap)
{
	struct probe_result result = {.ok = ok, .local = local};

	if (p->finished)
		return;
	(void)vsnprintf(result.text, sizeof(result.text), fmt, ap); /* cut where too long */
	close_handles(p);
	p->events.on_result(p->events.ctx, &result);
}

void probe_succeed(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(p, true, false, fmt, ap);
	va_end(ap);
}

void probe_fail(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(p, false, false, fmt, ap);
	va_end(ap);
}

static void fail_locally(struct probe *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(p, false, true, fmt, ap);
	va_end(ap);
}

/* What this host ran out of is not the backend's fault. */
static bool is_local_error(int status)
{
	switch (status) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
	case -EADDRNOTAVAIL: return true;
	default: return false;
	}
}

static void connect_failed(struct probe *p, int status)
{
	if (is_local_error(status))
		fail_locally(p, "connect: %s on this host", uv_strerror(status));
	else
		probe_fail(p, "connect: %s", uv_strerror(status));
}

static void on_timer(uv_timer_t *timer)
{
	struct probe *p = timer->data;

	if (p->start_status)
		connect_failed(p, p->start_status);
	else
		probe_fail(p, "no answer within %u ms", p->conf->timeout_ms);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct probe *p = req->data;

	if (p->finished)
		return;
	if (status)
		connect_failed(p, status);
	else
		probe_io_begin(p);
}

static const struct probe_kind *const kinds[] = {
	[HEALTH_TCP] = &probe_kind_tcp,
	[HEALTH_HTTP] = &probe_kind_http,
	[HEALTH_GRPC] = &probe_kind_grpc,
};

static int prepare(struct probe *p, const struct probe_target *target)
{
	if (target->tls) {
		p->tls = tls_pump_new(target->tls, &target->ep.addr);
		if (!p->tls)
			return -ENOMEM;
	}
	return p->kind->prepare ? p->kind->prepare(p, &target->ep) : 0;
}

int probe_start(uv_loop_t *loop, const struct probe_target *target,
		const struct probe_events *events, struct probe **ret_probe)
{
	struct sockaddr_storage ss;
	socklen_t ss_len;
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->conf = &target->pool->health;
	p->snap = snapshot_ref(target->snap);
	p->kind = kinds[p->conf->kind];
	p->proxy = target->proxy;
	p->room = target->room;
	p->start_ns = clock_now_ns();
	if (prepare(p, target) < 0) {
		probe_free(p);
		return -ENOMEM;
	}
	p->events = *events;
	/* Neither can fail: no socket is made before the connect. */
	(void)uv_timer_init(loop, &p->timer);
	(void)uv_tcp_init(loop, &p->tcp);
	p->timer.data = p->tcp.data = p->connect.data = p;
	p->open = 2;
	endpoint_to_sockaddr(&target->ep, &ss, &ss_len);
	p->start_status = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&ss, on_connect);
	uv_update_time(loop);
	(void)uv_timer_start(&p->timer, on_timer, p->start_status ? 0 : p->conf->timeout_ms, 0);
	*ret_probe = p;
	return 0;
}

void probe_cancel(struct probe *p)
{
	if (p && !p->finished)
		close_handles(p);
}
