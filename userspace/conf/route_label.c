/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/route_label.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

#define SLOTS 256U /* a power of two, with room to spare */

struct slot {
	_Atomic bool is_used; /* from then on the text stays */
	struct route_label label;
};

struct route_labels {
	unsigned count;
	struct slot slots[SLOTS];
};

struct route_labels *route_labels_new(void)
{
	return calloc(1, sizeof(struct route_labels));
}

void route_labels_free(struct route_labels *labels)
{
	free(labels);
}

static void write_text(char to[ROUTE_LABEL_LEN], struct slice text)
{
	if (!text.len)
		text = SLICE(ROUTE_LABEL_NONE);
	else if (text.len >= ROUTE_LABEL_LEN)
		text = SLICE(ROUTE_LABEL_OTHER);
	for (size_t i = 0; i < text.len; i++)
		to[i] = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '_';
	to[text.len] = '\0';
}

/* That of the text, or a free one. */
static struct slot *find(struct route_labels *labels, const char *text)
{
	uint64_t at = text_hash(TEXT_HASH_INIT, text);
	struct slot *s;

	do
		s = &labels->slots[at++ & (SLOTS - 1)];
	while (atomic_load_explicit(&s->is_used, memory_order_relaxed) &&
	       strcmp(s->label.text, text) != 0);
	return s;
}

struct route_label *route_labels_get(struct route_labels *labels, struct slice text)
{
	char own[ROUTE_LABEL_LEN];
	struct slot *s;

	write_text(own, text);
	s = find(labels, own);
	if (atomic_load_explicit(&s->is_used, memory_order_relaxed))
		return &s->label;
	if (labels->count >= ROUTE_LABELS_MAX && strcmp(own, ROUTE_LABEL_OTHER) != 0)
		return route_labels_get(labels, SLICE(ROUTE_LABEL_OTHER));
	labels->count++;
	memcpy(s->label.text, own, sizeof(own));
	atomic_store_explicit(&s->is_used, true, memory_order_release);
	return &s->label;
}

static struct route_label *sum_of(struct route_label *sums, size_t *count, size_t max,
				  const char *text)
{
	for (size_t i = 0; i < *count; i++)
		if (!strcmp(sums[i].text, text))
			return &sums[i];
	if (*count == max)
		return &sums[0];
	sums[*count] = (struct route_label){0};
	memcpy(sums[*count].text, text, strlen(text));
	return &sums[(*count)++];
}

static void add(_Atomic uint64_t *sum, const _Atomic uint64_t *n)
{
	*sum += atomic_load_explicit(n, memory_order_relaxed);
}

size_t route_labels_sum(const struct route_labels *labels, struct route_label *sums, size_t count,
			size_t max)
{
	if (!count)
		(void)sum_of(sums, &count, max, ROUTE_LABEL_OTHER);
	for (size_t i = 0; i < SLOTS; i++) {
		const struct slot *s = &labels->slots[i];
		struct route_label *sum;

		if (!atomic_load_explicit(&s->is_used, memory_order_acquire))
			continue;
		sum = sum_of(sums, &count, max, s->label.text);
		add(&sum->requests, &s->label.requests);
		for (unsigned k = 0; k < ROUTE_LABEL_CLASSES; k++)
			add(&sum->responses[k], &s->label.responses[k]);
	}
	return count;
}
