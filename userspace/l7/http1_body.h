/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a message's body ends: by length, by chunks, with the connection, or at once. A strict
 * decoder that takes raw bytes as they come and gives back spans of body. Chunk extensions are read,
 * checked and dropped; trailers are checked and left to the caller. Pure.
 */
#ifndef L7_HTTP1_BODY_H
#define L7_HTTP1_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "l7/reason.h"

/* Where nobody says otherwise. */
#define HTTP1_EXTENSION_MAX 4096U /* bytes of chunk extensions in one message */
#define HTTP1_TRAILER_MAX   8192U /* bytes of the trailer section, */
#define HTTP1_TRAILER_LINES 100U  /* and fields */

struct body_limits {
	uint32_t extensions, trailer_bytes, trailer_lines;
};

/* FRAMES: how it goes to a carrier, which says the end by itself (l7/stream.h). */
enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_EOF, BODY_FRAMES };

struct body {
	uint8_t kind; /* enum body_kind */
	uint8_t state;
	uint8_t digits;	   /* of the chunk size */
	bool ended;	   /* the last byte of the message was taken */
	bool in_trailers;  /* what the last call took is of the trailer section, its end included */
	uint32_t overhead; /* bytes of extensions, or of trailers */
	uint32_t lines;	   /* of trailers */
	struct body_limits limits;
	uint64_t left;	/* of the length or of this chunk */
	uint64_t total; /* bytes of body given out so far */
};

void body_init(struct body *b, enum body_kind kind, uint64_t length);

/*
 * Take bytes from data until one span of body was found, the message ended, or all are taken.
 * Returns how many were taken; *ret_span is a piece of them, or empty. b->ended: nothing more
 * belongs to this message. *ret_reason: why not; then the return value has no meaning.
 */
size_t body_decode(struct body *b, const char *data, size_t len, struct slice *ret_span,
		   enum reason *ret_reason);

/* n bytes of body went by without being looked at: of a kind without framing, as many as are left at
 * most. */
void body_pass(struct body *b, size_t n);

/* The peer closed its side. False: the message is cut short. */
bool body_eof(struct body *b);

#endif
