/* SPDX-License-Identifier: BSD-2-Clause */
/* One request and its response: see request.h. */
#include "l7/request.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "l7/attempt.h"
#include "l7/h2_session.h"
#include "l7/hedge.h"
#include "l7/http1_write.h"
#include "l7/mirror.h"
#include "l7/path.h"
#include "l7/request_int.h"
#include "l7/retry.h"
#include "l7/tls.h"
#include "l7/tunnel.h"

#define READS_PER_TURN 4 /* of one connection */
#define NS_PER_MS      1000000U

static void begin(struct request *r);

static uint64_t in_ms(const struct request *r, unsigned ms)
{
	return deadline_in(&r->client.io->deadline, ms);
}

void request_set_state(struct request *r, enum request_state state)
{
	static const unsigned legal[] = {
		[REQUEST_CONNECT] = 1U << REQUEST_AWAIT | 1U << REQUEST_OVER,
		[REQUEST_AWAIT] = 1U << REQUEST_CONNECT | 1U << REQUEST_RESPOND |
				  1U << REQUEST_TUNNEL | 1U << REQUEST_OVER,
		[REQUEST_RESPOND] = 1U << REQUEST_OVER,
		[REQUEST_TUNNEL] = 1U << REQUEST_OVER,
		[REQUEST_OVER] = 0,
	};

	assert(legal[r->state] & 1U << state);
	r->state = state;
	if (state == REQUEST_OVER || state == REQUEST_TUNNEL)
		queue_leave(r);
}

/* ---- how it ends --------------------------------------------------------------------------- */

#define STATUS_CLIENT_GONE 499 /* as logs of others say it */

static void log_end(struct request *r)
{
	const struct access_end end = {
		.status = r->status ? r->status : STATUS_CLIENT_GONE,
		.reason = r->end_reason,
		.request_bytes = r->body.body.total,
		.response_bytes = r->reply.body.total,
		.duration_ms = request_age_ms(r),
		.attempts = r->tried_count,
		.action = r->action,
		.pool = r->pool,
		.backend = r->backend,
		.request_id = r->name,
	};

	access_log_end(&r->client, r->log, &end);
}

/* All ways to end pass here. */
static void end(struct request *r, bool keep)
{
	if (r->log)
		log_end(r);
	mirror_forget(r);
	flow_deinit(&r->body);
	flow_deinit(&r->reply);
	if (r->state != REQUEST_TUNNEL) /* which last as long as their users like */
		counter_add_duration(request_counters(r), request_age_ms(r));
	attempt_end(r, keep);
	request_set_state(r, REQUEST_OVER);
	r->client.conn->l7->request_bytes -= r->size;
	free(r);
}

/* Of a request that has a route. */
static struct route_counters *route_counters(const struct request *r)
{
	return route_rt_row(r->action->rt, r->client.conn->l7->env.worker);
}

static void count_aborted(const struct request *r)
{
	counter_add(&request_counters(r)->aborted, 1);
	if (r->action)
		counter_add(&route_counters(r)->aborted, 1);
}

void request_count_left(const struct request *r)
{
	if (r->state != REQUEST_TUNNEL)
		count_aborted(r);
}

void request_give_up(struct request *r)
{
	count_aborted(r);
	r->client.ops->close(r->client.owner);
}

/* The client did not do its part in time. */
static void expire(struct request *r)
{
	count_aborted(r);
	r->end_reason = "client did not do its part in time";
	r->client.ops->expire(r->client.owner);
}

void request_drain(struct request *r)
{
	if (r->state == REQUEST_TUNNEL)
		tunnel_drain(r);
}

bool request_is_tunnel(const struct request *r)
{
	return r->state == REQUEST_TUNNEL;
}

bool request_is_websocket(const struct request *r)
{
	return slice_eq_nocase(r->upgrade, SLICE("websocket"));
}

const struct pool *request_pool(const struct request *r)
{
	return r->pool;
}

const struct backend *request_backend(const struct request *r)
{
	return r->backend;
}

void request_note_killed(struct request *r)
{
	counter_add(&request_counters(r)->killed_requests, 1);
	r->end_reason = "connection closed by a command";
}

void request_cancel(struct request *r)
{
	if (!r)
		return;
	if (r->state == REQUEST_TUNNEL)
		tunnel_cancel(r);
	if (!r->end_reason && r->state != REQUEST_TUNNEL)
		r->end_reason = "client went away";
	end(r, false);
}

