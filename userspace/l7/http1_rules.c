/* SPDX-License-Identifier: BSD-2-Clause */
/* What a header block must keep to beside the grammar: see http1_rules.h. */
#include "l7/http1_rules.h"

#include "l7/http1_bytes.h"

/* "HTTP/" digit "." digit. */
static bool is_version(struct slice s)
{
	return s.len == 8 && !memcmp(s.ptr, "HTTP/", 5) && s.ptr[5] >= '0' && s.ptr[5] <= '9' &&
	       s.ptr[6] == '.' && s.ptr[7] >= '0' && s.ptr[7] <= '9';
}

/* 1.0 and 1.1 are spoken; a higher minor number would be 1.1 as well, but nobody sends one. */
static bool version_is_spoken(struct slice s)
{
	return s.ptr[5] == '1' && s.ptr[7] <= '1';
}

static struct slice first_line(const char *block, size_t len)
{
	const char *cr = memchr(block, '\r', len);

	return (struct slice){block, cr ? (size_t)(cr - block) : 0};
}

/* Up to the next space, which is taken too; all where there is none. */
static struct slice take_word(struct slice *rest)
{
	const char *space = memchr(rest->ptr, ' ', rest->len);
	struct slice word = {rest->ptr, space ? (size_t)(space - rest->ptr) : rest->len};

	rest->ptr += word.len + (space != NULL);
	rest->len -= word.len + (space != NULL);
	return word;
}

enum reason http1_split_request_line(const char *block, size_t len, struct head *h)
{
	struct slice rest = first_line(block, len);

	h->method = take_word(&rest);
	h->target = take_word(&rest);
	if (!http1_is_token(h->method.ptr, h->method.len) || !is_version(rest))
		return REASON_START_LINE;
	if (!version_is_spoken(rest))
		return REASON_VERSION;
	h->minor = (uint8_t)(rest.ptr[7] - '0');
	if (!h->target.len)
		return REASON_START_LINE;
	if (memchr(h->target.ptr, '#', h->target.len))
		return REASON_FRAGMENT;
	if (!http1_all(h->target.ptr, h->target.len, HTTP1_TARGET))
		return REASON_TARGET;
	return REASON_NONE;
}

enum reason http1_split_status_line(const char *block, size_t len, struct head *h)
{
	struct slice rest = first_line(block, len);
	struct slice version = take_word(&rest), status = take_word(&rest);

	if (!is_version(version) || !version_is_spoken(version) || status.len != 3)
		return REASON_BAD_RESPONSE;
	h->minor = (uint8_t)(version.ptr[7] - '0');
	h->status = 0;
	for (int i = 0; i < 3; i++) {
		if (status.ptr[i] < '0' || status.ptr[i] > '9')
			return REASON_BAD_RESPONSE;
		h->status = h->status * 10 + (unsigned)(status.ptr[i] - '0');
	}
	h->phrase = rest;
	return h->status >= 100 ? REASON_NONE : REASON_BAD_RESPONSE;
}

/* Digits alone: no sign, no list. */
static enum reason take_length(struct head *h, struct slice value)
{
	uint64_t n = 0;

	if (h->has_length)
		return REASON_LENGTH_TWICE;
	if (!value.len || value.len > 19)
		return REASON_LENGTH_BAD;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return REASON_LENGTH_BAD;
		n = n * 10 + (unsigned)(value.ptr[i] - '0');
	}
	if (n > INT64_MAX)
		return REASON_LENGTH_BAD;
	h->has_length = true;
	h->length = n;
	return REASON_NONE;
}

/* "chunked", once and alone. */
static enum reason take_coding(struct head *h, struct slice value)
{
	if (h->body == BODY_CHUNKED)
		return REASON_CODING_BAD;
	if (slice_eq_nocase(value, SLICE("chunked"))) {
		h->body = BODY_CHUNKED;
		return REASON_NONE;
	}
	return http1_is_token(value.ptr, value.len) ? REASON_CODING_UNKNOWN : REASON_CODING_BAD;
}

/* What Connection and Upgrade say together. */
struct options {
	bool close, keep, upgrade; /* named by Connection */
	bool protocol;		   /* Upgrade names one that could be switched to */
};

static enum reason take_connection(struct head *h, struct slice value, struct options *o)
{
	struct slice option;

	while (slice_next_element(&value, &option)) {
		if (!http1_is_token(option.ptr, option.len))
			return REASON_CONNECTION_BAD;
		if (slice_eq_nocase(option, SLICE("close"))) {
			o->close = true;
		} else if (slice_eq_nocase(option, SLICE("keep-alive"))) {
			o->keep = true;
		} else {
			o->upgrade |= slice_eq_nocase(option, SLICE("upgrade"));
			h->has_options = true;
		}
	}
	return REASON_NONE;
}

