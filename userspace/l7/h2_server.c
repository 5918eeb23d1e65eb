/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients that speak HTTP/2: see h2_server.h. */
#include "l7/h2_server.h"

#include <errno.h>
#include <stdlib.h>

#include "l7/access_log.h"
#include "l7/conn.h"
#include "l7/grpc.h"
#include "l7/h2_session.h"
#include "l7/http1_write.h"
#include "l7/request.h"
#include "l7/tunnel.h"
#include "tls/websocket.h"

#define READS_PER_TURN 4   /* of one connection */
#define KEPT_MAX       256 /* exchanges, of one worker */

/* One request and its response. Kept for another one afterwards. */
struct exchange {
	struct stream io;
	struct h2_stream h2;
	struct h2_server *server;
	struct view *view; /* a reference */
	const struct service *service;
	struct request *request;
	struct list kept; /* l7.exchanges */
	bool is_grpc;
};

enum wait { WAIT_NONE, WAIT_HEADER, WAIT_IDLE, WAIT_WRITE };

struct h2_server {
	struct h2_session h2;
	struct conn *conn;
	enum wait wait;	  /* what the connection's deadline is for */
	uint64_t written; /* when it was set */
	bool is_deaf;	  /* what still comes is of no use */
	bool is_stopped;
};

/* ---- an exchange --------------------------------------------------------------------------- */

static void exchange_free(struct exchange *e)
{
	deadline_close(&e->io.deadline);
	free(e);
}

static void on_deadline(struct deadline *d);

static struct exchange *exchange_new(struct l7 *l7)
{
	struct exchange *e;

