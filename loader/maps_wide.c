/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_wide.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loader/maps.h"
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
	int fd = l->map_fds[tables[table].map];
	size_t room = l->map_entries[tables[table].map], count = 0;
	struct maps_entry *entries = calloc(room, sizeof(*entries));
	const uint8_t *last = NULL;
	int err = entries == NULL ? -ENOMEM : 0;

	/* Nobody else writes the table, so a walk by keys meets each once. */
	while (err == 0 && count < room) {
		struct maps_entry *e = &entries[count];

		err = bpf_map_get_next_key(fd, last, e->key);
		if (err == 0)
			err = bpf_map_lookup_elem(fd, e->key, e->value);
		if (err == 0) {
			last = e->key;
			count++;
		}
	}
	if (err < 0 && err != -ENOENT) {
		free(entries);
		return err;
	}
	*ret_entries = entries;
	*ret_count = count;
	return 0;
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