void request_truncate(struct request *r)
{
	attempt_broke(r);
	r->end_reason = "backend cut its response short";
	r->client.ops->close(r->client.owner);
}

#define RETRY_MAX 32U /* bytes of the line */

/* Whatever the client may be told of it. line: for a field of its header. */
static void describe(const struct request *r, struct answer *a, char line[RETRY_MAX])
{
	if (a->reason == REASON_OVERLOADED) { /* it waited for its turn */
		int n = snprintf(line, RETRY_MAX, "Retry-After: %u\r\n",
				 r->client.conn->l7->shedding.retry_s);

		a->fields = (struct slice){line, (size_t)n};
	}
	a->is_head = r->is_head;
	a->pages = &r->client.service->error_pages;
	a->facts = (struct answer_facts){
		.route = r->route, .pool = r->pool->name, .attempts = r->tried_count};
	if (r->backend)
		a->facts.backend = r->backend->name;
	answer_read_block(a, (struct slice){r->head, r->head_len},
			  r->client.service->request_id == REQUEST_ID_ON ||
				  conn_is_trusted(r->client.conn, r->client.service));
}

void request_fail(struct request *r, enum reason reason)
{
	const struct client client = r->client;
	struct answer a = {.reason = reason, .status = r->fault};
	enum conn_after after = r->is_persistent ? CONN_GO_ON : CONN_THEN_CLOSE;
	char line[RETRY_MAX];

	r->end_reason = reason_text(reason);
	if (r->state == REQUEST_RESPOND) {
		client.ops->close(client.owner);
		return;
	}
	describe(r, &a, line);
	if (reason_status(reason) >= 500 && !r->fault)
		failure_tell(r, reason);
	/* Only a request that was read to its end, and understood, leaves the client in step. */
	if (reason_status(reason) < 500 || flow_discard(&r->body) != FLOW_DONE)
		after = CONN_THEN_LINGER;
	r->status = (uint16_t)answer_status(&a);
	r->name = answer_name(client.conn->l7, &a);
	routing_count(client.conn->l7, r->action, r->label, r->status, true);
	end(r, false);
	client.ops->answer(client.owner, &a, after);
}

void request_complete(struct request *r)
{
	const struct client client = r->client;
	struct stream *up = &r->up->io;
	enum conn_after after = !r->close_client ? CONN_GO_ON
				: r->body_done	 ? CONN_THEN_CLOSE
						 : CONN_THEN_LINGER;
	bool keep = r->body_done && !r->close_backend && !up->is_eof && !buf_len(&up->in);

	end(r, keep);
	client.ops->done(client.owner, after);
}

/* ---- deadlines and readiness --------------------------------------------------------------- */

void request_set_deadline(struct request *r)
{
	uint64_t at = r->body_at < r->reply_at ? r->body_at : r->reply_at;

	deadline_set(&r->client.io->deadline, at < r->hedge_at ? at : r->hedge_at);
}

/* The request: who keeps it waiting, and how long may that take? */
static void time_body(struct request *r, enum flow_status status)
{
	uint64_t mark = flow_progress(&r->body), now = in_ms(r, 0);
	bool moved = mark != r->body_mark || status != r->body_status;

	r->body_mark = mark;
	r->body_status = status;
	if (r->awaits_continue && r->body.body.total)
		r->awaits_continue = false;
	moved |= r->body_at == DEADLINE_NONE;
	if (r->body_done || r->body_refused || r->awaits_continue) {
		r->body_at = DEADLINE_NONE;
	} else if (status == FLOW_BLOCKED) {
		pace_pause(&r->sends, now);
		if (moved)
			r->body_at = in_ms(r, request_timeouts(r)->write);
	} else if (moved) {
		r->body_at = pace_wait(&r->sends, now, r->body.body.total,
				       request_timeouts(r)->request_body,
				       r->client.service->limits.client_rate);
	}
}

/* The response: from when the backend has all that it can expect. */
static void time_header(struct request *r)
{
	uint64_t now, try_at;

	if (!r->body_done && !r->body_refused && !r->awaits_continue) {
		r->reply_at = DEADLINE_NONE;
		return;
	}
	if (r->reply_at != DEADLINE_NONE)
		return;
	now = in_ms(r, 0);
	if (r->give_up_at == DEADLINE_NONE)
		r->give_up_at = now + r->response_ms;
	r->reply_at = r->give_up_at;
	if (!r->retry->per_try_ms)
		return;
	try_at = (r->body.body.total ? now : r->tried_ms) + r->retry->per_try_ms;
	if (try_at < r->reply_at)
		r->reply_at = try_at;
}

