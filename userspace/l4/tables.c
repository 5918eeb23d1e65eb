/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l4/desired.h"

int tables_init(struct tables *t, const struct loader_sizes *sizes)
{
	*t = (struct tables){.sizes = *sizes};
	extents_init(&t->retired, sizes->ring_slots);
	t->backends = calloc(sizes->backends, sizeof(*t->backends));
	t->services = calloc(sizes->services, sizeof(*t->services));
	if (t->backends == NULL || t->services == NULL) {
		tables_deinit(t);
		return -ENOMEM;
	}
	return 0;
}

void tables_deinit(struct tables *t)
{
	if (t == NULL)
		return;
	if (t->services != NULL) {
		for (uint32_t i = 0; i < t->sizes.services; i++)
			free(t->services[i].members);
	}
	free(t->backends);
	free(t->services);
	keys_deinit(&t->keys);
	for (int table = 0; table < MAPS_TABLE_COUNT; table++)
		entries_deinit(&t->entries[table]);
	extents_deinit(&t->retired);
	free(t->handovers.list);
	*t = (struct tables){0};
}

/* Where the key is, or where it belongs. */
static size_t locate(const struct key_table *keys, const struct shunt_vip_key *key)
{
	size_t low = 0, high = keys->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (vip_key_cmp(&keys->rows[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct table_key *keys_find(const struct key_table *keys, const struct shunt_vip_key *key)
{
	size_t at = locate(keys, key);

	if (at == keys->count || vip_key_cmp(&keys->rows[at].key, key) != 0)
		return NULL;
	return &keys->rows[at];
}

static int reserve(struct key_table *keys)
{
	size_t capacity = keys->capacity > 0 ? 2 * keys->capacity : 16;
	struct table_key *rows;

	if (keys->count < keys->capacity)
		return 0;
	rows = reallocarray(keys->rows, capacity, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	keys->rows = rows;
	keys->capacity = capacity;
	return 0;
}

int keys_put(struct key_table *keys, const struct shunt_vip_key *key,
	     const struct shunt_service *record)
{
	struct table_key *row = keys_find(keys, key);
	size_t at;

	if (row != NULL) {
		row->record = *record;
		return 0;
	}
	if (reserve(keys) < 0)
		return -ENOMEM;
	at = locate(keys, key);
	memmove(&keys->rows[at + 1], &keys->rows[at], (keys->count - at) * sizeof(*keys->rows));
	keys->rows[at] = (struct table_key){.key = *key, .record = *record};
	keys->count++;
	return 0;
}

void keys_remove(struct key_table *keys, const struct shunt_vip_key *key)
{
	struct table_key *row = keys_find(keys, key);

	if (row == NULL)
		return;
	keys->count--;
	memmove(row, row + 1, (size_t)(&keys->rows[keys->count] - row) * sizeof(*row));
}

int keys_copy(const struct key_table *keys, struct key_table *ret_copy)
{
	struct key_table copy = {.count = keys->count, .capacity = keys->count + 1};

	copy.rows = calloc(copy.capacity, sizeof(*copy.rows));
	if (copy.rows == NULL)
		return -ENOMEM;
	if (keys->count > 0)
		memcpy(copy.rows, keys->rows, keys->count * sizeof(*copy.rows));
	*ret_copy = copy;
	return 0;
}

void keys_deinit(struct key_table *keys)
{
	free(keys->rows);
	*keys = (struct key_table){0};
}

bool table_backend_is_owned(const struct table_backend *b)
{
	return b->row.id != 0 && b->row.id == b->meta.id && b->meta.pool[0] != '\0';
}

void tables_settle(struct tables *t)
{
	t->records_unsettled = false;
	extents_clear(&t->retired);
	t->handovers.count = 0;
}

bool tables_backend_lives(const struct tables *t, uint32_t id)
{
	uint32_t index = SHUNT_ID_INDEX(id);

	return id != 0 && index < t->sizes.backends && t->backends[index].row.id == id &&
	       t->backends[index].row.state != SHUNT_BACKEND_DOWN;
}

int handovers_reserve(struct handovers *h)
{
	size_t capacity = h->capacity > 0 ? 2 * h->capacity : 16;
	struct handover *list;

	if (h->count < h->capacity)
		return 0;
	list = reallocarray(h->list, capacity, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	h->list = list;
	h->capacity = capacity;
	return 0;
}

void handovers_add(struct handovers *h, const struct handover *one)
{
	h->list[h->count++] = *one;
}

void table_service_set_ring(struct table_service *s, const struct shunt_ring *ring,
			    struct table_member *members, size_t count)
{
	free(s->members);
	s->ring = *ring;
	s->members = members;
	s->member_count = count;
	s->moving = 0;
	s->version++;
}
