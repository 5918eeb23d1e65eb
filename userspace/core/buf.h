/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte buffers that hold memory only while they hold bytes. Chunks of two sizes come from a pool of
 * one thread, last released first used; what does not fit a chunk is allocated apart. Not shared
 * between threads.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BUF_SMALL 16384U
#define BUF_LARGE 65536U /* for connections that move much */

/* Bytes start..end of data are used. All zero: empty, without memory. */
struct buf {
	char *data;
	uint32_t start, end, cap;
};

struct buf_chunk;

struct buf_pool {
	struct buf_chunk *free[2];
	unsigned free_count[2];
	unsigned free_max[2]; /* more are given back to the system */
	uint64_t in_use;      /* bytes handed out */
};

void buf_pool_init(struct buf_pool *p, unsigned small_max, unsigned large_max);
void buf_pool_deinit(struct buf_pool *p); /* every buffer must have been released */

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static inline char *buf_head(const struct buf *b)
{
	return b->start ? b->data + b->start : b->data; /* which may be NULL */
}

/* Free bytes behind the used ones. */
static inline size_t buf_room(const struct buf *b)
{
	return b->cap - b->end;
}

/* Make room for at least len more bytes behind the used ones: takes a chunk, moves the used bytes
 * to the front, or to a larger piece of memory. 0, -ENOMEM, or -EMSGSIZE (2 GiB). */
int buf_reserve(struct buf_pool *p, struct buf *b, size_t len);

/* Copy len bytes behind the used ones. 0, or as buf_reserve(); then nothing was copied. */
int buf_append(struct buf_pool *p, struct buf *b, const void *bytes, size_t len);

/* Drop len bytes at the front; an empty buffer gives its memory back. */
void buf_consume(struct buf_pool *p, struct buf *b, size_t len);

/* Drop all. */
void buf_release(struct buf_pool *p, struct buf *b);

#endif
