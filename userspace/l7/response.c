/* SPDX-License-Identifier: BSD-2-Clause */
/* The way back of a request: the backend's header and body to the client. See request_int.h. */
#include "core/log.h"
#include "l7/attempt.h"
#include "l7/h2_client.h"
#include "l7/hedge.h"
#include "l7/http1_write.h"
#include "l7/request_int.h"
#include "l7/tunnel.h"

#define INTERIM_MAX 16 /* 1xx responses passed on for one request */

static enum body_kind reply_framing(const struct request *r, const struct head *h)
{
	if (h->body == BODY_NONE || h->body == BODY_LENGTH)
		return h->body;
	if (h->has_length) /* by HTTP/2 */
		return BODY_LENGTH;
	return r->minor ? BODY_CHUNKED : BODY_EOF;
}

void response_consume_head(struct request *r, size_t block_len)
{
	struct stream *up = &r->up->io;

	if (up->carrier)
		h2_client_head_done(r->up);
	else
		buf_consume(up->pool, &up->in, block_len);
}

/* Written anew into the scratch memory; empty: out of memory. */
static struct slice write_head(struct request *r, const struct head *h, enum body_kind framing)
{
	enum persistence persistence = PERSIST_DEFAULT;
	char *text = l7_scratch(r->client.conn->l7, http1_response_bound(h));

	if (!text)
		return (struct slice){0};
	if (r->close_client)
		persistence = PERSIST_CLOSE;
	else if (!r->minor)
		persistence = PERSIST_KEEP_ALIVE;
	return (struct slice){text, http1_write_response(text, h, framing, persistence)};
}

static void count_final(struct request *r, unsigned status)
{
	r->status = (uint16_t)status;
	count_response(request_counters(r), status);
	routing_count(r->client.conn->l7, r->action, r->label, status, false);
}

/* The response that makes a tunnel of it. */
static void begin_tunnel(struct request *r, struct head *h, size_t block_len)
{
	struct slice head;

	/* No body follows, whatever the response to CONNECT says (RFC 9110, 9.3.6). */
	h->has_length = false;
	h->upgrade = r->upgrade;
	head = write_head(r, h, BODY_NONE);
	if (!head.len) {
		request_fail(r, REASON_NO_RESOURCES);
		return;
	}
	response_consume_head(r, block_len);
	count_final(r, h->status);
	tunnel_start(r, head);
}

/* A 1xx response. False: the request is over. */
static bool pass_interim(struct request *r, const struct head *h, size_t block_len)
{
	struct pieces p = {0};

	/* A 101 that nobody asked for cannot be meant for anyone. */
	if (h->status == 101 || ++r->interim_count > INTERIM_MAX) {
		attempt_failed(r, FAILURE_RESPONSE, REASON_BAD_RESPONSE);
		return false;
	}
	if (r->minor)
		p.head = write_head(r, h, BODY_NONE);
	response_consume_head(r, block_len);
	r->scan = (struct http1_scan){0};
	if (h->status == 100)
		r->awaits_continue = false;
	count_response(request_counters(r), h->status);
	if (p.head.len && stream_write(r->client.io, &p) < 0) {
		request_give_up(r);
		return false;
	}
	return true;
}

/* What the pump said. False: the request is over. */
static bool after_reply(struct request *r, enum flow_status status)
{
	request_time_reply(r, status);
	switch (status) {
	case FLOW_MORE:
	case FLOW_BLOCKED: return true;
	case FLOW_DONE: request_complete(r); return false;
	case FLOW_BROKEN: request_give_up(r); return false;
	case FLOW_BAD:
	case FLOW_CUT:
	default: request_truncate(r); return false;
	}
}

/* What the route changes, and the cookie of a new backend, or in place of an old one. False: out of
 * memory. text: for the cookie, until the header is written. */
static bool edit_head(struct request *r, struct head *h, char text[STICKY_COOKIE_MAX])
{
	struct l7 *l7 = r->client.conn->l7;
	struct rendered_edit cookie;

	if (r->edit_count && routing_edit(l7, h, r->edits, r->edit_count) < 0)
		return false;
	if (!r->pool->sticky.cookie || (r->sticky.backend == r->backend && !r->sticky.is_old))
		return true;
	cookie.edit = &sticky_edit;
	cookie.value = sticky_cookie(&r->client, r->backend, text);
	return routing_edit(l7, h, &cookie, 1) == 0;
}

