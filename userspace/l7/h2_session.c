/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/2 connections: see h2_session.h. What its streams write is in h2_write.c. */
#include "l7/h2_session.h"

#include <errno.h>
#include <pthread.h>
#include "core/log.h"
#include "l7/h2_strict.h"
#include "l7/h2_write.h"
#include "l7/l7_int.h"

#define BURST_S		  10U /* of h2_bucket */
#define RESETS_ANY	  UINT32_MAX
#define CONTINUATIONS_ANY UINT32_MAX
#define HEADER_OVER	  4U /* times the limit: so much of a header is read without being kept */

/* ---- what nghttp2 tells -------------------------------------------------------------------- */

static void note(struct h2_stream *s, unsigned events)
{
	s->events |= (uint8_t)events;
	if (list_empty(&s->ready))
		list_append(&s->session->ready, &s->ready);
}

/* NULL: its owner is gone, or there never was one. */
static struct h2_stream *find(struct h2_session *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->ng, id);
}

static bool runs_over(struct h2_bucket *b, uint64_t now)
{
	uint64_t leaked = (now - b->at) * b->rate;

	if (!b->rate)
		return false;
	b->level = b->level > leaked ? b->level - leaked : 0;
	b->at = now;
	b->level += 1000;
	return b->level > (uint64_t)b->rate * BURST_S * 1000;
}

static void calm(struct h2_session *h, uint8_t flood)
{
	h->flood = flood;
	(void)nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void count(struct h2_session *h, struct h2_bucket *b, uint8_t flood)
{
	if (!h->flood && runs_over(b, uv_now(h->l7->env.loop)))
		calm(h, flood);
}

static void count_continuation(struct h2_session *h)
{
	if (++h->continuations > h->continuations_max && !h->flood)
		calm(h, H2_FLOOD_CONTROLS);
}

/* What only costs us, where there is much of it. */
static void count_frame(struct h2_session *h, const nghttp2_frame_hd *hd)
{
	switch (hd->type) {
	case NGHTTP2_RST_STREAM: count(h, &h->resets, H2_FLOOD_RESETS); break;
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
		if (!(hd->flags & NGHTTP2_FLAG_ACK))
			count(h, &h->controls, H2_FLOOD_CONTROLS);
		break;
	case NGHTTP2_DATA: /* see on_frame() */
	case NGHTTP2_HEADERS:
	case NGHTTP2_WINDOW_UPDATE:
	case NGHTTP2_GOAWAY: break;
	default: count(h, &h->controls, H2_FLOOD_CONTROLS); break;
	}
}

/* Of those frames too that nghttp2 says no more about. A header of a stream that is gone is not
 * waited for: nobody tells when it is whole. */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *ctx)
{
	struct h2_session *h = ctx;

	if (hd->type == NGHTTP2_HEADERS)
		h->awaits_header =
			find(h, hd->stream_id) ||
					hd->stream_id > nghttp2_session_get_last_proc_stream_id(ng)
				? hd->stream_id
				: 0;
	else if (hd->type != NGHTTP2_CONTINUATION)
		h->awaits_header = 0;
	if (hd->type == NGHTTP2_CONTINUATION)
		count_continuation(h);
	else
		h->continuations = 0;
	count_frame(h, hd);
	return 0;
}