/* HTTP/2 is never switched to (RFC 9113, 3.1, took that back): who offers it alone asks for
 * nothing. */
static bool names_protocol(struct slice value)
{
	struct slice protocol;

	while (slice_next_element(&value, &protocol))
		if (!slice_eq_nocase(protocol, SLICE("h2c")))
			return true;
	return false;
}

static bool names_trailers(struct slice value)
{
	struct slice coding;

	while (slice_next_element(&value, &coding))
		if (slice_eq_nocase(coding, SLICE("trailers")))
			return true;
	return false;
}

/* A host and perhaps a port; brackets and colons only where an address in brackets has them. */
static bool authority_is_good(struct slice s)
{
	const char *end = s.ptr + s.len, *p = s.ptr;

	if (!s.len || !http1_all(s.ptr, s.len, HTTP1_HOST))
		return false;
	if (*p == '[') {
		p = memchr(p, ']', s.len);
		if (!p)
			return false;
		p++;
	} else {
		while (p < end && *p != ':' && *p != '[' && *p != ']')
			p++;
		if (p == s.ptr)
			return false;
	}
	if (p == end)
		return true;
	if (*p++ != ':' || end - p > 5)
		return false;
	for (; p < end; p++)
		if (*p < '0' || *p > '9')
			return false;
	return true;
}

static enum reason take_host(struct head *h, struct slice value, unsigned *hosts)
{
	if ((*hosts)++)
		return REASON_HOST_TWICE;
	if (!authority_is_good(value))
		return REASON_HOST_BAD;
	h->authority = value;
	return REASON_NONE;
}

/* What requests and responses have in common. hosts: NULL for a response. */
static enum reason check_fields(struct head *h, unsigned *hosts)
{
	enum reason r = REASON_NONE;
	struct options o = {0};

	h->body = BODY_NONE;
	h->length = 0;
	h->has_length = h->has_options = h->expects_continue = h->takes_trailers = false;
	for (unsigned i = 0; i < h->count && r == REASON_NONE; i++) {
		struct slice value = h->fields[i].value;

		switch (h->fields[i].id) {
		case FIELD_HOST:
			if (hosts)
				r = take_host(h, value, hosts);
			break;
		case FIELD_CONTENT_LENGTH: r = take_length(h, value); break;
		case FIELD_TRANSFER_ENCODING: r = take_coding(h, value); break;
		case FIELD_CONNECTION: r = take_connection(h, value, &o); break;
		case FIELD_TE: h->takes_trailers |= names_trailers(value); break;
		case FIELD_UPGRADE: o.protocol |= names_protocol(value); break;
		case FIELD_EXPECT:
			h->expects_continue = slice_eq_nocase(value, SLICE("100-continue"));
			if (!h->expects_continue && hosts && h->minor == 1)
				r = REASON_EXPECTATION;
			break;
		default: break;
		}
	}
	h->persistent = !o.close && (h->minor == 1 || o.keep);
	h->has_upgrade = o.upgrade && o.protocol && h->minor == 1;
	if (r != REASON_NONE || h->body != BODY_CHUNKED)
		return r;
	if (h->has_length)
		return REASON_LENGTH_AND_CODING;
	return h->minor == 0 ? REASON_CODING_OLD : REASON_NONE;
}

/* Without a port that says no more than the scheme does. */
static struct slice strip_port(struct slice authority, struct slice port)
{
	if (authority.len && authority.ptr[authority.len - 1] == ':')
		authority.len--;
	else if (authority.len > port.len &&
		 !memcmp(authority.ptr + authority.len - port.len, port.ptr, port.len))
		authority.len -= port.len;
	return authority;
}

/* "http://authority/path". The authority counts for more than Host (RFC 9112, 3.2.2), but not
 * everyone knows that: where the two differ it is refused. */
static enum reason split_absolute(struct head *h)
{
	static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
	static const struct slice ports[] = {{":80", 3}, {":443", 4}};
	struct slice t = h->target, host = h->authority;

