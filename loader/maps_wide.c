/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_wide.h"

#include <bpf/bpf.h>
#include <stdatomic.h>
#include <stddef.h>

#include "loader/maps.h"
#include "loader/maps_rows.h"
#include "loader/state.h"

static const struct {
	enum loader_map map;
	const char *name;
} tables[MAPS_TABLE_COUNT] = {
	[MAPS_ADDRS] = {LOADER_MAP_ADDRS, SHUNT_MAP_ADDRS},
	[MAPS_PREFIXES] = {LOADER_MAP_PREFIXES, SHUNT_MAP_PREFIXES},
	[MAPS_ROUTES] = {LOADER_MAP_ROUTES, SHUNT_MAP_ROUTES},
	[MAPS_SERVER_IDS] = {LOADER_MAP_SERVER_IDS, SHUNT_MAP_SERVER_IDS},
};

const char *maps_table_name(enum maps_table table)
{
	return tables[table].name;
}

int maps_entry_set(struct loader *l, enum maps_table table, const struct maps_entry *e)
{
	return bpf_map_update_elem(l->map_fds[tables[table].map], e->key, e->value, BPF_ANY);
}

int maps_entry_delete(struct loader *l, enum maps_table table, const struct maps_entry *e)
{
	return bpf_map_delete_elem(l->map_fds[tables[table].map], e->key);
}

int maps_entry_list(struct loader *l, enum maps_table table, struct maps_entry **ret_entries,
		    size_t *ret_count)
{
	static const struct maps_row_form form = {sizeof(struct maps_entry),
						  offsetof(struct maps_entry, key),
						  offsetof(struct maps_entry, value)};
	void *rows;
	int err = maps_rows_list(l, tables[table].map, &form, &rows, ret_count);

	if (err == 0)
		*ret_entries = rows;
	return err;
}

int maps_index_set(struct loader *l, const struct maps_index *index)
{
	_Atomic uint64_t *bits = l->mapped[LOADER_MAP_ADDR_BITS];
	struct shunt_switches *in_use = maps_switches(l);

	for (size_t i = 0; i < SHUNT_ADDR_BITS_WORDS; i++)
		atomic_store_explicit(&bits[i], index->bits[i], memory_order_release);
	in_use->ranges = index->ranges;
	in_use->prefixes = index->prefixes;
	return 0;
}

int maps_index_get(struct loader *l, struct maps_index *ret_index)
{
	const _Atomic uint64_t *bits = l->mapped[LOADER_MAP_ADDR_BITS];
	const struct shunt_switches *in_use = maps_switches(l);

	for (size_t i = 0; i < SHUNT_ADDR_BITS_WORDS; i++)
		ret_index->bits[i] = atomic_load_explicit(&bits[i], memory_order_acquire);
	ret_index->ranges = in_use->ranges;
	ret_index->prefixes = in_use->prefixes;
	return 0;
}
