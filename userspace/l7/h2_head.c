/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of HTTP/2 messages: see h2_head.h. */
#include "l7/h2_head.h"

#include <errno.h>

#include "l7/http1_bytes.h"
#include "l7/http1_rules.h"

struct lengths {
	uint32_t name, value;
};

static int keep(struct h2_head *hh, struct buf_pool *pool, struct slice name, struct slice value)
{
	struct lengths lens = {(uint32_t)name.len, (uint32_t)value.len};
	int err = buf_reserve(pool, &hh->records, sizeof(lens) + name.len + value.len);

	if (err < 0)
		return err;
	/* There is room: none of these can fail. */
	(void)buf_append(pool, &hh->records, &lens, sizeof(lens));
	(void)buf_append(pool, &hh->records, name.ptr, name.len);
	(void)buf_append(pool, &hh->records, value.ptr, value.len);
	hh->count++;
	return 0;
}

int h2_head_add(struct h2_head *hh, struct buf_pool *pool, const struct http1_limits *limits,
		struct slice name, struct slice value)
{
	hh->size += (uint32_t)(name.len + value.len);
	if (hh->reason != REASON_NONE)
		return 0;
	if (hh->size > limits->bytes)
		hh->reason = REASON_HEADER_LARGE;
	else if (name.ptr[0] != ':' && hh->count >= limits->count)
		hh->reason = REASON_HEADER_COUNT;
	if (hh->reason != REASON_NONE)
		return 0;
	hh->crumbs += slice_eq(name, SLICE("cookie"));
	return keep(hh, pool, name, value);
}

int h2_head_end(struct h2_head *hh, struct buf_pool *pool)
{
	const struct lengths end = {0};

	return buf_append(pool, &hh->records, &end, sizeof(end));
}

void h2_head_release(struct h2_head *hh, struct buf_pool *pool)
{
	buf_release(pool, &hh->records);
	*hh = (struct h2_head){0};
}

/* The record at *at, which is moved behind it. False: there is none. */
static bool next_record(const struct h2_head *hh, size_t *at, struct slice *name,
			struct slice *value)
{
	struct lengths lens;
	const char *p;

	if (*at == buf_len(&hh->records))
		return false;
	p = buf_head(&hh->records) + *at;
	memcpy(&lens, p, sizeof(lens));
	if (!lens.name)
		return false;
	*name = (struct slice){p + sizeof(lens), lens.name};
	*value = (struct slice){name->ptr + lens.name, lens.value};
	*at += sizeof(lens) + lens.name + lens.value;
	return true;
}

void h2_head_next(struct h2_head *hh, struct buf_pool *pool)
{
	struct slice name, value;
	size_t at = 0;

	while (next_record(hh, &at, &name, &value))
		;
	at += sizeof(struct lengths);
	if (at >= buf_len(&hh->records))
		h2_head_release(hh, pool);
	else
		buf_consume(pool, &hh->records, at);
}

/* ---- in ------------------------------------------------------------------------------------ */

/* All Cookie fields as one more record, the last one. */
static int join_crumbs(struct h2_head *hh, struct buf_pool *pool)
{
	size_t at = 0, len = 0, end;
	struct lengths lens = {sizeof("cookie") - 1, 0};
	struct slice name, value;
	int err = buf_reserve(pool, &hh->records, sizeof(lens) + 2 * (size_t)hh->size + 8);
	if (err < 0)
		return err;
	hh->records.end -= (uint32_t)sizeof(lens); /* in front of what ends the header */
	end = buf_len(&hh->records);
	(void)buf_append(pool, &hh->records, &lens, sizeof(lens));
	(void)buf_append(pool, &hh->records, "cookie", lens.name);
	for (unsigned seen = 0; seen < hh->crumbs && next_record(hh, &at, &name, &value);) {
		if (!slice_eq(name, SLICE("cookie")))
			continue;
		if (seen++) {
			(void)buf_append(pool, &hh->records, "; ", 2);
			len += 2;
		}
		(void)buf_append(pool, &hh->records, value.ptr, value.len);
		len += value.len;
	}
	lens.value = (uint32_t)len;
	memcpy(buf_head(&hh->records) + end, &lens, sizeof(lens));
	return h2_head_end(hh, pool);
}