/* The header of the final response. False: the request is over. */
static bool begin_reply(struct request *r, struct head *h, size_t block_len)
{
	struct stream *up = &r->up->io;
	enum body_kind framing = reply_framing(r, h);
	enum flow_status status;
	struct slice head = {0};
	char cookie[STICKY_COOKIE_MAX];

	if (attempt_refuses(r, h, block_len))
		return false;
	hedge_cancel(r);
	r->hedge_at = DEADLINE_NONE;
	flow_let_go(&r->body);
	r->close_backend = !h->persistent;
	r->close_client = !r->is_persistent || !r->body_done || framing == BODY_EOF ||
			  conn_is_last_request(r->client.conn);
	r->awaits_continue = false;
	r->reply_mark = UINT64_MAX;
	if (edit_head(r, h, cookie))
		head = write_head(r, h, framing);
	if (!head.len) {
		request_fail(r, REASON_NO_RESOURCES);
		return false;
	}
	response_consume_head(r, block_len);
	flow_init(&r->reply, up, h->body, h->length);
	flow_send_to(&r->reply, r->client.io, framing);
	r->reply.is_parting = r->close_client && r->body_done;
	status = flow_pump(&r->reply, head);
	if (status == FLOW_BAD) { /* decoding comes first: nothing was written yet */
		attempt_failed(r, FAILURE_RESPONSE, REASON_BAD_RESPONSE);
		return false;
	}
	count_final(r, h->status);
	request_set_state(r, REQUEST_RESPOND);
	return after_reply(r, status);
}

/* A whole header block of the response is here. False: the request is over, or a tunnel. */
static bool take_header(struct request *r, size_t block_len)
{
	bool is_h2 = r->up->io.carrier != NULL;
	/* One more for tunnel_is_opened(). */
	struct head h = {.cap = is_h2 ? h2_client_head_cap(r->up) + 1 : r->scan.count};
	char accept[TUNNEL_ACCEPT_MAX];
	enum reason reason = REASON_NO_RESOURCES;

	h.fields = l7_fields(r->client.conn->l7, h.cap);
	if (h.fields) {
		reason = is_h2 ? h2_client_head(r->up, r->is_head, &h)
			       : http1_parse_response(buf_head(&r->up->io.in), block_len,
						      r->scan.count, r->is_head, &h);
		if (reason != REASON_NONE) {
			log_debug("l7: malformed response backend=%s/%s reason=\"%s\"",
				  r->backend->pool->name, r->backend->name, reason_text(reason));
			reason = REASON_BAD_RESPONSE;
		}
	}
	if (reason == REASON_NO_RESOURCES) {
		request_fail(r, reason);
		return false;
	}
	if (reason != REASON_NONE) {
		attempt_failed(r, FAILURE_RESPONSE, reason);
		return false;
	}
	if (tunnel_is_opened(r, &h, accept)) {
		begin_tunnel(r, &h, block_len);
		return false;
	}
	if (h.status == 101 ? tunnel_is_switched(r, &h) : tunnel_is_connected(r, &h)) {
		begin_tunnel(r, &h, block_len);
		return false;
	}
	/* To who asked for a tunnel by HTTP/2 a success says that there is one. */
	if (r->upgrade.len && r->client.io->carrier && h.status >= 200 && h.status < 300) {
		attempt_failed(r, FAILURE_RESPONSE, REASON_BAD_RESPONSE);
		return false;
	}
	return h.status < 200 ? pass_interim(r, &h, block_len) : begin_reply(r, &h, block_len);
}

/* By HTTP/2: those that have come. False: the request is over, or a tunnel. */
static bool take_carried_headers(struct request *r)
{
	while (r->state == REQUEST_AWAIT && h2_client_has_head(r->up))
		if (!take_header(r, 0))
			return false;
	if (r->state != REQUEST_AWAIT || !r->up->io.is_eof)
		return true;
	attempt_lost(r);
	return false;
}

/* What came from the backend. False: the request is over, or a tunnel. */
bool request_take_response(struct request *r)
{
	struct stream *up = &r->up->io;
	const struct http_limits *limits = &r->client.service->limits;
	struct http1_limits l = {limits->request_line, limits->header_bytes, limits->header_count};

	if (up->carrier && r->state == REQUEST_AWAIT && !take_carried_headers(r))
		return false;
	while (r->state == REQUEST_AWAIT && !up->carrier) {
		int n = buf_len(&up->in)
				? http1_scan(&r->scan, buf_head(&up->in), buf_len(&up->in), &l)
				: 0;

		if (n > 0) {
			if (!take_header(r, (size_t)n))
				return false;
			continue;
		}
		if (n < 0) {
			attempt_failed(r, FAILURE_RESPONSE,
				       reason_status((enum reason) - n) == 400
					       ? REASON_BAD_RESPONSE
					       : REASON_LARGE_RESPONSE);
			return false;
		}
		if (up->is_eof) {
			attempt_lost(r);
			return false;
		}
		if (up->in.data && !buf_room(&up->in) &&
		    buf_reserve(up->pool, &up->in, up->in.cap) < 0) {
			request_fail(r, REASON_NO_RESOURCES);
			return false;
		}
		return true;
	}
	if (r->state == REQUEST_AWAIT)
		return true;
	return after_reply(r, flow_pump(&r->reply, (struct slice){0}));
}
