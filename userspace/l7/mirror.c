/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of requests: see mirror.h. */
#include "l7/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "l7/balance.h"
#include "l7/conn.h"
#include "l7/h2_client.h"
#include "l7/http1_parse.h"
#include "l7/request_int.h"
#include "l7/upstream.h"

#define MARK	       "X-Shunt-Mirror: 1\r\n\r\n" /* in place of the header's end */
#define READS_PER_TURN 4

struct mirror {
	struct list node; /* in l7.mirrors */
	struct l7 *l7;
	struct view *view; /* a reference */
	const struct service *service;
	const struct route_action *action;
	struct deadline deadline;
	uint16_t port; /* of backends that have none of their own */
	uint8_t framing;
	bool is_head, is_attached, is_sent, has_reply, may_keep;
	size_t bytes; /* as counted in l7.mirrors */
	struct flow_tap tap;
	struct stream source; /* the body, once it is whole: nothing but its buffer */
	struct flow body, reply;
	struct http1_scan scan;
	const struct backend *backend;
	struct upstream_conn *up; /* being connected, or ours */
	size_t head_len;
	char head[];
};

void mirrors_init(struct mirrors *all)
{
	list_init(&all->list);
}

static struct route_counters *counters(const struct mirror *m)
{
	return route_rt_row(m->action->rt, m->l7->env.worker);
}

static struct backend_counters *backend_counters(const struct mirror *m)
{
	return &m->backend->rt->counters[m->l7->env.worker];
}

static bool is_http2(const struct mirror *m)
{
	return m->backend->pool->protocol == POOL_HTTP2;
}

/* ---- its end ------------------------------------------------------------------------------- */

static void mirror_free(struct mirror *m)
{
	struct buf_pool *pool = &m->l7->pool;

	m->l7->mirrors.count--;
	m->l7->mirrors.bytes -= m->bytes;
	list_unlink(&m->node);
	flow_tap_reset(&m->tap, pool);
	if (m->source.in.data)
		buf_release(pool, &m->source.in);
	deadline_close(&m->deadline);
	view_unref(m->view);
	free(m);
}

static void drop(struct mirror *m)
{
	counter_add(&counters(m)->mirrors_dropped, 1);
	mirror_free(m);
}

static void finish(struct mirror *m, bool is_good)
{
	struct stream *io = m->up ? &m->up->io : NULL;
	bool keep = is_good && m->is_sent && m->may_keep && !io->is_eof && !buf_len(&io->in);

	flow_deinit(&m->body);
	flow_deinit(&m->reply);
	counter_add(is_good ? &counters(m)->mirrored : &counters(m)->mirrors_failed, 1);
	if (m->is_attached)
		counter_add(&backend_counters(m)->active_down, 1);
	if (m->is_attached && !is_good)
		counter_add(&backend_counters(m)->failures, 1);
	if (keep)
		upstream_put_idle(view_upstream(m->view, m->backend), m->up,
				  m->backend->pool->idle_max, m->backend->pool->idle_ms);
	else
		upstream_conn_close(m->up);
	balance_move(&m->backend, NULL);
	mirror_free(m);
}

void mirrors_close(struct l7 *l7)
{
	list_for_each_safe (it, &l7->mirrors.list)
		finish(list_entry(it, struct mirror, node), false);
}

static void on_deadline(struct deadline *d)
{
	finish(list_entry(d, struct mirror, deadline), false);
}

/* ---- its response, for nobody -------------------------------------------------------------- */

/* A whole header block is here. False: m is gone. */
static bool take_header(struct mirror *m, size_t block_len)
{
	struct stream *io = &m->up->io;
	struct head h = {.cap = io->carrier ? h2_client_head_cap(m->up) + 1 : m->scan.count};
	enum reason reason = REASON_NO_RESOURCES;

	h.fields = l7_fields(m->l7, h.cap);
	if (h.fields)
		reason = io->carrier ? h2_client_head(m->up, m->is_head, &h)
				     : http1_parse_response(buf_head(&io->in), block_len,
							    m->scan.count, m->is_head, &h);
	if (reason != REASON_NONE || h.status == 101) {
		finish(m, false);
		return false;
	}
	if (h.status >= 200) {
		m->has_reply = true;
		m->may_keep = h.persistent;
		flow_init(&m->reply, io, h.body, h.length);
	}
	m->scan = (struct http1_scan){0};
	if (io->carrier)
		h2_client_head_done(m->up);
	else
		buf_consume(io->pool, &io->in, block_len);
	return true;
}

