/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines on their way from one thread, which must not wait, to another one, which may: a ring of bytes,
 * without locks. One thread pushes, one pops.
 */
#ifndef LOG_RING_H
#define LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_ring;

/* size: bytes, a power of two. NULL: out of memory. */
struct log_ring *log_ring_new(size_t size);
void log_ring_free(struct log_ring *r); /* NULL is fine */

/* tag: given back with the line. False: no room, nothing was done. A line may take half of the ring. */
bool log_ring_push(struct log_ring *r, void *tag, const char *line, size_t len);

/* The next line, which stays until log_ring_drop(); false: there is none. */
bool log_ring_peek(struct log_ring *r, void **ret_tag, const char **ret_line, size_t *ret_len);
void log_ring_drop(struct log_ring *r);

/* By either thread: is there nothing in it? In one order (sequentially consistent) with all pushes: who
 * says "I sleep" before asking, and who asks that after pushing, do not miss each other. */
bool log_ring_is_empty(const struct log_ring *r);

#endif
