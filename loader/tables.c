/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a large table costs is that its memory is cleared, by the processor that makes it: in a first
 * start with tables of the default sizes most of the time that passes. So each processor makes some of
 * them, the largest first.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "loader/tables.h"

#define TABLES_MAX  64
#define THREADS_MAX 8

/* Below that it is not worth a thread. */
#define LARGE_BYTES (1 << 20)

/* What the kernel has of each element of a hashed table besides key and value, about. */
#define ELEMENT_BYTES 64

struct table {
	struct bpf_map *map;
	uint64_t bytes;
	int fd; /* once it is made; else -1 */
};

struct tables {
	struct table table[TABLES_MAX];
	unsigned count;
	atomic_uint next;
	int btf_fd;
};

static uint64_t table_bytes(const struct bpf_map *map)
{
	uint64_t row = bpf_map__value_size(map);

	if (bpf_map__type(map) == BPF_MAP_TYPE_HASH || bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
		row += bpf_map__key_size(map) + ELEMENT_BYTES;
	return row * bpf_map__max_entries(map);
}

static int table_make(const struct bpf_map *map, int btf_fd)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(map),
		    .btf_fd = btf_fd, .btf_key_type_id = bpf_map__btf_key_type_id(map),
		    .btf_value_type_id = bpf_map__btf_value_type_id(map));

	return bpf_map_create(bpf_map__type(map), bpf_map__name(map), bpf_map__key_size(map),
			      bpf_map__value_size(map), bpf_map__max_entries(map), &opts);
}

static void *make_some(void *data)
{
	struct tables *t = data;
	unsigned i;

	while ((i = atomic_fetch_add(&t->next, 1)) < t->count)
		t->table[i].fd = table_make(t->table[i].map, t->btf_fd);
	return NULL;
}

/* The largest first: qsort()'s function. */
static int by_bytes(const void *a, const void *b)
{
	uint64_t bytes_a = ((const struct table *)a)->bytes;
	uint64_t bytes_b = ((const struct table *)b)->bytes;

	return bytes_a < bytes_b ? 1 : bytes_a > bytes_b ? -1 : 0;
}

static void find_large(struct bpf_object *obj, struct tables *t)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		uint64_t bytes = table_bytes(map);

		/* What is not set aside when it is made takes no time. */
		if (bytes < LARGE_BYTES || bpf_map__fd(map) >= 0 || t->count == TABLES_MAX ||
		    bpf_map__map_flags(map) & BPF_F_NO_PREALLOC)
			continue;
		t->table[t->count++] = (struct table){.map = map, .bytes = bytes, .fd = -1};
	}
	qsort(t->table, t->count, sizeof(t->table[0]), by_bytes);
}

/* How many threads there is something to do for, this one included. */
static unsigned threads_of(const struct tables *t)
{
	cpu_set_t set;
	unsigned count = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = CPU_COUNT(&set);
	if (count > t->count)
		count = t->count;
	return count < THREADS_MAX ? count : THREADS_MAX;
}

/* The kernel is told the types of keys and values, as by libbpf, so that tools can show them. */
static struct btf *types_of(struct bpf_object *obj)
{
	const struct btf *own = bpf_object__btf(obj);
	const void *data;
	struct btf *btf;
	uint32_t size;

	data = own != NULL ? btf__raw_data(own, &size) : NULL;
	btf = data != NULL ? btf__new(data, size) : NULL;
	if (btf != NULL && btf__load_into_kernel(btf) < 0) {
		btf__free(btf);
		btf = NULL;
	}
	return btf;
}

void tables_make(struct bpf_object *obj)
{
	struct tables t = {.btf_fd = -1};
	pthread_t thread[THREADS_MAX];
	unsigned threads, started = 1;
	struct btf *btf;

	find_large(obj, &t);
	threads = threads_of(&t);
	if (threads < 2)
		return;
	btf = types_of(obj);
	if (btf == NULL)
		return;
	t.btf_fd = btf__fd(btf);
	while (started < threads && pthread_create(&thread[started], NULL, make_some, &t) == 0)
		started++;
	make_some(&t);
	while (started > 1)
		pthread_join(thread[--started], NULL);
	for (unsigned i = 0; i < t.count; i++) {
		if (t.table[i].fd < 0)
			continue;
		(void)bpf_map__reuse_fd(t.table[i].map,
					t.table[i].fd); /* else it is made once more */
		close(t.table[i].fd);
	}
	btf__free(btf);
}
