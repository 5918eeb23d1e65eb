/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_devices.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>

#include "loader/state.h"

static bool is_listed(uint32_t index, const uint32_t *indices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (indices[i] == index)
			return true;
	}
	return false;
}

/* One that is not wanted; 0: none. The walk begins anew after each, since a table that shrinks
 * under it starts over. */
static uint32_t find_unlisted(int fd, const uint32_t *indices, size_t count)
{
	uint32_t key, next;
	const uint32_t *last = NULL;

	for (int i = 0; i < SHUNT_MAX_DEVICES && bpf_map_get_next_key(fd, last, &next) == 0; i++) {
		if (!is_listed(next, indices, count))
			return next;
		key = next;
		last = &key;
	}
	return 0;
}

int maps_devices_write(struct loader *l, const uint32_t *indices, size_t count)
{
	int fd = l->map_fds[LOADER_MAP_DEVICES];
	uint32_t index;
	int err = 0;

	while ((index = find_unlisted(fd, indices, count)) != 0) {
		int one = bpf_map_delete_elem(fd, &index);

		if (one < 0 && one != -ENOENT) /* the kernel takes out what is gone, too */
			return one;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t there;
		int one = 0;

		if (bpf_map_lookup_elem(fd, &indices[i], &there) < 0)
			one = bpf_map_update_elem(fd, &indices[i], &indices[i], BPF_ANY);
		if (one < 0 && err == 0)
			err = one;
	}
	return err;
}
