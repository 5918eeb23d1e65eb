/* SPDX-License-Identifier: BSD-2-Clause */
/* PROXY headers from clients: see preface.h. */
#include "l7/preface.h"

#include <errno.h>
#include <stdlib.h>

#include "l7/conn.h"
#include "l7/proxy_header.h"

struct slice proxied_alpn(const struct proxied *p)
{
	return (struct slice){p->text, p->alpn_len};
}

struct slice proxied_authority(const struct proxied *p)
{
	return (struct slice){p->text + p->alpn_len, p->authority_len};
}

struct slice proxied_unique_id(const struct proxied *p)
{
	return (struct slice){p->text + p->alpn_len + p->authority_len, p->unique_id_len};
}

static char *append(char *to, struct slice s)
{
	if (s.len)
		memcpy(to, s.ptr, s.len);
	return to + s.len;
}

/* Remember what h says. False: out of memory. */
static bool keep(struct conn *c, const struct proxy_header *h)
{
	size_t len = h->alpn.len + h->authority.len + h->unique_id.len;
	struct proxied *p;

	if (!h->has_endpoints && !len) /* the proxy speaks for itself */
		return true;
	p = malloc(sizeof(*p) + len);
	if (!p)
		return false;
	*p = (struct proxied){
		.peer = h->source,
		.local = h->destination,
		.has_endpoints = h->has_endpoints,
		.alpn_len = (uint8_t)h->alpn.len,
		.authority_len = (uint8_t)h->authority.len,
		.unique_id_len = (uint8_t)h->unique_id.len,
	};
	(void)append(append(append(p->text, h->alpn), h->authority), h->unique_id);
	c->proxied = p;
	return true;
}

void preface_begin(struct conn *c)
{
	const struct proxy_in *in = &c->service->proxy_in;

	if (source_is_among(&c->peer.addr, in->from, in->from_count)) {
		conn_await(c, CONN_PREFACE, in->timeout_ms);
	} else if (in->header == PROXY_IN_OPTIONAL) {
		conn_serve(c);
	} else {
		counter_add(&conn_counters(c)->proxy_untrusted, 1);
		conn_abort(c);
	}
}

static void refuse(struct conn *c)
{
	counter_add(&conn_counters(c)->proxy_invalid, 1);
	conn_abort(c);
}

void preface_on_event(struct conn *c)
{
	struct proxy_header h;
	bool more;
	ssize_t got = stream_read(&c->io, &more);
	int n;

	if (got == -EAGAIN)
		return;
	if (got <= 0) {
		if (buf_len(&c->io.in))
			refuse(c);
		else
			conn_close(c); /* said nothing: somebody looked whether we are there */
		return;
	}
	n = proxy_header_read(buf_head(&c->io.in), buf_len(&c->io.in), &h);
	if (n == PROXY_HEADER_MORE)
		return; /* there is room for the longest one */
	if (n == PROXY_HEADER_NONE && c->service->proxy_in.header == PROXY_IN_OPTIONAL) {
		conn_serve(c);
	} else if (n < 0) {
		refuse(c);
	} else if (!keep(c, &h)) {
		conn_abort(c);
	} else {
		buf_consume(c->io.pool, &c->io.in, (size_t)n);
		conn_serve(c);
	}
}

void preface_on_deadline(struct conn *c)
{
	counter_add(&conn_counters(c)->proxy_timeouts, 1);
	conn_abort(c);
}