void request_time_reply(struct request *r, enum flow_status status)
{
	uint64_t mark = flow_progress(&r->reply);

	if (mark == r->reply_mark && status == r->reply_status)
		return;
	r->reply_mark = mark;
	r->reply_status = status;
	if (status == FLOW_BLOCKED) {
		r->reply_at = pace_wait(&r->takes, in_ms(r, 0), flow_sent(&r->reply),
					request_timeouts(r)->write,
					r->client.service->limits.client_rate);
	} else {
		pace_pause(&r->takes, in_ms(r, 0));
		r->reply_at = in_ms(r, request_timeouts(r)->response_body);
	}
}

void request_on_deadline(struct request *r)
{
	uint64_t now = deadline_in(&r->client.io->deadline, 0);

	if (r->state == REQUEST_TUNNEL) {
		tunnel_on_deadline(r);
		return;
	}
	if (r->is_waiting) {
		r->is_waiting = false;
		begin(r);
		return;
	}
	if (r->is_queued) {
		shedding_count(r->client.conn, r->priority);
		request_fail(r, REASON_OVERLOADED);
		return;
	}
	if (r->state == REQUEST_CONNECT && (r->is_waiting_to_retry || r->reply_at <= now)) {
		attempt_on_deadline(r);
	} else if (r->body_at > now && r->reply_at > now) {
		if (r->hedge_at <= now)
			hedge_start(r);
		else
			request_set_deadline(r);
	} else if (r->state == REQUEST_RESPOND) {
		if (r->reply_at <= now && r->reply_status == FLOW_MORE)
			request_truncate(r);
		else
			expire(r);
	} else if (r->reply_at <= now) {
		attempt_failed(r, FAILURE_TIMEOUT, REASON_RESPONSE_TIMEOUT);
	} else if (r->body_status == FLOW_BLOCKED) {
		attempt_failed(r, FAILURE_TIMEOUT, REASON_SEND_TIMEOUT);
	} else {
		request_fail(r, REASON_BODY_TIMEOUT);
	}
}

/* ---- the request --------------------------------------------------------------------------- */

/* Send what can be sent of it; head: not sent yet. False: the request is over. */
static bool push_body(struct request *r, struct slice head)
{
	enum flow_status status;

	if (r->body_done || r->body_refused)
		return true;
	status = flow_pump(&r->body, head);
	r->body_done = status == FLOW_DONE;
	if (r->body_done && r->mirror)
		mirror_send(r);
	/* It may have answered before it closed, so see what it says. */
	r->body_refused = status == FLOW_BROKEN;
	if (r->body_refused) {
		r->close_backend = true;
		stream_forget(&r->up->io);
	}
	time_body(r, status);
	if (status == FLOW_BAD) {
		request_fail(r, r->body.reason);
		return false;
	}
	if (status == FLOW_CUT) {
		request_give_up(r);
		return false;
	}
	return true;
}

/* What the client did not take yet of interim responses. False: the request is over. */
static bool flush_client(struct request *r)
{
	struct pieces none = {0};

	if (r->state == REQUEST_RESPOND || !r->client.io->is_blocked ||
	    stream_write(r->client.io, &none) >= 0)
		return true;
	request_give_up(r);
	return false;
}

bool request_advance(struct request *r, struct slice head)
{
	if (r->state != REQUEST_CONNECT) {
		if (!flush_client(r) || !push_body(r, head) || !request_take_response(r))
			return false;
		if (r->state == REQUEST_AWAIT) {
			/* A 100 (Continue) may just have begun the wait for the body. */
			time_body(r, r->body_status);
			time_header(r);
		}
		request_set_deadline(r);
	}
	if (stream_watch(r->client.io) < 0 ||
	    (r->state != REQUEST_CONNECT && stream_watch(&r->up->io) < 0)) {
		request_give_up(r);
		return false;
	}
	return true;
}

