/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and errors of what is compiled: see scope.h. */
#include "route/scope.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_MAX_LEN 32
#define MESSAGE_MAX  320

bool route_name_is_good(struct slice name)
{
	if (!name.len || name.len > NAME_MAX_LEN || !isalpha((unsigned char)name.ptr[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_')
			return false;
	return true;
}

void route_error_at(const struct route_scope *scope, const struct pos *pos, const char *what,
		    struct slice text, size_t offset, const char *fmt, ...)
{
	const char *object = route_object(scope);
	char message[MESSAGE_MAX];
	unsigned line = 1, column = 1;
	va_list ap;

	for (size_t i = 0; i < offset && i < text.len; i++) {
		column = text.ptr[i] == '\n' ? 1 : column + 1;
		line += text.ptr[i] == '\n';
	}
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (text.len && memchr(text.ptr, '\n', text.len))
		diag_error(scope->diag, pos, "%s%s, line %u, column %u: %s", object, what, line,
			   column, message);
	else
		diag_error(scope->diag, pos, "%s%s, column %u: %s", object, what, column, message);
}

const char *route_closest(struct slice text, const char *const *words, size_t count)
{
	char word[NAME_MAX_LEN + 1];

	if (text.len >= sizeof(word))
		return NULL;
	memcpy(word, text.ptr, text.len);
	word[text.len] = '\0';
	return text_closest(word, words, count);
}

struct text_quoted route_quote(struct slice s)
{
	char text[sizeof(struct text_quoted) + 1];
	size_t len = s.len < sizeof(text) ? s.len : sizeof(text) - 1;

	memcpy(text, s.ptr, len);
	text[len] = '\0';
	return text_quote(text);
}
