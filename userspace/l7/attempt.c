/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's way to a backend, and to another one: see request_int.h. */
#include <errno.h>

#include "core/clock.h"
#include "core/log.h"
#include "l7/balance.h"
#include "l7/h2_client.h"
#include "l7/outlier.h"
#include "l7/proxy_out.h"
#include "l7/request_int.h"
#include "l7/upstream.h"

/* up is connected: send the request. */
static void attach(struct request *r, struct upstream_conn *up, bool reused)
{
	struct backend_counters *n = request_upstream(r)->counters;

	r->up = up;
	up->ctx = r;
	r->was_reused = reused;
	r->scan = (struct http1_scan){0};
	if (pool_times(r->backend->pool))
		r->sent_ns = clock_now_ns();
	counter_add(&n->requests, 1);
	counter_add(&n->active_up, 1);
	if (reused)
		counter_add(&n->reused, 1);
	flow_send_to(&r->body, &up->io, r->framing);
	request_set_state(r, REQUEST_AWAIT);
	(void)request_advance(r, (struct slice){r->head, r->head_len});
}

/* What became of a connection that could not be made, for the answer. */
static enum reason connect_reason(int err)
{
	switch (err) {
	case -ETIMEDOUT: return REASON_CONNECT_TIMEOUT;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS: return REASON_NO_RESOURCES;
	default: return REASON_CONNECT_FAILED;
	}
}

static void note_connect(struct request *r, int err)
{
	r->connect_failure = connect_reason(err);
	if (r->connect_failure != REASON_NO_RESOURCES)
		request_fail_backend(r);
	log_debug("l7: connect failed backend=%s/%s error=%d", r->backend->pool->name,
		  r->backend->name, -err);
}

static void on_connect(void *ctx, int status)
{
	struct request *r = ctx;
	struct upstream_conn *up = r->up;

	if (status < 0) {
		r->up = NULL; /* closed already */
		note_connect(r, status);
		attempt_begin(r);
	} else {
		attach(r, up, false);
	}
}

static const struct upstream_user user = {.on_connect = on_connect,
					  .on_event = request_on_backend_event};

static uint16_t backend_port(const struct request *r)
{
	return r->backend->ep.port ? r->backend->ep.port : r->client.conn->local.port;
}

static bool is_http2(const struct request *r)
{
	return r->backend->pool->protocol == POOL_HTTP2;
}

static struct h2_wish wish(const struct request *r)
{
	const struct pool *p = r->backend->pool;

	return (struct h2_wish){.streams_max = p->streams,
				.connect_ms = p->connect_ms,
				.idle_ms = p->idle_ms,
				.extended = r->upgrade.len > 0};
}

/* Begin to connect. False: it failed at once. */
static bool connect_backend(struct request *r)
{
	struct endpoint ep = {r->backend->ep.addr, backend_port(r)};
	struct upstream *up = request_upstream(r);
	struct h2_wish w = wish(r);
	enum proxy_out proxy = r->backend->pool->proxy_out;
	int err = is_http2(r) ? h2_client_open(up, &ep, &w, &user, r, &r->up)
			      : upstream_conn_open(up, &ep, w.connect_ms, &user, r, &r->up);

	if (err == 0 && proxy != PROXY_OUT_OFF) {
		err = proxy_out_queue(&r->up->io, r->client.conn, proxy);
		if (err < 0)
			request_detach(r, false);
	}
	if (err < 0) {
		note_connect(r, err);
		return false;
	}
	r->body_at = r->reply_at = DEADLINE_NONE; /* up keeps the time */
	request_set_deadline(r);
	return true;
}

/* A kept connection. What cannot be sent twice only goes to one that is not known to be dead. */
static struct upstream_conn *find_idle(struct request *r)
{
	bool repeatable = r->is_idempotent && r->body.body.kind == BODY_NONE;
	struct upstream_conn *uc;

	if (is_http2(r)) {
		struct h2_wish w = wish(r);

		return h2_client_take(request_upstream(r), backend_port(r), &w, &user, r);
	}
	if (r->backend->pool->proxy_out != PROXY_OUT_OFF)
		return NULL; /* of another client, or from before the pool asked for headers */
	for (;;) {
		uc = upstream_take_idle(request_upstream(r), backend_port(r));
		if (!uc || repeatable || stream_is_quiet(&uc->io))
			return uc;
		upstream_conn_close(uc);
	}
}

