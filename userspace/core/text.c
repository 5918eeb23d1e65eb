/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about strings: see text.h. */
#include "core/text.h"

#include <string.h>

#define WORD_MAX 63

uint64_t text_hash(uint64_t hash, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	do
		hash = (hash ^ *p) * 0x100000001b3U;
	while (*p++);
	return hash;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t text_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_len];
}

/* Near enough: one change in four letters, at least one in words of three, at most three. */
const char *text_closest(const char *text, const char *const *words, size_t count)
{
	size_t len = strlen(text);
	size_t best = len < 3 ? 0 : len < 8 ? 1 + (len > 4) : 3;
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t distance = text_distance(text, words[i]);

		if (distance <= best && (!found || distance < best)) {
			best = distance;
			found = words[i];
		}
	}
	return found;
}

struct text_quoted text_quote(const char *text)
{
	struct text_quoted q;
	size_t len = strlen(text), kept = len > 60 ? 57 : len;

	/* Do not cut a UTF-8 character. */
	while (kept < len && kept && ((unsigned char)text[kept] & 0xc0) == 0x80)
		kept--;
	q.s[0] = '"';
	for (size_t i = 0; i < kept; i++) {
		unsigned char c = (unsigned char)text[i];

		q.s[1 + i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	if (kept < len) {
		memcpy(q.s + 1 + kept, "...", 3);
		kept += 3;
	}
	memcpy(q.s + 1 + kept, "\"", 2);
	return q;
}
