/* SPDX-License-Identifier: BSD-2-Clause */
/* Tries of a request: see attempt.h. */
#include "l7/attempt.h"

#include <errno.h>

#include "core/clock.h"
#include "core/log.h"
#include "l7/balance.h"
#include "l7/h2_client.h"
#include "l7/hedge.h"
#include "l7/proxy_out.h"
#include "l7/request_int.h"
#include "l7/retry.h"
#include "l7/upstream.h"

#define FAILURE_US 1000000 /* that a failure counts as, where answers are timed */
#define NS_PER_US  1000

static struct backend_counters *counters(const struct request *r, const struct backend *be)
{
	return &be->rt->counters[r->client.conn->l7->env.worker];
}

static uint64_t now_ms(const struct request *r)
{
	return deadline_in(&r->client.io->deadline, 0);
}

/* ---- how a try ends ------------------------------------------------------------------------ */

void attempt_detach(struct request *r, bool keep)
{
	if (r->backend)
		breaker_end(r->backend, &r->claims);
	if (!r->up)
		return;
	if (r->state != REQUEST_CONNECT)
		counter_add(&counters(r, r->backend)->active_down, 1);
	if (keep && r->backend->pool->proxy_out == PROXY_OUT_OFF)
		upstream_put_idle(view_upstream(r->client.view, r->backend), r->up,
				  r->backend->pool->idle_max, r->backend->pool->idle_ms);
	else
		upstream_conn_close(r->up);
	r->up = NULL;
}

void attempt_end(struct request *r, bool keep)
{
	hedge_cancel(r);
	attempt_detach(r, keep);
	balance_move(&r->backend, NULL);
	if (r->has_retry)
		breaker_give_retry(r->pool);
	breaker_give_request(r->pool, &r->is_counted);
}

void attempt_note(const struct request *r, const struct backend *be, struct claims *claims,
		  enum outlier_result result, uint64_t began_ms)
{
	bool was_probe = claims->probe;

	/* Who fails fast is not fast. */
	if (result == OUTLIER_GATEWAY && pool_times(be->pool))
		backend_rt_note_latency(be->rt, FAILURE_US, clock_now_ms());
	if (!outlier_is_on(&be->pool->outlier) && !was_probe)
		return;
	claims->probe = false;
	outlier_note(be, result, now_ms(r) - began_ms, was_probe);
}

/* The backend's part in it. */
static void blame(struct request *r, enum failure_cause cause)
{
	struct backend_counters *n = counters(r, r->backend);

	counter_add(&n->failures, 1);
	if (cause == FAILURE_TIMEOUT)
		counter_add(&n->timeouts, 1);
	else if (cause == FAILURE_RESPONSE)
		counter_add(&n->bad_responses, 1);
	else
		counter_add(&n->resets, 1);
	if (cause != FAILURE_REFUSED)
		attempt_note(r, r->backend, &r->claims, OUTLIER_GATEWAY, r->tried_ms);
}

void attempt_broke(struct request *r)
{
	r->failure = (struct failure){.cause = FAILURE_RESET, .phase = FAILURE_PHASE_BODY};
	blame(r, FAILURE_RESET);
}

/* ---- once more ----------------------------------------------------------------------------- */

bool attempt_take_retry(struct request *r)
{
	if (!r->has_retry)
		r->has_retry =
			breaker_take_retry(r->pool, r->retry, r->client.view->snap->node.workers);
	if (!r->has_retry)
		counter_add(&request_counters(r)->retries_withheld, 1);
	return r->has_retry;
}

/* Can it be sent again at all, as far as it is not known to be harmless? */
static bool is_repeatable(const struct request *r, bool is_safe)
{
	if (r->state == REQUEST_RESPOND || r->interim_count || flow_has_begun(&r->body))
		return false;
	return is_safe || r->is_idempotent || r->retry->non_idempotent == NON_IDEMPOTENT_ON;
}

static bool has_attempts(const struct request *r)
{
	return r->tried_count < r->retry->attempts && r->give_up_at > now_ms(r);
}

/* A response was begun with, and is not wanted: it points to a connection that goes now. */
static void forget_reply(struct request *r)
{
	flow_deinit(&r->reply);
	r->reply = (struct flow){0};
}

/* Ready for another connection. */
static void rewind_request(struct request *r, bool keep)
{
	forget_reply(r);
	attempt_detach(r, keep);
	r->body_done = r->body_refused = r->close_backend = false;
	r->body_at = r->reply_at = r->hedge_at = DEADLINE_NONE;
	flow_restart(&r->body);
	if (r->state != REQUEST_CONNECT)
		request_set_state(r, REQUEST_CONNECT);
}

