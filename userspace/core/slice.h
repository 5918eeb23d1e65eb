/* SPDX-License-Identifier: BSD-2-Clause */
/* A piece of someone else's bytes: pointer and length, not ended by a zero. Pure; any thread. */
#ifndef CORE_SLICE_H
#define CORE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* Of a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

/* Of a text with a zero at its end. */
static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.ptr, b.ptr, a.len));
}

/* ASCII letters compare alike in both cases. */
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !strncasecmp(a.ptr, b.ptr, a.len));
}

/* Without spaces and tabs at both ends. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The next element of a comma-separated list, trimmed; empty ones are skipped. False: no more. */
static inline bool slice_next_element(struct slice *list, struct slice *ret_element)
{
	while (list->len) {
		const char *comma = memchr(list->ptr, ',', list->len);
		size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
		struct slice element = slice_trim((struct slice){list->ptr, len});

		list->ptr += comma ? len + 1 : len;
		list->len -= comma ? len + 1 : len;
		if (element.len) {
			*ret_element = element;
			return true;
		}
	}
	return false;
}

#endif