/* Of a session that drains: which streams will still be served. */
static int close_door(struct h2_session *h)
{
	if (h->is_shut)
		return 0;
	h->is_shut = true;
	return nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
				     nghttp2_session_get_last_proc_stream_id(h->ng),
				     NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s;

	if (!h->is_server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	h->open_count++;
	if (h2_strict_is_over(h)) {
		count(h, &h->resets, H2_FLOOD_RESETS);
		return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						 NGHTTP2_REFUSED_STREAM);
	}
	s = h->flood ? NULL : h->ops->open(h, frame->hd.stream_id);
	if (!s) {
		(void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	/* So many can have been on their way when it was told. */
	if (h->is_draining && --h->late_left == 0)
		(void)close_door(h); /* without memory for it: the next one */
	return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, s);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = find(h, frame->hd.stream_id);
	struct slice field = {(const char *)name, name_len};
	struct h2_head *hh;

	(void)ng;
	(void)flags;
	if (!s)
		return 0;
	hh = s->has_headers ? &s->tail : &s->head;
	if (field.len == sizeof(":status") - 1 && slice_eq(field, SLICE(":status")))
		s->is_final = value[0] != '1';
	if (h2_head_add(hh, h->io->pool, &h->limits, field,
			(struct slice){(const char *)value, value_len}) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (hh->size > HEADER_OVER * h->limits.bytes) {
		count(h, &h->controls, H2_FLOOD_CONTROLS);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return 0;
}

/* Without this nghttp2 leaves such a field out, and what the peer meant with it is anyone's guess. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
			     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			     void *ctx)
{
	(void)ng;
	(void)frame;
	(void)name;
	(void)name_len;
	(void)value;
	(void)value_len;
	(void)flags;
	(void)ctx;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = find(h, id);

	(void)flags;
	if (!s) /* nobody waits for it, but the window is for all */
		return nghttp2_session_consume(ng, id, len);
	if (buf_append(s->io->pool, &s->io->in, data, len) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	s->arrived += (uint32_t)len;
	s->unconsumed += (uint32_t)len;
	note(s, H2_READ);
	return 0;
}

/* All of a header came. */
static int end_header(struct h2_session *h, struct h2_stream *s)
{
	h->awaits_header = 0;
	if (!s)
		return 0;
	if (!s->has_headers) {
		s->has_headers = h->is_server || s->is_final;
		s->heads++;
		note(s, H2_HEAD);
		return h2_head_end(&s->head, h->io->pool) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	}
	if (s->tail.reason == REASON_NONE) { /* else they are left out: they can be missed */
		if (buf_reserve(h->io->pool, &s->section, h2_section_bound(&s->tail)) < 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		s->section.end = (uint32_t)h2_head_section(&s->tail, s->section.data);
	}
	h2_head_release(&s->tail, h->io->pool);
	return 0;
}

static void wake_blocked(struct h2_session *h)
{
	list_for_each (it, &h->streams) {
		struct h2_stream *s = list_entry(it, struct h2_stream, node);

		if (s->io->is_blocked)
			note(s, H2_WRITE);
	}
}

static void take_window(struct h2_session *h, struct h2_stream *s,
			const nghttp2_window_update *update)
{
	if (!update->hd.stream_id)
		wake_blocked(h);
	if (!s)
		return;
	s->granted += (uint32_t)update->window_size_increment;
	if (s->io->is_blocked)
		note(s, H2_WRITE);
}

static void take_settings(struct h2_session *h, const nghttp2_settings *settings)
{
	wake_blocked(h); /* the window may have grown */
	if (settings->hd.flags & NGHTTP2_FLAG_ACK)
		return;
	if (h2_strict_overflows(h, settings))
		(void)nghttp2_session_terminate_session(h->ng, NGHTTP2_FLOW_CONTROL_ERROR);
	if (h->ops->settings)
		h->ops->settings(h);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = frame->hd.stream_id ? find(h, frame->hd.stream_id) : NULL;
	int err = 0;

	(void)ng;
	switch (frame->hd.type) {
	case NGHTTP2_DATA:
		if (frame->hd.length == frame->data.padlen &&
		    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
			count(h, &h->controls, H2_FLOOD_CONTROLS);
		break;
	case NGHTTP2_HEADERS: err = end_header(h, s); break;
	case NGHTTP2_WINDOW_UPDATE: take_window(h, s, &frame->window_update); break;
	case NGHTTP2_SETTINGS: take_settings(h, &frame->settings); break;
	case NGHTTP2_PING:
		/* By now the client has seen our notice: what it sent before that is here. */
		if (h->is_draining && frame->hd.flags & NGHTTP2_FLAG_ACK)
			err = close_door(h);
		break;
	default: break;
	}
	if (s && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		s->io->is_eof = true;
		note(s, H2_READ);
	}
	return err;
}

static int on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *ctx)
{
	struct h2_session *h = ctx;

	(void)ng;
	if (h->awaits_header == frame->hd.stream_id)
		h->awaits_header = 0;
	log_debug("l7: HTTP/2 frame refused type=%u stream=%d reason=\"%s\"", frame->hd.type,
		  frame->hd.stream_id, nghttp2_strerror(error));
	count(h, &h->controls, H2_FLOOD_CONTROLS);
	return 0;
}

/* A stream that the peer made us reset costs as much as one that it resets by itself. */
static void count_reset(struct h2_session *h, uint32_t error)
{
	switch (error) {
	case NGHTTP2_PROTOCOL_ERROR:
	case NGHTTP2_FLOW_CONTROL_ERROR:
	case NGHTTP2_STREAM_CLOSED: count(h, &h->resets, H2_FLOOD_RESETS); break;
	default: break; /* ours to answer for */
	}
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct h2_session *h = ctx;

	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		h2_strict_note_reset(h, frame->hd.stream_id);
		count_reset(h, frame->rst_stream.error_code);
	} else if (frame->hd.type == NGHTTP2_GOAWAY && h->is_draining && !h->is_shut) {
		/* Only now: nghttp2 would send it before. */
		(void)nghttp2_submit_ping(ng, NGHTTP2_FLAG_NONE, NULL);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *ctx)
{
	struct h2_session *h = ctx;
	struct h2_stream *s = find(h, id);

	(void)ng;
	h->open_count -= h->is_server;
	if (h->awaits_header == id)
		h->awaits_header = 0;
	if (!s)
		return 0;
	s->is_closed = true;
	s->error = error;
	note(s, H2_READ | H2_WRITE);
	return 0;
}

/* One set for all sessions. Made by the first worker that needs it, under a lock of its own. */
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

static void make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) != 0)
		return;
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(c, h2_write_data);
	if (nghttp2_option_new(&options) != 0) {
		nghttp2_session_callbacks_del(c);
		return;
	}
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_no_closed_streams(options, 1);
	/* Its own limits, which no service could raise, would come before ours. */
	nghttp2_option_set_stream_reset_rate_limit(options, RESETS_ANY, RESETS_ANY);
	nghttp2_option_set_max_continuations(options, CONTINUATIONS_ANY);
	callbacks = c;
}

/* ---- a session ----------------------------------------------------------------------------- */

static int announce(struct h2_session *h, const struct h2_limits *limits)
{
	nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_ANY},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header.bytes},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
	};
	size_t count = sizeof(entries) / sizeof(entries[0]);

	if (!h->is_server) {
		entries[0] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
		count--;
	}
	if (h->is_server && !limits->takes_connect)
		count--;
	if (nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, entries, count) != 0 ||
	    (h->is_server && h2_strict_announce(h, limits->streams) < 0) ||
	    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, H2_WINDOW) != 0)
		return -ENOMEM;
	return 0;
}