static void again(struct request *r, bool at_once, bool keep)
{
	uint64_t wait = 0;

	rewind_request(r, keep);
	if (!at_once)
		wait = retry_backoff_ms(r->retry, r->tried_count, l7_random(r->client.conn->l7));
	if (!wait) {
		attempt_next(r);
		return;
	}
	r->is_waiting_to_retry = true;
	deadline_set(&r->client.io->deadline, now_ms(r) + wait);
	(void)request_advance(r, (struct slice){0}); /* listens to the client meanwhile */
}

void attempt_failed(struct request *r, enum failure_cause cause, enum reason reason)
{
	bool is_safe = cause == FAILURE_REFUSED;

	r->failure =
		(struct failure){.cause = cause,
				 .reason = reason,
				 .phase = r->body_done || r->body_refused ? FAILURE_PHASE_AWAIT
									  : FAILURE_PHASE_SEND};
	blame(r, cause);
	log_debug("l7: try failed backend=%s/%s attempt=%u phase=%s reason=\"%s\"",
		  r->backend->pool->name, r->backend->name, r->tried_count,
		  failure_phase_text(r->failure.phase), reason_text(reason));
	if (r->give_up_at > now_ms(r) && hedge_promote(r))
		return;
	if (!retry_wants(r->retry, cause) || !is_repeatable(r, is_safe) || !has_attempts(r) ||
	    (!is_safe && !attempt_take_retry(r)))
		request_fail(r, reason);
	else
		again(r, is_safe, false);
}

/* A kept connection can die just when a request is sent on it. The request may then be sent again:
 * once, on a new connection, if doing it twice is as good as doing it once (RFC 9110, 9.2.2), and
 * if all of it is still here. The same of a stream that was refused. */
static bool may_repeat(const struct request *r)
{
	if (r->was_repeated || buf_len(&r->up->io.in) || !is_repeatable(r, true))
		return false;
	return (r->was_reused && r->is_idempotent) ||
	       (r->up->io.carrier && h2_client_is_refused(r->up));
}

static bool connect_backend(struct request *r);

void attempt_lost(struct request *r)
{
	bool is_refused = r->up->io.carrier && h2_client_is_refused(r->up);

	if (!may_repeat(r)) {
		if (buf_len(&r->up->io.in))
			attempt_failed(r, FAILURE_RESPONSE, REASON_BAD_RESPONSE);
		else
			attempt_failed(r, is_refused ? FAILURE_REFUSED : FAILURE_RESET,
				       REASON_BACKEND_CLOSED);
		return;
	}
	counter_add(&request_counters(r)->retries, 1);
	hedge_cancel(r);
	rewind_request(r, false);
	r->was_repeated = true;
	breaker_try(r->backend, &r->claims);
	if (!connect_backend(r))
		attempt_next(r);
}

/* Nothing more is needed of a response whose header is here: is the connection fit for another
 * request? */
static bool drop_reply(struct request *r, struct head *h, size_t block_len)
{
	bool may_last = r->body_done && h->persistent && !r->close_backend;

	response_consume_head(r, block_len);
	flow_init(&r->reply, &r->up->io, h->body, h->length);
	may_last = flow_discard(&r->reply) == FLOW_DONE && may_last;
	return may_last && !r->up->io.is_eof && !buf_len(&r->up->io.in);
}

bool attempt_refuses(struct request *r, struct head *h, size_t block_len)
{
	enum outlier_result result = outlier_of_status(h->status);

	if (result != OUTLIER_GOOD)
		counter_add(&counters(r, r->backend)->responses_5xx, 1);
	attempt_note(r, r->backend, &r->claims, result, r->tried_ms);
	if (pool_times(r->backend->pool))
		backend_rt_note_latency(r->backend->rt, (clock_now_ns() - r->sent_ns) / NS_PER_US,
					clock_now_ms());
	if (h->status < RETRY_STATUS_MIN && !r->retry->grpc)
		return false;
	if (!retry_wants_response(r->retry, h) || !is_repeatable(r, false))
		return false;
	if (!r->hedge && (!has_attempts(r) || !attempt_take_retry(r)))
		return false;
	r->failure = (struct failure){.cause = FAILURE_STATUS,
				      .reason = REASON_NO_BACKEND,
				      .phase = FAILURE_PHASE_AWAIT,
				      .status = h->status};
	log_debug("l7: response is not passed on backend=%s/%s attempt=%u status=%u",
		  r->backend->pool->name, r->backend->name, r->tried_count, h->status);
	if (!hedge_promote(r))
		again(r, false, drop_reply(r, h, block_len));
	return true;
}

