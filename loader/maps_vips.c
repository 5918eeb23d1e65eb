/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_vips.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "loader/state.h"

int maps_vip_set(struct loader *l, const struct shunt_addr_key *key, const struct shunt_vip *addr)
{
	return bpf_map_update_elem(l->map_fds[LOADER_MAP_VIPS], key, addr, BPF_ANY);
}

int maps_vip_delete(struct loader *l, const struct shunt_addr_key *key)
{
	return bpf_map_delete_elem(l->map_fds[LOADER_MAP_VIPS], key);
}

int maps_vip_list(struct loader *l, struct maps_vip_row **ret_rows, size_t *ret_count)
{
	int fd = l->map_fds[LOADER_MAP_VIPS];
	size_t room = l->map_entries[LOADER_MAP_VIPS], count = 0;
	struct maps_vip_row *rows = calloc(room, sizeof(*rows));
	const struct shunt_addr_key *last = NULL;
	int err = rows == NULL ? -ENOMEM : 0;

	/* Nobody else writes the table, so a walk by keys meets each once. */
	while (err == 0 && count < room) {
		struct maps_vip_row *row = &rows[count];

		err = bpf_map_get_next_key(fd, last, &row->key);
		if (err == 0)
			err = bpf_map_lookup_elem(fd, &row->key, &row->addr);
		if (err == 0) {
			last = &row->key;
			count++;
		}
	}
	if (err < 0 && err != -ENOENT) {
		free(rows);
		return err;
	}
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}
