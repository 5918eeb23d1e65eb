/* SPDX-License-Identifier: BSD-2-Clause */
/* The way out of HTTP/2 connections: see h2_write.h. */
#include "l7/h2_write.h"

#include <assert.h>
#include <errno.h>

#include "l7/l7_int.h"

#define FRAME_HEADER 9U

#define NV(n, v)                                                                                   \
	((nghttp2_nv){(uint8_t *)(uintptr_t)(n).ptr, (uint8_t *)(uintptr_t)(v).ptr, (n).len,       \
		      (v).len, NGHTTP2_NV_FLAG_NONE})

/* ---- the connection ------------------------------------------------------------------------ */

/* Frames into h->out, up to H2_OUT_MAX. 0, or -errno. */
static int gather(struct h2_session *h)
{
	while (buf_len(&h->out) < H2_OUT_MAX) {
		const uint8_t *data;
		ssize_t n;

		if (h->is_broken)
			return -EPIPE;
		assert(!h->is_busy);
		h->is_busy = true;
		n = nghttp2_session_mem_send(h->ng, &data);
		h->is_busy = false;
		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
		if (n == 0)
			return 0;
		if (buf_append(h->io->pool, &h->out, data, (size_t)n) < 0)
			return -ENOMEM;
	}
	return 0;
}

bool h2_gather(struct h2_session *h)
{
	return gather(h) == 0 && buf_len(&h->out) < H2_OUT_MAX;
}

/* What was gathered, to the socket. */
static int write_gathered(struct h2_session *h)
{
	struct pieces p = {.body = {buf_head(&h->out), buf_len(&h->out)}};
	ssize_t n;

	if (!p.body.len && !h->io->is_blocked)
		return 0;
	n = stream_write(h->io, &p);
	if (n < 0)
		return (int)n;
	if (n) {
		buf_consume(h->io->pool, &h->out, (size_t)n);
		h->written += (size_t)n;
	}
	return 0;
}

int h2_write_out(struct h2_session *h)
{
	bool is_full;

	do {
		int err = gather(h);

		is_full = buf_len(&h->out) >= H2_OUT_MAX; /* there may be more */
		if (err == 0)
			err = write_gathered(h);
		if (err < 0)
			return err;
	} while (is_full && !h->io->is_blocked);
	return 0;
}

/* ---- bodies -------------------------------------------------------------------------------- */

static struct h2_stream *stream_of(struct stream *io)
{
	return io->carried;
}

/* The lines of a block, as nghttp2 wants them. */
struct fields {
	struct buf memory;
	nghttp2_nv *nv;
	size_t count;
	struct h2_lines lines;
};

/* Room for the lines of a block and some more. */
static int fields_init(struct fields *f, struct buf_pool *pool, struct slice block)
{
	const char *end = block.ptr + block.len;
	size_t lines = 8, room;

	for (const char *p = block.ptr; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	room = lines * sizeof(*f->nv);
	*f = (struct fields){0};
	if (buf_reserve(pool, &f->memory, room + block.len) < 0)
		return -ENOMEM;
	f->nv = (nghttp2_nv *)(void *)f->memory.data;
	f->lines = (struct h2_lines){.rest = block, .lower = f->memory.data + room};
	return 0;
}

static void fields_deinit(struct fields *f, struct buf_pool *pool)
{
	buf_release(pool, &f->memory);
}

static void add(struct fields *f, struct slice name, struct slice value)
{
	f->nv[f->count++] = NV(name, value);
}

static int submit_trailers(struct h2_stream *s, struct slice section)
{
	struct h2_session *h = s->session;
	struct slice name, value;
	struct fields f;
	int err = fields_init(&f, h->io->pool, section);

	if (err < 0)
		return err;
	while (h2_lines_next(&f.lines, &name, &value))
		add(&f, name, value);
	err = nghttp2_submit_trailer(h->ng, s->id, f.nv, f.count);
	fields_deinit(&f, h->io->pool);
	return err == 0 ? 0 : -ENOMEM;
}

/* nghttp2 asks what there is; the bytes themselves are fetched by h2_write_data(). */
static ssize_t take_offer(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t len,
			  uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	(void)buf;
	(void)source;
	if (!s || s->session != h)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if ((!s->offer.len && !s->offer_is_last) || buf_len(&h->out) >= H2_OUT_MAX)
		return NGHTTP2_ERR_DEFERRED;
	if (len > s->offer.len)
		len = s->offer.len;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->offer_is_last && len == s->offer.len) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (s->offer_trailers.len) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (submit_trailers(s, s->offer_trailers) < 0)
				return NGHTTP2_ERR_CALLBACK_FAILURE;
		}
		s->is_ended = true;
	}
	return (ssize_t)len;
}

