/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_vips.h"

#include <bpf/bpf.h>
#include <stddef.h>

#include "loader/maps_rows.h"
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
	static const struct maps_row_form form = {sizeof(struct maps_vip_row),
						  offsetof(struct maps_vip_row, key),
						  offsetof(struct maps_vip_row, addr)};
	void *rows;
	int err = maps_rows_list(l, LOADER_MAP_VIPS, &form, &rows, ret_count);

	if (err == 0)
		*ret_rows = rows;
	return err;
}
