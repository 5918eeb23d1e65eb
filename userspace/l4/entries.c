/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int entry_cmp(const struct maps_entry *a, const struct maps_entry *b)
{
	return memcmp(a->key, b->key, sizeof(a->key));
}

bool entry_says(const struct maps_entry *a, const struct maps_entry *b)
{
	return memcmp(a->value, b->value, sizeof(a->value)) == 0;
}

/* Where the key is, or where it belongs. */
static size_t locate(const struct entries *t, const struct maps_entry *key)
{
	size_t low = 0, high = t->count;

	/* Most are added in order. */
	if (t->count > 0 && entry_cmp(&t->rows[t->count - 1], key) < 0)
		return t->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_cmp(&t->rows[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct maps_entry *entries_find(const struct entries *t, const struct maps_entry *key)
{
	size_t at = locate(t, key);

	if (at == t->count || entry_cmp(&t->rows[at], key) != 0)
		return NULL;
	return &t->rows[at];
}

int entries_put(struct entries *t, const struct maps_entry *e)
{
	size_t at = locate(t, e);

	if (at < t->count && entry_cmp(&t->rows[at], e) == 0) {
		t->rows[at] = *e;
		return 0;
	}
	if (t->count == t->capacity) {
		size_t capacity = t->capacity > 0 ? 2 * t->capacity : 16;
		struct maps_entry *rows = reallocarray(t->rows, capacity, sizeof(*rows));

		if (rows == NULL)
			return -ENOMEM;
		t->rows = rows;
		t->capacity = capacity;
	}
	memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof(*t->rows));
	t->rows[at] = *e;
	t->count++;
	return 0;
}

void entries_remove(struct entries *t, const struct maps_entry *key)
{
	struct maps_entry *row = entries_find(t, key);

	if (row == NULL)
		return;
	t->count--;
	memmove(row, row + 1, (size_t)(&t->rows[t->count] - row) * sizeof(*row));
}

int entries_copy(const struct entries *t, struct entries *ret_copy)
{
	struct entries copy = {.count = t->count, .capacity = t->count + 1};

	copy.rows = calloc(copy.capacity, sizeof(*copy.rows));
	if (copy.rows == NULL)
		return -ENOMEM;
	if (t->count > 0)
		memcpy(copy.rows, t->rows, t->count * sizeof(*copy.rows));
	*ret_copy = copy;
	return 0;
}

void entries_deinit(struct entries *t)
{
	if (t == NULL)
		return;
	free(t->rows);
	*t = (struct entries){0};
}

static int cmp(const void *a, const void *b)
{
	return entry_cmp(a, b);
}

void entries_take(struct entries *t, struct maps_entry *rows, size_t count)
{
	entries_deinit(t);
	if (count > 0)
		qsort(rows, count, sizeof(*rows), cmp);
	*t = (struct entries){.rows = rows, .count = count, .capacity = count};
}