/* 1: a header is here, of *ret_len bytes where it has some; 0: not yet; -1: there will be none. */
static int find_header(struct mirror *m, size_t *ret_len)
{
	const struct http_limits *limits = &m->service->limits;
	struct http1_limits l = {limits->request_line, limits->header_bytes, limits->header_count};
	struct buf *in = &m->up->io.in;
	int n;

	if (m->up->io.carrier)
		return h2_client_has_head(m->up) ? 1 : -m->up->io.is_eof;
	n = buf_len(in) ? http1_scan(&m->scan, buf_head(in), buf_len(in), &l) : 0;
	*ret_len = n > 0 ? (size_t)n : 0;
	if (n)
		return n > 0 ? 1 : -1;
	if (m->up->io.is_eof)
		return -1;
	return in->data && !buf_room(in) && buf_reserve(m->up->io.pool, in, in->cap) < 0 ? -1 : 0;
}

/* What came. False: m is gone. */
static bool take(struct mirror *m)
{
	enum flow_status status;
	size_t len = 0;

	while (!m->has_reply) {
		int n = find_header(m, &len);

		if (n == 0)
			return true;
		if (n < 0) {
			finish(m, false);
			return false;
		}
		if (!take_header(m, len))
			return false;
	}
	status = flow_discard(&m->reply);
	if (status == FLOW_MORE)
		return true;
	finish(m, status == FLOW_DONE);
	return false;
}

/* ---- it is sent ---------------------------------------------------------------------------- */

static void watch(struct mirror *m)
{
	if (stream_watch(&m->up->io) < 0)
		finish(m, false);
}

/* False: m is gone. */
static bool push(struct mirror *m, struct slice head)
{
	enum flow_status status = flow_pump(&m->body, head);

	m->is_sent = status == FLOW_DONE;
	if (status == FLOW_DONE || status == FLOW_BLOCKED)
		return true;
	finish(m, false);
	return false;
}

static void on_event(void *ctx, int events)
{
	struct mirror *m = ctx;
	bool more = (events & SOCK_READ) != 0;

	if (!m->is_sent && !push(m, (struct slice){0}))
		return;
	for (int i = 0; i < READS_PER_TURN && more; i++) {
		ssize_t n = stream_read(&m->up->io, &more);

		if (stream_is_error(n)) {
			finish(m, false);
			return;
		}
		if (!take(m))
			return;
	}
	watch(m);
}

static void attach(struct mirror *m)
{
	size_t len = buf_len(&m->source.in);

	m->is_attached = true;
	counter_add(&backend_counters(m)->requests, 1);
	counter_add(&backend_counters(m)->active_up, 1);
	flow_init(&m->body, &m->source, m->framing == BODY_NONE ? BODY_NONE : BODY_LENGTH, len);
	flow_send_to(&m->body, &m->up->io, m->framing);
	if (push(m, (struct slice){m->head, m->head_len}))
		watch(m);
}

static void on_connect(void *ctx, int status)
{
	struct mirror *m = ctx;

	if (status < 0) {
		m->up = NULL; /* closed already */
		finish(m, false);
	} else {
		attach(m);
	}
}

static const struct upstream_user user = {.on_connect = on_connect, .on_event = on_event};

/* One that is there already; NULL: none that is known to be alive. */
static struct upstream_conn *take_idle(struct upstream *up, uint16_t port)
{
	struct upstream_conn *uc;

	while ((uc = upstream_take_idle(up, port)) && !stream_is_quiet(&uc->io))
		upstream_conn_close(uc);
	return uc;
}

