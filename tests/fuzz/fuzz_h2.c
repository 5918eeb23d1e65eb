/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client sends on an HTTP/2 connection, behind preface and settings: frames. The first byte
 * says how they are cut into reads, the second how much of a response each stream gets. A request that
 * is accepted, and written as HTTP/1, is accepted as that and says the same; its body comes as it was
 * sent; and whatever came, nothing is left when the session is gone.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/h2_session.h"
#include "l7/http1_scan.h"
#include "l7/http1_write.h"
#include "l7/l7_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FIELD_MAX 32

static const struct http1_limits limits = {.line = 512, .bytes = 2048, .count = FIELD_MAX};
static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
static const char reply[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
static const char body[40000];

struct call {
	struct stream io;
	struct h2_stream h2;
	size_t left; /* of the response's body */
	bool is_answered;
};

static uv_loop_t loop;
static struct l7 l7;
static size_t body_len;

/* ---- the connection: takes all that is written --------------------------------------------- */

static ssize_t take_all(struct stream *st, const struct pieces *p)
{
	(void)st;
	return (ssize_t)p->body.len;
}

static const struct carrier sink = {.write = take_all};

/* ---- requests ------------------------------------------------------------------------------ */

/* Written as HTTP/1 it means the same. */
static void check_written(const struct head *h)
{
	static const struct hop hop = {
		.client = {"192.0.2.1", 9}, .proto = {"http", 4}, .local = {"192.0.2.2", 9}};
	const struct http1_limits wide = {4096, 65536, FIELD_MAX + 16};
	struct field fields[FIELD_MAX + 16];
	struct head again = {
		.fields = fields, .cap = FIELD_MAX + 16, .allow_connect = h->allow_connect};
	size_t bound = http1_request_bound(h, &hop), n;
	struct http1_scan s = {0};
	char *out = malloc(bound);
	enum reason r;

	if (!out)
		return;
	n = http1_write_request(out, h, &hop);
	assert(n <= bound);
	assert(http1_scan(&s, out, n, &wide) == (int)n);
	r = http1_parse_request(out, n, s.count, &again);
	/* HTTP/1 knows but some methods. */
	assert(r == REASON_NONE || r == REASON_METHOD_UNKNOWN || r == REASON_HEADER_SYNTAX);
	if (r == REASON_NONE) {
		enum body_kind framing = http1_request_framing(h);

		assert(slice_eq(again.target, h->target) && slice_eq(again.method, h->method));
		assert(slice_eq(again.authority, h->authority));
		assert(again.body == (framing == BODY_LENGTH && !h->length ? BODY_NONE : framing));
		assert(again.length == h->length);
	}
	free(out);
}

static void end_call(struct call *c, uint32_t code)
{
	h2_stream_detach(&c->h2, code);
	buf_release(c->io.pool, &c->io.in);
	buf_release(c->io.pool, &c->io.out);
	free(c);
}

/* As much as goes. False: it is over. */
static bool answer(struct call *c)
{
	struct pieces p = {.head = {reply, c->is_answered ? 0 : sizeof(reply) - 1},
			   .body = {body, c->left},
			   .is_last = true};
	ssize_t n = stream_write(&c->io, &p);

	c->is_answered = true;
	if (n < 0) {
		end_call(c, NGHTTP2_INTERNAL_ERROR);
		return false;
	}
	assert((size_t)n <= c->left);
	c->left -= (size_t)n;
	if (c->io.is_blocked)
		return true;
	end_call(c, NGHTTP2_NO_ERROR);
	return false;
}

static void on_events(struct h2_stream *s, unsigned events)
{
	struct call *c = list_entry(s, struct call, h2);
	bool more;

	if (events & H2_HEAD) {
		unsigned cap = h2_head_cap(&s->head);
		struct field *fields = calloc(cap, sizeof(*fields));
		struct head h = {.cap = cap, .fields = fields, .allow_connect = true};
		bool has_body = !c->io.is_eof || buf_len(&c->io.in) || buf_len(&s->section);

		if (fields &&
		    h2_head_request(&s->head, c->io.pool, &limits, has_body, &h) == REASON_NONE) {
			assert(h.count <= cap);
			check_written(&h);
		}
		free(fields);
		h2_stream_take_head(s);
	}
	if (events & H2_READ && stream_read(&c->io, &more) > 0) {
		assert(buf_len(&c->io.in) <= H2_STREAM_WINDOW);
		buf_consume(c->io.pool, &c->io.in, buf_len(&c->io.in) / 2 + 1);
	}
	if (s->is_closed)
		end_call(c, NGHTTP2_NO_ERROR);
	else if (answer(c) && stream_watch(&c->io) < 0)
		end_call(c, NGHTTP2_INTERNAL_ERROR);
}

static struct h2_stream *on_open(struct h2_session *h, int32_t id)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	(void)stream_open_carried(&c->io, NULL, &l7.pool, &h2_carrier, &c->h2, NULL);
	c->left = body_len;
	h2_stream_init(&c->h2, h, &c->io, id, on_events);
	return &c->h2;
}

static void on_flushed(struct h2_session *h, int err)
{
	(void)h;
	(void)err;
}

static const struct h2_session_ops ops = {.open = on_open, .flushed = on_flushed};

/* ---- the session --------------------------------------------------------------------------- */

static void set_up(void)
{
	static bool is_done;

	if (is_done)
		return;
	is_done = true;
	if (uv_loop_init(&loop) != 0)
		abort();
	l7.env.loop = &loop;
	buf_pool_init(&l7.pool, 0, 0);
	list_init(&l7.h2_flush);
}

/* False: nothing more is to be read. */
static bool feed(struct h2_session *h, const void *bytes, size_t len)
{
	if (buf_append(&l7.pool, &h->io->in, bytes, len) < 0)
		return false;
	if (h2_session_receive(h) < 0) {
		h2_session_end(h, NGHTTP2_PROTOCOL_ERROR);
		h2_flush_all(&l7);
		return false;
	}
	h2_flush_all(&l7);
	return !h2_session_is_over(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct h2_limits l = {.header = limits,
				    .streams = 10,
				    .resets = 10,
				    .controls = 10,
				    .takes_connect = true};
	struct stream io = {0};
	struct h2_session h;
	size_t step;

	if (len < 2)
		return 0;
	set_up();
	step = data[0] ? data[0] : len;
	body_len = data[1] * sizeof(body) / UINT8_MAX;
	(void)stream_open_carried(&io, NULL, &l7.pool, &sink, NULL, NULL);
	if (h2_session_init(&h, &l7, &io, true, &ops, &l) == 0 &&
	    feed(&h, start, sizeof(start) - 1)) {
		for (size_t at = 2; at < len; at += step)
			if (!feed(&h, data + at, len - at < step ? len - at : step))
				break;
		if (len % 2) {
			h2_session_drain(&h);
			h2_flush_all(&l7);
		}
	}
	while (!list_empty(&h.streams))
		end_call(list_entry(list_entry(h.streams.next, struct h2_stream, node), struct call,
				    h2),
			 NGHTTP2_CANCEL);
	h2_session_deinit(&h);
	buf_release(&l7.pool, &io.in);
	buf_release(&l7.pool, &io.out);
	assert(!l7.pool.in_use);
	return 0;
}
