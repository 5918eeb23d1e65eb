/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths in their one form: see path.h. */
#include "l7/path.h"

#include "l7/http1_bytes.h"

static size_t path_len(struct slice target)
{
	const char *query = memchr(target.ptr, '?', target.len);

	return query ? (size_t)(query - target.ptr) : target.len;
}

bool path_is_plain(struct slice target)
{
	char before = 0;

	for (size_t i = 0; i < target.len && target.ptr[i] != '?'; i++) {
		char c = target.ptr[i];

		if (c == '%' || c == '\\' || (before == '/' && (c == '/' || c == '.')))
			return false;
		before = c;
	}
	return true;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static char *put_escape(char *out, char c)
{
	static const char digits[] = "0123456789ABCDEF";

	*out++ = '%';
	*out++ = digits[(unsigned char)c >> 4];
	*out++ = digits[(unsigned char)c & 15];
	return out;
}

/* The byte that an escape at p stands for; -1: is none. */
static int escaped(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3)
		return -1;
	high = http1_hex(p[1]);
	low = http1_hex(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A slash that is escaped, or a backslash, which some take for a slash. */
static enum reason put_hidden_slash(char **out, char c, bool as_escape, enum escaped_slashes rule)
{
	if (rule == ESCAPED_SLASHES_REFUSE)
		return REASON_PATH_SLASH;
	if (rule == ESCAPED_SLASHES_DECODE)
		*(*out)++ = '/';
	else if (as_escape)
		*out = put_escape(*out, c);
	else
		*(*out)++ = c;
	return REASON_NONE;
}

/* All escapes of the path. */
static enum reason unescape(const char *p, const char *end, const struct http_paths *rules,
			    char *out, size_t *ret_len)
{
	const char *start = out;
	enum reason r = REASON_NONE;

	while (p < end && r == REASON_NONE) {
		int c = *p == '%' ? escaped(p, end) : -1;

		if (*p != '%') {
			if (*p == '\\')
				r = put_hidden_slash(&out, *p, false, rules->escaped_slashes);
			else
				*out++ = *p;
			p++;
		} else if (c < 0) {
			/* As it is it could make an escape together with what follows. */
			if (rules->bad_escapes == BAD_ESCAPES_REFUSE)
				r = REASON_PATH_ESCAPE;
			out = put_escape(out, '%');
			p++;
		} else {
			if (c == 0)
				r = REASON_PATH_ZERO;
			else if (c == '/' || c == '\\')
				r = put_hidden_slash(&out, (char)c, true, rules->escaped_slashes);
			else if (is_unreserved((char)c))
				*out++ = (char)c;
			else
				out = put_escape(out, (char)c);
			p += 3;
		}
	}
	*ret_len = (size_t)(out - start);
	return r;
}

/* 1: ".", 2: "..", 0: another segment. */
static unsigned count_dots(const char *segment, size_t len)
{
	if (len == 0 || len > 2 || segment[0] != '.' || segment[len - 1] != '.')
		return 0;
	return (unsigned)len;
}

/* "..;a": who cuts parameters off first sees ".." there. */
static bool hides_dots(const char *segment, size_t len)
{
	const char *semicolon = memchr(segment, ';', len);

	return semicolon && count_dots(segment, (size_t)(semicolon - segment));
}

/* What p[0, out), which ends with a slash, is without its last segment; 0: it has none. */
static size_t drop_segment(const char *p, size_t out)
{
	if (out == 1)
		return 0;
	for (out--; p[out - 1] != '/';)
		out--;
	return out;
}

/* Empty and dot segments of the len bytes at p, which begin with a slash. */
static enum reason resolve(char *p, size_t len, const struct http_paths *rules, size_t *ret_len)
{
	size_t out = 1, end;

	for (size_t in = 1; in <= len; in = end + 1) {
		const char *slash = memchr(p + in, '/', len - in);
		size_t n = slash ? (size_t)(slash - p) - in : len - in;
		unsigned dots = count_dots(p + in, n);

		end = in + n;
		if (n == 0 && slash && rules->double_slashes != DOUBLE_SLASHES_KEEP) {
			if (rules->double_slashes == DOUBLE_SLASHES_REFUSE)
				return REASON_PATH_DOUBLE;
			continue;
		}
		if (rules->dot_segments != DOT_SEGMENTS_KEEP) {
			if (hides_dots(p + in, n) ||
			    (dots && rules->dot_segments == DOT_SEGMENTS_REFUSE))
				return REASON_PATH_DOTS;
			if (dots == 2)
				out = drop_segment(p, out);
			if (!out)
				return REASON_PATH_DOTS;
			if (dots)
				continue;
		}
		memmove(p + out, p + in, n);
		out += n;
		if (slash)
			p[out++] = '/';
	}
	*ret_len = out;
	return REASON_NONE;
}

enum reason path_normalise(struct slice target, const struct http_paths *rules, char *out,
			   struct slice *ret_target)
{
	size_t path = path_len(target), len;
	enum reason r = unescape(target.ptr, target.ptr + path, rules, out, &len);

	if (r == REASON_NONE)
		r = resolve(out, len, rules, &len);
	if (r != REASON_NONE)
		return r;
	memcpy(out + len, target.ptr + path, target.len - path);
	*ret_target = (struct slice){out, len + target.len - path};
	return REASON_NONE;
}
