/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of addresses of services, for packets without ports. All return 0 or -errno. Main thread. */
#ifndef LOADER_MAPS_VIPS_H
#define LOADER_MAPS_VIPS_H

#include <stddef.h>

#include "bpf/abi.h"
#include "loader/loader.h"

struct maps_vip_row {
	struct shunt_addr_key key;
	struct shunt_vip addr;
};

int maps_vip_set(struct loader *l, const struct shunt_addr_key *key, const struct shunt_vip *addr);
int maps_vip_delete(struct loader *l, const struct shunt_addr_key *key);
int maps_vip_list(struct loader *l, struct maps_vip_row **ret_rows, size_t *ret_count);

#endif