static void add_field(struct head *h, struct slice name, struct slice value, enum field_id id)
{
	h->fields[h->count++] = (struct field){name, value, id};
}

struct pseudo {
	struct slice method, scheme, authority, path, protocol, status;
};

static void take_pseudo(struct pseudo *p, struct slice name, struct slice value)
{
	if (slice_eq(name, SLICE(":method")))
		p->method = value;
	else if (slice_eq(name, SLICE(":scheme")))
		p->scheme = value;
	else if (slice_eq(name, SLICE(":authority")))
		p->authority = value;
	else if (slice_eq(name, SLICE(":path")))
		p->path = value;
	else if (slice_eq(name, SLICE(":protocol")))
		p->protocol = value;
	else if (slice_eq(name, SLICE(":status")))
		p->status = value;
}

/* Fields into h, pseudo fields into p. */
static void take_fields(const struct h2_head *hh, struct head *h, struct pseudo *p)
{
	unsigned crumbs = hh->crumbs > 1 ? hh->crumbs : 0; /* to be left out */
	struct slice name, value;
	size_t at = 0;

	h->count = 0;
	h->minor = 1;
	h->is_h2 = true;
	*p = (struct pseudo){0};
	while (next_record(hh, &at, &name, &value)) {
		enum field_id id;

		if (name.ptr[0] == ':') {
			take_pseudo(p, name, value);
			continue;
		}
		if (crumbs && slice_eq(name, SLICE("cookie"))) {
			crumbs--;
			continue;
		}
		id = field_identify(name);
		add_field(h, name, slice_trim(value), id);
	}
}

/* The authority counts like HTTP/1's Host; both may stand there where they say the same (8.3.1). */
static enum reason take_authority(struct head *h, struct slice authority)
{
	bool has_host = false;

	for (unsigned i = 0; i < h->count; i++) {
		if (h->fields[i].id != FIELD_HOST)
			continue;
		has_host = true;
		if (authority.len && !slice_eq_nocase(h->fields[i].value, authority))
			return REASON_HOST_DIFFERS;
	}
	if (authority.len && !has_host)
		add_field(h, SLICE("host"), authority, FIELD_HOST);
	return REASON_NONE;
}

static enum reason take_target(struct head *h, const struct pseudo *p,
			       const struct http1_limits *limits)
{
	struct slice path = p->path;

	if (slice_eq(p->method, SLICE("CONNECT")) && !p->protocol.len) {
		h->target = p->authority;
		return path.len || p->scheme.len || !p->authority.len ? REASON_TARGET : REASON_NONE;
	}
	if (!slice_eq_nocase(p->scheme, SLICE("http")) &&
	    !slice_eq_nocase(p->scheme, SLICE("https")))
		return REASON_TARGET;
	if (p->method.len + path.len > limits->line)
		return REASON_LINE_LONG;
	if (memchr(path.ptr, '#', path.len))
		return REASON_FRAGMENT;
	/* HTTP/1 would take an absolute one as well. */
	if (!path.len || !http1_all(path.ptr, path.len, HTTP1_TARGET) ||
	    (path.ptr[0] != '/' && !slice_eq(path, SLICE("*"))))
		return REASON_TARGET;
	h->target = path;
	return REASON_NONE;
}

static bool expects_body(struct slice method)
{
	return slice_eq(method, SLICE("POST")) || slice_eq(method, SLICE("PUT")) ||
	       slice_eq(method, SLICE("PATCH"));
}

