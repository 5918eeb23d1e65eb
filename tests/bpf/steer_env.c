/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/steer_env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "bpf/hash.h"
#include "core/clock.h"
#include "tests/bpf/steer_xdp.skel.h"

#define KEY_MAX 128

static cpu_set_t all_cpus; /* that the test may use */

static void go_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void stay_on_cpu(void)
{
	if (!CPU_COUNT(&all_cpus))
		assert_int_equal(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
	go_to_cpu(sched_getcpu());
}

bool env_other_cpu(void)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (cpu != sched_getcpu() && CPU_ISSET(cpu, &all_cpus)) {
			go_to_cpu(cpu);
			return true;
		}
	}
	return false;
}

static void resize(struct bpf_map *map, uint32_t entries, bool plain_hash)
{
	assert_int_equal(bpf_map__set_max_entries(map, entries ? entries : 1024), 0);
	if (!plain_hash)
		return;
	assert_int_equal(bpf_map__set_type(map, BPF_MAP_TYPE_HASH), 0);
	assert_int_equal(bpf_map__set_map_flags(map, 0), 0);
}

/* The kernel takes a second to verify the program: one that is loaded serves the next test too. */
static struct {
	struct steer_xdp_bpf *skel;
	struct env_opts opts;
} kept;

static struct steer_xdp_bpf *load(const struct env_opts *opts)
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();

	assert_non_null(skel);
	resize(skel->maps.sh_services, 64, false);
	resize(skel->maps.sh_addrs, 64, false);
	resize(skel->maps.sh_prefixes, 64, false);
	resize(skel->maps.sh_routes, 64, false);
	resize(skel->maps.sh_server_ids, 64, false);
	resize(skel->maps.sh_backends, 64, false);
	resize(skel->maps.sh_rings, 4096, false);
	resize(skel->maps.sh_svc_rings, 64, false);
	resize(skel->maps.sh_stamps, 4096, false);
	resize(skel->maps.sh_svc_inserts, 64, false);
	resize(skel->maps.sh_vips, 64, false);
	resize(skel->maps.sh_frags4, 64, false);
	resize(skel->maps.sh_frags6, 64, false);
	resize(skel->maps.sh_svc_stats, 64, false);
	resize(skel->maps.sh_be_stats, 64, false);
	resize(skel->maps.sh_flow4, opts->flows, opts->flows_hash);
	resize(skel->maps.sh_flow6, opts->flows, opts->flows_hash);
	resize(skel->maps.sh_pend4, opts->pending, opts->pending_hash);
	resize(skel->maps.sh_pend6, opts->pending, opts->pending_hash);
	resize(skel->maps.sh_guard4, opts->guard, false);
	resize(skel->maps.sh_guard6, opts->guard, false);
	resize(skel->maps.sh_svc_guard, 64, false);
	resize(skel->maps.sh_svc_flood, 64, false);
	resize(skel->maps.sh_sources, opts->sources, false);
	resize(skel->maps.sh_nat_rev4, opts->nat, false);
	resize(skel->maps.sh_nat_rev6, opts->nat, false);
	resize(skel->maps.sh_nat_fwd4, opts->nat_sources, false);
	resize(skel->maps.sh_nat_fwd6, opts->nat_sources, false);
	skel->rodata->settings.hash_seed[0] = ENV_SEED0;
	skel->rodata->settings.hash_seed[1] = ENV_SEED1;
	assert_int_equal(steer_xdp_bpf__load(skel), 0);
	return skel;
}

static int ignore_event(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

static void drain(int fd)
{
	struct ring_buffer *events = ring_buffer__new(fd, ignore_event, NULL, NULL);

	assert_non_null(events);
	assert_true(ring_buffer__consume(events) >= 0);
	ring_buffer__free(events);
}

static void zero(int fd, const struct bpf_map *map)
{
	uint32_t n = bpf_map__max_entries(map), *keys = calloc(n, sizeof(*keys));
	size_t size = bpf_map__value_size(map);
	void *values;

	if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
		size = ((size + 7) & ~(size_t)7) * (size_t)libbpf_num_possible_cpus();
	values = calloc(n, size);
	assert_true(keys && values);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = i;
	assert_int_equal(bpf_map_update_batch(fd, keys, values, &n, NULL), 0);
	free(values);
	free(keys);
}

static void delete_all(int fd)
{
	uint8_t key[KEY_MAX];

	while (!bpf_map_get_next_key(fd, NULL, key))
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

/* As the maps were made. */
static void clear_maps(struct steer_xdp_bpf *skel)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		int fd = bpf_map__fd(map);

		if (bpf_map__is_internal(map))
			continue;
		switch (bpf_map__type(map)) {
		case BPF_MAP_TYPE_RINGBUF: drain(fd); break;
		case BPF_MAP_TYPE_ARRAY:
		case BPF_MAP_TYPE_PERCPU_ARRAY: zero(fd, map); break;
		default: assert_true(bpf_map__key_size(map) <= KEY_MAX); delete_all(fd);
		}
	}
}

