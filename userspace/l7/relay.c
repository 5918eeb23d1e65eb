/* SPDX-License-Identifier: BSD-2-Clause */
/* The body pump: see relay.h. */
#include "l7/relay.h"

#include <assert.h>

#include "l7/http1_trailers.h"
#include "l7/http1_write.h"

void flow_init(struct flow *f, struct stream *from, enum body_kind kind, uint64_t length)
{
	*f = (struct flow){.from = from};
	body_init(&f->body, kind, length);
}

void flow_deinit(struct flow *f)
{
	if (f->trailers.data)
		buf_release(f->from->pool, &f->trailers);
	if (f->from)
		splice_drop(f->from);
}

void flow_send_to(struct flow *f, struct stream *to, enum body_kind framing)
{
	f->to = to;
	f->framing = (uint8_t)(to->carrier ? BODY_FRAMES : framing);
}

void flow_tap_reset(struct flow_tap *tap, struct buf_pool *pool)
{
	if (tap->copy.data)
		buf_release(pool, &tap->copy);
	tap->copy = (struct buf){0};
	tap->is_over = false;
}

/* n bytes were written, those behind what is held. */
static void tap_take(struct flow *f, uint32_t n)
{
	struct flow_tap *tap = f->tap;
	struct buf_pool *pool = f->from->pool;

	if (tap->is_over || !n)
		return;
	if (buf_len(&tap->copy) + n <= tap->max &&
	    !buf_append(pool, &tap->copy, buf_head(&f->from->in) + f->held, n))
		return;
	flow_tap_reset(tap, pool);
	tap->is_over = true;
}

bool flow_has_begun(const struct flow *f)
{
	return f->body.total > f->ready;
}

void flow_restart(struct flow *f)
{
	assert(!flow_has_begun(f));
	f->to = NULL; /* it may be gone, and what comes meanwhile is not for it */
	f->last_written = false;
	f->chunk_left = 0;
	f->held = 0;
	if (f->tap)
		flow_tap_reset(f->tap, f->from->pool);
}

/* Drop n body bytes at the front, and framing that nothing stands before any more. */
static void drop(struct flow *f, uint32_t n)
{
	struct buf *in = &f->from->in;

	f->ready -= n;
	if (f->ready == 0) {
		n += f->gap;
		f->gap = 0;
	}
	if (n)
		buf_consume(f->from->pool, in, n);
}

void flow_hold(struct flow *f, uint32_t max)
{
	f->held_max = max;
}

void flow_let_go(struct flow *f)
{
	uint32_t held = f->held;

	f->held = f->held_max = 0;
	if (held)
		drop(f, held);
}

/* There must be room to read on into, or whoever sends the body would never be heard again. */
static bool make_room(struct flow *f)
{
	if (f->body.ended || f->from->carrier || stream_has_room(f->from))
		return true;
	return buf_reserve(f->from->pool, &f->from->in, BUF_SMALL) == 0;
}

/* n more body bytes were written. */
static void pass(struct flow *f, uint32_t n)
{
	if (f->tap)
		tap_take(f, n);
	if (!f->held_max) {
		drop(f, n);
		return;
	}
	f->held += n;
	if (f->held > f->held_max || !make_room(f))
		flow_let_go(f);
}

/* taken raw bytes were decoded, the last of them are the span. Pieces of body that framing stood
 * between are joined, so that all of them go out in one write. */
static void accept_span(struct flow *f, size_t taken, struct slice span)
{
	uint32_t framing = (uint32_t)(taken - span.len);

	f->gap += framing;
	if (f->ready == 0)
		drop(f, 0);
	if (!span.len)
		return;
	if (f->gap)
		memmove(buf_head(&f->from->in) + f->ready, span.ptr, span.len);
	f->ready += (uint32_t)span.len;
}

/* Is there something to be said behind the last byte of body? */
static bool marks_end(const struct flow *f)
{
	return f->framing == BODY_CHUNKED || f->framing == BODY_FRAMES;
}

/* All of the trailer section is in f->trailers: make of it what will be sent. */
static int finish_trailers(struct flow *f)
{
	struct buf_pool *pool = f->from->pool;
	struct slice section = {buf_head(&f->trailers), buf_len(&f->trailers)};
	struct buf done = {0};
	int err = buf_reserve(pool, &done, http1_trailers_bound(section.len));

	if (err < 0)
		return err;
	done.end = (uint32_t)http1_write_trailers(done.data, section);
	buf_release(pool, &f->trailers);
	f->trailers = done;
	return 0;
}

/* Bytes of the trailer section. Most have nothing but its empty line, for which no memory is taken:
 * a field cannot begin with a byte of it. */
static int take_trailers(struct flow *f, const char *bytes, size_t len)
{
	int err;

	if (!marks_end(f) || (!buf_len(&f->trailers) && (*bytes == '\r' || *bytes == '\n')))
		return 0;
	err = buf_append(f->from->pool, &f->trailers, bytes, len);
	return err == 0 && f->body.ended ? finish_trailers(f) : err;
}

static int take_carried_trailers(struct flow *f)
{
	struct slice section = f->from->carrier->trailers(f->from);

	return section.len ? take_trailers(f, section.ptr, section.len) : 0;
}

/* All that was received and belongs to the message. */
static enum flow_status decode(struct flow *f)
{
	struct buf *in = &f->from->in;

