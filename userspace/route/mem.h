/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rules of one route table are made of: memory that is freed all at once, and the compiled
 * regular expressions in it. Owner: who builds the table; one thread while it is built, then read
 * by any number of threads.
 */
#ifndef ROUTE_MEM_H
#define ROUTE_MEM_H

#include "core/arena.h"
#include "core/slice.h"

struct regex;

struct route_mem {
	struct arena arena;
	struct regex *regexes; /* their code is PCRE2's */
};

void route_mem_init(struct route_mem *m);
void route_mem_deinit(struct route_mem *m);

/* A copy with a zero behind it; ptr is NULL: out of memory. */
struct slice route_mem_copy(struct route_mem *m, struct slice text);

#endif