void env_open(struct env *env, const struct env_opts *opts)
{
	static const struct env_opts defaults;

	stay_on_cpu();
	if (!opts)
		opts = &defaults;
	if (kept.skel && !memcmp(&kept.opts, opts, sizeof(*opts))) {
		clear_maps(kept.skel);
	} else {
		steer_xdp_bpf__destroy(kept.skel);
		kept.skel = load(opts);
		kept.opts = *opts;
	}
	*env = (struct env){
		.skel = kept.skel,
		.svc = {.index = SVC_ROW,
			.action = SHUNT_ACTION_STEER,
			.tracking = SHUNT_TRACK_ALWAYS,
			.idle_s = {IDLE_SYN_S, IDLE_ESTABLISHED_S, IDLE_FIN_S, IDLE_UDP_S}},
	};
	env_ring_publish(env, RING_BASE, RING_SIZE);
}

void env_close(struct env *env)
{
	env->skel = NULL;
}

static int family_of(const char *addr)
{
	return strchr(addr, ':') ? 6 : 4;
}

static void parse_addr(const char *text, void *at)
{
	int af = family_of(text) == 6 ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(af, text, at), 1);
}

static void put(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t len)
{
	assert_int_equal(bpf_map__update_elem(map, key, key_len, value, len, BPF_ANY), 0);
}

struct shunt_vip_key env_key(const char *addr, uint16_t port, uint8_t proto)
{
	struct shunt_vip_key key = {.port = htons(port), .proto = proto, .family = family_of(addr)};

	parse_addr(addr, key.addr);
	return key;
}

void env_key_set(struct env *env, const struct shunt_vip_key *key)
{
	put(env->skel->maps.sh_services, key, sizeof(*key), &env->svc, sizeof(env->svc));
}

void env_addr_bits(struct env *env, const char *addr)
{
	struct shunt_vip_key key = {};
	uint32_t bit, word;
	uint64_t bits = 0;

	parse_addr(addr, key.addr);
	bit = hash_addr_bit_of(key.addr);
	word = bit / SHUNT_ADDR_WORD_BITS;
	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_addr_bits, &word, sizeof(word),
					      &bits, sizeof(bits), 0),
			 0);
	bits |= 1ULL << bit % SHUNT_ADDR_WORD_BITS;
	put(env->skel->maps.sh_addr_bits, &word, sizeof(word), &bits, sizeof(bits));
}

/* An exact key is in the index too. A way that is zero says that there are more keys than it has. */
static void index_key(struct env *env, const struct shunt_vip_key *key)
{
	const struct shunt_exact_row row = {.key = *key, .service = env->svc};
	struct shunt_exact_bucket b;
	struct shunt_exact_row found;
	uint64_t words[sizeof(*key) / sizeof(uint64_t)];
	uint32_t at, bucket, way = 0;

	memcpy(words, key, sizeof(words));
	bucket = hash_vip(words[0], words[1], words[2]);
	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_exact, &bucket, sizeof(bucket), &b,
					      sizeof(b), 0),
			 0);
	for (; b.way[way]; way++) {
		assert_true(way < SHUNT_EXACT_WAYS - 1);
		at = b.way[way] - 1U;
		assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_exact_rows, &at,
						      sizeof(at), &found, sizeof(found), 0),
				 0);
		if (!memcmp(&found.key, key, sizeof(*key)))
			break;
	}
	at = b.way[way] ? b.way[way] - 1U : env->exact_rows++;
	put(env->skel->maps.sh_exact_rows, &at, sizeof(at), &row, sizeof(row));
	b.way[way] = (uint16_t)(at + 1);
	put(env->skel->maps.sh_exact, &bucket, sizeof(bucket), &b, sizeof(b));
}

