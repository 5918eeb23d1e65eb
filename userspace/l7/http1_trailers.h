/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trailer section of a chunked message, passed on: fields that the other end may see after it
 * has acted on the header, and no others. Pure.
 */
#ifndef L7_HTTP1_TRAILERS_H
#define L7_HTTP1_TRAILERS_H

#include <stdbool.h>

#include "core/slice.h"

/* May a field of this name stand in a trailer section? Not so what frames, routes, authenticates or
 * conditions a message, or says of what type it is (RFC 9110, 6.5.1). */
bool http1_is_trailer(struct slice name);

/* How many bytes http1_write_trailers() writes at most. */
static inline size_t http1_trailers_bound(size_t section_len)
{
	/* The end of a chunk, the last chunk; and a space in each line, the shortest of four bytes. */
	return section_len + section_len / 4 + 8;
}

#define HTTP1_TRAILERS_START "\r\n0\r\n"

/* section: as body_decode() accepted it, its empty line included. Writes what ends the message: the
 * end of a chunk ("\r\n"), the last chunk, the fields, an empty line. */
size_t http1_write_trailers(char *out, struct slice section);

#endif
