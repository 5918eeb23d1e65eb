/* SPDX-License-Identifier: BSD-2-Clause */
/* Client connections: see conn.h. */
#include "l7/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/listen.h"
#include "core/log.h"
#include "l7/access_log.h"
#include "l7/h2_server.h"
#include "l7/passage.h"
#include "l7/passthrough.h"
#include "l7/request.h"
#include "l7/tls.h"
#include "tls/server.h"

#define REQUESTS_PER_TURN 32 /* of one connection, from its buffer */
#define READS_PER_TURN	  4  /* of a connection that lingers */
#define BLANK_LINES_MAX	  2  /* skipped before a request line (RFC 9112, 2.2) */
#define LINGER_MS	  2000U
#define LINGER_MAX	  (1U << 20) /* bytes */

#define BIT(state) (1U << (state))

static void set_state(struct conn *c, enum conn_state state)
{
	static const unsigned legal[CONN_STATE_COUNT] = {
		[CONN_HANDSHAKE] = BIT(CONN_FRESH) | BIT(CONN_CLOSED),
		[CONN_FRESH] = BIT(CONN_HEADER) | BIT(CONN_HTTP2) | BIT(CONN_HANDSHAKE) |
			       BIT(CONN_PREFACE) | BIT(CONN_HELLO) | BIT(CONN_PASSAGE) |
			       BIT(CONN_CLOSED),
		[CONN_IDLE] = BIT(CONN_HEADER) | BIT(CONN_CLOSED),
		[CONN_HEADER] = BIT(CONN_BUSY) | BIT(CONN_HTTP2) | BIT(CONN_IDLE) |
				BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
		[CONN_BUSY] =
			BIT(CONN_IDLE) | BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
		[CONN_FLUSH] =
			BIT(CONN_IDLE) | BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
		[CONN_HTTP2] = BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
		[CONN_LINGER] = BIT(CONN_CLOSED),
		[CONN_PREFACE] = BIT(CONN_FRESH) | BIT(CONN_CLOSED),
		[CONN_HELLO] =
			BIT(CONN_PASSAGE) | BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
		[CONN_PASSAGE] = BIT(CONN_FLUSH) | BIT(CONN_LINGER) | BIT(CONN_CLOSED),
	};

	assert(legal[c->state] & BIT(state));
	if (c->state == CONN_HANDSHAKE)
		counter_add(&conn_counters(c)->tls_ended, 1);
	c->state = (uint8_t)state;
}

static void wait_ms(struct conn *c, unsigned ms)
{
	deadline_set(&c->io.deadline, deadline_in(&c->io.deadline, ms));
}

static bool awaits_request(const struct conn *c)
{
	return c->state == CONN_FRESH || c->state == CONN_IDLE || c->state == CONN_HEADER;
}

/* Is c served by this service: does it listen where c was accepted? */
static bool listens_at(const struct service *s, const struct endpoint *local)
{
	for (size_t i = 0; i < s->listen_count; i++)
		if (listen_has(&s->listens[i], local))
			return true;
	return false;
}

/* Does the service ask of clients what it did when this one came in? */
static bool is_as_asked(const struct conn *c, const struct service *s)
{
	const struct tls_server *now = view_tls(c->l7->view, s);

	if (!c->io.tls || !now)
		return !c->io.tls && !now;
	return tls_server_asks_the_same(view_tls(c->view, c->service), now);
}

/* Its service in the newest snapshot; NULL: gone. */
static const struct service *newest_service(const struct conn *c)
{
	const struct service *s;

	if (c->view == c->l7->view)
		return c->service;
	s = snapshot_service(c->l7->view->snap, c->service->name);
	return s && s->mode == c->service->mode && is_as_asked(c, s) && listens_at(s, &c->local)
		       ? s
		       : NULL;
}

bool conn_is_ending(const struct conn *c)
{
	return c->l7->is_draining || !newest_service(c);
}

/* Who waits for its responses after so many requests never gets there: no more come in one piece. */
static bool pipelines_too_much(const struct conn *c)
{
	unsigned max = c->service->limits.pipelined;

	return max && c->pipelined >= max && buf_len(&c->io.in);
}