void env_service(struct env *env, const char *addr, uint16_t port, uint8_t proto)
{
	struct shunt_vip_key key = env_key(addr, port, proto);

	env_key_set(env, &key);
	index_key(env, &key);
	env_addr_bits(env, addr);
}

void env_services(struct env *env, const char *addr4, const char *addr6)
{
	env_service(env, addr4, 80, IPPROTO_TCP);
	env_service(env, addr4, 80, IPPROTO_UDP);
	env_service(env, addr6, 80, IPPROTO_TCP);
	env_service(env, addr6, 80, IPPROTO_UDP);
}

void env_addr(struct env *env, const char *addr, uint8_t flags)
{
	struct shunt_addr_key key = {.family = family_of(addr)};
	struct shunt_vip value = {.service = SVC_ROW, .flags = flags};

	parse_addr(addr, key.addr);
	put(env->skel->maps.sh_vips, &key, sizeof(key), &value, sizeof(value));
	env_addr_bits(env, addr);
}

void env_switches(struct env *env, const struct shunt_switches *on)
{
	uint32_t zero = 0;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_switches, &zero, sizeof(zero), on,
					      sizeof(*on), BPF_ANY),
			 0);
}

void env_dirty_rooms(struct env *env, uint8_t byte)
{
	struct bpf_map *rooms[] = {env->skel->maps.sh_onward, env->skel->maps.sh_rare,
				   env->skel->maps.sh_nat_work};

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		size_t size = bpf_map__value_size(rooms[i]);
		size_t all = (size + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
		uint32_t zero = 0;
		void *bytes = malloc(all);

		assert_non_null(bytes);
		memset(bytes, byte, all);
		assert_int_equal(
			bpf_map__update_elem(rooms[i], &zero, sizeof(zero), bytes, all, BPF_ANY),
			0);
		free(bytes);
	}
}

uint32_t env_id(uint32_t generation, uint32_t index)
{
	return generation << SHUNT_ID_INDEX_BITS | index;
}

static void write_row(struct env *env, uint32_t index, const struct shunt_backend *row)
{
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_backends, &index, sizeof(index),
					      row, sizeof(*row), BPF_ANY),
			 0);
}

void env_backend(struct env *env, const struct env_backend *be)
{
	struct shunt_backend row = {
		.id = be->id,
		.state = be->state,
		.forward = be->forward,
		.next_hop = be->next_hop,
		.family = family_of(be->dst),
		.mtu = be->mtu ? be->mtu : 1500,
		.src_entropy = htonl(be->entropy),
		.port = htons(be->port),
		.nat_port_low = be->nat_port_low,
		.nat_port_count = be->nat_port_count,
	};

	parse_addr(be->src, row.family == 4 ? &row.src[3] : &row.src[0]);
	parse_addr(be->dst, row.family == 4 ? &row.dst[3] : &row.dst[0]);
	write_row(env, SHUNT_ID_INDEX(be->id), &row);
}

void env_backend_in(struct env *env, uint32_t id, uint8_t backend_state)
{
	char dst[32];
	struct env_backend be = {.id = id, .src = "10.0.0.1", .dst = dst, .state = backend_state};

	snprintf(dst, sizeof(dst), "10.1.0.%u", SHUNT_ID_INDEX(id));
	env_backend(env, &be);
}

void env_backend_free(struct env *env, uint32_t index)
{
	static const struct shunt_backend none;

	write_row(env, index, &none);
}

static void set_slot(struct env *env, uint32_t slot, const struct shunt_slot *to)
{
	struct shunt_slot value = *to;
	uint32_t index = RING_BASE + slot;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_rings, &index, sizeof(index),
					      &value, sizeof(value), BPF_ANY),
			 0);
}

void env_ring_slot(struct env *env, uint32_t slot, uint32_t id)
{
	struct shunt_slot value = {.backend = id};

	set_slot(env, slot, &value);
}

void env_slot_move(struct env *env, uint32_t slot, uint32_t id, uint32_t old,
		   const struct shunt_stamp *stamp)
{
	struct shunt_slot value = {.backend = id, .old = old};
	struct shunt_stamp now = *stamp;
	uint32_t index = RING_BASE + slot;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_stamps, &index, sizeof(index),
					      &now, sizeof(now), BPF_ANY),
			 0);
	set_slot(env, slot, &value);
}

