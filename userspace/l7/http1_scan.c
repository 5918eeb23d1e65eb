/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict look at a raw header block: see http1_scan.h. */
#include "l7/http1_scan.h"

#include <stdbool.h>
#include <string.h>

#include "l7/http1_bytes.h"

#define ONES  0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* May one of the eight bytes be below 0x20 or 0x7f? */
static bool word_has_control(uint64_t w)
{
	uint64_t del = w ^ (ONES * 0x7f);

	return (((w - ONES * 0x20) & ~w) | ((del - ONES) & ~del)) & HIGHS;
}

static bool is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* Up to the first byte that may not stand in a line, or to end. */
static const char *skip_plain(const char *p, const char *end)
{
	while (p < end && !is_control((unsigned char)*p))
		p++;
	return p;
}

/* First byte that may not stand in a line; NULL: none. Its last word overlaps the one before. */
static const char *find_control(const char *line, size_t len)
{
	const char *end = line + len, *p = line, *bad;
	uint64_t w;

	while (len >= sizeof(w) && p < end) {
		if ((size_t)(end - p) < sizeof(w))
			p = end - sizeof(w);
		memcpy(&w, p, sizeof(w));
		if (word_has_control(w)) {
			bad = skip_plain(p, p + sizeof(w));
			if (bad < p + sizeof(w))
				return bad;
		}
		p += sizeof(w);
	}
	p = skip_plain(p, end);
	return p < end ? p : NULL;
}

/* A field line without its end. */
static enum reason check_field(const char *line, size_t len)
{
	const char *colon;

	if (*line == ' ' || *line == '\t')
		return REASON_OBS_FOLD;
	colon = memchr(line, ':', len);
	if (!colon)
		return REASON_NO_COLON;
	if (colon == line || !http1_is_token(line, (size_t)(colon - line)))
		return REASON_FIELD_NAME;
	return REASON_NONE;
}

/* One whole line; nl: its line feed. */
static enum reason check_line(struct http1_scan *s, const char *line, const char *nl,
			      const struct http1_limits *l)
{
	const char *bad;
	size_t len;

	if (nl == line || nl[-1] != '\r')
		return REASON_BARE_LF;
	len = (size_t)(nl - 1 - line);
	bad = find_control(line, len);
	if (bad)
		return *bad == '\r' ? REASON_BARE_CR : REASON_CONTROL_BYTE;
	if (!s->head) {
		s->head = (uint32_t)len + 2;
		return len ? REASON_NONE : REASON_START_LINE;
	}
	if (len == 0)
		return REASON_NONE;
	if (++s->count > l->count)
		return REASON_HEADER_COUNT;
	return check_field(line, len);
}

/* Of the first len bytes, whatever they are: so that it does not matter how they came. */
static enum reason check_size(const struct http1_scan *s, size_t len, const struct http1_limits *l)
{
	if (!s->head)
		return len > l->line + 2 ? REASON_LINE_LONG : REASON_NONE;
	return len - s->head > l->bytes + 2 ? REASON_HEADER_LARGE : REASON_NONE;
}

int http1_scan(struct http1_scan *s, const char *data, size_t len, const struct http1_limits *l)
{
	enum reason r;

	for (;;) {
		const char *line = data + s->line;
		const char *nl = memchr(data + s->seen, '\n', len - s->seen);

		if (!nl) {
			s->seen = (uint32_t)len;
			return -(int)check_size(s, len, l);
		}
		s->line = s->seen = (uint32_t)(nl + 1 - data);
		r = check_size(s, s->line, l);
		if (r == REASON_NONE)
			r = check_line(s, line, nl, l);
		if (r != REASON_NONE)
			return -(int)r;
		if (nl - line == 1)
			return (int)s->line;
	}
}