	if (!list_empty(&l7->exchanges)) {
		e = list_entry(l7->exchanges.next, struct exchange, kept);
		list_unlink(&e->kept);
		l7->exchange_count--;
		return e;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	if (stream_open_carried(&e->io, &l7->deadlines, &l7->pool, &h2_carrier, &e->h2,
				on_deadline) < 0) {
		free(e);
		return NULL;
	}
	list_init(&e->kept);
	return e;
}

/* It is over: for the next one. */
static void recycle(struct exchange *e, uint32_t code)
{
	struct l7 *l7 = e->server->conn->l7;

	h2_stream_detach(&e->h2, code);
	buf_release(e->io.pool, &e->io.in);
	buf_release(e->io.pool, &e->io.out);
	e->io.is_eof = e->io.is_blocked = false;
	deadline_set(&e->io.deadline, DEADLINE_NONE);
	view_unref(e->view);
	e->view = NULL;
	if (l7->is_closed || l7->exchange_count >= KEPT_MAX) {
		exchange_free(e);
		return;
	}
	list_push(&l7->exchanges, &e->kept);
	l7->exchange_count++;
}

void h2_server_forget(struct l7 *l7)
{
	list_for_each_safe (it, &l7->exchanges) {
		struct exchange *e = list_entry(it, struct exchange, kept);

		list_unlink(&e->kept);
		exchange_free(e);
	}
	l7->exchange_count = 0;
}

static void cut_off(struct exchange *e, uint32_t code)
{
	request_cancel(e->request);
	e->request = NULL;
	recycle(e, code);
}

/* The rest of an answer of our own; all: no more. */
static void flush_answer(struct exchange *e)
{
	struct pieces p = {.body = {buf_head(&e->io.out), buf_len(&e->io.out)}, .is_last = true};
	ssize_t n = stream_write(&e->io, &p);

	if (n < 0) {
		recycle(e, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	if (n)
		buf_consume(e->io.pool, &e->io.out, (size_t)n);
	if (!e->io.is_blocked)
		recycle(e, NGHTTP2_NO_ERROR);
}

/* All of a message of ours. */
static void say(struct exchange *e, struct slice head, struct slice body)
{
	struct pieces p = {.head = head, .body = body, .is_last = true};
	ssize_t n = stream_write(&e->io, &p);

	if (n < 0 || buf_append(e->io.pool, &e->io.out, body.ptr + n, body.len - (size_t)n) < 0)
		recycle(e, NGHTTP2_INTERNAL_ERROR);
	else if (!e->io.is_blocked)
		recycle(e, NGHTTP2_NO_ERROR);
	else
		deadline_set(&e->io.deadline,
			     deadline_in(&e->io.deadline, e->service->timeouts.write));
}

static void answer(struct exchange *e, struct answer *a)
{
	char out[ANSWER_MAX];
	struct answer_text text;

	a->is_grpc = e->is_grpc;
	text = answer_write(e->server->conn->l7, a, PERSIST_DEFAULT, out);
	conn_count_answer(e->server->conn, a);
	say(e, text.head, text.body);
}

static void end_responded(void *owner, struct slice head, struct slice body, unsigned status,
			  enum conn_after after)
{
	struct exchange *e = owner;

	(void)after;
	count_response(conn_counters(e->server->conn), status);
	say(e, head, body);
}

static void end_answered(void *owner, struct answer *a, enum conn_after after)
{
	struct exchange *e = owner;

	(void)after; /* streams are of no use to each other */
	e->request = NULL;
	answer(e, a);
}

static void end_done(void *owner, enum conn_after after)
{
	struct exchange *e = owner;

	(void)after;
	e->request = NULL;
	recycle(e, NGHTTP2_NO_ERROR);
}

static void end_closed(void *owner)
{
	struct exchange *e = owner;

	/* RFC 9113, 8.5 */
	cut_off(e, request_is_tunnel(e->request) ? NGHTTP2_CONNECT_ERROR : NGHTTP2_INTERNAL_ERROR);
}

static void end_expired(void *owner)
{
	cut_off(owner, NGHTTP2_CANCEL);
}

static const struct client_ops client_ops = {
	.respond = end_responded,
	.answer = end_answered,
	.done = end_done,
	.close = end_closed,
	.expire = end_expired,
};

/* To an HTTP/1 backend it must be asked as there: with a key, which is ours. */
static enum reason ask_for_tunnel(const struct service *s, struct head *h,
				  char key[WEBSOCKET_KEY_LEN])
{
	struct slice name = SLICE("sec-websocket-key"), protocol = tunnel_protocol(s, h);
	unsigned i = 0;

	if (!protocol.len)
		return REASON_PROTOCOL_UNKNOWN;
	if (!slice_eq_nocase(protocol, SLICE("websocket")))
		return REASON_NONE;
	if (!websocket_key(key))
		return REASON_NO_RESOURCES;
	while (i < h->count && !slice_eq(h->fields[i].name, name))
		i++;
	h->count += i == h->count;
	h->fields[i] = (struct field){name, {key, WEBSOCKET_KEY_LEN}, FIELD_OTHER};
	return REASON_NONE;
}

/* A whole header is here. */
static void begin(struct exchange *e)
{
	struct conn *c = e->server->conn;
	const struct http_limits *limits = &e->service->limits;
	const struct http1_limits l = {limits->request_line, limits->header_bytes,
				       limits->header_count};
	const struct client who = {.ops = &client_ops,
				   .owner = e,
				   .conn = c,
				   .io = &e->io,
				   .view = e->view,
				   .service = e->service,
				   .request = &e->request};
	struct buf_pool *pool = e->io.pool;
	struct h2_head head = e->h2.head; /* e may be gone before it is done with */
	unsigned cap = h2_head_cap(&head);
	char key[WEBSOCKET_KEY_LEN];
	struct head h = {.cap = cap,
			 .fields = l7_fields(c->l7, cap),
			 .allow_connect = e->service->connect == CONNECT_TUNNEL};
	bool has_body = !e->io.is_eof || buf_len(&e->io.in) || buf_len(&e->h2.section);
	enum reason r = REASON_NO_RESOURCES;

	e->h2.head = (struct h2_head){0};
	e->h2.heads = 0;
	counter_add(&conn_counters(c)->requests, 1);
	if (h.fields)
		r = h2_head_request(&head, pool, &l, has_body, &h);
	e->is_grpc = r == REASON_NONE && grpc_is_call(&h);
	if (r == REASON_NONE && h.has_upgrade)
		r = ask_for_tunnel(e->service, &h, key);
	if (r == REASON_NONE && c->io.tls)
		r = conn_check_tls(&who, &h);
	if (r == REASON_NONE)
		r = request_start(&who, &h, 0);
	if (r != REASON_NONE) {
		struct answer a = conn_answer(c, r, &h);

		if (access_log_is_on(&who))
			access_log_refused(&who, &h, &a, NULL);
		answer(e, &a);
	}
	h2_head_release(&head, pool);
}

static void on_events(struct h2_stream *s, unsigned events)
{
	struct exchange *e = list_entry(s, struct exchange, h2);

	if (s->is_closed && !e->request)
		recycle(e, NGHTTP2_NO_ERROR);
	else if (events & H2_HEAD)
		begin(e);
	else if (e->request)
		request_on_client_event(e->request, (events & H2_READ ? SOCK_READ : 0) |
							    (events & H2_WRITE ? SOCK_WRITE : 0));
	else if (events & H2_WRITE && e->io.is_blocked)
		flush_answer(e);
}

static void on_deadline(struct deadline *d)
{
	struct exchange *e = list_entry(stream_of_deadline(d), struct exchange, io);

	if (e->request)
		request_on_deadline(e->request);
	else
		cut_off(e, NGHTTP2_CANCEL);
}

/* ---- the connection ------------------------------------------------------------------------ */

static struct h2_stream *on_open(struct h2_session *h, int32_t id)
{
	struct h2_server *sv = list_entry(h, struct h2_server, h2);
	struct conn *c = sv->conn;
	struct exchange *e = exchange_new(c->l7);

	if (!e)
		return NULL;
	c->requests++;
	if (!conn_rebind(c) || conn_is_last_request(c))
		h2_server_drain(sv);
	e->server = sv;
	e->view = view_ref(c->view);
	e->service = c->service;
	h2_stream_init(&e->h2, h, &e->io, id, on_events);
	return &e->h2;
}

static void wait_for(struct h2_server *sv, enum wait wait)
{
	const struct http_timeouts *t = &sv->conn->service->timeouts;
	struct deadline *d = &sv->conn->io.deadline;
	const unsigned ms[] = {
		[WAIT_HEADER] = t->request_header, [WAIT_IDLE] = t->idle, [WAIT_WRITE] = t->write};
	bool has_moved = wait == WAIT_WRITE && sv->h2.written != sv->written;

	if (wait == sv->wait && !has_moved)
		return;
	sv->wait = wait;
	sv->written = sv->h2.written;
	deadline_set(d, wait == WAIT_NONE ? DEADLINE_NONE : deadline_in(d, ms[wait]));
}

static bool reads(const struct h2_server *sv)
{
	return !sv->is_deaf && !h2_session_is_full(&sv->h2);
}

unsigned h2_server_streams(const struct h2_server *sv)
{
	return sv->h2.stream_count;
}

void h2_server_each_request(const struct h2_server *sv, h2_request_fn fn, void *ctx)
{
	list_for_each (it, &sv->h2.streams) {
		const struct exchange *e =
			list_entry(list_entry(it, struct h2_stream, node), struct exchange, h2);

		if (e->request)
			fn(ctx, e->request);
	}
}

static void count_one_left(void *ctx, struct request *r)
{
	(void)ctx;
	request_count_left(r);
}

/* The client has gone, with all that it had asked for. */
static void count_left(struct h2_server *sv)
{
	h2_server_each_request(sv, count_one_left, NULL);
}

static void note_one_killed(void *ctx, struct request *r)
{
	(void)ctx;
	request_note_killed(r);
}

void h2_server_note_killed(struct h2_server *sv)
{
	h2_server_each_request(sv, note_one_killed, NULL);
}

/* After anything happened. */
static void settle(struct h2_server *sv, int err)
{
	struct conn *c = sv->conn;

	if (sv->is_stopped)
		return;
	if (h2_session_is_over(&sv->h2)) {
		conn_end_http2(c);
		return;
	}
	if (err < 0) {
		count_left(sv);
		conn_close(c);
		return;
	}
	if (sv->h2.io->is_blocked)
		wait_for(sv, WAIT_WRITE);
	else if (sv->h2.awaits_header || !c->requests)
		wait_for(sv, WAIT_HEADER);
	else
		wait_for(sv, sv->h2.stream_count ? WAIT_NONE : WAIT_IDLE);
	if (reads(sv) ? stream_watch(&c->io) < 0 : sock_watch(&c->io.sock, SOCK_WRITE) < 0)
		conn_close(c);
}

static void on_flushed(struct h2_session *h, int err)
{
	settle(list_entry(h, struct h2_server, h2), err);
}

static const struct h2_session_ops session_ops = {.open = on_open, .flushed = on_flushed};

/* What came. False: no more is to be read. */
static bool receive(struct h2_server *sv)
{
	int err = h2_session_receive(&sv->h2);

	if (err == 0)
		return true;
	if (err == -ESHUTDOWN)
		return false;
	sv->is_deaf = true;
	h2_session_end(&sv->h2, err == -ENOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR);
	return false;
}

void h2_server_begin(struct h2_server *sv)
{
	/* That of the first request, which may be here already. */
	deadline_set(&sv->conn->io.deadline, DEADLINE_NONE);
	if (buf_len(&sv->conn->io.in))
		(void)receive(sv);
	settle(sv, 0);
}

void h2_server_on_event(struct h2_server *sv, int events)
{
	struct stream *io = &sv->conn->io;
	bool more = (events & SOCK_READ) && reads(sv);
	int err = events & SOCK_WRITE ? h2_session_flush(&sv->h2) : 0;

	for (int i = 0; i < READS_PER_TURN && more && err == 0 && !sv->is_stopped; i++) {
		ssize_t n = stream_read(io, &more);

		if (n > 0)
			more &= receive(sv);
		else if (n != -EAGAIN)
			err = n ? (int)n : -ECONNRESET;
	}
	settle(sv, err);
}

void h2_server_on_deadline(struct h2_server *sv)
{
	if (sv->wait == WAIT_WRITE) {
		conn_expire(sv->conn);
		return;
	}
	h2_session_end(&sv->h2, NGHTTP2_NO_ERROR);
	settle(sv, h2_session_flush(&sv->h2));
}

void h2_server_drain(struct h2_server *sv)
{
	h2_session_drain(&sv->h2);
	list_for_each_safe (it, &sv->h2.streams) {
		struct exchange *e =
			list_entry(list_entry(it, struct h2_stream, node), struct exchange, h2);

		if (e->request)
			request_drain(e->request);
	}
}

struct h2_server *h2_server_new(struct conn *c)
{
	struct h2_server *sv = calloc(1, sizeof(*sv));
	const struct http_limits *l = &c->service->limits;
	const struct h2_limits limits = {
		.header = {l->request_line, l->header_bytes, l->header_count},
		.streams = l->streams,
		.resets = l->resets,
		.controls = l->control_frames,
		.continuations = l->continuations,
		.takes_connect = c->service->upgrade_any || c->service->upgrade_count,
	};

	if (!sv)
		return NULL;
	sv->conn = c;
	if (h2_session_init(&sv->h2, c->l7, &c->io, true, &session_ops, &limits) < 0) {
		h2_session_deinit(&sv->h2);
		free(sv);
		return NULL;
	}
	counter_add(&conn_counters(c)->http2_connections, 1);
	return sv;
}

void h2_server_stop(struct h2_server *sv)
{
	if (!sv || sv->is_stopped)
		return;
	sv->is_stopped = true;
	if (sv->h2.flood)
		counter_add(&conn_counters(sv->conn)->http2_floods, 1);
	while (!list_empty(&sv->h2.streams))
		cut_off(list_entry(list_entry(sv->h2.streams.next, struct h2_stream, node),
				   struct exchange, h2),
			NGHTTP2_CANCEL);
	h2_session_deinit(&sv->h2);
}

void h2_server_free(struct h2_server *sv)
{
	free(sv);
}