static void go(struct mirror *m)
{
	const struct pool *pool = m->action->mirror.pool;
	struct balancer *balancer = view_pool(m->view, pool)->balancer;
	const struct backend *be = balancer_pick(balancer, NULL);
	const struct h2_wish wish = {.streams_max = pool->streams,
				     .connect_ms = pool->connect_ms,
				     .idle_ms = pool->idle_ms};
	struct upstream *up;
	struct endpoint ep;
	int err = 0;

	deadline_set(&m->deadline, deadline_in(&m->deadline, m->action->mirror.timeout_ms));
	if (!be) {
		finish(m, false);
		return;
	}
	balance_move(&m->backend, be);
	up = view_upstream(m->view, be);
	ep = (struct endpoint){be->ep.addr, be->ep.port ? be->ep.port : m->port};
	m->up = is_http2(m) ? h2_client_take(up, ep.port, &wish, &user, m) : take_idle(up, ep.port);
	if (m->up) {
		m->up->user = &user;
		m->up->ctx = m;
		counter_add(&backend_counters(m)->reused, 1);
		attach(m);
		return;
	}
	err = is_http2(m) ? h2_client_open(up, &ep, &wish, &user, m, &m->up)
			  : upstream_conn_open(up, &ep, pool->connect_ms, &user, m, &m->up);
	if (err < 0)
		finish(m, false);
}

/* ---- it is taken --------------------------------------------------------------------------- */

/* body: as large as it may become. */
static bool may_begin(const struct l7 *l7, const struct route_mirror *conf, size_t size,
		      uint64_t body)
{
	return body <= conf->body_max && l7->mirrors.count < MIRRORS_MAX &&
	       l7->mirrors.bytes + size + body <= MIRROR_BYTES_MAX;
}

static struct mirror *mirror_new(const struct request *r, size_t size, size_t bytes)
{
	struct l7 *l7 = r->client.conn->l7;
	struct mirror *m = calloc(1, size);
	size_t end = r->head_len - (sizeof("\r\n") - 1);

	if (!m || deadline_init(&m->deadline, &l7->deadlines, on_deadline) < 0) {
		free(m);
		return NULL;
	}
	m->l7 = l7;
	m->view = view_ref(r->client.view);
	m->service = r->client.service;
	m->action = r->action;
	m->port = r->client.conn->local.port;
	m->framing = r->framing;
	m->is_head = r->is_head;
	m->bytes = bytes;
	m->tap.max = r->action->mirror.body_max;
	m->source.pool = &l7->pool;
	memcpy(m->head, r->head, end);
	memcpy(m->head + end, MARK, sizeof(MARK) - 1);
	m->head_len = end + sizeof(MARK) - 1;
	l7->mirrors.count++;
	l7->mirrors.bytes += bytes;
	list_push(&l7->mirrors.list, &m->node);
	return m;
}

void mirror_begin(struct request *r)
{
	const struct route_mirror *conf = &r->action->mirror;
	struct l7 *l7 = r->client.conn->l7;
	bool has_body = r->body.body.kind != BODY_NONE;
	size_t size = sizeof(struct mirror) + r->head_len + sizeof(MARK);
	uint64_t body = !has_body			   ? 0
			: r->body.body.kind == BODY_LENGTH ? r->body.body.left
							   : conf->body_max;
	struct mirror *m;

	if (r->upgrade.len || r->is_connect || l7_random(l7) % 100 >= conf->percent)
		return;
	m = may_begin(l7, conf, size, body) ? mirror_new(r, size, size + (size_t)body) : NULL;
	if (!m) {
		counter_add(&route_rt_row(r->action->rt, l7->env.worker)->mirrors_dropped, 1);
	} else if (has_body) {
		r->mirror = m;
		r->body.tap = &m->tap;
	} else {
		go(m);
	}
}

void mirror_send(struct request *r)
{
	struct mirror *m = r->mirror;

	r->mirror = NULL;
	r->body.tap = NULL;
	if (m->tap.is_over) {
		drop(m);
		return;
	}
	m->source.in = m->tap.copy;
	m->tap.copy = (struct buf){0};
	go(m);
}

void mirror_forget(struct request *r)
{
	if (!r->mirror)
		return;
	drop(r->mirror);
	r->mirror = NULL;
	r->body.tap = NULL;
}
