/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_flows.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/state.h"

#define BATCH_FIRST 1024       /* entries that a piece has room for, ... */
#define BATCH_MAX   (1U << 20) /* ... and where one bucket of the table holds more than that */

/* What the kernel fills, and what the caller sees of it. */
struct maps_flow_batch {
	uint32_t room;
	void *keys; /* [room] of the longer kind */
	struct shunt_flow *values;
	struct maps_flow *flows;
};

static const struct {
	enum loader_map map;
	size_t key_size;
} tables[MAPS_FLOW_TABLE_COUNT] = {
	[MAPS_PEND4] = {LOADER_MAP_PEND4, sizeof(struct shunt_flow4_key)},
	[MAPS_PEND6] = {LOADER_MAP_PEND6, sizeof(struct shunt_flow6_key)},
	[MAPS_FLOW4] = {LOADER_MAP_FLOW4, sizeof(struct shunt_flow4_key)},
	[MAPS_FLOW6] = {LOADER_MAP_FLOW6, sizeof(struct shunt_flow6_key)},
};

struct shunt_stamp *maps_stamps(struct loader *l)
{
	return l->mapped[LOADER_MAP_STAMPS];
}

unsigned maps_processors(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? (unsigned)n : 1;
}

static void batch_free(struct maps_flow_batch *b)
{
	if (b == NULL)
		return;
	free(b->keys);
	free(b->values);
	free(b->flows);
	free(b);
}

static struct maps_flow_batch *batch_new(uint32_t room)
{
	struct maps_flow_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->room = room;
	b->keys = calloc(room, sizeof(struct shunt_flow6_key));
	b->values = calloc(room, sizeof(*b->values));
	b->flows = calloc(room, sizeof(*b->flows));
	if (b->keys == NULL || b->values == NULL || b->flows == NULL) {
		batch_free(b);
		return NULL;
	}
	return b;
}

static int grow(struct maps_flow_walk *walk)
{
	uint32_t room = walk->room == NULL ? BATCH_FIRST : 2 * walk->room->room;
	struct maps_flow_batch *b = room > BATCH_MAX ? NULL : batch_new(room);

	if (b == NULL)
		return -ENOMEM;
	batch_free(walk->room);
	walk->room = b;
	return 0;
}

static void fill(struct maps_flow_batch *b, enum maps_flow_table table, size_t count)
{
	size_t key_size = tables[table].key_size;

	for (size_t i = 0; i < count; i++) {
		struct maps_flow *f = &b->flows[i];

		f->table = table;
		memcpy(&f->key6, (const char *)b->keys + i * key_size, key_size);
		f->flow = b->values[i];
	}
}

/* A batch takes whole buckets, and fails where it cannot hold one: then it is made larger. */
int maps_flow_walk_next(const struct loader *l, struct maps_flow_walk *walk,
			const struct maps_flow **ret_flows, size_t *ret_count)
{
	enum maps_flow_table table = walk->table;
	uint32_t next = 0, count;
	int err = walk->room == NULL ? grow(walk) : 0;

	if (table >= MAPS_FLOW_TABLE_COUNT)
		return -ENOENT;
	if (err < 0)
		return err;
	count = walk->room->room;
	err = bpf_map_lookup_batch(l->map_fds[tables[table].map],
				   walk->inside ? &walk->cursor : NULL, &next, walk->room->keys,
				   walk->room->values, &count, NULL);
	if (err == -ENOSPC) {
		count = 0;
		err = grow(walk);
	} else if (err == 0) {
		walk->cursor = next;
		walk->inside = true;
	} else if (err == -ENOENT) { /* the last of the table */
		walk->table++;
		walk->inside = false;
		err = 0;
	}
	if (err < 0)
		return err;
	fill(walk->room, table, count);
	*ret_flows = walk->room->flows;
	*ret_count = count;
	return 0;
}

void maps_flow_walk_end(struct maps_flow_walk *walk)
{
	if (walk == NULL)
		return;
	batch_free(walk->room);
	*walk = (struct maps_flow_walk){0};
}

int maps_flow_get(const struct loader *l, const struct maps_flow *f, struct shunt_flow *ret_flow)
{
	return bpf_map_lookup_elem(l->map_fds[tables[f->table].map], &f->key6, ret_flow);
}

int maps_flow_delete(struct loader *l, const struct maps_flow *f)
{
	return bpf_map_delete_elem(l->map_fds[tables[f->table].map], &f->key6);
}
