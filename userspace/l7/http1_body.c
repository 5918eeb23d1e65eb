/* SPDX-License-Identifier: BSD-2-Clause */
/* Framing of message bodies: see http1_body.h. */
#include "l7/http1_body.h"

#include "l7/http1_bytes.h"

/* What the next byte of a chunked body belongs to. */
enum {
	CHUNK_SIZE,
	CHUNK_EXT,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START, /* of a line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	CHUNKED_END_LF,
};

void body_init(struct body *b, enum body_kind kind, uint64_t length)
{
	*b = (struct body){
		.kind = (uint8_t)kind,
		.left = length,
		.limits = {HTTP1_EXTENSION_MAX, HTTP1_TRAILER_MAX, HTTP1_TRAILER_LINES},
	};
	if (kind == BODY_NONE || (kind == BODY_LENGTH && length == 0))
		b->ended = true;
	if (kind == BODY_CHUNKED)
		b->left = 0;
}

/* A digit of the size, or what ends it. Sixteen digits fill 64 bits. */
static enum reason take_size(struct body *b, char c)
{
	int digit = http1_hex(c);

	if (digit >= 0) {
		if (++b->digits > 16)
			return REASON_CHUNK_BAD;
		b->left = b->left << 4 | (unsigned)digit;
		return REASON_NONE;
	}
	if (!b->digits || b->left > INT64_MAX)
		return REASON_CHUNK_BAD;
	if (c == ';')
		b->state = CHUNK_EXT;
	else if (c == '\r')
		b->state = CHUNK_SIZE_LF;
	else
		return REASON_CHUNK_BAD;
	return REASON_NONE;
}

static bool is_text(char c)
{
	return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static enum reason take_ext(struct body *b, char c)
{
	if (c == '\r') {
		b->state = CHUNK_SIZE_LF;
		return REASON_NONE;
	}
	if (!is_text(c))
		return REASON_CHUNK_BAD;
	return ++b->overhead > b->limits.extensions ? REASON_CHUNK_EXTENSION : REASON_NONE;
}

static enum reason take_trailer(struct body *b, char c)
{
	if (b->state == TRAILER_START && c == '\r') {
		b->state = CHUNKED_END_LF;
	} else if (b->state == TRAILER_VALUE) {
		if (c == '\r')
			b->state = TRAILER_LF;
		else if (!is_text(c))
			return REASON_CHUNK_BAD;
	} else if (c == ':' && b->state == TRAILER_NAME) {
		b->state = TRAILER_VALUE;
	} else if (http1_is_token(&c, 1)) {
		b->state = TRAILER_NAME;
	} else {
		return REASON_CHUNK_BAD;
	}
	return REASON_NONE;
}

/* A byte that must be want, after which comes next. */
static enum reason take_fixed(struct body *b, char c, char want, uint8_t next)
{
	if (c != want)
		return REASON_CHUNK_BAD;
	b->state = next;
	return REASON_NONE;
}

static enum reason take_trailer_lf(struct body *b, char c)
{
	if (++b->lines > b->limits.trailer_lines)
		return REASON_TRAILER_LARGE;
	return take_fixed(b, c, '\n', TRAILER_START);
}

/* The line feed behind a chunk's size. */
static enum reason take_size_lf(struct body *b, char c)
{
	if (b->left)
		return take_fixed(b, c, '\n', CHUNK_DATA);
	b->overhead = 0;
	return take_fixed(b, c, '\n', TRAILER_START);
}

/* One byte of framing. */
static enum reason take_framing(struct body *b, char c)
{
	enum reason r;

	if (b->state >= TRAILER_START && ++b->overhead > b->limits.trailer_bytes)
		return REASON_TRAILER_LARGE;
	switch (b->state) {
	case CHUNK_SIZE: return take_size(b, c);
	case CHUNK_EXT: return take_ext(b, c);
	case CHUNK_SIZE_LF: return take_size_lf(b, c);
	case CHUNK_DATA_CR: return take_fixed(b, c, '\r', CHUNK_DATA_LF);
	case CHUNK_DATA_LF: b->digits = 0; return take_fixed(b, c, '\n', CHUNK_SIZE);
	case TRAILER_LF: return take_trailer_lf(b, c);
	case CHUNKED_END_LF:
		r = take_fixed(b, c, '\n', CHUNKED_END_LF);
		b->ended = r == REASON_NONE;
		return r;
	default: return take_trailer(b, c);
	}
}

static size_t take_data(struct body *b, const char *data, size_t len, struct slice *ret_span)
{
	if (b->kind != BODY_EOF) {
		if (len > b->left)
			len = (size_t)b->left;
		b->left -= len;
	}
	b->total += len;
	*ret_span = (struct slice){data, len};
	return len;
}

static size_t decode_chunked(struct body *b, const char *data, size_t len, struct slice *ret_span,
			     enum reason *ret_reason)
{
	size_t i = 0;

	while (i < len && !b->ended) {
		if (b->state == CHUNK_DATA) {
			i += take_data(b, data + i, len - i, ret_span);
			if (b->left == 0)
				b->state = CHUNK_DATA_CR;
			return i;
		}
		if (b->state >= TRAILER_START && !b->in_trailers) {
			if (i)
				return i;
			b->in_trailers = true;
		}
		*ret_reason = take_framing(b, data[i++]);
		if (*ret_reason != REASON_NONE)
			break;
	}
	return i;
}

size_t body_decode(struct body *b, const char *data, size_t len, struct slice *ret_span,
		   enum reason *ret_reason)
{
	size_t n;

	*ret_span = (struct slice){0};
	*ret_reason = REASON_NONE;
	if (b->ended || !len)
		return 0;
	if (b->kind == BODY_CHUNKED)
		return decode_chunked(b, data, len, ret_span, ret_reason);
	n = take_data(b, data, len, ret_span);
	b->ended = b->kind == BODY_LENGTH && b->left == 0;
	return n;
}

void body_pass(struct body *b, size_t n)
{
	struct slice span;

	(void)take_data(b, NULL, n, &span);
	b->ended = b->kind == BODY_LENGTH && b->left == 0;
}

bool body_eof(struct body *b)
{
	if (b->kind == BODY_EOF)
		b->ended = true;
	return b->ended;
}
