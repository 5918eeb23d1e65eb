/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_rows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

int maps_rows_list(const struct loader *l, enum loader_map map, const struct maps_row_form *form,
		   void **ret_rows, size_t *ret_count)
{
	size_t room = l->map_entries[map], count = 0;
	char *rows = calloc(room, form->size);
	const void *last = NULL;
	int fd = l->map_fds[map], err = rows == NULL ? -ENOMEM : 0;

	/* Nobody else writes the table, so a walk by keys meets each once. */
	while (err == 0 && count < room) {
		char *row = rows + count * form->size;

		err = bpf_map_get_next_key(fd, last, row + form->key);
		if (err == 0)
			err = bpf_map_lookup_elem(fd, row + form->key, row + form->value);
		if (err == 0) {
			last = row + form->key;
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