/* Reading from the backend failed. False: the request is over. */
static bool break_backend(struct request *r)
{
	if (r->state == REQUEST_RESPOND && !r->reply.body.ended) {
		request_truncate(r);
		return false;
	}
	/* As if it had closed: either all of the response is here, or nothing. */
	r->up->io.is_eof = r->close_backend = true;
	return request_advance(r, (struct slice){0});
}

void request_on_backend_event(void *ctx, int events)
{
	struct request *r = ctx;
	bool more = (events & SOCK_READ) != 0;

	if (r->state == REQUEST_TUNNEL) {
		tunnel_on_event(r, &r->up->io, events);
		return;
	}
	if (!more)
		(void)request_advance(r, (struct slice){0});
	for (int i = 0; i < READS_PER_TURN && more; i++) {
		ssize_t n = r->state == REQUEST_RESPOND ? flow_read(&r->reply, &more)
							: stream_read(&r->up->io, &more);

		if (n == -ENOMEM) {
			request_fail(r, REASON_NO_RESOURCES);
			return;
		}
		if (n < 0 && n != -EAGAIN && n != -ENOBUFS) {
			(void)break_backend(r);
			return;
		}
		if (!request_advance(r, (struct slice){0}))
			return;
	}
}

void request_on_client_event(struct request *r, int events)
{
	bool more = (events & SOCK_READ) != 0;

	if (r->state == REQUEST_TUNNEL) {
		tunnel_on_event(r, r->client.io, events);
		return;
	}
	if (events & SOCK_WRITE && !request_advance(r, (struct slice){0}))
		return;
	for (int i = 0; i < READS_PER_TURN && more; i++) {
		ssize_t n = flow_read(&r->body, &more);

		/* A client that closes its side while it waits is taken to be gone. */
		if (n == 0 || (n < 0 && n != -EAGAIN && n != -ENOBUFS)) {
			request_give_up(r);
			return;
		}
		if (n > 0)
			r->client.conn->pipelined = 0;
		if (!request_advance(r, (struct slice){0}))
			return;
	}
}

/* ---- how it begins ------------------------------------------------------------------------- */

/* The path in its one form. */
static enum reason normalise(const struct client *who, struct head *h)
{
	char *out;

	if (h->target.ptr[0] != '/' || path_is_plain(h->target))
		return REASON_NONE;
	out = l7_scratch(who->conn->l7, path_bound(h->target));
	return out ? path_normalise(h->target, &who->service->paths, out, &h->target)
		   : REASON_NO_RESOURCES;
}

bool request_may_be_early(const struct client *who, const struct head *h)
{
	struct head plain = *h;

	/* What has no path is refused at once, early or not. */
	return normalise(who, &plain) != REASON_NONE || routing_takes_early(who, &plain);
}

/* The changes to the response's header, with their values: bytes for keep_edits(). */
static size_t edits_size(const struct routing *routing)
{
	size_t size = 0;

	for (size_t i = 0; i < routing->edit_count; i++)
		size += sizeof(struct rendered_edit) + routing->edits[i].value.len;
	return size ? size + alignof(struct rendered_edit) : 0;
}

static void keep_edits(struct request *r, const struct routing *routing, char *memory)
{
	size_t align = alignof(struct rendered_edit);
	char *text;

	r->edit_count = (unsigned)routing->edit_count;
	if (!r->edit_count)
		return;
	memory += (align - (uintptr_t)memory % align) % align;
	r->edits = (struct rendered_edit *)(void *)memory;
	text = (char *)(r->edits + r->edit_count);
	for (unsigned i = 0; i < r->edit_count; i++) {
		struct slice value = routing->edits[i].value;

		r->edits[i] = (struct rendered_edit){routing->edits[i].edit, {text, value.len}};
		if (value.len)
			memcpy(text, value.ptr, value.len);
		text += value.len;
	}
}

void request_go_on(struct request *r)
{
	deadline_set(&r->client.io->deadline, DEADLINE_NONE);
	attempt_next(r);
}

/* To a backend, or to wait until there are fewer others. */
static void begin(struct request *r)
{
	if (r->fault) {
		counter_add(&route_counters(r)->faults_aborted, 1);
		request_fail(r, REASON_FAULT);
		return;
	}
	if (r->action && r->action->mirror.pool)
		mirror_begin(r);
	if (queue_enter(r)) {
		attempt_next(r);
		return;
	}
	deadline_set(&r->client.io->deadline, in_ms(r, r->client.conn->l7->queue.wait_ms));
	(void)request_advance(r, (struct slice){0});
}

