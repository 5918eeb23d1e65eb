/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of NAT, as loader/maps.h has the others. Main thread. */
#ifndef LOADER_MAPS_NAT_H
#define LOADER_MAPS_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

enum maps_nat_table {
	MAPS_NAT_FLOWS4, /* struct shunt_nat, by the key of replies */
	MAPS_NAT_FLOWS6,
	MAPS_NAT_SOURCES4, /* struct shunt_nat_source, by the key of the client's packets */
	MAPS_NAT_SOURCES6,
	MAPS_NAT_TABLES
};

/* Of the table's family. */
union maps_nat_key {
	struct shunt_flow4_key v4;
	struct shunt_flow6_key v6;
};

union maps_nat_value {
	struct shunt_nat flow;
	struct shunt_nat_source source;
};

/* Where a walk through a table is. Zero: at its start. */
struct maps_nat_cursor {
	uint32_t at;
	bool started;
	bool ended;
};

#define MAPS_NAT_SLICE 4096

/*
 * The next entries, MAPS_NAT_SLICE at most, each passed to `each` (which may delete). Entries that are
 * made or deleted meanwhile may be met or not. 0, or -errno.
 */
typedef void (*maps_nat_each)(void *ctx, const union maps_nat_key *key,
			      const union maps_nat_value *value);
int maps_nat_walk(struct loader *l, enum maps_nat_table table, struct maps_nat_cursor *cursor,
		  maps_nat_each each, void *ctx);

/* Flows of both families (walks the tables: slow, for status). 0, or -errno. */
int maps_nat_count(struct loader *l, uint64_t *ret_flows);

/* -ENOENT: there is none. */
int maps_nat_get(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key,
		 union maps_nat_value *ret_value);
int maps_nat_delete(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key);

#endif
