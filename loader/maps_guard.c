/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/state.h"

union guard_key {
	struct shunt_guard4_key v4;
	struct shunt_guard6_key v6;
};

static int list_fd(const struct loader *l, uint8_t family)
{
	return l->map_fds[family == 4 ? LOADER_MAP_GUARD4 : LOADER_MAP_GUARD6];
}

static void make_key(const struct maps_guard_row *row, union guard_key *key)
{
	uint32_t len = SHUNT_SCOPE_BITS + row->entry.prefix_len;

	memset(key, 0, sizeof(*key));
	if (row->family == 4) {
		key->v4 = (struct shunt_guard4_key){len, row->scope, row->addr[0]};
		return;
	}
	key->v6.prefix_len = len;
	key->v6.scope = row->scope;
	memcpy(key->v6.addr, row->addr, sizeof(key->v6.addr));
}

static void read_key(const union guard_key *key, struct maps_guard_row *row)
{
	memset(row->addr, 0, sizeof(row->addr));
	if (row->family == 4) {
		row->scope = key->v4.scope;
		row->addr[0] = key->v4.addr;
		return;
	}
	row->scope = key->v6.scope;
	memcpy(row->addr, key->v6.addr, sizeof(row->addr));
}

int maps_guard_set(struct loader *l, const struct maps_guard_row *row)
{
	union guard_key key;

	make_key(row, &key);
	return bpf_map_update_elem(list_fd(l, row->family), &key, &row->entry, BPF_ANY);
}

/* A look-up finds the longest prefix that covers the key, which may be a shorter one. */
int maps_guard_get(const struct loader *l, struct maps_guard_row *row)
{
	struct shunt_guard_entry entry;
	union guard_key key;
	int err;

	make_key(row, &key);
	err = bpf_map_lookup_elem(list_fd(l, row->family), &key, &entry);
	if (err < 0)
		return err;
	if (entry.prefix_len != row->entry.prefix_len)
		return -ENOENT;
	row->entry = entry;
	row->entry.note[SHUNT_NOTE_MAX - 1] = '\0'; /* whoever wrote it */
	return 0;
}

int maps_guard_delete(struct loader *l, const struct maps_guard_row *row)
{
	union guard_key key;

	make_key(row, &key);
	return bpf_map_delete_elem(list_fd(l, row->family), &key);
}

int maps_guard_list(const struct loader *l, uint8_t family, struct maps_guard_row **ret_rows,
		    size_t *ret_count)
{
	int fd = list_fd(l, family), err = 0;
	size_t count = 0, room = 0;
	struct maps_guard_row *rows = NULL;
	union guard_key key, *last = NULL;

	while (err == 0) {
		if (count == room) {
			size_t more = room != 0 ? room * 2 : 64;
			void *grown = realloc(rows, more * sizeof(*rows));

			if (grown == NULL) {
				err = -ENOMEM;
				break;
			}
			rows = grown;
			room = more;
		}
		err = bpf_map_get_next_key(fd, last, &key);
		if (err == 0)
			err = bpf_map_lookup_elem(fd, &key, &rows[count].entry);
		if (err < 0)
			break;
		last = &key;
		rows[count].family = family;
		rows[count].entry.note[SHUNT_NOTE_MAX - 1] = '\0';
		read_key(&key, &rows[count++]);
	}
	if (err != -ENOENT) {
		free(rows);
		return err;
	}
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

int maps_guard_walk_next(const struct loader *l, uint8_t family, struct maps_guard_walk *walk,
			 struct maps_guard_row *rows, size_t *ret_count)
{
	size_t key_size =
		family == 4 ? sizeof(struct shunt_guard4_key) : sizeof(struct shunt_guard6_key);
	uint8_t keys[MAPS_GUARD_PIECE * sizeof(union guard_key)] = {0}; /* one behind the other */
	struct shunt_guard_entry entries[MAPS_GUARD_PIECE];
	uint32_t count = MAPS_GUARD_PIECE;
	union guard_key from, to, key;
	int err;

	make_key(&walk->last, &from);
	err = bpf_map_lookup_batch(list_fd(l, family), walk->inside ? &from : NULL, &to, keys,
				   entries, &count, NULL);
	if (err < 0 && err != -ENOENT)
		return err;
	for (uint32_t i = 0; i < count; i++) {
		rows[i] = (struct maps_guard_row){.family = family, .entry = entries[i]};
		rows[i].entry.note[SHUNT_NOTE_MAX - 1] = '\0';
		memcpy(&key, keys + i * key_size, key_size);
		read_key(&key, &rows[i]);
	}
	if (count > 0) {
		walk->last = rows[count - 1];
		walk->inside = true;
	}
	*ret_count = count;
	return err;
}

int maps_svc_guard_set(struct loader *l, uint32_t index, const struct shunt_svc_guard *g)
{
	return bpf_map_update_elem(l->map_fds[LOADER_MAP_SVC_GUARD], &index, g, BPF_ANY);
}

int maps_svc_guard_get(const struct loader *l, uint32_t index, struct shunt_svc_guard *ret_g)
{
	return bpf_map_lookup_elem(l->map_fds[LOADER_MAP_SVC_GUARD], &index, ret_g);
}

int maps_svc_flood_get(const struct loader *l, uint32_t index, struct shunt_svc_flood *ret_f)
{
	return bpf_map_lookup_elem(l->map_fds[LOADER_MAP_SVC_FLOOD], &index, ret_f);
}

int maps_svc_flood_clear(struct loader *l, uint32_t index)
{
	static const struct shunt_svc_flood none;

	return bpf_map_update_elem(l->map_fds[LOADER_MAP_SVC_FLOOD], &index, &none, BPF_ANY);
}

int maps_source_delete(struct loader *l, const struct shunt_source_key *key)
{
	int err = bpf_map_delete_elem(l->map_fds[LOADER_MAP_SOURCES], key);

	return err == -ENOENT ? 0 : err;
}

/* ---- events ---- */

struct maps_events {
	struct ring_buffer *ring;
	maps_event_cb cb;
	void *ctx;
};

static int on_event(void *ctx, void *data, size_t len)
{
	struct maps_events *events = ctx;

	if (len >= sizeof(struct shunt_guard_event))
		events->cb(events->ctx, data);
	return 0;
}

int maps_events_open(const struct loader *l, maps_event_cb cb, void *ctx,
		     struct maps_events **ret_events)
{
	struct maps_events *events = calloc(1, sizeof(*events));
	int err;

	if (events == NULL)
		return -ENOMEM;
	events->cb = cb;
	events->ctx = ctx;
	events->ring = ring_buffer__new(l->map_fds[LOADER_MAP_EVENTS], on_event, events, NULL);
	if (events->ring == NULL) {
		err = -errno;
		free(events);
		return err;
	}
	*ret_events = events;
	return 0;
}

int maps_events_read(struct maps_events *events)
{
	return ring_buffer__consume(events->ring);
}

void maps_events_close(struct maps_events *events)
{
	if (events == NULL)
		return;
	ring_buffer__free(events->ring);
	free(events);
}
