/* SPDX-License-Identifier: BSD-2-Clause */
/* "HTTP/1.1 200 OK\r\n": see status_line.h. RFC 9112 section 4. */
#include "health/status_line.h"

#define PREFIX	   "HTTP/1."
#define PREFIX_LEN (sizeof(PREFIX) - 1)

/* Places in the line: prefix, minor version, space, three digits, then space and reason, or the
 * end (many servers leave out the space of an empty reason). */
enum { AT_MINOR = PREFIX_LEN, AT_SPACE, AT_CODE, AT_CODE_END = AT_CODE + 3 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum status_line_state feed_reason(struct status_line *sl, size_t at, char c)
{
	if (sl->after_cr)
		return c == '\n' ? STATUS_LINE_DONE : STATUS_LINE_BAD;
	if (c == '\r') {
		sl->after_cr = true;
		return STATUS_LINE_MORE;
	}
	if (at == AT_CODE_END)
		return c == ' ' ? STATUS_LINE_MORE : STATUS_LINE_BAD;
	if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
		return STATUS_LINE_BAD;
	if (sl->reason_len < STATUS_REASON_MAX - 1) {
		/* It is shown to people: other bytes than ASCII are masked. */
		sl->reason[sl->reason_len++] = (unsigned char)c < 0x80 && c != '\t' ? c : '?';
		sl->reason[sl->reason_len] = '\0';
	}
	return STATUS_LINE_MORE;
}

static enum status_line_state feed_byte(struct status_line *sl, char c)
{
	size_t at = sl->taken++;

	if (at >= STATUS_LINE_MAX)
		return STATUS_LINE_BAD;
	if (at < PREFIX_LEN)
		return c == PREFIX[at] ? STATUS_LINE_MORE : STATUS_LINE_BAD;
	if (at == AT_MINOR)
		return c == '0' || c == '1' ? STATUS_LINE_MORE : STATUS_LINE_BAD;
	if (at == AT_SPACE)
		return c == ' ' ? STATUS_LINE_MORE : STATUS_LINE_BAD;
	if (at < AT_CODE_END) {
		if (!is_digit(c) || (at == AT_CODE && c == '0'))
			return STATUS_LINE_BAD;
		sl->code = sl->code * 10 + (unsigned)(c - '0');
		return STATUS_LINE_MORE;
	}
	return feed_reason(sl, at, c);
}

enum status_line_state status_line_feed(struct status_line *sl, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		enum status_line_state state = feed_byte(sl, data[i]);

		if (state != STATUS_LINE_MORE)
			return state;
	}
	return STATUS_LINE_MORE;
}
