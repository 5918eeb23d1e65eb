/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers whose body counts: see answer.h. */
#include "health/answer.h"

#include <stdlib.h>

#include "health/status_line.h"
#include "l7/http1_parse.h"
#include "l7/http1_scan.h"

#define HEADER_MAX 16384U
#define FIELDS_MAX 100U

struct answer {
	struct http1_scan scan;
	struct body decoder;
	bool has_head;
	size_t head_len, body_len, body_max, room;
	char *body; /* room bytes, grown as the body comes */
	char head[HEADER_MAX];
};

struct answer *answer_new(size_t body_max)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (a)
		a->body_max = body_max;
	return a;
}

void answer_free(struct answer *a)
{
	if (!a)
		return;
	free(a->body);
	free(a);
}

static enum answer_state keep(struct answer *a, struct slice span)
{
	size_t len = a->body_max - a->body_len;

	if (span.len < len)
		len = span.len;
	if (a->body_len + len > a->room) {
		size_t room = 2 * (a->body_len + len);
		char *body = realloc(a->body, room);

		if (!body)
			return ANSWER_NO_MEMORY;
		a->body = body;
		a->room = room;
	}
	if (len)
		memcpy(a->body + a->body_len, span.ptr, len);
	a->body_len += len;
	return a->body_len == a->body_max ? ANSWER_DONE : ANSWER_MORE;
}

static enum answer_state feed_body(struct answer *a, const char *data, size_t len)
{
	enum answer_state state = ANSWER_MORE;

	while (len && !a->decoder.ended && state == ANSWER_MORE) {
		enum reason reason = REASON_NONE;
		struct slice span;
		size_t n = body_decode(&a->decoder, data, len, &span, &reason);

		if (reason != REASON_NONE)
			return ANSWER_BAD;
		state = keep(a, span);
		data += n;
		len -= n;
	}
	return a->decoder.ended && state == ANSWER_MORE ? ANSWER_DONE : state;
}

static bool parse_head(struct answer *a, size_t len)
{
	struct field fields[FIELDS_MAX];
	struct head h = {.fields = fields, .cap = FIELDS_MAX};

	if (http1_parse_response(a->head, len, a->scan.count, false, &h) != REASON_NONE)
		return false;
	body_init(&a->decoder, h.body, h.length);
	a->has_head = true;
	return true;
}

enum answer_state answer_feed(struct answer *a, const char *data, size_t len)
{
	static const struct http1_limits limits = {STATUS_LINE_MAX, HEADER_MAX, FIELDS_MAX};
	size_t taken = HEADER_MAX - a->head_len;
	int n;

	if (a->has_head)
		return feed_body(a, data, len);
	if (len < taken)
		taken = len;
	memcpy(a->head + a->head_len, data, taken);
	a->head_len += taken;
	n = http1_scan(&a->scan, a->head, a->head_len, &limits);
	if (n == 0)
		return a->head_len == HEADER_MAX ? ANSWER_BAD : ANSWER_MORE;
	if (n < 0 || !parse_head(a, (size_t)n))
		return ANSWER_BAD;
	/* Where the header ends in data. */
	taken -= a->head_len - (size_t)n;
	return feed_body(a, data + taken, len - taken);
}

enum answer_state answer_end(struct answer *a)
{
	return a->has_head && body_eof(&a->decoder) ? ANSWER_DONE : ANSWER_BAD;
}

struct slice answer_body(const struct answer *a)
{
	return (struct slice){a->body ? a->body : "", a->body_len};
}
