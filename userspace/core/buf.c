/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte buffers and the pool that their chunks come from: see buf.h. */
#include "core/buf.h"

#include <assert.h>
#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>

struct buf_chunk {
	struct buf_chunk *next;
};

static const uint32_t class_size[2] = {BUF_SMALL, BUF_LARGE};

void buf_pool_init(struct buf_pool *p, unsigned small_max, unsigned large_max)
{
	*p = (struct buf_pool){.free_max = {small_max, large_max}};
}

void buf_pool_deinit(struct buf_pool *p)
{
	assert(p->in_use == 0);
	for (int c = 0; c < 2; c++) {
		while (p->free[c]) {
			struct buf_chunk *chunk = p->free[c];

			ASAN_UNPOISON_MEMORY_REGION(chunk, class_size[c]);
			p->free[c] = chunk->next;
			free(chunk);
		}
		p->free_count[c] = 0;
	}
}

/* The pool's class of a size; -1: none. */
static int class_of(uint32_t size)
{
	return size == BUF_SMALL ? 0 : size == BUF_LARGE ? 1 : -1;
}

static char *take(struct buf_pool *p, uint32_t size)
{
	int c = class_of(size);
	struct buf_chunk *chunk = c >= 0 ? p->free[c] : NULL;

	if (chunk) {
		ASAN_UNPOISON_MEMORY_REGION(chunk, size);
		p->free[c] = chunk->next;
		p->free_count[c]--;
	} else {
		chunk = malloc(size);
	}
	if (chunk)
		p->in_use += size;
	return (char *)chunk;
}

static void give(struct buf_pool *p, char *data, uint32_t size)
{
	struct buf_chunk *chunk = (struct buf_chunk *)(void *)data;
	int c = class_of(size);

	p->in_use -= size;
	if (c < 0 || p->free_count[c] >= p->free_max[c]) {
		free(data);
		return;
	}
	chunk->next = p->free[c];
	p->free[c] = chunk;
	p->free_count[c]++;
	ASAN_POISON_MEMORY_REGION(chunk, size);
}

static uint32_t size_for(size_t len)
{
	uint32_t size = BUF_LARGE;

	if (len <= BUF_SMALL)
		return BUF_SMALL;
	while (size < len)
		size *= 2;
	return size;
}

int buf_reserve(struct buf_pool *p, struct buf *b, size_t len)
{
	size_t used = buf_len(b);
	uint32_t cap;
	char *data;

	if (len <= buf_room(b))
		return 0;
	if (len > (1U << 30) || used + len > (1U << 30))
		return -EMSGSIZE;
	if (used + len <= b->cap) {
		memmove(b->data, buf_head(b), used);
	} else {
		cap = size_for(used + len);
		data = take(p, cap);
		if (!data)
			return -ENOMEM;
		if (b->data) {
			memcpy(data, buf_head(b), used);
			give(p, b->data, b->cap);
		}
		b->data = data;
		b->cap = cap;
	}
	b->start = 0;
	b->end = (uint32_t)used;
	return 0;
}

int buf_append(struct buf_pool *p, struct buf *b, const void *bytes, size_t len)
{
	int err = buf_reserve(p, b, len);

	if (err < 0 || len == 0)
		return err;
	memcpy(b->data + b->end, bytes, len);
	b->end += (uint32_t)len;
	return 0;
}

void buf_consume(struct buf_pool *p, struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	b->start += (uint32_t)len;
	if (b->start == b->end)
		buf_release(p, b);
}

void buf_release(struct buf_pool *p, struct buf *b)
{
	if (b->data)
		give(p, b->data, b->cap);
	*b = (struct buf){0};
}