bool conn_is_last_request(const struct conn *c)
{
	unsigned max = c->service->limits.requests;

	return (max && c->requests >= max) || pipelines_too_much(c) || conn_is_ending(c);
}

static void bind_counters(struct conn *c)
{
	c->io.bytes_in = &conn_counters(c)->bytes_in;
	c->io.bytes_out = &conn_counters(c)->bytes_out;
}

bool conn_rebind(struct conn *c)
{
	const struct service *s = newest_service(c);

	if (!s)
		return false;
	if (c->view != c->l7->view) {
		view_unref(c->view);
		c->view = view_ref(c->l7->view);
		c->service = s;
		bind_counters(c);
	}
	return true;
}

static void on_closed(struct sock *s)
{
	struct conn *c = list_entry(stream_of_sock(s), struct conn, io);

	c->l7->conn_count--;
	if (c->is_http2)
		h2_server_free(c->http2);
	free(c->proxied);
	free(c);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	if (awaits_request(c)) /* else what the client has may be cut off */
		stream_end(&c->io);
	if (c->state == CONN_BUSY)
		request_cancel(c->request);
	else if (c->state == CONN_PASSAGE)
		passage_cancel(c->passage);
	else if (c->state == CONN_HTTP2)
		h2_server_stop(c->http2);
	else if (c->is_deferred)
		l7_undefer(c->l7, c);
	set_state(c, CONN_CLOSED);
	counter_add(&conn_counters(c)->closed, 1);
	l7_unlink(c->l7, &c->node);

	stream_close(&c->io, on_closed);
	view_unref(c->view);
	c->view = NULL;
}

void conn_expire(struct conn *c)
{
	if (c->io.is_blocked)
		sock_reset(&c->io.sock);
	conn_close(c);
}

void conn_abort(struct conn *c)
{
	if (c->state != CONN_CLOSED)
		sock_reset(&c->io.sock);
	conn_close(c);
}

/* No more requests. What the client still sends is read for a while: closing a socket that has
 * unread bytes makes the kernel reset it, and the client might lose what was written last. */
static void linger(struct conn *c)
{
	set_state(c, CONN_LINGER);
	sock_shutdown(&c->io.sock);
	c->forgotten = (uint32_t)buf_len(&c->io.in);
	buf_release(c->io.pool, &c->io.in);
	wait_ms(c, LINGER_MS);
	if (c->io.is_eof || stream_watch(&c->io) < 0)
		conn_close(c);
}

static void begin_http2(struct conn *c)
{
	struct h2_server *sv = h2_server_new(c);

	if (!sv) {
		conn_close(c);
		return;
	}
	set_state(c, CONN_HTTP2);
	c->http2 = sv;
	c->is_http2 = true;
	h2_server_begin(sv);
}

/* The rest of what was said is to be written first; c->after follows. */
static void await_flush(struct conn *c)
{
	set_state(c, CONN_FLUSH);
	wait_ms(c, c->service->timeouts.write);
	if (stream_watch(&c->io) < 0)
		conn_close(c);
}

/* The response is written: what now? */
static void next(struct conn *c)
{
	if (c->after != CONN_GO_ON) {
		stream_end(&c->io);
		if (c->io.is_blocked) {
			await_flush(c);
			return;
		}
		counter_add(&conn_counters(c)->pipelined_over, pipelines_too_much(c));
	}
	if (c->after == CONN_THEN_LINGER || (c->after == CONN_THEN_CLOSE && buf_len(&c->io.in))) {
		linger(c);
		return;
	}
	if (c->after == CONN_THEN_CLOSE) {
		/* What comes meanwhile would make the kernel forget what is unsent. */
		if (!c->is_last_said)
			sock_shutdown(&c->io.sock);
		conn_close(c);
		return;
	}
	set_state(c, CONN_IDLE);
	c->scan = (struct http1_scan){0};
	c->blank_lines = 0;
	wait_ms(c, c->service->timeouts.idle);
	conn_resume(c);
}

void conn_end_http2(struct conn *c)
{
	h2_server_stop(c->http2);
	c->after = CONN_THEN_LINGER;
	next(c);
}

