/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/2 towards backends: see h2_client.h. */
#include "l7/h2_client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/log.h"
#include "l7/h2_session.h"
#include "l7/tls.h"
#include "l7/upstream.h"

#define READS_PER_TURN 4 /* of one connection */

/* What a backend may say in a header; beyond it what it says is not for us. */
#define HEADER_LINE   65536U
#define HEADER_BYTES  65536U
#define HEADER_COUNT  200U
#define CONTINUATIONS 8U

enum shared_state {
	SHARED_CONNECTING,
	SHARED_OPEN,
	SHARED_RETIRED, /* no new requests */
	SHARED_CLOSED,
};

/* A connection to a backend. */
struct shared {
	struct h2_session h2;
	struct upstream *up; /* a reference */
	struct upstream_conn *link;
	struct list node;  /* upstream.shared */
	struct list calls; /* all of them */
	unsigned call_count;
	unsigned connect_ms, idle_ms;
	uint64_t settings_at; /* until when calls wait for the backend's settings */
	enum shared_state state;
	bool has_settings; /* the backend's came */
	bool has_session;
	bool is_gone; /* link is: free it with its last call */
};

/* One request on it. */
struct call {
	struct upstream_conn uc;
	struct h2_stream h2;
	struct shared *shared;
	struct list node; /* shared.calls */
	bool extended;
};

static void shared_close(struct shared *s, int err);

static struct call *call_of(const struct upstream_conn *uc)
{
	return list_entry((struct upstream_conn *)(uintptr_t)uc, struct call, uc);
}

static void set_state(struct shared *s, enum shared_state state)
{
	static const unsigned legal[] = {
		[SHARED_CONNECTING] =
			1U << SHARED_OPEN | 1U << SHARED_RETIRED | 1U << SHARED_CLOSED,
		[SHARED_OPEN] = 1U << SHARED_RETIRED | 1U << SHARED_CLOSED,
		[SHARED_RETIRED] = 1U << SHARED_CLOSED,
	};

	assert(s->state != SHARED_CLOSED && legal[s->state] & 1U << state);
	s->state = state;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void on_events(struct h2_stream *h2, unsigned events)
{
	struct call *call = list_entry(h2, struct call, h2);
	int sock_events = (events & (H2_READ | H2_HEAD) ? SOCK_READ : 0) |
			  (events & H2_WRITE ? SOCK_WRITE : 0);

	call->uc.user->on_event(call->uc.ctx, sock_events);
}

static struct call *call_new(struct shared *s, const struct h2_wish *wish,
			     const struct upstream_user *user, void *ctx)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	(void)stream_open_carried(&call->uc.io, NULL, &s->up->l7->pool, &h2_carrier, &call->h2,
				  NULL); /* 0: it has no deadline */
	call->uc.up = s->up;
	call->uc.user = user;
	call->uc.ctx = ctx;
	call->uc.state = UPSTREAM_CONNECTING;
	call->extended = wish->extended;
	call->shared = s;
	list_init(&call->uc.node);
	list_append(&s->calls, &call->node);
	s->call_count++;
	return call;
}

static void shared_free(struct shared *s)
{
	if (!s->is_gone || s->call_count)
		return;
	upstream_unref(s->up);
	free(s);
}

static void call_free(struct call *call)
{
	struct shared *s = call->shared;

	list_unlink(&call->node);
	buf_release(call->uc.io.pool, &call->uc.io.in);
	buf_release(call->uc.io.pool, &call->uc.io.out);
	free(call);
	s->call_count--;
	shared_free(s);
}

/* It waited for the connection. */
static void call_fail(struct call *call, int err)
{
	const struct upstream_user *user = call->uc.user;
	void *ctx = call->uc.ctx;

	call_free(call);
	user->on_connect(ctx, err);
}

/* The connection is there: it has a stream, which gets its id with the request. */
static void call_open(struct call *call)
{
	call->uc.state = UPSTREAM_BUSY;
	h2_stream_init(&call->h2, &call->shared->h2, &call->uc.io, 0, on_events);
	call->h2.is_extended = call->extended;
}

/* Does a call wait for what the backend's settings say? */
static bool has_waiting(const struct shared *s)
{
	if (s->has_settings)
		return false;
	list_for_each (it, &s->calls)
		if (list_entry(it, struct call, node)->uc.state == UPSTREAM_CONNECTING)
			return true;
	return false;
}

/* Of a connection that is made. */
static void set_deadline(struct shared *s)
{
	struct deadline *d;

	if (s->state != SHARED_OPEN && s->state != SHARED_RETIRED)
		return;
	d = &s->link->io.deadline;
	if (has_waiting(s))
		deadline_set(d, s->settings_at);
	else
		deadline_set(d, s->call_count ? DEADLINE_NONE : deadline_in(d, s->idle_ms));
}

/* Over as soon as nothing is under way. */
static void settle(struct shared *s)
{
	if (s->state != SHARED_OPEN && s->state != SHARED_RETIRED)
		return;
	if (!s->call_count &&
	    (s->state == SHARED_RETIRED || !s->up->keep || h2_session_is_over(&s->h2)))
		shared_close(s, 0);
}

