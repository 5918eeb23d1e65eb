/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/vips.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int addr_cmp(const void *a, const void *b)
{
	const struct maps_vip_row *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* One more key of an address that has a row. */
static void merge(struct maps_vip_row *row, const struct maps_vip_row *other)
{
	bool local = row->addr.flags & SHUNT_VIP_LOCAL;

	if (local && !(other->addr.flags & SHUNT_VIP_LOCAL))
		row->addr.service = other->addr.service;
	row->addr.flags |= other->addr.flags;
}

/* The row of one key. */
static struct maps_vip_row row_of(const struct table_key *key)
{
	struct maps_vip_row row = {
		.key.family = key->key.family,
		.addr.service = key->record.index,
	};

	memcpy(row.key.addr, key->key.addr, sizeof(row.key.addr));
	if (key->record.action == SHUNT_ACTION_LOCAL)
		row.addr.flags |= SHUNT_VIP_LOCAL;
	return row;
}

int vips_build(const struct key_table *keys, struct maps_vip_row **ret_rows, size_t *ret_count)
{
	struct maps_vip_row *rows = calloc(keys->count + 1, sizeof(*rows));
	size_t all = 0, count = 0;

	if (rows == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < keys->count; i++) {
		if (keys->rows[i].key.prefix_len == 0)
			rows[all++] = row_of(&keys->rows[i]);
	}
	qsort(rows, all, sizeof(*rows), addr_cmp);
	for (size_t i = 0; i < all; i++) {
		if (count > 0 && addr_cmp(&rows[count - 1], &rows[i]) == 0)
			merge(&rows[count - 1], &rows[i]);
		else
			rows[count++] = rows[i];
	}
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

static const struct maps_vip_row *find(const struct maps_vip_row *rows, size_t count,
				       const struct maps_vip_row *row)
{
	return bsearch(row, rows, count, sizeof(*rows), addr_cmp);
}

static int write_differences(struct loader *loader, const struct maps_vip_row *want,
			     size_t want_count, const struct maps_vip_row *have, size_t have_count,
			     unsigned *written)
{
	int err = 0;

	/* First, so that there is room. */
	for (size_t i = 0; i < have_count && err == 0; i++) {
		if (find(want, want_count, &have[i]) != NULL)
			continue;
		err = maps_vip_delete(loader, &have[i].key);
		*written += err == 0;
	}
	for (size_t i = 0; i < want_count && err == 0; i++) {
		const struct maps_vip_row *row = find(have, have_count, &want[i]);

		if (row != NULL && memcmp(&row->addr, &want[i].addr, sizeof(row->addr)) == 0)
			continue;
		err = maps_vip_set(loader, &want[i].key, &want[i].addr);
		*written += err == 0;
	}
	return err;
}

int vips_sync(struct loader *loader, const struct tables *t, unsigned *written, struct diag *d)
{
	struct maps_vip_row *want = NULL, *have = NULL;
	size_t want_count, have_count;
	int err = vips_build(&t->keys, &want, &want_count);

	if (err == 0)
		err = maps_vip_list(loader, &have, &have_count);
	if (err == 0) {
		qsort(have, have_count, sizeof(*have), addr_cmp);
		err = write_differences(loader, want, want_count, have, have_count, written);
	}
	free(want);
	free(have);
	if (err < 0)
		diag_error(d, NULL, "cannot write %s: %s", SHUNT_MAP_VIPS, strerror(-err));
	return err;
}