/* The last of what c has to say for now; c->after follows. */
static void say(struct conn *c, struct slice head, struct slice body)
{
	const struct pieces p = {.head = head, .tail = body, .is_parting = c->after != CONN_GO_ON};

	if (stream_write(&c->io, &p) < 0) {
		conn_close(c);
	} else if (c->io.is_blocked) {
		await_flush(c);
	} else {
		next(c);
	}
}

void conn_refuse(struct conn *c, struct slice last_words)
{
	c->after = CONN_THEN_LINGER;
	say(c, last_words, (struct slice){0});
}

static void answer(struct conn *c, struct answer *a, enum conn_after after)
{
	char out[ANSWER_MAX];
	struct answer_text text;

	if (after == CONN_GO_ON && conn_is_last_request(c))
		after = CONN_THEN_CLOSE;
	c->after = (uint8_t)after;
	conn_count_answer(c, a);
	text = answer_write(c->l7, a, after == CONN_GO_ON ? PERSIST_KEEP_ALIVE : PERSIST_CLOSE,
			    out);
	say(c, text.head, text.body);
}

static void skip_blank_lines(struct conn *c)
{
	struct buf *in = &c->io.in;

	while (!c->scan.line && c->blank_lines < BLANK_LINES_MAX && buf_len(in) >= 2 &&
	       !memcmp(buf_head(in), "\r\n", 2)) {
		c->blank_lines++;
		c->scan.seen = 0;
		buf_consume(c->io.pool, in, 2);
	}
}

/* The header is not whole yet: time and room for the rest. */
static void wait_for_header(struct conn *c)
{
	struct buf *in = &c->io.in;

	if (c->state != CONN_HEADER) {
		if (c->state == CONN_IDLE)
			wait_ms(c, c->service->timeouts.request_header);
		set_state(c, CONN_HEADER);
	}
	if (!buf_room(in) && buf_reserve(c->io.pool, in, in->cap) < 0)
		conn_close(c);
}

/* No header of the request could be read. */
static void refuse(struct conn *c, enum reason reason)
{
	const struct client who = {.conn = c, .io = &c->io, .service = c->service};
	struct answer a = {.reason = reason};

	if (access_log_is_on(&who))
		access_log_refused(&who, NULL, &a, NULL);
	answer(c, &a, CONN_THEN_LINGER);
}

static void end_answered(void *owner, struct answer *a, enum conn_after after)
{
	struct conn *c = owner;

	c->request = NULL;
	answer(c, a, after);
}

static void end_responded(void *owner, struct slice head, struct slice body, unsigned status,
			  enum conn_after after)
{
	struct conn *c = owner;

	c->after = (uint8_t)after;
	count_response(conn_counters(c), status);
	say(c, head, body);
}

static void end_done(void *owner, enum conn_after after)
{
	struct conn *c = owner;

	c->request = NULL;
	c->after = (uint8_t)after;
	next(c);
}

static void end_closed(void *owner)
{
	conn_close(owner);
}

static void end_expired(void *owner)
{
	conn_expire(owner);
}

static const struct client_ops client_ops = {
	.respond = end_responded,
	.answer = end_answered,
	.done = end_done,
	.close = end_closed,
	.expire = end_expired,
};

/* Early, it may be a replay: only what changes nothing is passed on, and the backend is told so (RFC
 * 8470). What ends the connection waits, too, as TLS has no word for that yet. */
static bool may_be_early(const struct head *h)
{
	return (slice_eq(h->method, SLICE("GET")) || slice_eq(h->method, SLICE("HEAD")) ||
		slice_eq(h->method, SLICE("OPTIONS"))) &&
	       h->body == BODY_NONE && h->persistent && !h->has_upgrade;
}

static void mark_early(struct head *h)
{
	h->is_early = true;
	for (unsigned i = 0; i < h->count; i++)
		if (slice_eq_nocase(h->fields[i].name, SLICE("early-data")))
			h->fields[i].id = FIELD_HOP; /* said once, as this hop says it */
}

enum reason conn_check_tls(const struct client *who, struct head *h)
{
	const struct conn *c = who->conn;

	if (tls_is_misdirected(&c->io, h->authority))
		return REASON_MISDIRECTED;
	if (!tls_is_early(&c->io))
		return REASON_NONE;
	if (!may_be_early(h) || !request_may_be_early(who, h))
		return REASON_TOO_EARLY;
	mark_early(h);
	return REASON_NONE;
}