/* A kept connection can die just when a request is sent on it. The request may then be sent again:
 * once, on a new connection, if doing it twice is as good as doing it once (RFC 9110, 9.2.2), and
 * if all of it is still here. */
static bool may_repeat(const struct request *r)
{
	if (r->was_repeated || r->interim_count || buf_len(&r->up->io.in) ||
	    flow_has_begun(&r->body))
		return false;
	return (r->was_reused && r->is_idempotent) ||
	       (r->up->io.carrier && h2_client_is_refused(r->up));
}

/* The same backend, on a new connection. */
static void repeat(struct request *r)
{
	request_detach(r, false);
	counter_add(&request_counters(r)->retries, 1);
	r->was_repeated = true;
	r->body_done = r->body_refused = false;
	flow_restart(&r->body);
	request_set_state(r, REQUEST_CONNECT);
	if (!connect_backend(r))
		attempt_begin(r);
}

void request_lose_backend(struct request *r)
{
	bool is_partial = buf_len(&r->up->io.in) > 0;

	if (may_repeat(r)) {
		repeat(r);
		return;
	}
	request_fail_backend(r);
	if (is_partial || !attempt_again(r, RETRY_RESET))
		request_fail(r, is_partial ? REASON_BAD_RESPONSE : REASON_BACKEND_CLOSED);
}

/* May it be sent once more, after what `on` says? Whatever was sent of it is here still. */
static bool may_try_again(const struct request *r, unsigned on)
{
	const struct retry_conf *conf = &r->client.service->retry;

	if (!(conf->on & on) || r->tried_count >= conf->attempts || r->interim_count ||
	    flow_has_begun(&r->body))
		return false;
	if (!r->is_idempotent && conf->methods != RETRY_ALL_METHODS)
		return false;
	return r->is_retry || retry_is_affordable(conf, &r->client.conn->l7->retries);
}

bool attempt_again(struct request *r, unsigned on)
{
	const struct retry_conf *conf = &r->client.service->retry;
	struct l7 *l7 = r->client.conn->l7;
	unsigned wait_ms;

	if (!may_try_again(r, on))
		return false;
	request_detach(r, false);
	counter_add(&request_counters(r)->retries, 1);
	l7->retries.retries += !r->is_retry;
	r->is_retry = r->takes_any = true;
	r->body_done = r->body_refused = r->close_backend = false;
	flow_restart(&r->body);
	request_set_state(r, REQUEST_CONNECT);
	wait_ms = retry_backoff_ms(conf, r->tried_count + 1U, l7_random(l7));
	if (!wait_ms) {
		attempt_begin(r);
		return true;
	}
	r->is_backing_off = true;
	r->body_at = DEADLINE_NONE;
	r->reply_at = request_in_ms(r, wait_ms);
	request_set_deadline(r);
	(void)request_advance(r, (struct slice){0});
	return true;
}

/* One that was not tried; for who failed after it was sent, any, if there is no such. */
static const struct backend *pick(struct request *r, struct balancer *balancer)
{
	const struct balance_ask others = {r->tried, r->tried_count, r->hash};
	const struct balance_ask any = {.hash = r->hash};
	const struct backend *be = r->tried_count ? NULL : r->sticky.backend;

	if (!be || balance_is_out(be, &others))
		be = balancer_pick(balancer, &others);

	if (!be && r->takes_any)
		be = balancer_pick(balancer, &any);
	r->takes_any = false;
	return be;
}

/* After a connection that could not be made too? */
static bool may_begin(const struct request *r)
{
	const struct retry_conf *conf = &r->client.service->retry;

	return !r->tried_count || r->takes_any ||
	       (r->tried_count < conf->attempts && conf->on & RETRY_CONNECT);
}

void attempt_begin(struct request *r)
{
	struct balancer *balancer = view_pool(r->client.view, r->pool)->balancer;

	while (may_begin(r)) {
		struct upstream_conn *idle;

		balance_move(&r->backend, pick(r, balancer));
		if (!r->backend)
			break;
		r->tried[r->tried_count++] = r->backend;
		idle = find_idle(r);
		if (idle) {
			attach(r, idle, true);
			return;
		}
		if (connect_backend(r))
			return;
	}
	request_fail(r, r->connect_failure	     ? r->connect_failure
			: balancer_is_full(balancer) ? REASON_BACKENDS_FULL
						     : REASON_NO_BACKEND);
}
