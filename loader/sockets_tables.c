/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed access to the tables of the program for listening sockets: see sockets.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/maps.h"
#include "loader/sockets_state.h"

static const struct {
	size_t key, value;
	uint32_t max;
} forms[SOCKETS_TABLE_COUNT] = {
	[SOCKETS_EXACT] = {sizeof(struct sockets_exact_key), sizeof(uint32_t), SOCKETS_MAX_EXACT},
	[SOCKETS_ADDRS] = {sizeof(struct sockets_addr_key), sizeof(struct sockets_ranges),
			   SOCKETS_MAX_ADDRS},
	[SOCKETS_PREFIXES] = {sizeof(struct sockets_prefix_key), sizeof(struct sockets_ranges),
			      SOCKETS_MAX_ADDRS},
};

_Static_assert((int)SOCKETS_EXACT == (int)SOCKETS_MAP_EXACT &&
		       (int)SOCKETS_ADDRS == (int)SOCKETS_MAP_ADDRS &&
		       (int)SOCKETS_PREFIXES == (int)SOCKETS_MAP_PREFIXES,
	       "a table's map has its number");

int sockets_row_cmp(const struct sockets_row *a, const struct sockets_row *b)
{
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return memcmp(&a->key, &b->key, forms[a->table].key);
}

bool sockets_row_same(const struct sockets_row *a, const struct sockets_row *b)
{
	return sockets_row_cmp(a, b) == 0 &&
	       memcmp(&a->value, &b->value, forms[a->table].value) == 0;
}

static int compare(const void *a, const void *b)
{
	return sockets_row_cmp(a, b);
}

/* Those of one table, behind the count that rows has. */
static int list_table(struct sockets *s, enum sockets_table table, struct sockets_row **rows,
		      size_t *count)
{
	int fd = s->map_fds[table];
	const void *last = NULL;
	size_t first = *count;

	while (*count - first < forms[table].max) {
		struct sockets_row *grown = reallocarray(*rows, *count + 2, sizeof(**rows));
		struct sockets_row *row;
		int err;

		if (grown == NULL)
			return -ENOMEM;
		*rows = grown;
		row = &grown[*count];
		memset(row, 0, sizeof(*row));
		row->table = table;
		last = *count > first ? &grown[*count - 1].key : NULL;
		err = bpf_map_get_next_key(fd, last, &row->key);
		if (err == -ENOENT)
			return 0;
		if (err == 0)
			err = bpf_map_lookup_elem(fd, &row->key, &row->value);
		if (err < 0)
			return err;
		(*count)++;
	}
	return 0;
}

int sockets_list(struct sockets *s, struct sockets_row **ret_rows, size_t *ret_count)
{
	struct sockets_row *rows = NULL;
	size_t count = 0;

	for (enum sockets_table table = 0; table < SOCKETS_TABLE_COUNT; table++) {
		int err = list_table(s, table, &rows, &count);

		if (err < 0) {
			free(rows);
			return err;
		}
	}
	qsort(rows, count, sizeof(*rows), compare);
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

int sockets_put(struct sockets *s, const struct sockets_row *row)
{
	return bpf_map_update_elem(s->map_fds[row->table], &row->key, &row->value, BPF_ANY);
}

int sockets_delete(struct sockets *s, const struct sockets_row *row)
{
	int err = bpf_map_delete_elem(s->map_fds[row->table], &row->key);

	return err == -ENOENT ? 0 : err;
}

uint64_t sockets_target(const struct sockets *s, uint32_t row)
{
	return s->targets[row];
}

void sockets_set_target(struct sockets *s, uint32_t row, uint64_t target)
{
	s->targets[row] = target;
}

int sockets_name(struct sockets *s, uint32_t row, char ret_name[SOCKETS_NAME_MAX])
{
	struct sockets_meta meta;
	int err = bpf_map_lookup_elem(s->map_fds[SOCKETS_MAP_META], &row, &meta);

	if (err < 0)
		return err;
	memcpy(ret_name, meta.name, SOCKETS_NAME_MAX);
	ret_name[SOCKETS_NAME_MAX - 1] = '\0';
	return 0;
}

static struct sockets_stats *stats_rows(size_t *ret_cpus)
{
	int cpus = libbpf_num_possible_cpus();

	*ret_cpus = cpus > 0 ? (size_t)cpus : 0;
	return cpus > 0 ? calloc((size_t)cpus, sizeof(struct sockets_stats)) : NULL;
}

int sockets_set_name(struct sockets *s, uint32_t row, const char *name)
{
	struct sockets_meta meta = {""};
	size_t cpus, len = strlen(name);
	struct sockets_stats *zero = stats_rows(&cpus);
	int err = zero == NULL ? -ENOMEM : 0;

	if (err == 0 && len >= sizeof(meta.name))
		err = -ENAMETOOLONG;
	if (err == 0)
		err = bpf_map_update_elem(s->map_fds[SOCKETS_MAP_STATS], &row, zero, BPF_ANY);
	free(zero);
	if (err < 0)
		return err;
	memcpy(meta.name, name, len);
	return bpf_map_update_elem(s->map_fds[SOCKETS_MAP_META], &row, &meta, BPF_ANY);
}

int sockets_stats(struct sockets *s, uint32_t row, struct sockets_stats *ret_stats)
{
	size_t cpus;
	struct sockets_stats *rows = stats_rows(&cpus);
	int err = rows == NULL ? -ENOMEM
			       : bpf_map_lookup_elem(s->map_fds[SOCKETS_MAP_STATS], &row, rows);

	if (err == 0) {
		memset(ret_stats, 0, sizeof(*ret_stats));
		for (size_t i = 0; i < cpus; i++)
			for (int k = 0; k < SOCKETS_COUNTER_COUNT; k++)
				ret_stats->count[k] += rows[i].count[k];
	}
	free(rows);
	return err;
}

int sockets_fill(struct sockets *s, uint32_t slot, int fd)
{
	uint64_t value = (uint64_t)fd;

	return bpf_map_update_elem(s->map_fds[SOCKETS_MAP_SOCKETS], &slot, &value, BPF_ANY);
}

int sockets_clear(struct sockets *s, uint32_t slot)
{
	int err = bpf_map_delete_elem(s->map_fds[SOCKETS_MAP_SOCKETS], &slot);

	/* The kernel did so when the socket was closed. */
	return err == -ENOENT || err == -EINVAL ? 0 : err;
}

int sockets_wait(void)
{
	return maps_wait_for_packets();
}
