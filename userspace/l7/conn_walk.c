/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/conn_walk.h"

#include <stdio.h>

#include "l7/conn.h"
#include "l7/h2_server.h"
#include "l7/passage.h"
#include "l7/request.h"
#include "l7/sock_info.h"

/* What one call may do, in some tenths of a microsecond each. Closing is the dearest. */
#define BUDGET	   4096U
#define COST_LOOK  2U
#define COST_FITS  8U
#define COST_LIST  16U
#define COST_CLOSE 64U

const char *conn_protocol_name(uint8_t protocol)
{
	static const char *const names[] = {
#define X(name, text) [CONN_PROTOCOL_##name] = text,
		CONN_PROTOCOLS(X)
#undef X
	};

	return names[protocol];
}

const char *conn_activity_name(uint8_t activity)
{
	static const char *const names[] = {
#define X(name, text) [CONN_ACTIVITY_##name] = text,
		CONN_ACTIVITIES(X)
#undef X
	};

	return names[activity];
}

/* ---- what it does now ---- */

struct place {
	const struct pool *pool;
	const struct backend *backend;
};

static bool fits_place(const struct conn_walk *w, const struct place *p)
{
	return flow_filter_has_backend(&w->asked.filter, p->pool ? p->pool->name : "",
				       p->backend ? p->backend->name : "");
}

static void look_at_request(const struct request *r, struct conn_item *item, struct place *p)
{
	item->activity = CONN_ACTIVITY_REQUEST;
	p->pool = request_pool(r);
	p->backend = request_backend(r);
	if (!request_is_tunnel(r))
		return;
	item->activity = CONN_ACTIVITY_TUNNEL;
	item->protocol = request_is_websocket(r) ? CONN_PROTOCOL_WEBSOCKET : CONN_PROTOCOL_TUNNEL;
}

struct streams {
	const struct conn_walk *walk;
	struct conn_item *item;
	struct place *place;
	unsigned looked;
	bool has_fit;
};

/* A h2_request_fn: the first place that fits is shown, else the first one. */
static void look_at_stream(void *ctx, struct request *r)
{
	struct streams *s = ctx;
	const struct place p = {request_pool(r), request_backend(r)};
	bool fits = p.backend && fits_place(s->walk, &p);

	s->looked++;
	if (request_is_tunnel(r))
		s->item->activity = CONN_ACTIVITY_TUNNEL;
	if (fits ? !s->has_fit : !s->place->pool)
		*s->place = p;
	s->has_fit |= fits;
}

/* A tunnel among its requests is what it is. Returns how many streams were looked at. */
static unsigned look_at_http2(const struct conn_walk *w, const struct h2_server *sv,
			      struct conn_item *item, struct place *p)
{
	struct streams s = {.walk = w, .item = item, .place = p};

	item->streams = h2_server_streams(sv);
	item->activity = item->streams ? CONN_ACTIVITY_REQUEST : CONN_ACTIVITY_IDLE;
	h2_server_each_request(sv, look_at_stream, &s);
	return s.looked;
}

static void look_at_passage(const struct conn *c, struct conn_item *item, struct place *p)
{
	item->activity =
		passage_is_relay(c->passage) ? CONN_ACTIVITY_ESTABLISHED : CONN_ACTIVITY_CONNECTING;
	p->pool = passage_pool(c->passage);
	p->backend = passage_backend(c->passage);
}