/* Is it drawn? */
static bool is_drawn(struct request *r, unsigned percent)
{
	return percent && l7_random(r->client.conn->l7) % 100 < percent;
}

/* Failures that the route makes on purpose. How long to wait for them. */
static uint64_t draw_fault(struct request *r)
{
	const struct route_fault *f = &r->action->fault;
	bool waits = f->delay_ms && is_drawn(r, f->delay_percent);

	if (f->abort && is_drawn(r, f->abort_percent))
		r->fault = (uint16_t)f->abort;
	if (!waits)
		return 0;
	counter_add(&route_counters(r)->faults_delayed, 1);
	return (uint64_t)f->delay_ms * NS_PER_MS;
}

/* A rate limit, or a fault, lets it go on later: request_on_deadline(). */
static void wait_first(struct request *r, uint64_t ns)
{
	r->is_waiting = true;
	deadline_set(&r->client.io->deadline, in_ms(r, (unsigned)(ns / NS_PER_MS)));
	(void)request_advance(r, (struct slice){0});
}

/* Of a body, so that it can be sent again. By HTTP/2 there must be some of the window left. */
static uint32_t held_max(const struct request *r)
{
	uint64_t max = r->retry->body;

	if (r->client.io->carrier && max > H2_STREAM_WINDOW / 2)
		max = H2_STREAM_WINDOW / 2;
	return (uint32_t)max;
}

/* What the route, or else the service, says of tries that fail. */
static void plan_tries(struct request *r, const struct routing *routing, const struct head *h)
{
	const struct route_action *a = routing->action;

	r->route = routing->route;
	r->retry = a && a->retry ? a->retry : &r->client.service->retry;
	r->hedging = a && a->hedge ? a->hedge : &r->client.service->hedge;
	if (h->body != BODY_NONE &&
	    retry_needs_body(r->retry, h->is_idempotent, r->pool->protocol == POOL_HTTP2))
		flow_hold(&r->body, held_max(r));
}

/* The backend gets one name of the request's, and it is one that we vouch for. */
static enum reason name_request(struct l7 *l7, struct head *h, bool take_id)
{
	struct answer a = {0};
	struct slice name;
	unsigned kept = 0;

	h->fields = l7_fields(l7, h->count + 1);
	if (!h->fields)
		return REASON_NO_RESOURCES;
	answer_read(&a, h, take_id);
	name = answer_name(l7, &a);
	memcpy(l7->request_id, name.ptr, name.len); /* h outlives this */
	for (unsigned i = 0; i < h->count; i++)
		if (!slice_eq_nocase(h->fields[i].name, REQUEST_ID_FIELD))
			h->fields[kept++] = h->fields[i];
	h->fields[kept++] =
		(struct field){REQUEST_ID_FIELD, {l7->request_id, name.len}, FIELD_END_TO_END};
	h->count = kept;
	h->is_named = true;
	return REASON_NONE;
}

/* Where it goes. REASON_NONE without a pool: it was answered. */
static enum reason find_way(const struct client *who, struct head *h, size_t block_len,
			    struct routing *ret_routing)
{
	struct l7 *l7 = who->conn->l7;
	const struct service *s = who->service;
	enum reason reason = REASON_NONE;

	*ret_routing = (struct routing){0};
	if (s->request_id == REQUEST_ID_ON)
		reason = name_request(l7, h, conn_is_trusted(who->conn, s));
	if (reason == REASON_NONE)
		reason = normalise(who, h);
	if (reason == REASON_NONE)
		reason = routing_find(who, h, ret_routing);
	if (reason == REASON_RATE_LIMITED)
		rate_limit_answer(who, h, ret_routing, block_len);
	else if (reason != REASON_NONE)
		return reason;
	else if (!l7->shedding.is_on || !shedding_refuses(who, h, ret_routing, block_len))
		return ret_routing->pool ? REASON_NONE
					 : routing_answer(who, h, ret_routing, block_len);
	ret_routing->pool = NULL;
	return REASON_NONE;
}

