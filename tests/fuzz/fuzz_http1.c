/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message as it comes from a peer: header block, then body. The first byte chooses request or
 * response and how the rest is cut into reads. However it is cut, the outcome is the same; and what
 * is accepted, and written anew, is accepted again and says the same. A path that was brought into
 * its form stays as it is.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/http1_parse.h"
#include "l7/http1_scan.h"
#include "l7/http1_trailers.h"
#include "l7/http1_write.h"
#include "l7/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FIELD_MAX 32

static const struct http1_limits limits = {.line = 512, .bytes = 2048, .count = FIELD_MAX};

/* The header block found with so many bytes more at each look: its length, or as http1_scan(). */
static int scan(const char *text, size_t len, size_t step, struct http1_scan *s)
{
	int got = 0;

	*s = (struct http1_scan){0};
	for (size_t n = step; got == 0; n += step) {
		got = http1_scan(s, text, n < len ? n : len, &limits);
		if (n >= len)
			break;
	}
	return got;
}

static enum reason parse(const char *text, size_t len, unsigned count, bool request, struct head *h)
{
	return request ? http1_parse_request(text, len, count, h)
		       : http1_parse_response(text, len, count, false, h);
}

/* Trailers that were accepted are written as a message's end that is accepted. */
static void check_trailers(const char *section, size_t len)
{
	char *out = malloc(http1_trailers_bound(len));
	size_t n, at = sizeof("\r\n") - 1;
	enum reason r = REASON_NONE;
	struct body b;

	if (!out)
		return;
	n = http1_write_trailers(out, (struct slice){section, len});
	assert(n <= http1_trailers_bound(len));
	body_init(&b, BODY_CHUNKED, 0);
	while (at < n && !b.ended && r == REASON_NONE) {
		struct slice span;

		at += body_decode(&b, out + at, n - at, &span, &r);
	}
	assert(r == REASON_NONE && b.ended && at == n && !b.total);
	free(out);
}

/* Decode the body; its bytes go to out. Returns how many raw bytes were taken. */
static size_t decode(const struct head *h, const char *raw, size_t len, size_t step, char *out,
		     struct body *b, enum reason *ret_reason)
{
	size_t taken = 0, written = 0, trailers = 0;

	*ret_reason = REASON_NONE;
	body_init(b, (enum body_kind)h->body, h->length);
	while (taken < len && !b->ended) {
		size_t n = len - taken < step ? len - taken : step;
		struct slice span;

		n = body_decode(b, raw + taken, n, &span, ret_reason);
		if (*ret_reason != REASON_NONE)
			break;
		assert(n > 0);
		assert(!b->in_trailers || !span.len);
		trailers += b->in_trailers ? n : 0;
		assert(!span.len || (span.ptr >= raw + taken && span.ptr + span.len <= raw + len));
		memcpy(out + written, span.len ? span.ptr : "", span.len);
		written += span.len;
		taken += n;
	}
	assert(*ret_reason != REASON_NONE || written == b->total);
	if (*ret_reason == REASON_NONE && b->ended && trailers)
		check_trailers(raw + taken - trailers, trailers);
	return taken;
}

/* What we write is strict, and means what we read. */
static void check_written(const struct head *h, bool request)
{
	static const struct hop hop = {.client = {"192.0.2.1", 9},
				       .proto = {"http", 4},
				       .subject = {"CN=a", 4},
				       .local = {"192.0.2.2", 9},
				       .is_trusted = true};
	size_t bound = request ? http1_request_bound(h, &hop) : http1_response_bound(h);
	const struct http1_limits wide = {4096, 65536, FIELD_MAX + 8};
	struct field fields[FIELD_MAX + 8];
	struct head again = {.fields = fields, .cap = FIELD_MAX + 8};
	char *out = malloc(bound);
	struct http1_scan s = {0};
	size_t n;

	if (!out)
		return;
	n = request ? http1_write_request(out, h, &hop)
		    : http1_write_response(out, h, (enum body_kind)h->body, PERSIST_DEFAULT);
	assert(n <= bound);
	assert(http1_scan(&s, out, n, &wide) == (int)n);
	assert(parse(out, n, s.count, request, &again) == REASON_NONE);
	assert(again.body == h->body);
	assert(again.length == h->length || !h->has_length);
	assert(request ? slice_eq(again.target, h->target) && slice_eq(again.method, h->method)
		       : again.status == h->status);
	free(out);
}

static void check_path(struct slice target)
{
	static const struct http_paths rules[] = {
		{0},
		{DOT_SEGMENTS_KEEP, DOUBLE_SLASHES_KEEP, ESCAPED_SLASHES_KEEP, BAD_ESCAPES_ESCAPE},
		{DOT_SEGMENTS_RESOLVE, DOUBLE_SLASHES_KEEP, ESCAPED_SLASHES_DECODE,
		 BAD_ESCAPES_ESCAPE},
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char *one = malloc(path_bound(target)), *other = malloc(3 * path_bound(target));
		struct slice got, again;

		if (one && other && path_normalise(target, &rules[i], one, &got) == REASON_NONE) {
			assert(got.len && got.len <= path_bound(target) && got.ptr[0] == '/');
			assert(path_normalise(got, &rules[i], other, &again) == REASON_NONE);
			assert(slice_eq(got, again));
			assert(!path_is_plain(target) || slice_eq(got, target));
		}
		free(one);
		free(other);
	}
}

static void check_body(const struct head *h, const char *raw, size_t len, size_t step)
{
	char *one = malloc(len + 1), *other = malloc(len + 1);
	struct body a, b;
	enum reason ra, rb;
	size_t ta, tb;

	if (one && other) {
		ta = decode(h, raw, len, step, one, &a, &ra);
		tb = decode(h, raw, len, len + 1, other, &b, &rb);
		assert(ra == rb);
		if (ra == REASON_NONE) {
			assert(ta == tb && a.ended == b.ended && a.total == b.total);
			assert(!memcmp(one, other, (size_t)a.total));
		}
	}
	free(one);
	free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct field fields[FIELD_MAX];
	struct head h = {.fields = fields, .cap = FIELD_MAX};
	struct http1_scan s, whole;
	bool request;
	size_t step;
	char *text;
	int n;

	if (len < 2)
		return 0;
	request = data[0] & 1;
	step = 1 + (data[0] >> 1);
	len--;
	text = malloc(len);
	if (!text)
		return 0;
	memcpy(text, data + 1, len);
	n = scan(text, len, step, &s);
	assert(n == scan(text, len, len, &whole));
	if (n > 0 && parse(text, (size_t)n, s.count, request, &h) == REASON_NONE) {
		assert(s.count == whole.count && s.count == h.count);
		if (request && h.target.ptr[0] == '/')
			check_path(h.target);
		check_written(&h, request);
		check_body(&h, text + n, len - (size_t)n, step);
	}
	free(text);
	return 0;
}
