/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/maps_exact.h"
#include "loader/maps_rows.h"
#include "loader/state.h"

#define BATCH 1024

void maps_sizes(const struct loader *l, struct loader_sizes *ret_sizes)
{
	*ret_sizes = (struct loader_sizes){
		.services = l->map_entries[LOADER_MAP_SERVICES],
		.backends = l->map_entries[LOADER_MAP_BACKENDS],
		.ring_slots = l->map_entries[LOADER_MAP_RINGS],
		.flows = l->map_entries[LOADER_MAP_FLOW4],
		.pending = l->map_entries[LOADER_MAP_PEND4],
		.guard = l->map_entries[LOADER_MAP_GUARD4],
		.sources = l->map_entries[LOADER_MAP_SOURCES],
		.nat = l->map_entries[LOADER_MAP_NAT_REV4],
	};
}

static uint64_t map_memory(int fd)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	fclose(f);
	return bytes;
}

uint64_t maps_memory(const struct loader *l)
{
	uint64_t sum = 0;

	for (int map = 0; map < LOADER_MAP_COUNT; map++)
		sum += map_memory(l->map_fds[map]);
	return sum;
}

int maps_service_set(struct loader *l, const struct shunt_vip_key *key,
		     const struct shunt_service *svc)
{
	int err = bpf_map_update_elem(l->map_fds[LOADER_MAP_SERVICES], key, svc, BPF_ANY);

	if (err == 0)
		exact_set(l, key, svc);
	return err;
}

int maps_service_delete(struct loader *l, const struct shunt_vip_key *key)
{
	exact_remove(l, key);
	return bpf_map_delete_elem(l->map_fds[LOADER_MAP_SERVICES], key);
}

int maps_service_list(struct loader *l, struct maps_service_row **ret_rows, size_t *ret_count)
{
	static const struct maps_row_form form = {sizeof(struct maps_service_row),
						  offsetof(struct maps_service_row, key),
						  offsetof(struct maps_service_row, svc)};
	void *rows;
	int err = maps_rows_list(l, LOADER_MAP_SERVICES, &form, &rows, ret_count);

	if (err == 0)
		*ret_rows = rows;
	return err;
}

/* By one call instead of one for each row. */
static int get_rows(int fd, uint32_t first, uint32_t count, void *ret_rows)
{
	uint32_t before = first - 1, last, n = count, *keys = calloc(count, sizeof(*keys));
	int err = keys == NULL ? -ENOMEM
			       : bpf_map_lookup_batch(fd, first ? &before : NULL, &last, keys,
						      ret_rows, &n, NULL);

	free(keys);
	return err == -ENOENT && n == count ? 0 : err; /* they were the last ones */
}

int maps_backend_set(struct loader *l, uint32_t index, const struct shunt_backend *be)
{
	return bpf_map_update_elem(l->map_fds[LOADER_MAP_BACKENDS], &index, be, BPF_ANY);
}

int maps_backend_get(struct loader *l, uint32_t index, struct shunt_backend *ret_be)
{
	return bpf_map_lookup_elem(l->map_fds[LOADER_MAP_BACKENDS], &index, ret_be);
}

int maps_backend_list(struct loader *l, uint32_t first, uint32_t count,
		      struct shunt_backend *ret_rows)
{
	return get_rows(l->map_fds[LOADER_MAP_BACKENDS], first, count, ret_rows);
}

int maps_backend_meta_set(struct loader *l, uint32_t index, const struct shunt_be_meta *meta)
{
	return bpf_map_update_elem(l->map_fds[LOADER_MAP_BE_META], &index, meta, BPF_ANY);
}

int maps_backend_meta_get(struct loader *l, uint32_t index, struct shunt_be_meta *ret_meta)
{
	return bpf_map_lookup_elem(l->map_fds[LOADER_MAP_BE_META], &index, ret_meta);
}

int maps_backend_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_be_meta *ret_metas)
{
	return get_rows(l->map_fds[LOADER_MAP_BE_META], first, count, ret_metas);
}

int maps_service_meta_set(struct loader *l, uint32_t index, const struct shunt_svc_meta *meta)
{
	return bpf_map_update_elem(l->map_fds[LOADER_MAP_SVC_META], &index, meta, BPF_ANY);
}

int maps_service_meta_get(struct loader *l, uint32_t index, struct shunt_svc_meta *ret_meta)
{
	return bpf_map_lookup_elem(l->map_fds[LOADER_MAP_SVC_META], &index, ret_meta);
}

int maps_service_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_svc_meta *ret_metas)
{
	return get_rows(l->map_fds[LOADER_MAP_SVC_META], first, count, ret_metas);
}

struct shunt_slot *maps_rings(struct loader *l)
{
	return l->mapped[LOADER_MAP_RINGS];
}

struct shunt_switches *maps_switches(struct loader *l)
{
	return l->mapped[LOADER_MAP_SWITCHES];
}

struct shunt_nat_share *maps_nat_shares(struct loader *l)
{
	return l->mapped[LOADER_MAP_NAT_SHARES];
}

/* A row as the one word that it is. */
union ring_row {
	uint64_t word;
	struct shunt_ring ring;
};

int maps_ring_publish(struct loader *l, uint32_t service, const struct shunt_ring *ring)
{
	union ring_row row = {.ring = *ring};
	_Atomic uint64_t *rows = l->mapped[LOADER_MAP_SVC_RINGS];

	if (service >= l->map_entries[LOADER_MAP_SVC_RINGS])
		return -ENOENT;
	atomic_store_explicit(&rows[service], row.word, memory_order_release);
	return 0;
}

