/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of services, as the kernel's table should have them: they follow from the keys that
 * stand in the table of services. An address is written once its first key is there and deleted once the
 * last one has gone, so at every moment one that is there has a key. Those of a prefix are not there.
 * Main thread.
 */
#ifndef L4_VIPS_H
#define L4_VIPS_H

#include <stddef.h>

#include "core/diag.h"
#include "l4/tables.h"
#include "loader/loader.h"
#include "loader/maps_vips.h"

/* Pure. ret_rows: malloc'ed, sorted by key, one for each address. An address is counted by the first
 * service there that is steered, else by the first. 0, or -ENOMEM. */
int vips_build(const struct key_table *keys, struct maps_vip_row **ret_rows, size_t *ret_count);

/* Writes what differs, and adds how much that was to written. 0, or -errno with d filled. */
int vips_sync(struct loader *loader, const struct tables *t, unsigned *written, struct diag *d);

#endif