/* It waits for the end of the handshake. */
static void hold(struct conn *c)
{
	if (!c->is_held)
		wait_ms(c, c->service->timeouts.tls_handshake);
	c->is_held = true;
	c->scan = (struct http1_scan){0};
	wait_for_header(c);
}

/* A whole header block of len bytes is here. False: it is left there for now. */
static bool begin(struct conn *c, size_t len)
{
	const struct client who = {.ops = &client_ops,
				   .owner = c,
				   .conn = c,
				   .io = &c->io,
				   .view = c->view,
				   .service = c->service,
				   .request = &c->request};
	struct head h = {.cap = c->scan.count,
			 .fields = l7_fields(c->l7, c->scan.count),
			 .allow_connect = c->service->connect == CONNECT_TUNNEL};
	enum reason r = REASON_NO_RESOURCES;

	if (c->state != CONN_HEADER)
		set_state(c, CONN_HEADER);
	if (h.fields)
		r = http1_parse_request(buf_head(&c->io.in), len, c->scan.count, &h);
	if (r == REASON_NONE && c->io.tls)
		r = conn_check_tls(&who, &h);
	if (r == REASON_TOO_EARLY) { /* which would have the client send it again */
		hold(c);
		return false;
	}
	c->is_held = false;
	counter_add(&conn_counters(c)->requests, 1);
	c->requests++;
	c->pipelined++;
	c->is_last_said = r == REASON_NONE && !h.persistent && h.body == BODY_NONE && !c->io.tls;
	if (r == REASON_NONE) {
		set_state(c, CONN_BUSY);
		c->request = NULL;
		r = request_start(&who, &h, len);
	}
	if (r != REASON_NONE) {
		struct answer a = conn_answer(c, r, &h);

		if (access_log_is_on(&who))
			access_log_refused(&who, &h, &a, NULL);
		answer(c, &a, CONN_THEN_LINGER);
	}
	return true;
}

/* Is what has come of the connection its preface, or the beginning of that? Over TLS it was agreed on
 * before. */
static bool may_be_http2(const struct conn *c)
{
	size_t len = buf_len(&c->io.in);

	return c->service->http2 == HTTP2_ON && !c->io.tls &&
	       !memcmp(buf_head(&c->io.in), H2_PREFACE.ptr,
		       len < H2_PREFACE.len ? len : H2_PREFACE.len);
}

/* Begin with the next request in the buffer. False: there is no whole one. */
static bool take_request(struct conn *c)
{
	const struct http_limits *limits;
	struct http1_limits l;
	int n;

	if (!conn_rebind(c)) {
		conn_close(c);
		return false;
	}
	skip_blank_lines(c);
	if (!buf_len(&c->io.in))
		return false;
	if (!c->requests && may_be_http2(c)) {
		if (buf_len(&c->io.in) >= H2_PREFACE.len)
			begin_http2(c);
		else
			wait_for_header(c);
		return false;
	}
	limits = &c->service->limits;
	l = (struct http1_limits){limits->request_line, limits->header_bytes, limits->header_count};
	n = http1_scan(&c->scan, buf_head(&c->io.in), buf_len(&c->io.in), &l);
	if (n == 0) {
		wait_for_header(c);
		return false;
	}
	if (n > 0)
		return begin(c, (size_t)n);
	if (c->state != CONN_HEADER)
		set_state(c, CONN_HEADER);
	counter_add(&conn_counters(c)->requests, 1);
	refuse(c, (enum reason) - n);
	return true;
}

void conn_resume(struct conn *c)
{
	unsigned budget = REQUESTS_PER_TURN;

	if (c->is_running)
		return;
	if (c->is_deferred)
		l7_undefer(c->l7, c);
	c->is_running = true;
	while (awaits_request(c) && buf_len(&c->io.in)) {
		if (!budget--) {
			l7_defer(c->l7, c);
			break;
		}
		if (!take_request(c))
			break;
	}
	c->is_running = false;
	if (c->state == CONN_IDLE && conn_is_ending(c) && !buf_len(&c->io.in))
		conn_close(c);
	if (awaits_request(c) && stream_watch(&c->io) < 0)
		conn_close(c);
}