int h2_session_init(struct h2_session *h, struct l7 *l7, struct stream *io, bool is_server,
		    const struct h2_session_ops *ops, const struct h2_limits *limits)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int err;

	*h = (struct h2_session){
		.l7 = l7,
		.io = io,
		.is_server = is_server,
		.ops = ops,
		.limits = limits->header,
		.late_left = limits->streams,
		.continuations_max = limits->continuations,
		.frame_left = is_server ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
		.resets = {.rate = limits->resets},
		.controls = {.rate = limits->controls},
	};
	list_init(&h->streams);
	list_init(&h->ready);
	list_init(&h->flush);
	(void)pthread_once(&once, make_callbacks);
	if (!callbacks)
		return -ENOMEM;
	err = is_server ? nghttp2_session_server_new2(&h->ng, callbacks, h, options)
			: nghttp2_session_client_new2(&h->ng, callbacks, h, options);
	if (err == 0)
		err = announce(h, limits);
	if (err != 0)
		return -ENOMEM;
	h2_session_schedule(h);
	return 0;
}

void h2_session_deinit(struct h2_session *h)
{
	if (!h->io)
		return;
	list_unlink(&h->flush);
	nghttp2_session_del(h->ng);
	h->ng = NULL;
	buf_release(h->io->pool, &h->out);
}

/* Tell the streams. Any of them may end any other, and the session. */
static void dispatch(struct h2_session *h)
{
	while (!list_empty(&h->ready)) {
		struct h2_stream *s = list_entry(h->ready.next, struct h2_stream, ready);
		unsigned events = s->events;

		list_unlink(&s->ready);
		s->events = 0;
		s->on_events(s, events);
	}
}