int h2_write_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
		  nghttp2_data_source *source, void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);

	(void)source;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (buf_reserve(h->io->pool, &h->out, FRAME_HEADER + len) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	(void)buf_append(h->io->pool, &h->out, header, FRAME_HEADER); /* there is room */
	(void)buf_append(h->io->pool, &h->out, s->offer.ptr, len);
	s->offer.ptr += len;
	s->offer.len -= len;
	s->sent += len;
	return 0;
}

/* ---- headers ------------------------------------------------------------------------------- */

static const nghttp2_data_provider provider = {.read_callback = take_offer};

/* "HTTP/1.1 200 OK" and so on. */
static int submit_response(struct h2_stream *s, struct fields *f, struct slice start, bool is_last)
{
	nghttp2_session *ng = s->session->ng;
	struct slice status = {start.ptr + sizeof("HTTP/1.1"), 3}, name, value;
	bool is_switch = slice_eq(status, SLICE("101"));
	int err;

	add(f, SLICE(":status"), is_switch ? SLICE("200") : status); /* RFC 8441, 5 */
	while (h2_lines_next(&f->lines, &name, &value))
		if (!is_switch || !slice_eq(name, SLICE("sec-websocket-accept")))
			add(f, name, value);
	if (status.ptr[0] == '1' && !is_switch)
		err = nghttp2_submit_headers(ng, NGHTTP2_FLAG_NONE, s->id, NULL, f->nv, f->count,
					     NULL);
	else
		err = nghttp2_submit_response(ng, s->id, f->nv, f->count,
					      is_last ? NULL : &provider);
	return err == 0 ? 0 : -ENOMEM;
}

/* "GET / HTTP/1.1" and so on. */
static int submit_request(struct h2_stream *s, struct fields *f, struct slice start, bool is_last)
{
	struct h2_session *h = s->session;
	const char *path = memchr(start.ptr, ' ', start.len);
	struct slice method = {start.ptr, (size_t)(path - start.ptr)};
	struct slice target = {path + 1, start.len - method.len - sizeof("  HTTP/1.1") + 1};
	bool is_connect = slice_eq(method, SLICE("CONNECT"));
	struct slice name, value;

	/* Pseudo fields come first; the one that Host and Upgrade turn into is filled in later. */
	add(f, SLICE(":authority"), target);
	add(f, SLICE(":method"), method);
	if (!is_connect) {
		add(f, SLICE(":scheme"), h->io->tls ? SLICE("https") : SLICE("http"));
		add(f, SLICE(":path"), target);
	}
	f->lines.is_upgrade = s->is_extended;
	if (s->is_extended) { /* RFC 8441, 5 */
		f->nv[1] = NV(SLICE(":method"), SLICE("CONNECT"));
		add(f, SLICE(":protocol"), SLICE(""));
	}
	while (h2_lines_next(&f->lines, &name, &value)) {
		if (slice_eq(name, SLICE("host")))
			f->nv[0] = NV(SLICE(":authority"), value);
		else if (s->is_extended && slice_eq(name, SLICE("upgrade")))
			f->nv[4] = NV(SLICE(":protocol"), value);
		else if (!s->is_extended || !slice_eq(name, SLICE("sec-websocket-key")))
			add(f, name, value);
	}
	s->id = nghttp2_submit_request(h->ng, NULL, f->nv, f->count, is_last ? NULL : &provider, s);
	if (s->id < 0) {
		s->id = 0;
		return -ENOMEM;
	}
	/* From here on nghttp2 refers to s, and can be told to forget it only once this is a frame. */
	if (h2_gather(h) && nghttp2_session_find_stream(h->ng, s->id))
		return 0;
	h->is_broken = true;
	return -EPIPE;
}

