/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages written anew: see http1_write.h. */
#include "l7/http1_write.h"

/* Room for all that is written beside what stood in the message. */
#define FIXED_BYTES 384U

static char *put(char *out, struct slice s)
{
	if (s.len)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

static char *put_field(char *out, struct slice name, struct slice value)
{
	out = put(out, name);
	*out++ = ':';
	*out++ = ' ';
	out = put(out, value);
	*out++ = '\r';
	*out++ = '\n';
	return out;
}

static char *put_number(char *out, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	return put(out, (struct slice){digits + i, sizeof(digits) - i});
}

static char *put_length(char *out, uint64_t length)
{
	out = put(out, SLICE("Content-Length: "));
	out = put_number(out, length);
	return put(out, SLICE("\r\n"));
}

static char *put_fields(char *out, const struct head *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		if (!field_is_dropped(h, f))
			out = put_field(out, f->name, f->value);
	}
	return out;
}

/* Of the field lines: a colon, a space, a line end beside what there is. */
static size_t fields_bound(const struct head *h)
{
	size_t bytes = 4 * (size_t)h->count;

	for (unsigned i = 0; i < h->count; i++)
		bytes += h->fields[i].name.len + h->fields[i].value.len;
	return bytes;
}

size_t http1_request_bound(const struct head *h, const struct hop *hop)
{
	return fields_bound(h) + h->method.len + h->target.len + 2 * h->authority.len +
	       2 * hop->local.len + 2 * hop->client.len + 2 * hop->proto.len + hop->subject.len +
	       FIXED_BYTES;
}

#define SUBJECT SLICE("X-Forwarded-Client-Subject")

/* Is it the field of this name, one of FIELD_FORWARDED? */
static bool is_forwarded(const struct field *f, struct slice name)
{
	return f->id == FIELD_FORWARDED && slice_eq_nocase(f->name, name);
}

/* "for=192.0.2.1", ";proto=http" (RFC 7239, 4); IPv6 addresses in brackets and quotes. */
static char *put_forwarded_element(char *out, const struct hop *hop)
{
	bool v6 = memchr(hop->client.ptr, ':', hop->client.len) != NULL;

	out = put(out, v6 ? SLICE("Forwarded: for=\"[") : SLICE("Forwarded: for="));
	out = put(out, hop->client);
	out = put(out, v6 ? SLICE("]\";proto=") : SLICE(";proto="));
	out = put(out, hop->proto);
	return put(out, SLICE("\r\n"));
}

/* Behind a trusted proxy: lists go on with this hop, the rest stays where it was said. */
static char *put_forwarded_on(char *out, const struct head *h, const struct hop *hop)
{
	bool has_proto = false, has_host = false, has_list = false;

	for (unsigned i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		/* Of certificates this hop alone can tell: a proxy may not know this name. */
		if (f->id != FIELD_FORWARDED || is_forwarded(f, SLICE("x-forwarded-for")) ||
		    is_forwarded(f, SUBJECT))
			continue;
		has_proto |= is_forwarded(f, SLICE("x-forwarded-proto"));
		has_host |= is_forwarded(f, SLICE("x-forwarded-host"));
		has_list |= is_forwarded(f, SLICE("forwarded"));
		out = put_field(out, f->name, f->value);
	}
	out = put(out, SLICE("X-Forwarded-For: "));
	for (unsigned i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		if (!is_forwarded(f, SLICE("x-forwarded-for")) || !f->value.len)
			continue;
		out = put(out, f->value);
		out = put(out, SLICE(", "));
	}
	out = put(out, hop->client);
	out = put(out, SLICE("\r\n"));
	if (!has_proto)
		out = put_field(out, SLICE("X-Forwarded-Proto"), hop->proto);
	if (!has_host && h->authority.len)
		out = put_field(out, SLICE("X-Forwarded-Host"), h->authority);
	return has_list ? put_forwarded_element(out, hop) : out;
}

/* What this hop alone says. */
static char *put_forwarded(char *out, const struct head *h, const struct hop *hop)
{
	out = put_field(out, SLICE("X-Forwarded-For"), hop->client);
	out = put_field(out, SLICE("X-Forwarded-Proto"), hop->proto);
	if (h->authority.len)
		out = put_field(out, SLICE("X-Forwarded-Host"), h->authority);
	return out;
}

