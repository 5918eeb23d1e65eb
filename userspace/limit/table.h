/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a limit's keys: a table of a fixed size that all threads share, without locks. Keys are
 * known by a hash of 64 bits (hash.h), in sets of LIMIT_WAYS. A key without an entry takes one that is
 * free or says nothing any more; where all of its set are in use, the one that says least is lost,
 * and its key begins anew.
 */
#ifndef LIMIT_TABLE_H
#define LIMIT_TABLE_H

#include <stddef.h>

#include "limit/meter.h"

#define LIMIT_WAYS 8U /* 128 bytes: two lines of the cache that lie side by side */

struct limit_slot {
	_Atomic uint64_t key; /* 0: free */
	_Atomic uint64_t word;
};

struct limit_table {
	struct limit_slot *slots; /* aligned; [sets * LIMIT_WAYS] */
	void *memory;
	uint32_t sets;
};

/* At least so many entries. 0, or -ENOMEM. */
int limit_table_init(struct limit_table *t, uint32_t entries);
void limit_table_deinit(struct limit_table *t); /* all zero is fine */

/* The word of that key; *ret_lost: another key's was lost for it. A thread that holds a word may take
 * from it after its key has lost it: one request is then on another key's account. */
_Atomic uint64_t *limit_table_find(struct limit_table *t, uint64_t key, const struct meter *m,
				   uint64_t now_ns, bool *ret_lost);

/* Entries that say anything: goes through them all. */
uint64_t limit_table_live(const struct limit_table *t, const struct meter *m, uint64_t now_ns);

#endif