/* A block for the stream. is_last: nothing follows it. */
static int submit_head(struct h2_stream *s, struct slice block, bool is_last)
{
	struct buf_pool *pool = s->session->io->pool;
	struct fields f;
	struct slice start;
	int err = fields_init(&f, pool, block);

	if (err < 0)
		return err;
	start = h2_lines_start(&f.lines);
	err = s->session->is_server ? submit_response(s, &f, start, is_last)
				    : submit_request(s, &f, start, is_last);
	fields_deinit(&f, pool);
	if (err == 0 && is_last)
		s->is_ended = true;
	return err;
}

/* ---- what a stream's carrier does ---------------------------------------------------------- */

static ssize_t carried_read(struct stream *io, bool *ret_more)
{
	struct h2_stream *s = stream_of(io);
	ssize_t n = s->arrived;

	s->arrived = 0;
	if (n) {
		*ret_more = s->is_closed; /* what the end was like */
		return n;
	}
	/* All of a response may have come before its connection went; a client that resets its request
	 * gives up, although all of that has come. */
	if (!s->session || s->is_closed) {
		bool is_whole = io->is_eof;

		if (s->session && s->session->is_server)
			is_whole &= s->is_ended;
		return is_whole ? -EAGAIN : -ECONNRESET;
	}
	return -EAGAIN;
}

/* Offer until all is taken, or until window or socket are full. */
static int push(struct h2_session *h, struct h2_stream *s)
{
	for (;;) {
		int err;

		/* Fails where it waits for nothing. */
		(void)nghttp2_session_resume_data(h->ng, s->id);
		err = gather(h);
		if (err < 0 || buf_len(&h->out) < H2_OUT_MAX)
			return err;
		err = write_gathered(h);
		if (err < 0 || h->io->is_blocked || s->is_ended)
			return err;
	}
}

/* A request that may become a tunnel has no body, but its stream stays open. */
static bool asks_for_tunnel(const struct h2_stream *s, struct slice head)
{
	const struct slice connect = SLICE("CONNECT ");

	if (!head.len || !s->session || s->session->is_server)
		return false;
	return s->is_extended ||
	       (head.len > connect.len && !memcmp(head.ptr, connect.ptr, connect.len));
}

static ssize_t carried_write(struct stream *io, const struct pieces *p)
{
	struct h2_stream *s = stream_of(io);
	struct h2_session *h = s->session;
	bool is_last = p->is_last && !asks_for_tunnel(s, p->head);
	size_t taken = 0;
	int err = 0;

	if (!h || s->is_closed || h->is_broken)
		return -EPIPE;
	if (p->head.len)
		err = submit_head(s, p->head, is_last && !p->body.len && !p->trailers.len);
	if (err == 0 && (p->body.len || (is_last && !s->is_ended))) {
		s->offer = p->body;
		s->offer_trailers =
			p->trailers.len > sizeof("\r\n") - 1 ? p->trailers : (struct slice){0};
		s->offer_is_last = is_last;
		err = push(h, s);
		taken = p->body.len - s->offer.len;
		s->offer = s->offer_trailers = (struct slice){0};
		s->offer_is_last = false;
	}
	if (err < 0)
		return err;
	io->is_blocked = taken < p->body.len || (is_last && !s->is_ended);
	h2_session_schedule(h);
	return (ssize_t)taken;
}

/* Give the window back for what has left our buffers. */
static int carried_watch(struct stream *io)
{
	struct h2_stream *s = stream_of(io);
	size_t held = buf_len(&io->in);

	if (!s->session || s->is_closed || s->unconsumed <= held)
		return 0;
	if (nghttp2_session_consume(s->session->ng, s->id, s->unconsumed - held) != 0)
		return -ENOMEM;
	s->unconsumed = (uint32_t)held;
	h2_session_schedule(s->session);
	return 0;
}

static void carried_end(struct stream *io)
{
	(void)carried_write(io,
			    &(struct pieces){.is_last = true}); /* if need be, again: is_blocked */
}

static struct slice carried_trailers(struct stream *io)
{
	struct h2_stream *s = stream_of(io);

	return (struct slice){buf_head(&s->section), buf_len(&s->section)};
}

const struct carrier h2_carrier = {
	.read = carried_read,
	.write = carried_write,
	.watch = carried_watch,
	.end = carried_end,
	.trailers = carried_trailers,
};