void h2_client_close(struct upstream_conn *uc)
{
	struct call *call = call_of(uc);
	struct shared *s = call->shared;
	bool is_gone = s->state == SHARED_CLOSED; /* perhaps, with the call */

	if (uc->state == UPSTREAM_BUSY)
		h2_stream_detach(&call->h2, NGHTTP2_CANCEL);
	call_free(call);
	if (is_gone)
		return;
	set_deadline(s);
	settle(s);
}

/* ---- connections --------------------------------------------------------------------------- */

static bool takes_extended(const struct shared *s)
{
	return nghttp2_session_get_remote_settings(s->h2.ng,
						   NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

static bool has_room(const struct shared *s, const struct h2_wish *wish)
{
	unsigned max = wish->streams_max;
	uint32_t allowed;

	if (s->state == SHARED_CONNECTING)
		return s->call_count < max;
	if (s->state != SHARED_OPEN || h2_session_is_full(&s->h2) ||
	    !nghttp2_session_check_request_allowed(s->h2.ng))
		return false;
	allowed = nghttp2_session_get_remote_settings(s->h2.ng,
						      NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	return s->call_count < (allowed < max ? allowed : max);
}

/* Those that wait for the connection: it is there, as far as they need it. Each may end others. */
static void tell_waiting(struct shared *s)
{
	struct list turn;

	list_init(&turn);
	list_for_each_safe (it, &s->calls) {
		list_unlink(it);
		list_append(&turn, it);
	}
	while (!list_empty(&turn)) {
		struct call *call = list_entry(turn.next, struct call, node);

		list_unlink(&call->node);
		list_append(&s->calls, &call->node);
		if (call->uc.state != UPSTREAM_CONNECTING)
			continue;
		if (s->state == SHARED_CLOSED) {
			call_fail(call, -ECONNRESET);
		} else if (call->extended && s->has_settings && !takes_extended(s)) {
			call_fail(call, -EPROTONOSUPPORT);
		} else if (!call->extended || s->has_settings) {
			call_open(call);
			call->uc.user->on_connect(call->uc.ctx, 0);
		}
	}
}

/* err: -errno, what requests that wait for it are told; 0: it is said goodbye to. */
static void shared_close(struct shared *s, int err)
{
	if (s->state == SHARED_CLOSED)
		return;
	set_state(s, SHARED_CLOSED);
	list_unlink(&s->node);
	if (s->has_session && err == 0) {
		h2_session_end(&s->h2, NGHTTP2_NO_ERROR);
		(void)h2_session_flush(&s->h2); /* nobody waits for it */
		stream_end(&s->link->io);
	}
	while (!list_empty(&s->calls)) {
		struct call *call = list_entry(s->calls.next, struct call, node);

		list_unlink(&call->node);
		if (call->uc.state == UPSTREAM_CONNECTING) {
			call_fail(call, err ? err : -ECONNRESET);
			continue;
		}
		/* No more is read or written. What came before may still be on its way to a client. */
		h2_stream_detach(&call->h2, NGHTTP2_CANCEL);
		call->uc.user->on_event(call->uc.ctx, SOCK_READ);
	}
	h2_session_deinit(&s->h2);
	upstream_conn_close(s->link);
}

static void on_flushed(struct h2_session *h, int err)
{
	struct shared *s = list_entry(h, struct shared, h2);

	if (s->state == SHARED_CLOSED)
		return;
	if (err < 0 || stream_watch(&s->link->io) < 0)
		shared_close(s, err < 0 ? err : -ENOMEM);
	else
		settle(s);
}

static void on_settings(struct h2_session *h)
{
	struct shared *s = list_entry(h, struct shared, h2);

	s->has_settings = true;
}

static const struct h2_session_ops session_ops = {.settings = on_settings, .flushed = on_flushed};

/* The connection is made, or not. */
static void on_link_connect(void *ctx, int status)
{
	static const struct h2_limits limits = {
		.header = {HEADER_LINE, HEADER_BYTES, HEADER_COUNT},
		.continuations = CONTINUATIONS,
	};
	struct shared *s = ctx;

	if (status < 0) {
		s->link = NULL; /* closed already */
		shared_close(s, status);
		return;
	}
	if (s->link->io.tls && !tls_is_http2(&s->link->io)) {
		log_debug("l7: HTTP/2 not agreed on backend=%s/%s", s->up->rt->pool,
			  s->up->rt->name);
		shared_close(s, -EPROTO);
		return;
	}
	s->has_session = true;
	if (h2_session_init(&s->h2, s->up->l7, &s->link->io, false, &session_ops, &limits) < 0) {
		shared_close(s, -ENOMEM);
		return;
	}
	if (s->state == SHARED_CONNECTING)
		set_state(s, SHARED_OPEN);
	s->settings_at = deadline_in(&s->link->io.deadline, s->connect_ms);
	tell_waiting(s);
	set_deadline(s);
	settle(s);
}

static void on_link_event(void *ctx, int events)
{
	struct shared *s = ctx;
	bool more = (events & SOCK_READ) != 0, had_settings = s->has_settings;
	int err = events & SOCK_WRITE ? h2_session_flush(&s->h2) : 0;

	for (int i = 0; i < READS_PER_TURN && more && err == 0 && s->state != SHARED_CLOSED; i++) {
		ssize_t n = stream_read(&s->link->io, &more);

		if (n > 0)
			err = h2_session_receive(&s->h2);
		else if (n != -EAGAIN)
			err = n ? (int)n : -ECONNRESET;
	}
	if (s->state == SHARED_CLOSED)
		return;
	if (err == 0 && s->has_settings && !had_settings) {
		tell_waiting(s);
		set_deadline(s);
	}
	if (s->state == SHARED_CLOSED)
		return;
	if (err == -EPROTO)
		log_debug("l7: HTTP/2 broken by backend=%s/%s", s->up->rt->pool, s->up->rt->name);
	if (err < 0 || stream_watch(&s->link->io) < 0)
		shared_close(s, err < 0 ? err : -ENOMEM);
	else
		settle(s);
}

/* It was idle for long enough, or the backend has not said what it takes. */
static void on_link_deadline(void *ctx)
{
	struct shared *s = ctx;

	if (has_waiting(s))
		shared_close(s, -ETIMEDOUT);
	else
		shared_close(s, 0);
}

static void on_link_closed(void *ctx)
{
	struct shared *s = ctx;

	s->is_gone = true;
	shared_free(s);
}

static const struct upstream_user link_user = {.on_connect = on_link_connect,
					       .on_event = on_link_event,
					       .on_deadline = on_link_deadline,
					       .on_closed = on_link_closed};

static struct shared *find(struct upstream *up, uint16_t port, const struct h2_wish *wish,
			   enum shared_state state)
{
	list_for_each (it, &up->shared) {
		struct shared *s = list_entry(it, struct shared, node);

		if (s->state == state && s->link->port == port && s->link->tls == up->tls &&
		    has_room(s, wish) &&
		    (!wish->extended || state == SHARED_CONNECTING || takes_extended(s)))
			return s;
	}
	return NULL;
}

struct upstream_conn *h2_client_take(struct upstream *up, uint16_t port, const struct h2_wish *wish,
				     const struct upstream_user *user, void *ctx)
{
	struct shared *s = find(up, port, wish, SHARED_OPEN);
	struct call *call = s ? call_new(s, wish, user, ctx) : NULL;

	if (!call)
		return NULL;
	set_deadline(s);
	call_open(call);
	return &call->uc;
}

int h2_client_open(struct upstream *up, const struct endpoint *ep, const struct h2_wish *wish,
		   const struct upstream_user *user, void *ctx, struct upstream_conn **ret_conn)
{
	struct shared *s = find(up, ep->port, wish, SHARED_CONNECTING);
	struct call *call;
	int err;

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		list_init(&s->calls);
		s->idle_ms = wish->idle_ms;
		s->connect_ms = wish->connect_ms;
		err = upstream_conn_open(up, ep, wish->connect_ms, &link_user, s, &s->link);
		if (err < 0) {
			free(s);
			return err;
		}
		s->up = upstream_ref(up);
		list_push(&up->shared, &s->node);
	}
	call = call_new(s, wish, user, ctx);
	if (!call) {
		settle(s);
		return -ENOMEM;
	}
	*ret_conn = &call->uc;
	return 0;
}

void h2_client_retire(struct upstream *up)
{
	list_for_each_safe (it, &up->shared) {
		struct shared *s = list_entry(it, struct shared, node);

		if (s->state == SHARED_CONNECTING && !s->call_count)
			shared_close(s, -ECANCELED);
		else if (s->state != SHARED_RETIRED)
			set_state(s, SHARED_RETIRED);
		settle(s);
	}
}

/* ---- responses ----------------------------------------------------------------------------- */

bool h2_client_has_head(const struct upstream_conn *uc)
{
	return call_of(uc)->h2.heads > 0;
}

unsigned h2_client_head_cap(const struct upstream_conn *uc)
{
	return h2_head_cap(&call_of(uc)->h2.head);
}

enum reason h2_client_head(struct upstream_conn *uc, bool request_is_head, struct head *h)
{
	struct h2_stream *h2 = &call_of(uc)->h2;
	bool has_body = !uc->io.is_eof || buf_len(&uc->io.in) || buf_len(&h2->section);

	return h2_head_response(&h2->head, has_body, request_is_head, h);
}

void h2_client_head_done(struct upstream_conn *uc)
{
	h2_stream_take_head(&call_of(uc)->h2);
}

bool h2_client_is_refused(const struct upstream_conn *uc)
{
	const struct h2_stream *h2 = &call_of(uc)->h2;

	return h2->is_closed && h2->error == NGHTTP2_REFUSED_STREAM;
}
