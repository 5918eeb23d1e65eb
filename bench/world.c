/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/frame.h"
#include "bpf/hash.h"
#include "skel/steer_xdp.skel.h"

/* Sizes that a configuration gets by default, but for what a case needs more of. */
#define BACKENDS	100
#define BACKEND_ROWS	4096
#define RING_SIZE	65537
#define DEFAULT_PENDING (1U << 16)
#define IDLE_S		3600 /* no entry is void before the run is over */
#define SOURCE_ENTROPY	0x0000ffff
#define OUTER_MTU	1500
#define GUE_PORT	6080

static const uint64_t hash_seed[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

/* What libbpf finds odd about an object is for who builds it; errors are said. */
static int say_errors(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static int failed(const char *what, int err)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
	return err;
}

static struct bpf_map *map_of(const struct world *w, const char *name)
{
	return bpf_object__find_map_by_name(w->obj, name);
}

static int resize(const struct world *w, const char *name, uint32_t entries)
{
	struct bpf_map *map = map_of(w, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

/*
 * Tables of flows are shared out among the processors, and all flows of a run are made on one of
 * them: its share must hold them all.
 */
static int resize_tables(const struct world *w, const struct bench_case *c, uint32_t entries)
{
	uint32_t cpus = (uint32_t)libbpf_num_possible_cpus();
	uint32_t want = c->tracking == SHUNT_TRACK_NEVER ? 0 : c->flows * cpus;
	uint32_t flows = want > entries ? want : entries;
	const struct {
		const char *map;
		uint32_t entries;
	} sizes[] = {
		{SHUNT_MAP_SERVICES, SHUNT_MAX_SERVICES},
		{SHUNT_MAP_BACKENDS, BACKEND_ROWS},
		{SHUNT_MAP_BE_STATS, BACKEND_ROWS},
		{SHUNT_MAP_BE_META, BACKEND_ROWS},
		{SHUNT_MAP_RINGS, RING_SIZE},
		{SHUNT_MAP_STAMPS, RING_SIZE},
		{SHUNT_MAP_FLOW4, c->family == 4 ? flows : cpus},
		{SHUNT_MAP_FLOW6, c->family == 6 ? flows : cpus},
		{SHUNT_MAP_PEND4, c->family == 4 ? DEFAULT_PENDING : cpus},
		{SHUNT_MAP_PEND6, c->family == 6 ? DEFAULT_PENDING : cpus},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		err = resize(w, sizes[i].map, sizes[i].entries);
	return err;
}

static struct bpf_map *constants_of(const struct world *w)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, w->obj)
	{
		if (strstr(bpf_map__name(map), ".rodata"))
			return map;
	}
	return NULL;
}

/* The settings are the first of the program's constants; their version proves it. */
static int set_seed(const struct world *w)
{
	struct bpf_map *map = constants_of(w);
	size_t size = 0;
	const void *now = map ? bpf_map__initial_value(map, &size) : NULL;
	struct shunt_settings *s;
	int err = -EINVAL;

	if (!now || size < sizeof(*s))
		return -EINVAL;
	s = malloc(size);
	if (!s)
		return -ENOMEM;
	memcpy(s, now, size);
	if (s->abi_version == SHUNT_ABI_VERSION) {
		memcpy(s->hash_seed, hash_seed, sizeof(hash_seed));
		err = bpf_map__set_initial_value(map, s, size);
	}
	free(s);
	return err;
}

uint32_t world_pending_share(void)
{
	return DEFAULT_PENDING / (uint32_t)libbpf_num_possible_cpus();
}

static int put(const struct world *w, const char *name, const void *key, size_t key_len,
	       const void *value, size_t value_len)
{
	struct bpf_map *map = map_of(w, name);

	return map ? bpf_map__update_elem(map, key, key_len, value, value_len, BPF_ANY) : -ENOENT;
}

static uint32_t id_of(uint32_t index)
{
	return 1U << SHUNT_ID_INDEX_BITS | index;
}

static int fill_backends(const struct world *w, const struct bench_case *c)
{
	for (uint32_t index = 1; index <= BACKENDS; index++) {
		struct shunt_backend row = {
			.id = id_of(index),
			.state = SHUNT_BACKEND_UP,
			.forward = c->forward,
			.family = c->family,
			.mtu = OUTER_MTU,
			.port = c->forward == SHUNT_FORWARD_GUE ? htons(GUE_PORT) : 0,
			.src_entropy = htonl(SOURCE_ENTROPY),
		};
		int err;

		if (c->family == 4) {
			(void)inet_pton(AF_INET, "172.16.0.1", &row.src[3]);
			(void)inet_pton(AF_INET, "10.1.0.0", &row.dst[3]);
		} else {
			(void)inet_pton(AF_INET6, "2001:db8:a::1", row.src);
			(void)inet_pton(AF_INET6, "2001:db8:b::", row.dst);
		}
		row.dst[3] |= htonl(index);
		err = put(w, SHUNT_MAP_BACKENDS, &index, sizeof(index), &row, sizeof(row));
		if (err)
			return err;
	}
	return 0;
}

/* Slots in an order without a pattern, each backend as often as the others. */
static int fill_ring(const struct world *w)
{
	const struct shunt_ring ring = {.base = 0, .size = RING_SIZE};
	uint32_t row = SERVICE_MEASURED, state = 1;
	int err;

	for (uint32_t slot = 0; slot < RING_SIZE; slot++) {
		struct shunt_slot value = {};

		state = state * 1664525U + 1013904223U;
		value.backend = id_of(1 + (uint32_t)((uint64_t)state * BACKENDS >> 32));
		err = put(w, SHUNT_MAP_RINGS, &slot, sizeof(slot), &value, sizeof(value));
		if (err)
			return err;
	}
	return put(w, SHUNT_MAP_SVC_RINGS, &row, sizeof(row), &ring, sizeof(ring));
}

/* The packet's address can be a service's. */
static int show_addr(const struct world *w, const __be32 addr[4])
{
	uint32_t bit = hash_addr_bit_of(addr), word = bit / SHUNT_ADDR_WORD_BITS;
	struct bpf_map *map = map_of(w, SHUNT_MAP_ADDR_BITS);
	uint64_t bits = 0;
	int err = map ? bpf_map__lookup_elem(map, &word, sizeof(word), &bits, sizeof(bits), 0)
		      : -ENOENT;

	bits |= 1ULL << bit % SHUNT_ADDR_WORD_BITS;
	return err ? err : put(w, SHUNT_MAP_ADDR_BITS, &word, sizeof(word), &bits, sizeof(bits));
}

/* As the daemon sets it for a NAT pool: replies are looked for. */
static int set_switches(const struct world *w, const struct bench_case *c)
{
	const struct shunt_switches on = {.nat = c->forward == SHUNT_FORWARD_NAT};
	uint32_t zero = 0;

	return put(w, SHUNT_MAP_SWITCHES, &zero, sizeof(zero), &on, sizeof(on));
}

/* What the daemon keeps beside sh_services: no bucket has more than the keys that are put here. */
static int fill_exact(const struct world *w, struct shunt_exact_bucket *buckets, uint32_t row,
		      const struct shunt_vip_key *key, const struct shunt_service *svc)
{
	const struct shunt_exact_row value = {.key = *key, .service = *svc};
	uint64_t words[sizeof(*key) / sizeof(uint64_t)];
	struct shunt_exact_bucket *b;
	int way = 0;

	memcpy(words, key, sizeof(words));
	b = &buckets[hash_vip(words[0], words[1], words[2])];
	while (way < SHUNT_EXACT_WAYS && b->way[way] != SHUNT_EXACT_END)
		way++;
	if (way == SHUNT_EXACT_WAYS)
		return -ENOSPC;
	b->way[way] = (uint16_t)(row + 1);
	return put(w, SHUNT_MAP_EXACT_ROWS, &row, sizeof(row), &value, sizeof(value));
}

static int put_buckets(const struct world *w, const struct shunt_exact_bucket *buckets)
{
	int err = 0;

	for (uint32_t at = 0; !err && at < SHUNT_EXACT_BUCKETS; at++)
		err = put(w, SHUNT_MAP_EXACT, &at, sizeof(at), &buckets[at], sizeof(*buckets));
	return err;
}

static int fill_services(const struct world *w, const struct bench_case *c)
{
	static const uint8_t families[] = {4, 6}, protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct shunt_service svc = {.action = SHUNT_ACTION_STEER, .tracking = c->tracking};
	struct shunt_exact_bucket *buckets = malloc(SHUNT_EXACT_BUCKETS * sizeof(*buckets));
	int err = buckets ? 0 : -ENOMEM;

	if (buckets)
		memset(buckets, 0xff, SHUNT_EXACT_BUCKETS * sizeof(*buckets)); /* SHUNT_EXACT_END */
	for (int state = 0; state < SHUNT_FLOW_STATE_COUNT; state++)
		svc.idle_s[state] = IDLE_S;
	for (unsigned i = 0; !err && i < SERVICE_COUNT * 4; i++) {
		struct shunt_vip_key key = {.port = htons(SERVICE_PORT),
					    .proto = protos[i & 1],
					    .family = families[i >> 1 & 1]};

		svc.index = i >> 2;
		frame_service(key.family, (uint8_t)svc.index, key.addr);
		err = put(w, SHUNT_MAP_SERVICES, &key, sizeof(key), &svc, sizeof(svc));
		if (!err)
			err = show_addr(w, key.addr);
		if (!err)
			err = fill_exact(w, buckets, i, &key, &svc);
	}
	if (!err)
		err = put_buckets(w, buckets);
	free(buckets);
	return err;
}

static struct bpf_object *open_object(const char *file)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "steer_xdp");
	const void *elf;
	size_t len;

	if (file)
		return bpf_object__open_file(file, &opts);
	elf = steer_xdp_bpf__elf_bytes(&len);
	return bpf_object__open_mem(elf, len, &opts);
}

