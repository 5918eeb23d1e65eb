/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header fields that a proxy must know by name, and what becomes of each: which are of one hop
 * only, which are written anew, which a peer must not be able to take away. Pure.
 */
#ifndef L7_HEADERS_H
#define L7_HEADERS_H

#include <stdbool.h>

#include "core/slice.h"

enum field_id {
	FIELD_OTHER,
	/* Framing and persistence: read, then written anew. */
	FIELD_HOST,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_CONNECTION,
	FIELD_EXPECT,
	FIELD_UPGRADE,
	FIELD_TE,
	FIELD_TRAILER,
	/* Of one hop (RFC 9110, 7.6.1). */
	FIELD_HOP,
	/* Said by this proxy alone: what a client says of itself there is not believed. */
	FIELD_FORWARDED,
	/* A known name with "_" for "-": programs behind CGI could not tell the two apart. */
	FIELD_ALIAS,
	/* Passed on even where Connection names it: it is for the other end, not for this hop. */
	FIELD_END_TO_END,
};

enum field_id field_identify(struct slice name);

struct head;
struct field;

/* Is it left out where the message h is passed on? */
bool field_is_dropped(const struct head *h, const struct field *f);

#endif