	for (size_t i = 0; i < 2; i++) {
		size_t n = schemes[i].len, len;

		if (t.len <= n || !slice_eq_nocase((struct slice){t.ptr, n}, schemes[i]))
			continue;
		for (len = 0; n + len < t.len; len++)
			if (t.ptr[n + len] == '/' || t.ptr[n + len] == '?')
				break;
		h->authority = (struct slice){t.ptr + n, len};
		h->target = (struct slice){t.ptr + n + len, t.len - n - len};
		if (!authority_is_good(h->authority))
			return REASON_HOST_BAD;
		return !host.len || slice_eq_nocase(strip_port(host, ports[i]),
						    strip_port(h->authority, ports[i]))
			       ? REASON_NONE
			       : REASON_HOST_DIFFERS;
	}
	return REASON_TARGET;
}

/* "host:port", and nothing else. */
static enum reason check_connect(struct head *h)
{
	struct slice host = h->authority;
	const char *colon = memrchr(h->target.ptr, ':', h->target.len);

	if (!authority_is_good(h->target) || !colon || colon + 1 == h->target.ptr + h->target.len ||
	    memchr(colon, ']', h->target.len - (size_t)(colon - h->target.ptr)))
		return REASON_TARGET;
	h->authority = h->target;
	return !host.len || slice_eq_nocase(host, h->target) ? REASON_NONE : REASON_HOST_DIFFERS;
}

static enum reason check_target(struct head *h)
{
	enum reason r;

	if (h->is_connect)
		return check_connect(h);
	if (h->target.ptr[0] == '/')
		return REASON_NONE;
	if (slice_eq(h->target, SLICE("*")))
		return slice_eq(h->method, SLICE("OPTIONS")) ? REASON_NONE : REASON_TARGET;
	r = split_absolute(h);
	if (r != REASON_NONE)
		return r;
	if (!h->target.len)
		h->target = slice_eq(h->method, SLICE("OPTIONS")) ? SLICE("*") : SLICE("/");
	/* "http://host?query" has no path to stand in front of the query. */
	return h->target.ptr[0] == '?' ? REASON_TARGET : REASON_NONE;
}

static bool method_is_idempotent(struct slice m)
{
	static const struct slice names[] = {
		{"GET", 3}, {"HEAD", 4}, {"PUT", 3}, {"DELETE", 6}, {"OPTIONS", 7}, {"TRACE", 5},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(m, names[i]))
			return true;
	return false;
}

/* Where HTTP/1.0 was all there was, these had no body: who reads it so takes one for the next
 * request. */
static bool method_had_no_body(struct slice m)
{
	return slice_eq(m, SLICE("GET")) || slice_eq(m, SLICE("HEAD")) ||
	       slice_eq(m, SLICE("DELETE"));
}

enum reason http1_check_request(struct head *h)
{
	unsigned hosts = 0;
	enum reason r;

	h->authority = (struct slice){0};
	h->is_connect = slice_eq(h->method, SLICE("CONNECT"));
	if (h->is_connect && !h->allow_connect)
		return REASON_METHOD_CONNECT;
	r = check_fields(h, &hosts);
	if (r != REASON_NONE)
		return r;
	if (!hosts && h->minor == 1)
		return REASON_HOST_MISSING;
	/* What follows is a tunnel or a body: not for us to guess which the backend thinks. */
	if ((h->has_upgrade || h->is_connect) && (h->has_length || h->body == BODY_CHUNKED))
		return REASON_UPGRADE_BODY;
	if (h->body == BODY_NONE && h->has_length && h->length)
		h->body = BODY_LENGTH;
	if (h->minor == 0) {
		if (h->body != BODY_NONE && method_had_no_body(h->method))
			return REASON_BODY_OLD;
		h->expects_continue = false;
	}
	h->is_head = slice_eq(h->method, SLICE("HEAD"));
	h->is_idempotent = method_is_idempotent(h->method);
	return check_target(h);
}

enum reason http1_check_response(struct head *h, bool request_is_head)
{
	enum reason r = check_fields(h, NULL);

	if (r != REASON_NONE)
		return r;
	if (h->status < 200 && (h->has_length || h->body == BODY_CHUNKED))
		return REASON_BAD_RESPONSE;
	if (h->status < 200 || h->status == 204) {
		/* RFC 9110, 8.6: a length has no place here. Who announces a body may send one,
		 * which would be the next response. */
		if (h->length || h->body == BODY_CHUNKED)
			h->persistent = false;
		h->has_length = false;
		h->length = 0;
		h->body = BODY_NONE;
	} else if (request_is_head || h->status == 304) {
		h->body = BODY_NONE;
	} else if (h->body != BODY_CHUNKED) {
		h->body = !h->has_length ? BODY_EOF : h->length ? BODY_LENGTH : BODY_NONE;
	}
	if (h->body == BODY_EOF)
		h->persistent = false;
	return REASON_NONE;
}