/* Options of the connection to the backend. */
static char *put_options(char *out, const struct head *h)
{
	if (h->upgrade.len) {
		out = put(out, SLICE("Connection: Upgrade\r\n"));
		out = put_field(out, SLICE("Upgrade"), h->upgrade);
	} else if (h->takes_trailers) {
		out = put(out, SLICE("Connection: TE\r\nTE: trailers\r\n"));
	}
	return out;
}

enum body_kind http1_request_framing(const struct head *h)
{
	if (h->body == BODY_EOF) /* of a request by HTTP/2 */
		return h->has_length ? BODY_LENGTH : BODY_CHUNKED;
	return h->body;
}

size_t http1_write_request(char *out, const struct head *h, const struct hop *hop)
{
	char *start = out;

	out = put(out, h->method);
	*out++ = ' ';
	out = put(out, h->target);
	out = put(out, SLICE(" HTTP/1.1\r\n"));
	out = put_field(out, SLICE("Host"), h->authority.len ? h->authority : hop->local);
	out = put_fields(out, h);
	if (http1_request_framing(h) == BODY_CHUNKED)
		out = put(out, SLICE("Transfer-Encoding: chunked\r\n"));
	else if (h->has_length)
		out = put_length(out, h->length);
	out = put_options(out, h);
	if (h->is_early)
		out = put(out, SLICE("Early-Data: 1\r\n"));
	out = hop->is_trusted ? put_forwarded_on(out, h, hop) : put_forwarded(out, h, hop);
	if (hop->subject.len)
		out = put_field(
			out, SUBJECT,
			hop->subject); /* A list: one more line says the same as one more element. */
	out = put(out, h->is_h2	  ? SLICE("Via: 2.0 shunt\r\n\r\n")
		       : h->minor ? SLICE("Via: 1.1 shunt\r\n\r\n")
				  : SLICE("Via: 1.0 shunt\r\n\r\n"));
	return (size_t)(out - start);
}

size_t http1_response_bound(const struct head *h)
{
	return fields_bound(h) + h->phrase.len + h->upgrade.len +
	       FIXED_BYTES; /* with a phrase of ours */
}

static char *put_persistence(char *out, enum persistence persistence)
{
	if (persistence == PERSIST_CLOSE)
		return put(out, SLICE("Connection: close\r\n"));
	if (persistence == PERSIST_KEEP_ALIVE)
		return put(out, SLICE("Connection: keep-alive\r\n"));
	return out;
}

size_t http1_write_response(char *out, const struct head *h, enum body_kind framing,
			    enum persistence persistence)
{
	char *start = out;

	out = put(out, SLICE("HTTP/1.1 "));
	out = put_number(out, h->status);
	*out++ = ' ';
	out = put(out, h->is_h2 ? slice_of(status_phrase(h->status)) : h->phrase);
	out = put(out, SLICE("\r\n"));
	out = put_fields(out, h);
	if (h->upgrade.len)
		out = put_options(out, h);
	if (h->status >= 200) {
		if (framing == BODY_CHUNKED)
			out = put(out, SLICE("Transfer-Encoding: chunked\r\n"));
		else if (h->has_length)
			out = put_length(out, h->length);
		out = put_persistence(out, persistence);
	}
	out = put(out, SLICE("\r\n"));
	return (size_t)(out - start);
}

struct slice http1_date(char out[HTTP1_DATE_MAX], time_t now)
{
	struct tm tm;

	gmtime_r(&now, &tm);
	return (struct slice){out, strftime(out, HTTP1_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm)};
}

size_t http1_write_chunk(char out[HTTP1_FRAME_MAX], size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;
	int shift = 0;

	while (len >> shift > 15)
		shift += 4;
	for (; shift >= 0; shift -= 4)
		*p++ = digits[len >> shift & 15];
	return (size_t)(put(p, SLICE("\r\n")) - out);
}

struct slice http1_chunk_end(bool data, bool last)
{
	static const char text[] = "\r\n0\r\n\r\n";
	size_t from = data ? 0 : 2, to = last ? sizeof(text) - 1 : 2;

	return (struct slice){text + from, to - from};
}