static void take_failure(struct h2_session *h, int error)
{
	log_debug("l7: HTTP/2 connection failed reason=\"%s\"", nghttp2_strerror(error));
	if (error != NGHTTP2_ERR_FLOODED && error != NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		return;
	h->flood = H2_FLOOD_CONTROLS;
	(void)nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* nghttp2 would pass over it in silence. */
static void refuse_late(struct h2_session *h, int32_t id)
{
	count(h, &h->controls, H2_FLOOD_CONTROLS);
	/* Without memory for it the peer has to do without. */
	(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_STREAM_CLOSED);
}

int h2_session_receive(struct h2_session *h)
{
	struct buf *in = &h->io->in;
	struct slice rest = {buf_head(in), buf_len(in)};
	int32_t late;
	ssize_t n;

	while ((late = h2_strict_next_late(h, &rest)))
		refuse_late(h, late);
	h->is_busy = true;
	n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)buf_head(in), buf_len(in));
	h->is_busy = false;
	buf_release(h->io->pool, in);
	if (n < 0)
		take_failure(h, (int)n);
	dispatch(h);
	if (!h->ng)
		return -ESHUTDOWN;
	h2_session_schedule(h);
	if (n < 0)
		return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
	return 0;
}

int h2_session_flush(struct h2_session *h)
{
	bool was_blocked = h->io->is_blocked;
	int err;

	list_unlink(&h->flush);
	err = h2_write_out(h);
	if (err == 0 && was_blocked && !h->io->is_blocked) {
		wake_blocked(h);
		dispatch(h);
		if (!h->ng)
			return -ESHUTDOWN;
	}
	return err;
}

void h2_session_schedule(struct h2_session *h)
{
	if (list_empty(&h->flush))
		list_append(&h->l7->h2_flush, &h->flush);
}

void h2_flush_all(struct l7 *l7)
{
	struct list turn;

	list_init(&turn);
	list_for_each_safe (it, &l7->h2_flush) {
		list_unlink(it);
		list_append(&turn, it);
	}
	while (!list_empty(&turn)) {
		struct h2_session *h = list_entry(turn.next, struct h2_session, flush);

		h->ops->flushed(h, h2_session_flush(h));
	}
}

bool h2_session_is_full(const struct h2_session *h)
{
	return h->io->is_blocked && buf_len(&h->out) >= H2_OUT_MAX;
}

bool h2_session_is_over(const struct h2_session *h)
{
	return !nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng) &&
	       !buf_len(&h->out);
}

void h2_session_drain(struct h2_session *h)
{
	if (h->is_draining)
		return;
	h->is_draining = true;
	/* Where there is no memory for it the client is cut off in the end. */
	(void)nghttp2_submit_shutdown_notice(h->ng); /* then on_sent() */
	h2_session_schedule(h);
}

void h2_session_end(struct h2_session *h, uint32_t code)
{
	(void)nghttp2_session_terminate_session(h->ng, code);
	h2_session_schedule(h);
}

/* ---- a stream ------------------------------------------------------------------------------ */

void h2_stream_init(struct h2_stream *s, struct h2_session *h, struct stream *io, int32_t id,
		    void (*on_events)(struct h2_stream *s, unsigned events))
{
	*s = (struct h2_stream){.io = io, .session = h, .id = id, .on_events = on_events};
	list_init(&s->ready);
	list_append(&h->streams, &s->node);
	h->stream_count++;
}

/* A peer that need not send the rest of its message is told so, but nghttp2 would drop what waits to
 * be said before that. */
static bool must_reset(struct h2_stream *s, uint32_t code)
{
	if (!s->is_ended)
		return true;
	return !s->io->is_eof && (code != NGHTTP2_NO_ERROR || h2_gather(s->session));
}

void h2_stream_detach(struct h2_stream *s, uint32_t code)
{
	struct h2_session *h = s->session;

	if (!h)
		return;
	list_unlink(&s->node);
	list_unlink(&s->ready);
	h->stream_count--;
	if (s->id && h->ng) {
		if (s->unconsumed)
			(void)nghttp2_session_consume(h->ng, s->id, s->unconsumed);
		if (!s->is_closed) {
			(void)nghttp2_session_set_stream_user_data(h->ng, s->id, NULL);
			if (must_reset(s, code))
				(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id,
								code);
		}
		h2_session_schedule(h);
	}
	h2_head_release(&s->head, s->io->pool);
	s->heads = 0;
	h2_head_release(&s->tail, s->io->pool);
	buf_release(s->io->pool, &s->section);
	s->session = NULL;
}

void h2_stream_take_head(struct h2_stream *s)
{
	h2_head_next(&s->head, s->io->pool);
	s->heads--;
}