int maps_ring_get(const struct loader *l, uint32_t service, struct shunt_ring *ret_ring)
{
	union ring_row row;
	const _Atomic uint64_t *rows = l->mapped[LOADER_MAP_SVC_RINGS];

	if (service >= l->map_entries[LOADER_MAP_SVC_RINGS])
		return -ENOENT;
	row.word = atomic_load_explicit(&rows[service], memory_order_acquire);
	*ret_ring = row.ring;
	return 0;
}

/* The kernel waits for programs when an inner map is replaced, so that none looks at the old one:
 * a table made for that purpose alone gives the same wait. */
static int wait_by_inner_map(void)
{
	struct bpf_map_create_opts opts = {.sz = sizeof(opts)};
	uint32_t zero = 0;
	int inner, outer, err;

	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sh_wait_in", 4, 4, 1, NULL);
	if (inner < 0)
		return inner;
	opts.inner_map_fd = (uint32_t)inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "sh_wait", 4, 4, 1, &opts);
	err = outer < 0 ? outer : bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
	close(inner);
	if (outer >= 0)
		close(outer);
	return err;
}

/*
 * XDP programs run inside an RCU read section, and MEMBARRIER_CMD_GLOBAL is synchronize_rcu(): it
 * returns when every section that had begun has ended. (With one processor online the kernel skips
 * it: a program cannot be interrupted there by the process that asks.) Kernels booted with
 * nohz_full refuse it.
 */
int maps_wait_for_packets(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		return 0;
	return wait_by_inner_map();
}

/* Add up one row of a per-processor table; a row is count numbers. */
static int sum_row(int fd, uint32_t index, uint64_t *ret_sum, size_t count)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values;
	int err;

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus * count, sizeof(*values));
	if (values == NULL)
		return -ENOMEM;
	err = bpf_map_lookup_elem(fd, &index, values);
	if (err == 0) {
		memset(ret_sum, 0, count * sizeof(*ret_sum));
		for (size_t i = 0; i < (size_t)cpus * count; i++)
			ret_sum[i % count] += values[i];
	}
	free(values);
	return err;
}

static int clear_row(int fd, uint32_t index, size_t count)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values;
	int err;

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus * count, sizeof(*values));
	if (values == NULL)
		return -ENOMEM;
	err = bpf_map_update_elem(fd, &index, values, BPF_ANY);
	free(values);
	return err;
}

#define NUMBERS(type) (sizeof(type) / sizeof(uint64_t))

int maps_service_stats(const struct loader *l, uint32_t index, struct shunt_svc_stats *ret_sum)
{
	return sum_row(l->map_fds[LOADER_MAP_SVC_STATS], index, (uint64_t *)ret_sum,
		       NUMBERS(*ret_sum));
}

int maps_backend_stats(const struct loader *l, uint32_t index, struct shunt_be_stats *ret_sum)
{
	return sum_row(l->map_fds[LOADER_MAP_BE_STATS], index, (uint64_t *)ret_sum,
		       NUMBERS(*ret_sum));
}

int maps_verdicts(const struct loader *l, uint64_t ret_sum[SHUNT_VERDICT_COUNT])
{
	int err = 0;

	for (uint32_t i = 0; i < SHUNT_VERDICT_COUNT && err == 0; i++)
		err = sum_row(l->map_fds[LOADER_MAP_VERDICTS], i, &ret_sum[i], 1);
	return err;
}

int maps_service_stats_clear(struct loader *l, uint32_t index)
{
	return clear_row(l->map_fds[LOADER_MAP_SVC_STATS], index, NUMBERS(struct shunt_svc_stats));
}

int maps_backend_stats_clear(struct loader *l, uint32_t index)
{
	return clear_row(l->map_fds[LOADER_MAP_BE_STATS], index, NUMBERS(struct shunt_be_stats));
}

/* A batch takes whole buckets, and fails where it cannot hold one: then it is made larger. */
static int count_entries(int fd, size_t key_size, uint64_t *ret_count)
{
	uint32_t room = BATCH, cursor = 0, next = 0, n;
	uint64_t sum = 0;
	bool first = true;
	int err = 0;

	while (err == 0) {
		void *keys = calloc(room, key_size);
		struct shunt_flow *values = calloc(room, sizeof(*values));

		n = room;
		err = keys == NULL || values == NULL
			      ? -ENOMEM
			      : bpf_map_lookup_batch(fd, first ? NULL : &cursor, &next, keys,
						     values, &n, NULL);
		free(keys);
		free(values);
		if (err == -ENOSPC && room < 1U << 20) {
			room *= 2;
			err = 0;
			continue;
		}
		if (err == 0 || err == -ENOENT)
			sum += n;
		cursor = next;
		first = false;
	}
	if (err != -ENOENT)
		return err;
	*ret_count = sum;
	return 0;
}

int maps_flow_count(const struct loader *l, uint64_t *ret_established, uint64_t *ret_pending)
{
	uint64_t flow4, flow6, pend4, pend6;
	int err =
		count_entries(l->map_fds[LOADER_MAP_FLOW4], sizeof(struct shunt_flow4_key), &flow4);

	if (err == 0)
		err = count_entries(l->map_fds[LOADER_MAP_FLOW6], sizeof(struct shunt_flow6_key),
				    &flow6);
	if (err == 0)
		err = count_entries(l->map_fds[LOADER_MAP_PEND4], sizeof(struct shunt_flow4_key),
				    &pend4);
	if (err == 0)
		err = count_entries(l->map_fds[LOADER_MAP_PEND6], sizeof(struct shunt_flow6_key),
				    &pend6);
	if (err < 0)
		return err;
	*ret_established = flow4 + flow6;
	*ret_pending = pend4 + pend6;
	return 0;
}