/* What the backend is told of the client; both texts belong to the caller, who needs them as long. */
static struct hop hop_of(const struct client *who, const struct head *h, char client[ADDR_STRLEN],
			 char local[ENDPOINT_STRLEN])
{
	const struct conn *c = who->conn;
	struct hop hop = {.proto = SLICE("http"), .is_trusted = conn_is_trusted(c, who->service)};

	if (c->io.tls) {
		hop.proto = SLICE("https");
		hop.subject = tls_peer_subject(&c->io);
	}
	hop.client.ptr = addr_format(&conn_peer(c)->addr, client, ADDR_STRLEN);
	hop.client.len = strlen(client);
	if (!h->authority.len) {
		endpoint_format(conn_local(c), local, ENDPOINT_STRLEN);
		hop.local = (struct slice){local, strlen(local)};
	}
	return hop;
}

static enum reason start(const struct client *who, struct head *h, size_t block_len,
			 struct routing *routing)
{
	const struct conn *c = who->conn;
	const struct service *s = who->service;
	const struct slice asked = h->target;
	enum reason reason;
	char client[ADDR_STRLEN], local[ENDPOINT_STRLEN];
	uint64_t body_max, wait_ns;
	struct request *r;
	struct hop hop;
	size_t bound, size;

	reason = find_way(who, h, block_len, routing);
	if (reason != REASON_NONE || !routing->pool)
		return reason;
	h->upgrade = tunnel_protocol(s, h);
	body_max = routing->action ? routing->action->body_max : s->limits.body;
	if (body_max && h->length > body_max)
		return REASON_BODY_LARGE;
	hop = hop_of(who, h, client, local);
	bound = http1_request_bound(h, &hop) + h->upgrade.len;
	size = sizeof(*r) + bound + h->upgrade.len + edits_size(routing);
	r = malloc(size);
	if (!r)
		return REASON_NO_RESOURCES;
	*r = (struct request){
		.client = *who,
		.size = (uint32_t)size,
		.priority = (uint8_t)shedding_priority(s, routing->action),
		.pool = routing->pool,
		.hash = routing->hash,
		.sticky = routing->sticky,
		.action = routing->action,
		.label = routing->label,
		.response_ms = routing->action && routing->action->timeout_ms
				       ? routing->action->timeout_ms
				       : s->timeouts.response_header,
		.minor = h->minor,
		.framing = (uint8_t)http1_request_framing(h),
		.is_head = h->is_head,
		.is_idempotent = h->is_idempotent,
		.is_persistent = h->persistent,
		.is_connect = h->is_connect,
		.awaits_continue = h->expects_continue && h->body != BODY_NONE,
		.body_mark = UINT64_MAX,
		.body_at = DEADLINE_NONE,
		.reply_at = DEADLINE_NONE,
		.give_up_at = DEADLINE_NONE,
		.hedge_at = DEADLINE_NONE,
		.begun_ms = uv_now(c->l7->env.loop),
	};
	c->l7->request_bytes += size;
	r->head_len = http1_write_request(r->head, h, &hop);
	if (h->upgrade.len) {
		r->upgrade = (struct slice){r->head + bound, h->upgrade.len};
		memcpy(r->head + bound, h->upgrade.ptr, h->upgrade.len);
	}
	keep_edits(r, routing, r->head + bound + h->upgrade.len);
	flow_init(&r->body, who->io, h->body, h->length);
	r->body.limit = body_max;
	plan_tries(r, routing, h);
	r->body.body.limits = (struct body_limits){
		s->limits.chunk_extensions, s->limits.trailer_bytes, s->limits.trailer_count};
	pace_init(&r->sends, request_timeouts(r)->request_body);
	pace_init(&r->takes, request_timeouts(r)->write);
	if (s->access.sink)
		r->log = access_log_begin(who, h, asked);
	if (block_len)
		buf_consume(who->io->pool, &who->io->in, block_len);
	*who->request = r;
	deadline_set(&who->io->deadline, DEADLINE_NONE);
	wait_ns = routing->limit.wait_ns + (r->action ? draw_fault(r) : 0);
	if (wait_ns)
		wait_first(r, wait_ns);
	else
		begin(r);
	return REASON_NONE;
}

enum reason request_start(const struct client *who, struct head *h, size_t block_len)
{
	const struct slice asked = h->target;
	struct routing routing;
	enum reason reason = start(who, h, block_len, &routing);

	if (reason == REASON_NONE)
		return reason;
	h->target = asked; /* that is what the log has to say */
	routing_count(who->conn->l7, routing.action, routing.label, reason_status(reason), true);
	return reason;
}