/* ---- the backend --------------------------------------------------------------------------- */

/* up is connected: send the request. */
static void attach(struct request *r, struct upstream_conn *up, bool reused)
{
	struct backend_counters *n = counters(r, r->backend);

	r->up = up;
	up->ctx = r;
	r->was_reused = reused;
	r->scan = (struct http1_scan){0};
	r->reply_at = DEADLINE_NONE;
	if (pool_times(r->backend->pool))
		r->sent_ns = clock_now_ns();
	counter_add(&n->requests, 1);
	counter_add(&n->active_up, 1);
	if (reused)
		counter_add(&n->reused, 1);
	flow_send_to(&r->body, &up->io, r->framing);
	request_set_state(r, REQUEST_AWAIT);
	hedge_schedule(r);
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
	case -EUSERS: return REASON_POOL_CONNECTIONS;
	case -EBUSY: return REASON_POOL_PENDING;
	default: return REASON_CONNECT_FAILED;
	}
}

static enum failure_cause connect_cause(int err)
{
	if (err == -EUSERS || err == -EBUSY)
		return FAILURE_LIMIT;
	return connect_reason(err) == REASON_NO_RESOURCES ? FAILURE_OURS : FAILURE_CONNECT;
}

void attempt_note_connect(struct request *r, const struct backend *be, int err, bool was_probe)
{
	struct claims claims = {.probe = was_probe};
	struct backend_counters *n = counters(r, be);

	r->failure = (struct failure){.cause = connect_cause(err),
				      .reason = connect_reason(err),
				      .phase = FAILURE_PHASE_CONNECT,
				      .error = err};
	if (r->failure.cause == FAILURE_CONNECT) {
		counter_add(&n->failures, 1);
		counter_add(&n->connect_failures, 1);
		attempt_note(r, be, &claims, OUTLIER_GATEWAY, r->tried_ms);
	} else if (was_probe) {
		outlier_forget(be);
	}
	log_debug("l7: connect failed backend=%s/%s error=%d", be->pool->name, be->name, -err);
}

static void note_connect(struct request *r, int err)
{
	bool was_probe = r->claims.probe;

	r->claims.probe = false;
	attempt_note_connect(r, r->backend, err, was_probe);
	breaker_end(r->backend, &r->claims);
}

static void on_connect(void *ctx, int status)
{
	struct request *r = ctx;
	struct upstream_conn *up = r->up;

	if (status < 0) {
		r->up = NULL; /* closed already */
		note_connect(r, status);
		attempt_next(r);
	} else {
		breaker_go(r->backend, &r->claims);
		attach(r, up, false);
	}
}

const struct upstream_user attempt_user = {.on_connect = on_connect,
					   .on_event = request_on_backend_event};

static uint16_t port_of(const struct request *r, const struct backend *be)
{
	return be->ep.port ? be->ep.port : r->client.conn->local.port;
}

static bool is_http2(const struct backend *be)
{
	return be->pool->protocol == POOL_HTTP2;
}

static struct h2_wish wish(const struct request *r, const struct backend *be)
{
	const struct pool *p = be->pool;

	return (struct h2_wish){.streams_max = p->streams,
				.connect_ms = p->connect_ms,
				.idle_ms = p->idle_ms,
				.extended = r->upgrade.len > 0};
}

int attempt_open(struct request *r, const struct backend *be, const struct upstream_user *user,
		 void *ctx, struct claims *claims, struct upstream_conn **ret_conn)
{
	struct endpoint ep = {be->ep.addr, port_of(r, be)};
	struct upstream *up = view_upstream(r->client.view, be);
	struct h2_wish w = wish(r, be);
	enum proxy_out proxy = be->pool->proxy_out;
	int err;

	if (!breaker_wait(be, claims))
		return -EBUSY;
	err = is_http2(be) ? h2_client_open(up, &ep, &w, user, ctx, ret_conn)
			   : upstream_conn_open(up, &ep, w.connect_ms, user, ctx, ret_conn);
	if (err < 0 || proxy == PROXY_OUT_OFF)
		return err;
	err = proxy_out_queue(&(*ret_conn)->io, r->client.conn, proxy);
	if (err < 0) {
		upstream_conn_close(*ret_conn);
		*ret_conn = NULL;
	}
	return err;
}