	while (!f->body.ended) {
		size_t used = f->ready + f->gap, taken;
		struct slice span;

		if (used == buf_len(in))
			break;
		taken = body_decode(&f->body, buf_head(in) + used, buf_len(in) - used, &span,
				    &f->reason);
		if (f->limit && f->body.total > f->limit)
			f->reason = REASON_BODY_LARGE;
		if (f->reason == REASON_NONE && f->body.in_trailers &&
		    take_trailers(f, buf_head(in) + used, taken) < 0)
			f->reason = REASON_NO_RESOURCES;
		if (f->reason != REASON_NONE)
			return FLOW_BAD;
		accept_span(f, taken, span);
	}
	if (!f->body.ended && f->from->is_eof) {
		if (!body_eof(&f->body))
			return FLOW_CUT;
		if (f->from->carrier && take_carried_trailers(f) < 0) {
			f->reason = REASON_NO_RESOURCES;
			return FLOW_BAD;
		}
	}
	return f->body.ended ? FLOW_DONE : FLOW_MORE;
}

/* What stands behind the body bytes of this write. */
static struct slice tail_of(const struct flow *f, bool data, bool last)
{
	struct slice tail = {buf_head(&f->trailers), buf_len(&f->trailers)};
	size_t skipped = data ? 0 : sizeof("\r\n") - 1; /* no chunk ends here */

	if (!last || !tail.len)
		return http1_chunk_end(data, last);
	return (struct slice){tail.ptr + skipped, tail.len - skipped};
}

/* Without what announces them in HTTP/1; empty: none. */
static struct slice trailers_of(const struct flow *f)
{
	size_t skipped = sizeof(HTTP1_TRAILERS_START) - 1, len = buf_len(&f->trailers);

	return len ? (struct slice){buf_head(&f->trailers) + skipped, len - skipped}
		   : (struct slice){0};
}

/* To where it stands in one piece with the body, over bytes that are done with. */
static struct slice put_before_body(struct flow *f, struct slice head)
{
	struct buf *in = &f->from->in;
	char *at;

	if (!f->ready || f->framing != BODY_LENGTH || in->start < head.len)
		return head;
	at = buf_head(in) - head.len;
	memcpy(at, head.ptr, head.len);
	return (struct slice){at, head.len};
}

static ssize_t write_some(struct flow *f, struct slice head)
{
	char frame[HTTP1_FRAME_MAX];
	uint32_t unsent = f->ready - f->held;
	struct pieces p = {0};
	bool last = false;
	ssize_t n;

	if (f->from->pipe)
		return splice_out(f->from, f->to);
	if (unsent)
		p.body = (struct slice){buf_head(&f->from->in) + f->held, unsent};
	p.head = head.len ? put_before_body(f, head) : head;
	if (f->framing == BODY_CHUNKED) {
		if (!f->chunk_left && unsent) {
			p.frame.ptr = frame;
			p.frame.len = http1_write_chunk(frame, unsent);
			f->chunk_left = unsent;
		}
		p.body.len = f->chunk_left;
		last = f->body.ended && f->chunk_left == unsent && !f->last_written;
		p.tail = tail_of(f, p.body.len > 0, last);
	} else if (f->framing == BODY_FRAMES) {
		last = p.is_last = f->body.ended && !f->last_written;
		if (last)
			p.trailers = trailers_of(f);
	}
	p.is_parting = f->is_parting && f->body.ended &&
		       (f->framing != BODY_CHUNKED || f->chunk_left == unsent);
	n = stream_write(f->to, &p);
	if (n < 0)
		return n;
	if (f->framing == BODY_CHUNKED)
		f->chunk_left -= (uint32_t)n;
	if (last && (size_t)n == p.body.len)
		f->last_written = true;
	pass(f, (uint32_t)n);
	return n;
}

/* Is it large, and to be sent as it comes? */
static bool may_be_piped(const struct flow *f)
{
	if (!f->to || f->held_max || (f->tap && !f->tap->is_over) || !splice_can(f->from, f->to) ||
	    f->body.ended)
		return false;
	if (f->body.kind == BODY_LENGTH)
		return f->framing == BODY_LENGTH && f->body.left >= SPLICE_MIN;
	return f->body.kind == BODY_EOF && f->framing == BODY_EOF && !f->limit;
}

ssize_t flow_read(struct flow *f, bool *ret_more)
{
	ssize_t n = -ENFILE;

	if (may_be_piped(f)) {
		*ret_more = false;
		n = splice_in(f->from, f->body.kind == BODY_LENGTH ? f->body.left : SIZE_MAX);
		if (n > 0)
			body_pass(&f->body, (size_t)n);
	}
	return n == -ENFILE ? stream_read(f->from, ret_more) : n;
}

static bool has_work(const struct flow *f)
{
	return f->ready > f->held || f->from->pipe || f->to->is_blocked ||
	       (f->body.ended && marks_end(f) && !f->last_written);
}

enum flow_status flow_pump(struct flow *f, struct slice head)
{
	for (;;) {
		enum flow_status status = decode(f);

		if (status == FLOW_BAD)
			return status;
		if (!head.len && !has_work(f))
			return status;
		if (write_some(f, head) < 0)
			return FLOW_BROKEN;
		if (f->to->is_blocked)
			return FLOW_BLOCKED;
		head.len = 0;
	}
}

enum flow_status flow_discard(struct flow *f)
{
	flow_let_go(f);
	splice_drop(f->from);
	for (;;) {
		enum flow_status status = decode(f);

		if (status == FLOW_BAD || !f->ready)
			return status;
		drop(f, f->ready);
	}
}