static void read_request(struct conn *c)
{
	bool more;
	ssize_t n = stream_read(&c->io, &more);

	if (n > 0)
		c->pipelined = 0;
	if (n > 0 || (n == -EAGAIN && c->is_held && !tls_is_early(&c->io)))
		conn_resume(c);
	/* A socket that is writable for what TLS has to say is to be heard of once. */
	else if ((n != -EAGAIN && n != -ENOBUFS) || stream_watch(&c->io) < 0)
		conn_close(c);
}

static void read_and_forget(struct conn *c)
{
	bool more = true;

	for (int i = 0; i < READS_PER_TURN && more; i++) {
		ssize_t n = stream_read(&c->io, &more);

		if (n == -EAGAIN)
			break;
		if (n > 0)
			c->forgotten += (uint32_t)n;
		if (n <= 0 || c->forgotten > LINGER_MAX) {
			conn_close(c);
			return;
		}
		buf_release(c->io.pool, &c->io.in);
	}
	if (stream_watch(&c->io) < 0) /* TLS may hold more, or have been writing */
		conn_close(c);
}

static void flush(struct conn *c)
{
	struct pieces none = {0};

	if (stream_write(&c->io, &none) < 0)
		conn_close(c);
	else if (c->io.is_blocked)
		wait_ms(c, c->service->timeouts.write);
	else
		next(c);
}

/* A replay gets no further than this, either. */
static void count_refused(struct conn *c)
{
	if (tls_early_was_refused(&c->io))
		counter_add(&conn_counters(c)->tls_early_refused, 1);
}

static void handshake_failed(struct conn *c, const char *why)
{
	counter_add(&conn_counters(c)->tls_failures, 1);
	count_refused(c);
	log_debug("l7: TLS handshake failed service=%s reason=\"%s\"", c->service->name, why);
	conn_close(c);
}

static void handshake(struct conn *c, int events)
{
	struct service_counters *n = conn_counters(c);
	int err = tls_handshake(&c->io, events & SOCK_READ);

	if (err >= 0) {
		counter_add(&n->tls_handshakes, 1);
		counter_add(&n->tls_early, err == TLS_EARLY);
		count_refused(c);
		if (tls_was_resumed(&c->io))
			counter_add(&n->tls_resumed, 1);
		tls_count_stapled(&c->io, n);
		set_state(c, CONN_FRESH);
		if (tls_is_http2(&c->io)) {
			begin_http2(c);
			return;
		}
		wait_ms(c, c->service->timeouts.request_header);
		conn_resume(c); /* what came early is in the buffer */
		return;
	} else if (err != -EAGAIN) {
		handshake_failed(c, tls_failure(&c->io));
		return;
	}
	if (stream_watch(&c->io) < 0)
		conn_close(c);
}

static void on_event(struct sock *s, int events)
{
	struct conn *c = list_entry(stream_of_sock(s), struct conn, io);

	switch ((enum conn_state)c->state) {
	case CONN_HANDSHAKE: handshake(c, events); break;
	case CONN_FRESH:
	case CONN_IDLE:
	case CONN_HEADER: read_request(c); break;
	case CONN_BUSY: request_on_client_event(c->request, events); break;
	case CONN_FLUSH:
		if (events & SOCK_WRITE)
			flush(c);
		else
			(void)sock_watch(s, SOCK_WRITE); /* on failure the deadline ends it */
		break;
	case CONN_LINGER: read_and_forget(c); break;
	case CONN_PREFACE: preface_on_event(c); break;
	case CONN_HELLO: passthrough_on_event(c); break;
	case CONN_PASSAGE: passage_on_client_event(c->passage, events); break;
	case CONN_HTTP2: h2_server_on_event(c->http2, events); break;
	case CONN_CLOSED:
	case CONN_STATE_COUNT: break;
	}
}

static void on_deadline(struct deadline *d)
{
	struct conn *c = list_entry(stream_of_deadline(d), struct conn, io);

	if (c->state == CONN_BUSY)
		request_on_deadline(c->request);
	else if (c->state == CONN_HANDSHAKE)
		handshake_failed(c, "it did not end in time");
	else if (c->state == CONN_PREFACE)
		preface_on_deadline(c);
	else if (c->state == CONN_HELLO)
		passthrough_on_deadline(c);
	else if (c->state == CONN_PASSAGE)
		passage_on_deadline(c->passage);
	else if (c->state == CONN_HTTP2)
		h2_server_on_deadline(c->http2);
	else if (c->state == CONN_HEADER)
		refuse(c, REASON_HEADER_TIMEOUT);
	else
		conn_expire(c);
}

