/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in the kernel's tables, as this process knows it: read once when they are opened,
 * then kept true by every write (l4/sync.c), since nobody else writes them. Pure; main thread.
 */
#ifndef L4_TABLES_H
#define L4_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "l4/entries.h"
#include "l4/extents.h"
#include "loader/loader.h"

struct table_backend {
	struct shunt_be_meta meta;
	struct shunt_backend row;
	bool wanted;	   /* the configuration names it */
	uint32_t linger_s; /* how long an entry of its can go without a packet and still be good */
	uint64_t packets;  /* seen by the last l4_tick() */
	uint64_t quiet_since_ms;
	uint64_t freed; /* counts up with each row that is freed: the smallest is reused first */
};

struct table_member {
	uint32_t id;
	uint32_t weight;
	uint32_t slots; /* how many it holds */
};

struct table_service {
	struct shunt_svc_meta meta;
	struct shunt_ring ring;	      /* as published */
	struct table_member *members; /* what the ring was built from; NULL: not known, or none */
	size_t member_count;	      /* 0 with members: a ring whose slots have only `old` */
	uint32_t moving;	      /* slots that are, where members are known */
	uint64_t version;	      /* another one for each ring that is published */
	uint32_t former_row;	      /* has_former: entries of its flows may still name that row */
	bool has_former;
};

/* A ring took another one's place: packets may still stamp the slots of the former. */
struct handover {
	uint32_t from, to, size; /* in slots of the arena */
};

struct handovers {
	struct handover *list; /* in the order in which they happened */
	size_t count, capacity;
};

struct table_key {
	struct shunt_vip_key key;
	struct shunt_service record;
};

/* Sorted by key. */
struct key_table {
	struct table_key *rows;
	size_t count, capacity;
};

struct tables {
	struct loader_sizes sizes;
	struct entries entries[MAPS_TABLE_COUNT];
	struct maps_index gate;
	struct table_backend *backends; /* [sizes.backends] */
	struct table_service *services; /* [sizes.services] */
	struct key_table keys;
	uint64_t freed; /* last value given to a backend row */
	/* What packets may still be looking at, since the last wait for them: */
	bool records_unsettled; /* records and entries that were replaced or deleted */
	struct extents retired; /* rings that were unpublished */
	struct handovers handovers;
};

/* All rows free. 0, or -ENOMEM. */
int tables_init(struct tables *t, const struct loader_sizes *sizes);
void tables_deinit(struct tables *t); /* NULL is fine */

/* NULL: there is none. */
struct table_key *keys_find(const struct key_table *keys, const struct shunt_vip_key *key);
/* Insert or replace. 0, or -ENOMEM. */
int keys_put(struct key_table *keys, const struct shunt_vip_key *key,
	     const struct shunt_service *record);
void keys_remove(struct key_table *keys, const struct shunt_vip_key *key);
int keys_copy(const struct key_table *keys, struct key_table *ret_copy); /* 0, or -ENOMEM */
void keys_deinit(struct key_table *keys);

/* Does the row belong to a backend, whole and with the id that its owner was given? */
bool table_backend_is_owned(const struct table_backend *b);

/* Takes members (malloc'ed; NULL for none). */
void table_service_set_ring(struct table_service *s, const struct shunt_ring *ring,
			    struct table_member *members, size_t count);

/* Nothing that was unpublished is looked at any more. */
void tables_settle(struct tables *t);

/* Is the id that of a row that is up or draining? */
bool tables_backend_lives(const struct tables *t, uint32_t id);

/* Room for one more, so that handovers_add() cannot fail. 0, or -ENOMEM. */
int handovers_reserve(struct handovers *h);
void handovers_add(struct handovers *h, const struct handover *one);

#endif
