/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is freed all at once: what belongs to one snapshot or one request. One thread. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* the one in use first */
	size_t used;		    /* bytes of it that are taken */
};

void arena_init(struct arena *a);
void arena_deinit(struct arena *a);

/* Zeroed and aligned for any type; a size of 0 gives a pointer all the same. NULL: out of memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *text);

#endif
