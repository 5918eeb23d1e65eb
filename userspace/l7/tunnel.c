/* SPDX-License-Identifier: BSD-2-Clause */
/* Tunnels: see tunnel.h. */
#include "l7/tunnel.h"

#include "l7/request_int.h"
#include "tls/websocket.h"

static bool service_allows(const struct service *s, struct slice protocol)
{
	if (s->upgrade_any)
		return true;
	for (size_t i = 0; i < s->upgrade_count; i++)
		if (slice_eq_nocase(protocol,
				    (struct slice){s->upgrades[i], strlen(s->upgrades[i])}))
			return true;
	return false;
}

struct slice tunnel_protocol(const struct service *s, const struct head *h)
{
	for (unsigned i = 0; h->has_upgrade && i < h->count; i++) {
		struct slice list = h->fields[i].value, protocol;

		if (h->fields[i].id != FIELD_UPGRADE)
			continue;
		while (slice_next_element(&list, &protocol))
			if (!slice_eq_nocase(protocol, SLICE("h2c")) && service_allows(s, protocol))
				return protocol;
	}
	return (struct slice){0};
}

/* The key of WebSocket that was sent with the request; empty: there is none. */
static struct slice key_of(const struct request *r)
{
	struct slice name = SLICE("sec-websocket-key:"), rest = {r->head, r->head_len};

	while (rest.len) {
		const char *end = memchr(rest.ptr, '\r', rest.len);
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;

		if (len > name.len && slice_eq_nocase((struct slice){rest.ptr, name.len}, name))
			return slice_trim((struct slice){rest.ptr + name.len, len - name.len});
		len += end ? sizeof("\r\n") - 1 : 0;
		rest = (struct slice){rest.ptr + len, rest.len - len};
	}
	return (struct slice){0};
}

/* Who asks without a key, asks for something else that has the same name. By HTTP/2 none is sent. */
static bool answers_key(const struct request *r, const struct head *h)
{
	struct slice key = key_of(r), want = {0};
	char accept[WEBSOCKET_ACCEPT_LEN];

	if (!key.len || r->up->io.carrier || !slice_eq_nocase(r->upgrade, SLICE("websocket")))
		return true;
	if (!websocket_accept(key, accept))
		return false;
	want = (struct slice){accept, sizeof(accept)};
	for (unsigned i = 0; i < h->count; i++)
		if (slice_eq_nocase(h->fields[i].name, SLICE("sec-websocket-accept")))
			return slice_eq(h->fields[i].value, want);
	return false;
}

bool tunnel_is_switched(const struct request *r, const struct head *h)
{
	unsigned named = 0;
	bool same = false;

	if (!r->upgrade.len || !h->has_upgrade)
		return false;
	for (unsigned i = 0; i < h->count; i++) {
		if (h->fields[i].id != FIELD_UPGRADE)
			continue;
		named++;
		same = slice_eq_nocase(h->fields[i].value, r->upgrade);
	}
	return named == 1 && same && answers_key(r, h);
}

bool tunnel_is_opened(const struct request *r, struct head *h, char accept[TUNNEL_ACCEPT_MAX])
{
	struct slice key;

	if (!r->up->io.carrier || !r->upgrade.len || h->status < 200 || h->status >= 300)
		return false;
	key = key_of(r);
	h->status = 101;
	if (key.len && slice_eq_nocase(r->upgrade, SLICE("websocket")) && h->count < h->cap &&
	    websocket_accept(key, accept))
		h->fields[h->count++] = (struct field){
			SLICE("Sec-WebSocket-Accept"), {accept, WEBSOCKET_ACCEPT_LEN}, FIELD_OTHER};
	return true;
}

bool tunnel_is_connected(const struct request *r, const struct head *h)
{
	return r->is_connect && h->status >= 200 && h->status < 300;
}

static uint64_t in_ms(const struct request *r, unsigned ms)
{
	return deadline_in(&r->client.io->deadline, ms);
}

static void set_deadline(struct request *r)
{
	if (duplex_has_moved(&r->duplex))
		r->reply_at = in_ms(r, request_timeouts(r)->tunnel);
	deadline_set(&r->client.io->deadline, r->body_at < r->reply_at ? r->body_at : r->reply_at);
}

/* What became of it? Closing is all that says that it was broken off, as between the two in HTTP/1: a
 * reset could overtake what was passed on last. */
static void follow(struct request *r, enum duplex_status status)
{
	if (status == DUPLEX_OPEN)
		set_deadline(r);
	else
		r->client.ops->close(r->client.owner);
}

void tunnel_start(struct request *r, struct slice head)
{
	request_set_state(r, REQUEST_TUNNEL);
	counter_add(&request_counters(r)->tunnels, 1);
	r->body_at = DEADLINE_NONE;
	if (conn_is_ending(r->client.conn))
		tunnel_drain(r);
	follow(r, duplex_start(&r->duplex, &r->up->io, r->client.io, head));
}

void tunnel_on_event(struct request *r, struct stream *from, int events)
{
	follow(r, duplex_on_event(&r->duplex, from, events));
}

void tunnel_on_deadline(struct request *r)
{
	uint64_t now = in_ms(r, 0);

	if (r->body_at > now && r->reply_at > now)
		set_deadline(r);
	else
		r->client.ops->expire(r->client.owner);
}

void tunnel_cancel(struct request *r)
{
	bool has_ended = r->duplex.is_done[0] && r->duplex.is_done[1] && !r->duplex.is_broken;

	/* A client that has streams can tell an end from an error, and so is the backend told (RFC
	 * 9113, 8.5). */
	if (!has_ended && r->client.io->carrier && !r->up->io.carrier)
		sock_reset(&r->up->io.sock);
}

void tunnel_drain(struct request *r)
{
	if (r->body_at != DEADLINE_NONE)
		return;
	r->body_at = in_ms(r, r->client.conn->l7->view->snap->node.drain_ms);
	if (r->body_at < r->client.io->deadline.at)
		deadline_set(&r->client.io->deadline, r->body_at);
}
