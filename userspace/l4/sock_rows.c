/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/sock_rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"

/* What a range goes by, besides its port: the length of its prefix, all bits for an address. */
struct item {
	const struct listen *listen;
	uint32_t row;
};

struct build {
	struct item *items;
	size_t item_count;
	struct sockets_row *rows;
	size_t row_count;
};

static bool is_for_program(const struct listen *l)
{
	return l->proto == IPPROTO_TCP && !addr_is_unspecified(&l->ep.addr);
}

bool sock_rows_needed(const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++)
			if (!listen_is_exact(&s->listens[k]))
				return true;
	}
	return false;
}

static unsigned full_len(const struct listen *l)
{
	return l->ep.addr.family == AF_INET ? 32 : 128;
}

static unsigned len_of(const struct listen *l)
{
	return l->prefix_len ? l->prefix_len : full_len(l);
}

/* Has a range or prefix of a proxied service addresses and ports of l? */
static bool is_amid_proxied(const struct snapshot *snap, const struct listen *l)
{
	uint16_t high = l->port_hi ? l->port_hi : l->ep.port;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++)
			if (!listen_is_exact(&s->listens[k]) &&
			    listen_overlaps(&s->listens[k], &l->ep.addr, len_of(l), l->ep.port,
					    high))
				return true;
	}
	return false;
}

static int collect(struct build *b, const struct snapshot *snap, sock_row_fn row_of, void *ctx)
{
	char group[LISTEN_GROUP_STRLEN];

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; k < s->listen_count; k++) {
			const struct listen *l = &s->listens[k];
			uint32_t row = SOCKETS_ROW_STACK;
			int err = 0;

			if (!is_for_program(l))
				continue;
			if (service_is_proxied(s))
				err = row_of(ctx, listen_group(s, l, group), &row);
			else if (!is_amid_proxied(snap, l))
				continue;
			if (err < 0)
				return err;
			b->items[b->item_count++] = (struct item){l, row};
		}
	}
	return 0;
}

static uint8_t family_of(const struct listen *l)
{
	return l->ep.addr.family == AF_INET ? 4 : 6;
}

/* The row that l is in the list of, without its value. */
static struct sockets_row row_of_listen(const struct listen *l)
{
	struct sockets_row row = {0};

	if (l->prefix_len) {
		row.table = SOCKETS_PREFIXES;
		row.key.prefix.prefixlen = SOCKETS_FAMILY_BITS + l->prefix_len;
		row.key.prefix.family = family_of(l);
		memcpy(row.key.prefix.addr, l->ep.addr.bytes, sizeof(row.key.prefix.addr));
	} else if (l->port_hi) {
		row.table = SOCKETS_ADDRS;
		row.key.addr.family = family_of(l);
		memcpy(row.key.addr.addr, l->ep.addr.bytes, sizeof(row.key.addr.addr));
	} else {
		row.table = SOCKETS_EXACT;
		row.key.exact.family = family_of(l);
		row.key.exact.port = htons(l->ep.port);
		memcpy(row.key.exact.addr, l->ep.addr.bytes, sizeof(row.key.exact.addr));
	}
	return row;
}

/* Longer prefixes first, then narrower ranges; by the lowest port only so that it is one order. */
static int compare_item(const void *a, const void *b)
{
	const struct listen *x = ((const struct item *)a)->listen;
	const struct listen *y = ((const struct item *)b)->listen;
	int width_x = x->port_hi ? x->port_hi - x->ep.port : 0;
	int width_y = y->port_hi ? y->port_hi - y->ep.port : 0;

	if (len_of(x) != len_of(y))
		return (int)len_of(y) - (int)len_of(x);
	if (width_x != width_y)
		return width_x - width_y;
	return (int)x->ep.port - (int)y->ep.port;
}

/* Is one of the ranges of l to be looked at for what finds the list of other? */
static bool is_in_list_of(const struct listen *l, const struct listen *other)
{
	if (!other->prefix_len)
		return !l->prefix_len && l->port_hi && !addr_cmp(&l->ep.addr, &other->ep.addr);
	return l->prefix_len && l->prefix_len <= other->prefix_len &&
	       listen_has_addr(l, &other->ep.addr);
}

/* All that is in the list of the i-th one, which has items in the order in which they are tried. */
static int fill_list(const struct build *b, size_t i, struct sockets_ranges *ret_ranges)
{
	for (size_t k = 0; k < b->item_count; k++) {
		const struct listen *l = b->items[k].listen;

		if (!is_in_list_of(l, b->items[i].listen))
			continue;
		if (ret_ranges->count == SOCKETS_MAX_RANGES)
			return -ENOSPC;
		ret_ranges->ranges[ret_ranges->count++] = (struct sockets_range){
			.lo = l->ep.port,
			.hi = l->port_hi ? l->port_hi : l->ep.port,
			.row = b->items[k].row,
		};
	}
	return 0;
}

static int compare_row(const void *a, const void *b)
{
	return sockets_row_cmp(a, b);
}

/* Ranges of one address or prefix have made one row each, all the same. */
static void drop_doubles(struct build *b)
{
	size_t count = 0;

	for (size_t i = 0; i < b->row_count; i++)
		if (!count || sockets_row_cmp(&b->rows[count - 1], &b->rows[i]) != 0)
			b->rows[count++] = b->rows[i];
	b->row_count = count;
}

static int fill_rows(struct build *b)
{
	qsort(b->items, b->item_count, sizeof(*b->items), compare_item);
	for (size_t i = 0; i < b->item_count; i++) {
		struct sockets_row *row = &b->rows[b->row_count++];
		int err = 0;

		*row = row_of_listen(b->items[i].listen);
		if (row->table == SOCKETS_EXACT)
			row->value.row = b->items[i].row;
		else
			err = fill_list(b, i, &row->value.ranges);
		if (err < 0)
			return err;
	}
	qsort(b->rows, b->row_count, sizeof(*b->rows), compare_row);
	drop_doubles(b);
	return 0;
}

int sock_rows_build(const struct snapshot *snap, sock_row_fn row_of, void *ctx,
		    struct sockets_row **ret_rows, size_t *ret_count)
{
	struct build b = {0};
	size_t listens = 0;
	int err = 0;

	for (size_t i = 0; i < snap->service_count; i++)
		listens += snap->services[i].listen_count;
	b.items = calloc(listens + 1, sizeof(*b.items));
	b.rows = calloc(listens + 1, sizeof(*b.rows));
	if (b.items == NULL || b.rows == NULL)
		err = -ENOMEM;
	if (err == 0)
		err = collect(&b, snap, row_of, ctx);
	if (err == 0)
		err = fill_rows(&b);
	free(b.items);
	if (err < 0) {
		free(b.rows);
		return err;
	}
	*ret_rows = b.rows;
	*ret_count = b.row_count;
	return 0;
}
