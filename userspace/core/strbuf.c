/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that grows while it is written: see strbuf.h. */
#include "core/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strbuf_init(struct strbuf *b)
{
	*b = (struct strbuf){0};
}

void strbuf_deinit(struct strbuf *b)
{
	free(b->text);
	strbuf_init(b);
}

/* Room for len more bytes and the zero. */
static bool reserve(struct strbuf *b, size_t len)
{
	size_t room = b->room ? b->room : 64;
	char *text;

	if (b->failed)
		return false;
	while (room - b->len <= len)
		room *= 2;
	if (room == b->room)
		return true;
	text = realloc(b->text, room);
	if (!text) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->room = room;
	return true;
}

void strbuf_add_bytes(struct strbuf *b, const void *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->text + b->len, bytes, len);
	b->len += len;
	b->text[b->len] = 0;
}

void strbuf_add(struct strbuf *b, const char *text)
{
	strbuf_add_bytes(b, text, strlen(text));
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!reserve(b, 0))
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->text + b->len, b->room - b->len, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < b->room - b->len) { /* most fit into what there is */
		b->len += (size_t)n;
		return;
	}
	b->text[b->len] = 0;
	b->failed |= n < 0;
	if (!reserve(b, (size_t)(n < 0 ? 0 : n)))
		return;
	va_start(ap, fmt);
	vsnprintf(b->text + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

char *strbuf_take(struct strbuf *b)
{
	char *text;

	strbuf_add_bytes(b, "", 0);
	if (b->failed) {
		strbuf_deinit(b);
		return NULL;
	}
	text = b->text;
	strbuf_init(b);
	return text;
}