int world_open(struct world *w, const struct bench_case *c, const char *file, uint32_t entries)
{
	struct bpf_program *prog;
	int err;

	(void)libbpf_set_print(say_errors);
	*w = (struct world){.obj = open_object(file)};
	if (!w->obj)
		return failed(file ? file : "built-in program", -errno);
	err = resize_tables(w, c, entries);
	if (!err)
		err = set_seed(w);
	if (!err)
		err = bpf_object__load(w->obj);
	if (err)
		return failed("loading the steering program", err);
	prog = bpf_object__find_program_by_name(w->obj, "steer_xdp");
	if (!prog)
		return failed("steer_xdp", -ENOENT);
	w->prog_fd = bpf_program__fd(prog);
	err = fill_backends(w, c);
	if (!err)
		err = fill_ring(w);
	if (!err)
		err = fill_services(w, c);
	if (!err)
		err = set_switches(w, c);
	return err ? failed("filling tables", err) : 0;
}

void world_close(struct world *w)
{
	bpf_object__close(w->obj);
	w->obj = NULL;
}

/* One row of 64-bit counters, summed over the processors. */
static int sum_row(const struct world *w, const char *name, uint32_t row, uint64_t *ret_sum,
		   size_t count)
{
	size_t cells = (size_t)libbpf_num_possible_cpus() * count;
	uint64_t *cell = calloc(cells, sizeof(*cell));
	struct bpf_map *map = map_of(w, name);
	int err = -ENOMEM;

	if (!cell || !map)
		goto out;
	err = bpf_map__lookup_elem(map, &row, sizeof(row), cell, cells * sizeof(*cell), 0);
	if (err)
		goto out;
	memset(ret_sum, 0, count * sizeof(*ret_sum));
	for (size_t i = 0; i < cells; i++)
		ret_sum[i % count] += cell[i];
out:
	free(cell);
	return err;
}

int world_counts(const struct world *w, struct world_counts *ret_counts)
{
	struct shunt_svc_stats svc;
	int err = 0;

	for (uint32_t v = 0; !err && v < SHUNT_VERDICT_COUNT; v++)
		err = sum_row(w, SHUNT_MAP_VERDICTS, v, &ret_counts->verdict[v], 1);
	if (!err)
		err = sum_row(w, SHUNT_MAP_SVC_STATS, SERVICE_MEASURED, (uint64_t *)&svc,
			      sizeof(svc) / sizeof(uint64_t));
	if (err)
		return failed("reading counters", err);
	ret_counts->new_flows = svc.count[SHUNT_COUNT_NEW_FLOWS];
	return 0;
}