/* Begin to connect. False: it failed at once. */
static bool connect_backend(struct request *r)
{
	int err = attempt_open(r, r->backend, &attempt_user, r, &r->claims, &r->up);

	if (err < 0) {
		note_connect(r, err);
		return false;
	}
	r->body_at = DEADLINE_NONE; /* up keeps the time, unless there is less of it */
	r->reply_at = r->retry->per_try_ms ? r->tried_ms + r->retry->per_try_ms : DEADLINE_NONE;
	request_set_deadline(r);
	return true;
}

/* What cannot be sent twice only goes to one that is not known to be dead. */
struct upstream_conn *attempt_take(struct request *r, const struct backend *be,
				   const struct upstream_user *user, void *ctx)
{
	bool repeatable = r->is_idempotent && r->body.body.kind == BODY_NONE;
	struct upstream *up = view_upstream(r->client.view, be);
	struct upstream_conn *uc;

	if (is_http2(be)) {
		struct h2_wish w = wish(r, be);

		return h2_client_take(up, port_of(r, be), &w, user, ctx);
	}
	if (be->pool->proxy_out != PROXY_OUT_OFF)
		return NULL; /* of another client, or from before the pool asked for headers */
	for (;;) {
		uc = upstream_take_idle(up, port_of(r, be));
		if (!uc)
			return NULL;
		if (repeatable || stream_is_quiet(&uc->io)) {
			uc->user = user;
			uc->ctx = ctx;
			return uc;
		}
		upstream_conn_close(uc);
	}
}

/* Where none is usable otherwise: those that are left out are better than none. */
static const struct backend *pick_ejected(struct request *r)
{
	const struct pool *p = r->pool;
	size_t start = p->backend_count ? l7_random(r->client.conn->l7) % p->backend_count : 0;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *be = &p->backends[(start + i) % p->backend_count];

		if (backend_is_usable(be) && backend_is_ejected(be, clock_now_ms()))
			return be;
	}
	return NULL;
}

/* One that was not tried; else, but not where no connection could be made, one that was. */
static const struct backend *pick(struct request *r, struct balancer *balancer)
{
	const struct balance_ask ask = {r->tried, r->tried_count, r->hash};
	const struct balance_ask anew = {NULL, 0, r->hash};
	const struct backend *be = r->tried_count ? NULL : r->sticky.backend;

	if (!be || balance_is_out(be, &ask))
		be = balancer_pick(balancer, &ask);
	if (!be && r->tried_count && r->failure.cause > FAILURE_CONNECT)
		be = balancer_pick(balancer, &anew);
	if (!be && !r->tried_count && outlier_is_on(&r->pool->outlier))
		be = pick_ejected(r);
	return be;
}

static bool goes_on(const struct request *r)
{
	if (!r->tried_count)
		return true;
	if (r->failure.cause == FAILURE_CONNECT && !(r->retry->on & RETRY_ON_CONNECT))
		return false;
	return has_attempts(r);
}

void attempt_next(struct request *r)
{
	struct balancer *balancer = view_pool(r->client.view, r->pool)->balancer;

	r->is_waiting_to_retry = false;
	if (!r->tried_count && !breaker_take_request(r->pool, &r->is_counted)) {
		request_fail(r, REASON_POOL_REQUESTS);
		return;
	}
	while (goes_on(r)) {
		const struct backend *be = pick(r, balancer);
		struct upstream_conn *idle;

		if (!be)
			break;
		if (r->tried_count)
			counter_add(&request_counters(r)->retries, 1);
		balance_move(&r->backend, be);
		r->tried[r->tried_count++] = be;
		r->tried_ms = now_ms(r);
		breaker_try(be, &r->claims);
		idle = attempt_take(r, be, &attempt_user, r);
		if (idle) {
			attach(r, idle, true);
			return;
		}
		if (connect_backend(r))
			return;
	}
	request_fail(r, r->tried_count		     ? r->failure.reason
			: balancer_is_full(balancer) ? REASON_BACKENDS_FULL
						     : REASON_NO_BACKEND);
}

void attempt_on_deadline(struct request *r)
{
	if (r->up) { /* it took longer than one try may */
		upstream_conn_close(r->up);
		r->up = NULL;
		note_connect(r, -ETIMEDOUT);
	}
	attempt_next(r);
}
