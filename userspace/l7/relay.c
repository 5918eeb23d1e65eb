/* SPDX-License-Identifier: BSD-2-Clause */
/* The body pump: see relay.h. */
#include "l7/relay.h"

#include <assert.h>

#include "l7/http1_write.h"

void flow_init(struct flow *f, struct stream *from, enum body_kind kind, uint64_t length)
{
	*f = (struct flow){.from = from};
	body_init(&f->body, kind, length);
}

void flow_send_to(struct flow *f, struct stream *to, enum body_kind framing)
{
	f->to = to;
	f->framing = (uint8_t)framing;
}

bool flow_has_begun(const struct flow *f)
{
	return f->body.total > f->ready;
}

void flow_restart(struct flow *f)
{
	assert(!flow_has_begun(f));
	f->last_written = false;
	f->chunk_left = 0;
}

/* Drop n body bytes that were written, and framing that nothing stands before any more. */
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
		if (f->reason != REASON_NONE)
			return FLOW_BAD;
		accept_span(f, taken, span);
	}
	if (!f->body.ended && f->from->is_eof && !body_eof(&f->body))
		return FLOW_CUT;
	return f->body.ended ? FLOW_DONE : FLOW_MORE;
}

static ssize_t write_some(struct flow *f, struct slice head)
{
	char frame[HTTP1_FRAME_MAX];
	struct pieces p = {.head = head, .body = {buf_head(&f->from->in), f->ready}};
	bool last = false;
	ssize_t n;

	if (f->framing == BODY_CHUNKED) {
		if (!f->chunk_left && f->ready) {
			p.frame.ptr = frame;
			p.frame.len = http1_write_chunk(frame, f->ready);
			f->chunk_left = f->ready;
		}
		p.body.len = f->chunk_left;
		last = f->body.ended && f->chunk_left == f->ready && !f->last_written;
		p.tail = http1_chunk_end(p.body.len > 0, last);
	}
	n = stream_write(f->to, &p);
	if (n < 0)
		return n;
	if (f->framing == BODY_CHUNKED)
		f->chunk_left -= (uint32_t)n;
	if (last && (size_t)n == p.body.len)
		f->last_written = true;
	drop(f, (uint32_t)n);
	return n;
}

static bool has_work(const struct flow *f)
{
	return f->ready || f->to->is_blocked ||
	       (f->body.ended && f->framing == BODY_CHUNKED && !f->last_written);
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
	for (;;) {
		enum flow_status status = decode(f);

		if (status == FLOW_BAD || !f->ready)
			return status;
		drop(f, f->ready);
	}
}
