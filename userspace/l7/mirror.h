/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of requests for another pool (struct route_mirror): sent and forgotten. The request itself
 * never waits for one, whatever becomes of it: a copy is taken of the body as it goes to the backend,
 * and sent once that is whole; its answer is thrown away. One thread.
 */
#ifndef L7_MIRROR_H
#define L7_MIRROR_H

#include <stddef.h>

#include "core/list.h"

struct l7;
struct request;

/* Those of a worker. More than MIRRORS_MAX, or MIRROR_BYTES_MAX of their memory, are dropped. */
#define MIRRORS_MAX	 256U
#define MIRROR_BYTES_MAX (32U << 20)
struct mirrors {
	struct list list;
	unsigned count;
	size_t bytes;
};

void mirrors_init(struct mirrors *all);
void mirrors_close(struct l7 *l7); /* breaks off all of them */

/* The request is about to go to its backend: does a copy of it go elsewhere? */
void mirror_begin(struct request *r);

/* Its body was written, to the end. */
void mirror_send(struct request *r);

/* It ends before that. */
void mirror_forget(struct request *r);

#endif