struct shunt_stamp env_stamp(struct env *env, uint32_t slot)
{
	struct shunt_stamp stamp;
	uint32_t index = RING_BASE + slot;

	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.sh_stamps, &index, sizeof(index),
					      &stamp, sizeof(stamp), 0),
			 0);
	return stamp;
}

void env_ring_publish(struct env *env, uint32_t base, uint32_t size)
{
	env_ring_publish_of(env, SVC_ROW, base, size);
}

void env_ring_publish_of(struct env *env, uint32_t row, uint32_t base, uint32_t size)
{
	struct shunt_ring ring = {.base = base, .size = size};
	uint32_t index = row;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_svc_rings, &index, sizeof(index),
					      &ring, sizeof(ring), BPF_ANY),
			 0);
}

void env_ring(struct env *env, uint32_t id)
{
	for (uint32_t slot = 0; slot < RING_SIZE; slot++)
		env_ring_slot(env, slot, id);
}

uint32_t env_run(struct env *env, const struct frame *in, struct frame *ret_out)
{
	static struct frame out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->data, .data_size_in = in->len,
		    .data_out = out.data, .data_size_out = sizeof(out.data), .repeat = 1);
	int err = bpf_prog_test_run_opts(bpf_program__fd(env->skel->progs.steer_xdp), &opts);

	assert_int_equal(err, 0);
	out.len = opts.data_size_out;
	if (ret_out)
		*ret_out = out;
	return opts.retval;
}

int env_run_meta(struct env *env, const struct frame *in, uint32_t meta_len, uint32_t *ret_action)
{
	static uint8_t data[FRAME_MAX + 256];
	struct xdp_md ctx = {.data = meta_len, .data_end = meta_len + in->len};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = meta_len + in->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);
	int err;

	memcpy(data + meta_len, in->data, in->len);
	err = bpf_prog_test_run_opts(bpf_program__fd(env->skel->progs.steer_xdp), &opts);
	if (err)
		return err;
	*ret_action = opts.retval;
	return 0;
}

static uint32_t action_of(enum shunt_verdict v)
{
	if (v == SHUNT_VERDICT_TX || v == SHUNT_VERDICT_ANSWER)
		return XDP_TX;
	if (v == SHUNT_VERDICT_REDIRECT)
		return XDP_REDIRECT;
	return v == SHUNT_VERDICT_DROP ? XDP_DROP : XDP_PASS;
}

void env_expect(struct env *env, const struct frame *in, enum shunt_verdict v,
		struct frame *ret_out)
{
	uint64_t before[SHUNT_VERDICT_COUNT];

	for (int i = 0; i < SHUNT_VERDICT_COUNT; i++)
		before[i] = env_verdict(env, i);
	assert_int_equal(env_run(env, in, ret_out), action_of(v));
	for (int i = 0; i < SHUNT_VERDICT_COUNT; i++)
		assert_int_equal(env_verdict(env, i) - before[i], i == (int)v);
}

void env_expect_drop(struct env *env, const struct frame *in, enum shunt_drop reason)
{
	struct shunt_svc_stats before = env_svc_stats(env), after;

	env_expect(env, in, SHUNT_VERDICT_DROP, NULL);
	after = env_svc_stats(env);
	assert_int_equal(after.count[SHUNT_COUNT_PACKETS], before.count[SHUNT_COUNT_PACKETS] + 1);
	for (int i = 0; i < SHUNT_DROP_COUNT; i++)
		assert_int_equal(after.drop[i] - before.drop[i], i == (int)reason);
}

void env_expect_pass(struct env *env, const struct frame *in, enum shunt_verdict v)
{
	static struct frame out;

	env_expect(env, in, v, &out);
	assert_int_equal(out.len, in->len);
	assert_memory_equal(out.data, in->data, in->len);
}

unsigned env_backend_of(struct env *env, const struct frame *in)
{
	static struct frame out;

	env_expect(env, in, SHUNT_VERDICT_TX, &out);
	return out.data[ETH_LEN] >> 4 == 6 ? out.data[ETH_LEN + 39] : out.data[ETH_LEN + 19];
}

