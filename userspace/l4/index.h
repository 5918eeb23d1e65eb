/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index of sh_services by address, from the keys that it is to lead to. It may lead to more than
 * there are records: a packet goes on where it finds none. Pure; main thread.
 */
#ifndef L4_INDEX_H
#define L4_INDEX_H

#include "l4/desired.h"
#include "l4/entries.h"
#include "l4/tables.h"

struct index {
	struct entries addrs, prefixes;
	struct maps_index gate;
};

/* For the keys of a table and, unless more is NULL, for the desired ones too. 0; -ENOMEM; -ENOSPC:
 * more than SHUNT_MAX_RANGES overlap at one address. */
int index_build(const struct key_table *keys, const struct desired *more, struct index *ret_index);
void index_deinit(struct index *index); /* NULL is fine */

#endif
