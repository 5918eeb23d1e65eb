/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_nat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/state.h"

static const struct {
	enum loader_map map;
	size_t key_size, value_size;
} tables[MAPS_NAT_TABLES] = {
	[MAPS_NAT_FLOWS4] = {LOADER_MAP_NAT_REV4, sizeof(struct shunt_flow4_key),
			     sizeof(struct shunt_nat)},
	[MAPS_NAT_FLOWS6] = {LOADER_MAP_NAT_REV6, sizeof(struct shunt_flow6_key),
			     sizeof(struct shunt_nat)},
	[MAPS_NAT_SOURCES4] = {LOADER_MAP_NAT_FWD4, sizeof(struct shunt_flow4_key),
			       sizeof(struct shunt_nat_source)},
	[MAPS_NAT_SOURCES6] = {LOADER_MAP_NAT_FWD6, sizeof(struct shunt_flow6_key),
			       sizeof(struct shunt_nat_source)},
};

static void pass_on(enum maps_nat_table table, const char *keys, const char *values, uint32_t count,
		    maps_nat_each each, void *ctx)
{
	for (uint32_t i = 0; i < count; i++) {
		union maps_nat_key key = {0};
		union maps_nat_value value = {0};

		memcpy(&key, keys + i * tables[table].key_size, tables[table].key_size);
		memcpy(&value, values + i * tables[table].value_size, tables[table].value_size);
		each(ctx, &key, &value);
	}
}

/* A batch takes whole buckets; -ENOSPC where it cannot hold one, which no honest hash brings about
 * with as much room as this. */
int maps_nat_walk(struct loader *l, enum maps_nat_table table, struct maps_nat_cursor *cursor,
		  maps_nat_each each, void *ctx)
{
	char *keys = malloc(MAPS_NAT_SLICE * tables[table].key_size);
	char *values = malloc(MAPS_NAT_SLICE * tables[table].value_size);
	uint32_t count = MAPS_NAT_SLICE, next = 0;
	int err = -ENOMEM;

	if (keys != NULL && values != NULL)
		err = bpf_map_lookup_batch(l->map_fds[tables[table].map],
					   cursor->started ? &cursor->at : NULL, &next, keys,
					   values, &count, NULL);
	if (err == 0 || err == -ENOENT) {
		*cursor = (struct maps_nat_cursor){
			.at = next, .started = true, .ended = err == -ENOENT};
		pass_on(table, keys, values, count, each, ctx);
		err = 0;
	}
	free(keys);
	free(values);
	return err;
}

static void count_one(void *ctx, const union maps_nat_key *key, const union maps_nat_value *value)
{
	(void)key;
	(void)value;
	(*(uint64_t *)ctx)++;
}

int maps_nat_count(struct loader *l, uint64_t *ret_flows)
{
	uint64_t flows = 0;
	int err = 0;

	for (enum maps_nat_table table = MAPS_NAT_FLOWS4; table <= MAPS_NAT_FLOWS6; table++) {
		struct maps_nat_cursor cursor = {0};

		while (err == 0 && !cursor.ended)
			err = maps_nat_walk(l, table, &cursor, count_one, &flows);
	}
	*ret_flows = flows;
	return err;
}

int maps_nat_get(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key,
		 union maps_nat_value *ret_value)
{
	return bpf_map_lookup_elem(l->map_fds[tables[table].map], key, ret_value);
}

int maps_nat_delete(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key)
{
	return bpf_map_delete_elem(l->map_fds[tables[table].map], key);
}
