/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done to the tables of the guard: lists, limits, sources, and the ring of what the program
 * tells. As loader/maps.h: all return 0 or -errno, none retries. Main thread.
 */
#ifndef LOADER_MAPS_GUARD_H
#define LOADER_MAPS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

/* An entry with its place, for both families; key.addr as in struct shunt_source_key. */
struct maps_guard_row {
	uint8_t family; /* 4 or 6 */
	uint32_t scope;
	__be32 addr[4];
	struct shunt_guard_entry entry; /* prefix_len too */
};

/* set: -ENOSPC where the list of the family is full. get: this very prefix, -ENOENT: there is none;
 * family, scope, addr and entry.prefix_len of row say which, the entry is filled. */
int maps_guard_set(struct loader *l, const struct maps_guard_row *row);
int maps_guard_get(const struct loader *l, struct maps_guard_row *row);
int maps_guard_delete(struct loader *l, const struct maps_guard_row *row);

/* All entries of a family; ret_rows: malloc'ed. Nobody else may write meanwhile. */
int maps_guard_list(const struct loader *l, uint8_t family, struct maps_guard_row **ret_rows,
		    size_t *ret_count);

/*
 * The same piece by piece: a walk is zero at first, and its owner's. rows has room for
 * MAPS_GUARD_PIECE. -ENOENT: these are the last ones. It meets every entry that is there from its
 * beginning to its end; if the last one of a piece is removed before the next piece is asked for, it
 * begins anew.
 */
#define MAPS_GUARD_PIECE 128

struct maps_guard_walk {
	bool inside;
	struct maps_guard_row last;
};
int maps_guard_walk_next(const struct loader *l, uint8_t family, struct maps_guard_walk *walk,
			 struct maps_guard_row *rows, size_t *ret_count);

/* Limits of a service row, and what it has used of them. */
int maps_svc_guard_set(struct loader *l, uint32_t index, const struct shunt_svc_guard *g);
int maps_svc_guard_get(const struct loader *l, uint32_t index, struct shunt_svc_guard *ret_g);
int maps_svc_flood_get(const struct loader *l, uint32_t index, struct shunt_svc_flood *ret_f);
int maps_svc_flood_clear(struct loader *l, uint32_t index);

/* Forget a source, with its block. 0 also where it is not known. */
int maps_source_delete(struct loader *l, const struct shunt_source_key *key);

/* What the program tells. read: calls cb for each event that waits; how many, or -errno. */
struct maps_events;
typedef void (*maps_event_cb)(void *ctx, const struct shunt_guard_event *event);
int maps_events_open(const struct loader *l, maps_event_cb cb, void *ctx,
		     struct maps_events **ret_events);
int maps_events_read(struct maps_events *events);
void maps_events_close(struct maps_events *events); /* NULL is fine */

#endif
