/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/index.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/hash.h"

static struct shunt_range range_of(const struct shunt_vip_key *key)
{
	uint16_t lo = ntohs(key->port);

	return (struct shunt_range){
		.lo = lo,
		.hi = key->port_hi != 0 ? ntohs(key->port_hi) : lo,
		.proto = key->proto,
		.prefix_len = key->prefix_len,
	};
}

/* The order in which a packet tries them: longer prefixes first, then narrower ranges; the rest only
 * makes it one order. */
static int range_cmp(const struct shunt_range *a, const struct shunt_range *b)
{
	int width_a = a->hi - a->lo, width_b = b->hi - b->lo;

	if (a->prefix_len != b->prefix_len)
		return (int)b->prefix_len - (int)a->prefix_len;
	if (width_a != width_b)
		return width_a - width_b;
	if (a->lo != b->lo)
		return (int)a->lo - (int)b->lo;
	return (int)a->proto - (int)b->proto;
}

static int list_add(struct shunt_addr *list, const struct shunt_range *range)
{
	unsigned at = 0;

	while (at < list->range_count && range_cmp(&list->ranges[at], range) < 0)
		at++;
	if (at < list->range_count && range_cmp(&list->ranges[at], range) == 0)
		return 0;
	if (list->range_count == SHUNT_MAX_RANGES)
		return -ENOSPC;
	memmove(&list->ranges[at + 1], &list->ranges[at],
		(list->range_count - at) * sizeof(*list->ranges));
	list->ranges[at] = *range;
	list->range_count++;
	return 0;
}

static int add_to(struct entries *t, struct maps_entry *key, const struct shunt_range *range)
{
	struct maps_entry *have = entries_find(t, key);
	int err;

	if (have == NULL) {
		err = entries_put(t, key);
		if (err < 0)
			return err;
		have = entries_find(t, key);
	}
	return list_add(&have->addr, range);
}

static void open_gate(struct maps_index *gate, const struct shunt_vip_key *key)
{
	uint32_t bit = hash_addr_bit_of(key->addr);

	if (key->prefix_len != 0)
		memset(gate->bits, 0xff, sizeof(gate->bits));
	else
		gate->bits[bit / SHUNT_ADDR_WORD_BITS] |= 1ULL << bit % SHUNT_ADDR_WORD_BITS;
}

static int add_key(struct index *index, const struct shunt_vip_key *key)
{
	struct shunt_range range = range_of(key);
	struct maps_entry e = {0};

	open_gate(&index->gate, key);
	if (key->prefix_len != 0) {
		e.lpm_key.prefixlen = SHUNT_LPM_SCOPE_BITS + key->prefix_len;
		e.lpm_key.scope = SHUNT_LPM_SCOPE(0, key->family);
		memcpy(e.lpm_key.addr, key->addr, sizeof(key->addr));
		index->gate.prefixes = 1;
		return add_to(&index->prefixes, &e, &range);
	}
	if (key->port_hi == 0)
		return 0;
	e.addr_key.family = key->family;
	memcpy(e.addr_key.addr, key->addr, sizeof(key->addr));
	index->gate.ranges = 1;
	return add_to(&index->addrs, &e, &range);
}

/* Is the key's prefix around the row's, and another one? */
static bool is_around(const struct shunt_vip_key *key, const struct shunt_lpm_key *row)
{
	const uint8_t *a = (const uint8_t *)key->addr, *b = (const uint8_t *)row->addr;
	unsigned len = key->prefix_len, whole = len / 8, rest = len % 8;

	if (len == 0 || len + SHUNT_LPM_SCOPE_BITS >= row->prefixlen ||
	    SHUNT_LPM_SCOPE(0, key->family) != row->scope || memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static int inherit(struct index *index, const struct shunt_vip_key *key)
{
	struct shunt_range range = range_of(key);
	int err = 0;

	for (size_t i = 0; i < index->prefixes.count && err == 0; i++) {
		struct maps_entry *row = &index->prefixes.rows[i];

		if (is_around(key, &row->lpm_key))
			err = list_add(&row->addr, &range);
	}
	return err;
}

int index_build(const struct key_table *keys, const struct desired *more, struct index *ret_index)
{
	struct index index = {0};
	size_t count = more != NULL ? more->key_count : 0;
	int err = 0;

	for (size_t i = 0; i < keys->count && err == 0; i++)
		err = add_key(&index, &keys->rows[i].key);
	for (size_t i = 0; i < count && err == 0; i++)
		err = add_key(&index, &more->keys[i].key);
	for (size_t i = 0; i < keys->count && err == 0; i++)
		err = inherit(&index, &keys->rows[i].key);
	for (size_t i = 0; i < count && err == 0; i++)
		err = inherit(&index, &more->keys[i].key);
	if (err < 0) {
		index_deinit(&index);
		return err;
	}
	*ret_index = index;
	return 0;
}

void index_deinit(struct index *index)
{
	if (index == NULL)
		return;
	entries_deinit(&index->addrs);
	entries_deinit(&index->prefixes);
}
