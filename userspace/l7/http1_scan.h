/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The strict look at a raw HTTP/1 header block before anything in it is believed: where it ends,
 * and that nothing in it can be read in two ways (line ends, control bytes, folding, field names).
 * Resumable, so that each byte is looked at once however it arrives. Pure.
 */
#ifndef L7_HTTP1_SCAN_H
#define L7_HTTP1_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "l7/reason.h"

struct http1_limits {
	size_t line;	/* bytes of the start line */
	size_t bytes;	/* bytes of all field lines */
	unsigned count; /* field lines */
};

/* All zero before the first call for a message. */
struct http1_scan {
	uint32_t line; /* where the first line begins that is not whole yet */
	uint32_t seen; /* no line end before this, from line on */
	uint32_t head; /* length of the start line with its end; 0: not whole yet */
	unsigned count;
};

/*
 * data: the message from its first byte, as much of it as there is; the same bytes as in the call
 * before, and more. Returns the length of the whole header block, its empty line included; 0: more
 * bytes are needed; or -(enum reason).
 */
int http1_scan(struct http1_scan *s, const char *data, size_t len, const struct http1_limits *l);

#endif
