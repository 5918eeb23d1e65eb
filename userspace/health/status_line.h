/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first line of an HTTP/1 answer, read strictly and byte by byte as it comes: enough for a
 * check, which looks at nothing else. Pure; any thread.
 */
#ifndef HEALTH_STATUS_LINE_H
#define HEALTH_STATUS_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define STATUS_LINE_MAX	  512 /* longer is no answer of a healthy server */
#define STATUS_REASON_MAX 40

struct status_line {
	size_t taken; /* bytes so far */
	unsigned code;
	bool after_cr; /* only LF may follow */
	size_t reason_len;
	char reason[STATUS_REASON_MAX]; /* the start of it, printable, with its zero */
};

enum status_line_state { STATUS_LINE_MORE, STATUS_LINE_DONE, STATUS_LINE_BAD };

/* Zero *sl before the first call. Feeds until the line is whole. */
enum status_line_state status_line_feed(struct status_line *sl, const char *data, size_t len);

#endif
