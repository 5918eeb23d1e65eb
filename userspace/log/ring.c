/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines in a ring: see ring.h. Each lies in one piece, behind a header; one that would go over the end
 * begins at the front, and a header without a tag says so. */
#include "log/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64U

struct entry {
	void *tag; /* NULL: the rest of the ring is skipped */
	size_t len;
};

struct log_ring {
	char *data;
	size_t size;
	/* Bytes ever pushed, and popped; each is written by one side. */
	_Atomic size_t pushed __attribute__((aligned(CACHE_LINE)));
	_Atomic size_t popped __attribute__((aligned(CACHE_LINE)));
};

static size_t padded(size_t len)
{
	return (len + sizeof(struct entry) - 1) & ~(sizeof(struct entry) - 1);
}

struct log_ring *log_ring_new(size_t size)
{
	struct log_ring *r = aligned_alloc(CACHE_LINE, sizeof(*r));

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->size = size;
	r->data = aligned_alloc(CACHE_LINE, size);
	if (r->data)
		return r;
	free(r);
	return NULL;
}

void log_ring_free(struct log_ring *r)
{
	if (!r)
		return;
	free(r->data);
	free(r);
}

static struct entry *entry_at(const struct log_ring *r, size_t position)
{
	return (struct entry *)(void *)(r->data + (position & (r->size - 1)));
}

bool log_ring_push(struct log_ring *r, void *tag, const char *line, size_t len)
{
	size_t need = sizeof(struct entry) + padded(len);
	size_t at = atomic_load_explicit(&r->pushed, memory_order_relaxed);
	size_t used = at - atomic_load_explicit(&r->popped, memory_order_acquire);
	size_t to_end = r->size - (at & (r->size - 1));
	size_t skip = need > to_end ? to_end : 0;
	struct entry *e;

	assert(tag);
	if (need > r->size / 2 || used + skip + need > r->size)
		return false;
	if (skip) {
		entry_at(r, at)->tag = NULL;
		at += skip;
	}
	e = entry_at(r, at);
	e->tag = tag;
	e->len = len;
	memcpy(e + 1, line, len);
	atomic_store(&r->pushed, at + need); /* in one order with log_ring_is_empty() */
	return true;
}

bool log_ring_peek(struct log_ring *r, void **ret_tag, const char **ret_line, size_t *ret_len)
{
	size_t at = atomic_load_explicit(&r->popped, memory_order_relaxed);
	struct entry *e;

	if (at == atomic_load_explicit(&r->pushed, memory_order_acquire))
		return false;
	e = entry_at(r, at);
	if (!e->tag) { /* what is at the front was pushed together with this */
		at += r->size - (at & (r->size - 1));
		atomic_store_explicit(&r->popped, at, memory_order_release);
		e = entry_at(r, at);
	}
	*ret_tag = e->tag;
	*ret_line = (const char *)(e + 1);
	*ret_len = e->len;
	return true;
}

void log_ring_drop(struct log_ring *r)
{
	size_t at = atomic_load_explicit(&r->popped, memory_order_relaxed);

	at += sizeof(struct entry) + padded(entry_at(r, at)->len);
	atomic_store_explicit(&r->popped, at, memory_order_release);
}

bool log_ring_is_empty(const struct log_ring *r)
{
	return atomic_load(&r->pushed) == atomic_load_explicit(&r->popped, memory_order_acquire);
}
