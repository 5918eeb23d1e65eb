/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about strings: how alike are two, what is one's hash, how is one shown to a person,
 * what does one digit stand for.
 * Pure; any thread. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, for tables in memory that no outsider fills. Start with TEXT_HASH_INIT; chain calls for
 * several strings (the terminating zero is part of each). */
#define TEXT_HASH_INIT 0xcbf29ce484222325U
uint64_t text_hash(uint64_t hash, const char *text);

/* Insertions, deletions, replacements and swaps of neighbours between a and b; texts longer than 63
 * bytes count as wholly different (SIZE_MAX). */
size_t text_distance(const char *a, const char *b);

/* Of words, the one that was probably meant by text; NULL where none is near enough. */
const char *text_closest(const char *text, const char *const *words, size_t count);

/* In double quotes, at most 60 bytes, control bytes as '?'. Use: text_quote(name).s */
struct text_quoted {
	char s[72];
};
struct text_quoted text_quote(const char *text);

/* 0 to 15, of a hexadecimal digit in upper or lower case; -1: it is none. */
static inline int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