enum reason h2_head_request(struct h2_head *hh, struct buf_pool *pool,
			    const struct http1_limits *limits, bool has_body, struct head *h)
{
	struct pseudo p;
	enum reason r;

	if (hh->reason != REASON_NONE)
		return hh->reason;
	if (hh->crumbs > 1 && join_crumbs(hh, pool) < 0)
		return REASON_NO_RESOURCES;
	take_fields(hh, h, &p);
	if (!http1_is_token(p.method.ptr, p.method.len))
		return REASON_START_LINE;
	if (!http1_method_is_known(p.method))
		return REASON_METHOD_UNKNOWN;
	h->method = p.method;
	r = take_target(h, &p, limits);
	if (r == REASON_NONE)
		r = take_authority(h, p.authority);
	if (r != REASON_NONE)
		return r;
	if (p.protocol.len)
		h->method = SLICE("GET");
	r = http1_check_request(h);
	if (r != REASON_NONE)
		return r;
	if (p.protocol.len) {
		if (h->has_length)
			return REASON_UPGRADE_BODY;
		h->has_upgrade = true;
		add_field(h, SLICE("upgrade"), p.protocol, FIELD_UPGRADE);
	}
	/* Frames say where the body ends. What is to become a tunnel has none before it is one. */
	h->body = has_body && !h->has_upgrade && !h->is_connect ? BODY_EOF : BODY_NONE;
	if (!has_body && expects_body(h->method))
		h->has_length = true; /* of 0: HTTP/1 must say so (RFC 9110, 8.6) */
	return REASON_NONE;
}

enum reason h2_head_response(struct h2_head *hh, bool has_body, bool request_is_head,
			     struct head *h)
{
	struct pseudo p;
	enum reason r;

	if (hh->reason != REASON_NONE)
		return hh->reason;
	take_fields(hh, h, &p);
	h->status = 0;
	h->phrase = (struct slice){0};
	if (p.status.len != 3)
		return REASON_BAD_RESPONSE;
	for (size_t i = 0; i < 3; i++)
		h->status = h->status * 10 + (unsigned)(p.status.ptr[i] - '0');
	r = http1_check_response(h, request_is_head);
	if (r != REASON_NONE)
		return r;
	h->persistent = true;
	if (h->body == BODY_EOF && !has_body)
		h->has_length = true; /* of 0: HTTP/1 must say so */
	if (h->body != BODY_NONE)
		h->body = has_body ? BODY_EOF : BODY_NONE;
	return REASON_NONE;
}

/* ---- trailers ------------------------------------------------------------------------------ */

size_t h2_section_bound(const struct h2_head *hh)
{
	return hh->size + 4 * (size_t)hh->count + 2;
}

size_t h2_head_section(const struct h2_head *hh, char *out)
{
	struct slice name, value;
	size_t at = 0, n = 0;

	while (next_record(hh, &at, &name, &value)) {
		memcpy(out + n, name.ptr, name.len);
		n += name.len;
		memcpy(out + n, ": ", 2);
		n += 2;
		if (value.len)
			memcpy(out + n, value.ptr, value.len);
		n += value.len;
		memcpy(out + n, "\r\n", 2);
		n += 2;
	}
	memcpy(out + n, "\r\n", 2);
	return n + 2;
}

/* ---- out ----------------------------------------------------------------------------------- */

static bool take_line(struct h2_lines *l, struct slice *ret_line)
{
	const char *cr = memchr(l->rest.ptr, '\r', l->rest.len);

	if (!cr || cr == l->rest.ptr) /* the empty line ends it */
		return false;
	*ret_line = (struct slice){l->rest.ptr, (size_t)(cr - l->rest.ptr)};
	l->rest.ptr += ret_line->len + 2;
	l->rest.len -= ret_line->len + 2;
	return true;
}

struct slice h2_lines_start(struct h2_lines *l)
{
	struct slice line = {0};

	(void)take_line(l, &line); /* there always is one */
	return line;
}

/* Of one hop of HTTP/1 (8.2.2). */
static bool is_of_connection(const struct h2_lines *l, struct slice name)
{
	switch (field_identify(name)) {
	case FIELD_CONNECTION:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_HOP: return true;
	case FIELD_UPGRADE: return !l->is_upgrade;
	default: return false;
	}
}

bool h2_lines_next(struct h2_lines *l, struct slice *ret_name, struct slice *ret_value)
{
	struct slice line;

	while (take_line(l, &line)) {
		const char *colon = memchr(line.ptr, ':', line.len);
		struct slice name = {line.ptr, (size_t)(colon - line.ptr)};

		if (is_of_connection(l, name))
			continue;
		for (size_t i = 0; i < name.len; i++) {
			char c = name.ptr[i];

			l->lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		}
		*ret_name = (struct slice){l->lower, name.len};
		l->lower += name.len;
		*ret_value = slice_trim((struct slice){colon + 1, line.len - name.len - 1});
		return true;
	}
	return false;
}