/* Sum one row of 64-bit counters over the processors. */
static void sum_row(struct bpf_map *map, uint32_t index, uint64_t *ret_sum, size_t count)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *rows;

	assert_true(cpus > 0);
	rows = calloc((size_t)cpus * count, sizeof(*rows));
	assert_non_null(rows);
	assert_int_equal(bpf_map__lookup_elem(map, &index, sizeof(index), rows,
					      (size_t)cpus * count * sizeof(*rows), 0),
			 0);
	memset(ret_sum, 0, count * sizeof(*ret_sum));
	for (size_t i = 0; i < (size_t)cpus * count; i++)
		ret_sum[i % count] += rows[i];
	free(rows);
}

struct shunt_svc_stats env_svc_stats(struct env *env)
{
	struct shunt_svc_stats s;

	sum_row(env->skel->maps.sh_svc_stats, SVC_ROW, (void *)&s, sizeof(s) / sizeof(uint64_t));
	return s;
}

struct shunt_be_stats env_be_stats(struct env *env, uint32_t index)
{
	struct shunt_be_stats s;

	sum_row(env->skel->maps.sh_be_stats, index, (void *)&s, sizeof(s) / sizeof(uint64_t));
	return s;
}

uint64_t env_verdict(struct env *env, enum shunt_verdict v)
{
	uint64_t sum;

	sum_row(env->skel->maps.sh_verdicts, v, &sum, 1);
	return sum;
}

union flow_key {
	struct shunt_flow4_key v4;
	struct shunt_flow6_key v6;
};

/* Returns the key's size. */
static size_t key_of(const struct frame *in, union flow_key *ret_key)
{
	const uint8_t *ip = in->data + ETH_LEN, *l4 = in->data + pkt_l4(in);

	memset(ret_key, 0, sizeof(*ret_key));
	if (ip[0] >> 4 == 6) {
		memcpy(ret_key->v6.saddr, ip + 8, 16);
		memcpy(ret_key->v6.daddr, ip + 24, 16);
		memcpy(&ret_key->v6.sport, l4, 2);
		memcpy(&ret_key->v6.dport, l4 + 2, 2);
		ret_key->v6.proto = ip[6];
		return sizeof(ret_key->v6);
	}
	memcpy(&ret_key->v4.saddr, ip + 12, 4);
	memcpy(&ret_key->v4.daddr, ip + 16, 4);
	memcpy(&ret_key->v4.sport, l4, 2);
	memcpy(&ret_key->v4.dport, l4 + 2, 2);
	ret_key->v4.proto = ip[9];
	return sizeof(ret_key->v4);
}

static struct bpf_map *table_of(struct env *env, enum env_table table, size_t key_len)
{
	bool v6 = key_len == sizeof(struct shunt_flow6_key);

	if (table == TABLE_FLOWS)
		return v6 ? env->skel->maps.sh_flow6 : env->skel->maps.sh_flow4;
	return v6 ? env->skel->maps.sh_pend6 : env->skel->maps.sh_pend4;
}

bool env_flow(struct env *env, enum env_table table, const struct frame *in,
	      struct shunt_flow *ret_flow)
{
	struct shunt_flow flow;
	union flow_key key;
	size_t len = key_of(in, &key);
	int err =
		bpf_map__lookup_elem(table_of(env, table, len), &key, len, &flow, sizeof(flow), 0);

	if (err == -ENOENT)
		return false;
	assert_int_equal(err, 0);
	if (ret_flow)
		*ret_flow = flow;
	return true;
}

/* What the program has cached of the frame's flow is void. */
static void forget_cached(struct env *env, const struct frame *in)
{
	uint32_t at = (uint32_t)env_hash(in) >> 16;
	uint64_t generation;
	int fd = bpf_map__fd(env->skel->maps.sh_flow_gens);

	assert_int_equal(bpf_map_lookup_elem(fd, &at, &generation), 0);
	generation++;
	assert_int_equal(bpf_map_update_elem(fd, &at, &generation, BPF_EXIST), 0);
}

void env_flow_set(struct env *env, enum env_table table, const struct frame *in,
		  const struct shunt_flow *flow)
{
	union flow_key key;
	size_t len = key_of(in, &key);

	assert_int_equal(bpf_map__update_elem(table_of(env, table, len), &key, len, flow,
					      sizeof(*flow), BPF_ANY),
			 0);
	forget_cached(env, in);
}