/* What it takes to look. */
static unsigned look(const struct conn_walk *w, const struct conn *c, struct conn_item *item,
		     struct place *p)
{
	item->is_http = c->service->mode == SERVICE_HTTP;
	item->is_tls = c->io.tls != NULL;
	item->protocol = c->service->mode == SERVICE_TCP   ? CONN_PROTOCOL_TCP
			 : c->service->mode == SERVICE_TLS ? CONN_PROTOCOL_TLS
			 : c->is_http2			   ? CONN_PROTOCOL_H2
							   : CONN_PROTOCOL_H1;
	switch ((enum conn_state)c->state) {
	case CONN_HANDSHAKE:
	case CONN_PREFACE:
	case CONN_HELLO: item->activity = CONN_ACTIVITY_OPENING; break;
	case CONN_FRESH:
	case CONN_IDLE: item->activity = CONN_ACTIVITY_IDLE; break;
	case CONN_HEADER: item->activity = CONN_ACTIVITY_HEADER; break;
	case CONN_BUSY: look_at_request(c->request, item, p); break;
	case CONN_PASSAGE: look_at_passage(c, item, p); break;
	case CONN_HTTP2: return COST_LOOK + look_at_http2(w, c->http2, item, p);
	case CONN_FLUSH:
		item->activity =
			c->after == CONN_GO_ON ? CONN_ACTIVITY_REQUEST : CONN_ACTIVITY_CLOSING;
		break;
	case CONN_LINGER:
	case CONN_CLOSED:
	case CONN_STATE_COUNT: item->activity = CONN_ACTIVITY_CLOSING; break;
	}
	return COST_LOOK;
}

/* ---- all that is known ---- */

/* Names that do not fit are those that no filter could name either. */
static void put_name(char buf[SHUNT_NAME_MAX], const char *name)
{
	(void)snprintf(buf, SHUNT_NAME_MAX, "%s", name);
}

static void fill(const struct conn *c, const struct place *p, struct conn_item *item)
{
	item->source = *conn_peer(c);
	item->destination = *conn_local(c);
	put_name(item->service, c->service->name);
	put_name(item->pool, p->pool ? p->pool->name : "");
	put_name(item->backend, p->backend ? p->backend->name : "");
}

static void list(const struct conn *c, struct conn_item *item)
{
	struct sock_info info;

	item->is_listed = true;
	item->requests = c->requests;
	item->age_ms = conn_age_ms(c);
	sock_info(c->io.sock.fd, &info);
	item->bytes_in = info.bytes_in;
	item->bytes_out = info.bytes_out;
	item->idle_ms = info.idle_ms;
}

/* ---- the walk ---- */

static bool is_busy(const struct conn_item *item)
{
	return item->activity != CONN_ACTIVITY_IDLE && item->activity != CONN_ACTIVITY_CLOSING;
}

/* What is under way is broken off, and all concerned see it. */
static void kill_conn(struct conn *c, bool busy)
{
	counter_add(&conn_counters(c)->killed, 1);
	if (c->state == CONN_BUSY)
		request_note_killed(c->request);
	else if (c->state == CONN_HTTP2)
		h2_server_note_killed(c->http2);
	else if (c->state == CONN_PASSAGE)
		passage_reset_backend(c->passage);
	if (busy)
		conn_abort(c);
	else
		conn_close(c);
}

static unsigned visit(struct conn_walk *w, struct conn *c)
{
	struct conn_item *item = &w->items[w->count];
	struct place p = {0};
	unsigned cost = COST_LOOK;
	uint64_t at;

	w->seen++;
	if (!flow_filter_has_service(&w->asked.filter, c->service->name) ||
	    !flow_filter_has_source(&w->asked.filter, &conn_peer(c)->addr))
		return cost;
	*item = (struct conn_item){0};
	cost = look(w, c, item, &p);
	if (!fits_place(w, &p))
		return cost;
	fill(c, &p, item);
	cost += COST_FITS;
	at = w->matched++;
	w->count++;
	if (at >= w->asked.offset && at - w->asked.offset < w->asked.limit) {
		list(c, item);
		cost += COST_LIST;
	}
	if (w->asked.kills) {
		kill_conn(c, is_busy(item));
		cost += COST_CLOSE;
	}
	return cost;
}

void conn_walk(struct l7 *l7, struct conn_walk *w)
{
	struct l7_cursor *at = &l7->cursor;
	unsigned spent = 0;

	if (!w->is_begun)
		*at = (struct l7_cursor){l7->conns.next, l7->conn_count};
	w->is_begun = true;
	w->count = 0;
	/* New ones come at the end: those that were there are looked at before them. */
	while (at->left && at->next != &l7->conns && w->count < CONN_PAGE_ITEMS && spent < BUDGET) {
		struct conn *c = list_entry(at->next, struct conn, node);

		at->next = at->next->next;
		at->left--;
		spent += visit(w, c);
	}
	w->is_over = !at->left || at->next == &l7->conns;
}
