/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed access to the tables of flows, entry by entry, and to what is remembered of moving slots.
 * All return 0 or -errno. Main thread.
 */
#ifndef LOADER_MAPS_FLOWS_H
#define LOADER_MAPS_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

/* sh_stamps, mapped: one for each slot of maps_rings(). */
struct shunt_stamp *maps_stamps(struct loader *l);

/* Processors among which the room of the tables of flows is divided. */
unsigned maps_processors(void);

/* In the order of a walk. An entry that is promoted meanwhile is met, once or twice: it enters the
 * flow table before it leaves the pending one, which is walked first. */
enum maps_flow_table { MAPS_PEND4, MAPS_PEND6, MAPS_FLOW4, MAPS_FLOW6, MAPS_FLOW_TABLE_COUNT };

struct maps_flow {
	enum maps_flow_table table;
	union {
		struct shunt_flow4_key key4; /* of tables of IPv4 flows */
		struct shunt_flow6_key key6;
	};
	struct shunt_flow flow;
};

static inline uint8_t maps_flow_proto(const struct maps_flow *f)
{
	bool v4 = f->table == MAPS_PEND4 || f->table == MAPS_FLOW4;

	return v4 ? f->key4.proto : f->key6.proto;
}

/* A walk through all of them, piece by piece. It meets every entry that is there from its beginning
 * to its end. Zero-initialised by the caller; owner of `room`. */
struct maps_flow_walk {
	enum maps_flow_table table;
	uint32_t cursor;
	bool inside; /* the table: cursor is valid */
	struct maps_flow_batch *room;
};

/* The next piece: some entries, none, or -ENOENT at the end. ret_flows is the walk's, until the next
 * call. */
int maps_flow_walk_next(const struct loader *l, struct maps_flow_walk *walk,
			const struct maps_flow **ret_flows, size_t *ret_count);
void maps_flow_walk_end(
	struct maps_flow_walk *walk); /* NULL and a walk that never began are fine */

int maps_flow_get(const struct loader *l, const struct maps_flow *f, struct shunt_flow *ret_flow);
int maps_flow_delete(struct loader *l, const struct maps_flow *f);

#endif