void env_flow_delete(struct env *env, enum env_table table, const struct frame *in)
{
	union flow_key key;
	size_t len = key_of(in, &key);

	assert_int_equal(bpf_map__delete_elem(table_of(env, table, len), &key, len, 0), 0);
}

static unsigned count_keys(struct bpf_map *map, size_t key_len)
{
	union flow_key key, *previous = NULL;
	unsigned count = 0;

	while (!bpf_map__get_next_key(map, previous, &key, key_len)) {
		previous = &key;
		count++;
	}
	return count;
}

unsigned env_flow_count(struct env *env, enum env_table table)
{
	size_t len4 = sizeof(struct shunt_flow4_key), len6 = sizeof(struct shunt_flow6_key);

	return count_keys(table_of(env, table, len4), len4) +
	       count_keys(table_of(env, table, len6), len6);
}

void env_flow_age(struct env *env, enum env_table table, const struct frame *in, unsigned age_s)
{
	struct shunt_flow flow;

	assert_true(env_flow(env, table, in, &flow));
	flow.seen_ticks = SHUNT_TICKS(clock_coarse_ns() - age_s * 1000000000ULL);
	env_flow_set(env, table, in, &flow);
}

void env_nat_switch(struct env *env, bool on)
{
	struct shunt_switches switches = {.nat = on};
	uint32_t zero = 0;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_switches, &zero, sizeof(zero),
					      &switches, sizeof(switches), BPF_ANY),
			 0);
}

static struct bpf_map *nat_table(struct env *env, size_t key_len)
{
	return key_len == sizeof(struct shunt_flow6_key) ? env->skel->maps.sh_nat_rev6
							 : env->skel->maps.sh_nat_rev4;
}

bool env_nat(struct env *env, const struct frame *reply, struct shunt_nat *ret_entry)
{
	union flow_key key;
	size_t len = key_of(reply, &key);
	int err = bpf_map__lookup_elem(nat_table(env, len), &key, len, ret_entry,
				       sizeof(*ret_entry), 0);

	if (err != -ENOENT)
		assert_int_equal(err, 0);
	return err == 0;
}

void env_nat_set(struct env *env, const struct frame *reply, const struct shunt_nat *entry)
{
	union flow_key key;
	size_t len = key_of(reply, &key);

	assert_int_equal(bpf_map__update_elem(nat_table(env, len), &key, len, entry, sizeof(*entry),
					      BPF_ANY),
			 0);
}

void env_nat_age(struct env *env, const struct frame *reply, unsigned age_s)
{
	struct shunt_nat entry;

	assert_true(env_nat(env, reply, &entry));
	entry.seen_ns = clock_coarse_ns() - age_s * 1000000000ULL;
	env_nat_set(env, reply, &entry);
}

bool env_nat_source(struct env *env, const struct frame *in, struct shunt_nat_source *ret_source)
{
	union flow_key key;
	size_t len = key_of(in, &key);
	struct bpf_map *map =
		len == sizeof(key.v6) ? env->skel->maps.sh_nat_fwd6 : env->skel->maps.sh_nat_fwd4;
	int err = bpf_map__lookup_elem(map, &key, len, ret_source, sizeof(*ret_source), 0);

	if (err != -ENOENT)
		assert_int_equal(err, 0);
	return err == 0;
}

unsigned env_nat_count(struct env *env)
{
	return count_keys(env->skel->maps.sh_nat_rev4, sizeof(struct shunt_flow4_key)) +
	       count_keys(env->skel->maps.sh_nat_rev6, sizeof(struct shunt_flow6_key));
}

unsigned env_nat_source_count(struct env *env)
{
	return count_keys(env->skel->maps.sh_nat_fwd4, sizeof(struct shunt_flow4_key)) +
	       count_keys(env->skel->maps.sh_nat_fwd6, sizeof(struct shunt_flow6_key));
}

uint64_t env_hash(const struct frame *in)
{
	union flow_key key;

	if (key_of(in, &key) == sizeof(key.v4))
		return hash_flow4(&key.v4, ENV_SEED0, ENV_SEED1);
	return hash_flow6(&key.v6, ENV_SEED0, ENV_SEED1);
}

uint32_t env_verified_insns(struct env *env)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	assert_int_equal(
		bpf_obj_get_info_by_fd(bpf_program__fd(env->skel->progs.steer_xdp), &info, &len),
		0);
	return info.verified_insns;
}