/* Half a handshake costs its client nothing, and us more than an idle connection. */
static bool has_too_many_handshakes(const struct conn *c)
{
	const struct service_counters *n = conn_counters(c);
	unsigned max = c->service->limits.tls_handshakes;

	return max && atomic_load_explicit(&n->tls_begun, memory_order_relaxed) -
				      atomic_load_explicit(&n->tls_ended, memory_order_relaxed) >=
			      max;
}

/* 0, -EBUSY (counted), or -ENOMEM. */
static int begin_tls(struct conn *c)
{
	struct tls_server *server = view_tls(c->view, c->service);
	int err;

	if (!server)
		return 0;
	if (has_too_many_handshakes(c)) {
		counter_add(&conn_counters(c)->tls_refused, 1);
		return -EBUSY;
	}
	err = tls_accept(&c->io, server, &c->l7->waker);
	if (err < 0)
		return err;
	counter_add(&conn_counters(c)->tls_begun, 1);
	set_state(c, CONN_HANDSHAKE);
	return 0;
}

void conn_await(struct conn *c, enum conn_state state, unsigned ms)
{
	set_state(c, state);
	wait_ms(c, ms);
	if (stream_watch(&c->io) < 0)
		conn_close(c);
}

static void serve_http(struct conn *c)
{
	if (begin_tls(c) < 0) {
		conn_abort(c);
	} else if (c->state == CONN_HANDSHAKE) {
		wait_ms(c, c->service->timeouts.tls_handshake);
		if (stream_watch(&c->io) < 0)
			conn_close(c);
	} else {
		wait_ms(c, c->service->timeouts.request_header);
		conn_resume(c);
	}
}

void conn_serve(struct conn *c)
{
	if (c->state != CONN_FRESH)
		set_state(c, CONN_FRESH);
	if (c->service->mode == SERVICE_TCP) {
		conn_pass(c, c->service->pool, NULL);
	} else if (c->service->mode == SERVICE_TLS) {
		passthrough_begin(c);
	} else {
		serve_http(c);
	}
}

void conn_pass(struct conn *c, const struct pool *pool, const struct client_hello *hello)
{
	set_state(c, CONN_PASSAGE);
	c->passage = NULL;
	deadline_set(&c->io.deadline, DEADLINE_NONE);
	if (passage_start(c, pool, hello) < 0)
		conn_abort(c);
}

int conn_open(struct l7 *l7, int fd, const struct service *service, const struct endpoint *peer,
	      const struct endpoint *local)
{
	struct conn *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	err = stream_open(&c->io, l7, fd, on_event, on_deadline);
	if (err < 0) {
		free(c);
		return err;
	}
	c->l7 = l7;
	c->view = view_ref(l7->view);
	c->service = service;
	c->peer = *peer;
	c->local = *local;
	c->opened = conn_clock(l7);
	c->state = CONN_FRESH;
	bind_counters(c);
	counter_add(&conn_counters(c)->connections, 1);
	list_append(&l7->conns, &c->node);

	l7->conn_count++;
	if (service->proxy_in.from_count)
		preface_begin(c);
	else
		conn_serve(c);
	return 0;
}

/* Who is about to ask for something would see the connection break. */
static void end_idle(struct conn *c)
{
	if (c->l7->is_draining && c->l7->drain_idle_ms)
		wait_ms(c, c->l7->drain_idle_ms);
	else
		conn_close(c);
}

void conn_review(struct conn *c)
{
	if (awaits_request(c) && !conn_rebind(c))
		conn_close(c);
	else if (c->state == CONN_IDLE && conn_is_ending(c) && !buf_len(&c->io.in))
		end_idle(c);
	else if (c->state == CONN_BUSY && conn_is_ending(c))
		request_drain(c->request);
	else if (c->state == CONN_HTTP2 && conn_is_ending(c))
		h2_server_drain(c->http2);
}
