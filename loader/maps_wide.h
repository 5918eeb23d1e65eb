/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables beside sh_services that say which service, ring and backend a packet is for: the index of
 * addresses, source routes, server ids. All return 0 or -errno; none retries. Main thread.
 */
#ifndef LOADER_MAPS_WIDE_H
#define LOADER_MAPS_WIDE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

enum maps_table {
	MAPS_ADDRS,	 /* struct shunt_addr_key -> struct shunt_addr */
	MAPS_PREFIXES,	 /* struct shunt_lpm_key -> struct shunt_addr */
	MAPS_ROUTES,	 /* struct shunt_lpm_key -> struct shunt_route */
	MAPS_SERVER_IDS, /* struct shunt_server_id -> backend id */
	MAPS_TABLE_COUNT
};

/* One row of one of them; what the table has no use for is zero. */
struct maps_entry {
	union {
		struct shunt_addr_key addr_key;
		struct shunt_lpm_key lpm_key;
		struct shunt_server_id server_id;
		uint8_t key[24];
	};
	union {
		struct shunt_addr addr;
		struct shunt_route route;
		uint32_t backend;
		uint8_t value[136];
	};
};

const char *maps_table_name(enum maps_table table); /* as it is pinned */

/* set replaces a value in one step. -E2BIG, -ENOSPC: the table is full. */
int maps_entry_set(struct loader *l, enum maps_table table, const struct maps_entry *e);
int maps_entry_delete(struct loader *l, enum maps_table table, const struct maps_entry *e);
/* malloc'ed, in no order. */
int maps_entry_list(struct loader *l, enum maps_table table, struct maps_entry **ret_entries,
		    size_t *ret_count);

/* What packets look at before they look for a row of the index: see bpf/abi.h. */
struct maps_index {
	uint64_t bits[SHUNT_ADDR_BITS_WORDS];
	uint8_t ranges, prefixes; /* of struct shunt_switches */
};
int maps_index_set(struct loader *l, const struct maps_index *index);
int maps_index_get(struct loader *l, struct maps_index *ret_index);

#endif
