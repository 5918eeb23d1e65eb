/* SPDX-License-Identifier: BSD-2-Clause */
/* Which record a packet finds: exact, ranges and prefixes, in their order; and by which ring it goes:
 * affinity and source routes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "bpf/hash.h"
#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define LB4 "10.0.0.1"

static const char *const vips[] = {"203.0.113.10", "2001:db8:0:10::10"};
static const char *const others[] = {"203.0.113.99", "2001:db8:0:10:ffff::99"};
static const char *const clients[] = {"198.51.100.7", "2001:db8:c::7"};
/* Around the address and its neighbour: the wide one, and one around the address alone. */
static const char *const wide[] = {"203.0.113.0", "2001:db8::"};
static const uint8_t wide_len[] = {24, 33};
static const char *const narrow[] = {"203.0.113.8", "2001:db8:0:10::"};
static const uint8_t narrow_len[] = {29, 79};

/* ---- what is written ---- */

static void put(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t len)
{
	assert_int_equal(bpf_map__update_elem(map, key, key_len, value, len, BPF_ANY), 0);
}

static struct shunt_switches in_use;

static void switch_on(struct env *env, uint8_t *which)
{
	uint32_t zero = 0;

	*which = 1;
	put(env->skel->maps.sh_switches, &zero, sizeof(zero), &in_use, sizeof(in_use));
}

/* A record whose packets go to backend 10.1.0.<n>, by row n of everything. */
static void set_record(struct env *env, const char *addr, uint16_t lo, uint16_t hi, uint8_t proto,
		       uint8_t prefix_len, uint32_t n)
{
	struct shunt_vip_key key = env_key(addr, lo, proto);
	struct shunt_ring ring = {.base = 1000 + n, .size = 1};
	struct shunt_slot slot = {.backend = env_id(1, n)};
	char dst[32];
	struct env_backend be = {.id = slot.backend, .src = LB4, .dst = dst};

	(void)snprintf(dst, sizeof(dst), "10.1.0.%u", n);
	env_backend(env, &be);
	put(env->skel->maps.sh_rings, &ring.base, sizeof(ring.base), &slot, sizeof(slot));
	put(env->skel->maps.sh_svc_rings, &n, sizeof(n), &ring, sizeof(ring));
	key.port_hi = hi != lo ? htons(hi) : 0;
	key.prefix_len = prefix_len;
	env->svc.index = n;
	env_key_set(env, &key);
}

static void set_ranges(struct env *env, const char *addr, const struct shunt_range *ranges,
		       size_t count)
{
	struct shunt_addr_key key = {.family = strchr(addr, ':') ? 6 : 4};
	struct shunt_addr value = {.range_count = (uint8_t)count};

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	memcpy(value.ranges, ranges, count * sizeof(*ranges));
	put(env->skel->maps.sh_addrs, &key, sizeof(key), &value, sizeof(value));
	env_addr_bits(env, addr);
	switch_on(env, &in_use.ranges);
}

static void set_trie(struct bpf_map *map, uint32_t scope, const char *addr, uint8_t len,
		     const void *value, size_t value_len)
{
	uint8_t family = strchr(addr, ':') ? 6 : 4;
	struct shunt_lpm_key key = {.prefixlen = SHUNT_LPM_SCOPE_BITS + len,
				    .scope = SHUNT_LPM_SCOPE(scope, family)};

	assert_int_equal(inet_pton(family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	put(map, &key, sizeof(key), value, value_len);
}

static void set_prefix(struct env *env, const char *addr, uint8_t len,
		       const struct shunt_range *ranges, size_t count)
{
	struct shunt_addr value = {.range_count = (uint8_t)count};

	memcpy(value.ranges, ranges, count * sizeof(*ranges));
	set_trie(env->skel->maps.sh_prefixes, 0, addr, len, &value, sizeof(value));
	/* All addresses may be a service's now. */
	for (uint32_t i = 0; i < SHUNT_ADDR_BITS_WORDS; i++) {
		uint64_t all = UINT64_MAX;

		put(env->skel->maps.sh_addr_bits, &i, sizeof(i), &all, sizeof(all));
	}
	switch_on(env, &in_use.prefixes);
}

static void open_env(struct env *env)
{
	memset(&in_use, 0, sizeof(in_use));
	env_open(env, NULL);
	env->svc.tracking = SHUNT_TRACK_NEVER;
}

/* ---- what is sent ---- */

static struct pkt_spec spec_to(int family, const char *dst, uint16_t port, uint8_t proto)
{
	return (struct pkt_spec){.src = clients[family],
				 .dst = dst,
				 .sport = 40000,
				 .dport = port,
				 .proto = proto,
				 .tcp_flags = proto == IPPROTO_TCP ? F_ACK : 0,
				 .payload_len = 20};
}

/* Expects the whole packet in a tunnel to 10.1.0.<n>; 0: that it passes as it came. */
static void expect(struct env *env, int family, const char *dst, uint16_t port, uint8_t proto,
		   unsigned n)
{
	struct pkt_spec spec = spec_to(family, dst, port, proto);
	static struct frame in, out, expected;
	struct outer_spec outer = {.src = LB4};
	char to[32];

	pkt_build(&spec, &in);
	if (n == 0) {
		env_expect_pass(env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
		return;
	}
	(void)snprintf(to, sizeof(to), "10.1.0.%u", n);
	outer.dst = to;
	pkt_encap(&in, &outer, &expected);
	env_expect(env, &in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
}

/* ---- tests ---- */

static void test_any_port(void **state)
{
	static const struct shunt_range any = {.lo = 0, .hi = 65535, .proto = IPPROTO_TCP};
	static const uint16_t ports[] = {0, 1, 80, 32768, 65535};
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		set_record(&env, vips[f], 0, 65535, IPPROTO_TCP, 0, 1);
		set_ranges(&env, vips[f], &any, 1);
		for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
			expect(&env, f, vips[f], ports[i], IPPROTO_TCP, 1);
			expect(&env, f, vips[f], ports[i], IPPROTO_UDP, 0);
			expect(&env, f, others[f], ports[i], IPPROTO_TCP, 0);
		}
		env_close(&env);
	}
}

static void test_port_range(void **state)
{
	static const struct shunt_range range = {.lo = 8000, .hi = 8099, .proto = IPPROTO_UDP};
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		set_record(&env, vips[f], 8000, 8099, IPPROTO_UDP, 0, 1);
		set_ranges(&env, vips[f], &range, 1);
		expect(&env, f, vips[f], 7999, IPPROTO_UDP, 0);
		expect(&env, f, vips[f], 8000, IPPROTO_UDP, 1);
		expect(&env, f, vips[f], 8099, IPPROTO_UDP, 1);
		expect(&env, f, vips[f], 8100, IPPROTO_UDP, 0);
		expect(&env, f, vips[f], 8000, IPPROTO_TCP, 0);
		env_close(&env);
	}
}

static void test_prefix(void **state)
{
	struct shunt_range port = {.lo = 443, .hi = 443, .proto = IPPROTO_TCP};
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		port.prefix_len = wide_len[f];
		set_record(&env, wide[f], 443, 443, IPPROTO_TCP, wide_len[f], 1);
		set_prefix(&env, wide[f], wide_len[f], &port, 1);
		expect(&env, f, vips[f], 443, IPPROTO_TCP, 1);
		expect(&env, f, others[f], 443, IPPROTO_TCP, 1);
		expect(&env, f, f ? "2001:db8:8000::" : "203.0.114.0", 443, IPPROTO_TCP, 0);
		expect(&env, f, vips[f], 444, IPPROTO_TCP, 0);
		expect(&env, f, vips[f], 443, IPPROTO_UDP, 0);
		env_close(&env);
	}
}

/* All kinds that there are, one in another. Each is taken away in turn: the next one has its packets. */
static void test_precedence(void **state)
{
	enum { KINDS = 8 };
	struct {
		const char *const *addr;
		uint16_t lo, hi;
		const uint8_t *len;
	} kinds[KINDS] = {
		{vips, 443, 443, NULL},		{vips, 400, 499, NULL},
		{vips, 0, 65535, NULL},		{narrow, 443, 443, narrow_len},
		{narrow, 400, 499, narrow_len}, {narrow, 0, 65535, narrow_len},
		{wide, 443, 443, wide_len},	{wide, 440, 449, wide_len},
	};
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		struct shunt_range ranges[KINDS];

		open_env(&env);
		for (unsigned k = 0; k < KINDS; k++) {
			uint8_t len = kinds[k].len ? kinds[k].len[f] : 0;

			ranges[k] = (struct shunt_range){.lo = kinds[k].lo,
							 .hi = kinds[k].hi,
							 .proto = IPPROTO_TCP,
							 .prefix_len = len};
			set_record(&env, kinds[k].addr[f], kinds[k].lo, kinds[k].hi, IPPROTO_TCP,
				   len, k + 1);
		}
		set_ranges(&env, vips[f], ranges + 1, 2);
		set_prefix(&env, narrow[f], narrow_len[f], ranges + 3, 5);
		set_prefix(&env, wide[f], wide_len[f], ranges + 6, 2);
		/* Other ports and addresses. */
		expect(&env, f, vips[f], 450, IPPROTO_TCP, 2);
		expect(&env, f, vips[f], 80, IPPROTO_TCP, 3);
		expect(&env, f, others[f], 443, IPPROTO_TCP, 7);
		expect(&env, f, others[f], 444, IPPROTO_TCP, 8);
		expect(&env, f, others[f], 80, IPPROTO_TCP, 0);
		for (unsigned k = 0; k < KINDS; k++) {
			struct shunt_vip_key key =
				env_key(kinds[k].addr[f], kinds[k].lo, IPPROTO_TCP);

			expect(&env, f, vips[f], 443, IPPROTO_TCP, k + 1);
			key.port_hi = kinds[k].hi != kinds[k].lo ? htons(kinds[k].hi) : 0;
			key.prefix_len = kinds[k].len ? kinds[k].len[f] : 0;
			assert_int_equal(bpf_map__delete_elem(env.skel->maps.sh_services, &key,
							      sizeof(key), 0),
					 0);
		}
		expect(&env, f, vips[f], 443, IPPROTO_TCP, 0);
		env_close(&env);
	}
}

/* As many ranges as a list holds, and no more even if it says so. */
static void test_longest_list(void **state)
{
	struct shunt_range ranges[SHUNT_MAX_RANGES];
	struct shunt_addr_key key = {.family = 4};
	struct shunt_addr value;
	struct env env;

	(void)state;
	open_env(&env);
	for (unsigned i = 0; i < SHUNT_MAX_RANGES; i++) {
		ranges[i] = (struct shunt_range){
			.lo = 100 * i, .hi = 100 * i + 9, .proto = IPPROTO_TCP};
		set_record(&env, vips[0], 100 * i, 100 * i + 9, IPPROTO_TCP, 0, i + 1);
	}
	set_ranges(&env, vips[0], ranges, SHUNT_MAX_RANGES);
	for (unsigned i = 0; i < SHUNT_MAX_RANGES; i++)
		expect(&env, 0, vips[0], 100 * i + 5, IPPROTO_TCP, i + 1);
	expect(&env, 0, vips[0], 1600, IPPROTO_TCP, 0);
	assert_int_equal(inet_pton(AF_INET, vips[0], key.addr), 1);
	assert_int_equal(bpf_map__lookup_elem(env.skel->maps.sh_addrs, &key, sizeof(key), &value,
					      sizeof(value), 0),
			 0);
	value.range_count = 255;
	put(env.skel->maps.sh_addrs, &key, sizeof(key), &value, sizeof(value));
	expect(&env, 0, vips[0], 1505, IPPROTO_TCP, 16);
	expect(&env, 0, vips[0], 1600, IPPROTO_TCP, 0);
	env_close(&env);
}

/* Without its bit an address is not looked for at all; with the switches off, no range is. */
static void test_what_is_not_in_use_is_not_looked_at(void **state)
{
	static const struct shunt_range any = {.lo = 0, .hi = 65535, .proto = IPPROTO_TCP};
	uint32_t zero = 0;
	struct env env;

	(void)state;
	open_env(&env);
	set_record(&env, vips[0], 80, 80, IPPROTO_TCP, 0, 1);
	expect(&env, 0, vips[0], 80, IPPROTO_TCP, 0);
	env_addr_bits(&env, vips[0]);
	expect(&env, 0, vips[0], 80, IPPROTO_TCP, 1);
	set_record(&env, vips[0], 0, 65535, IPPROTO_TCP, 0, 2);
	set_ranges(&env, vips[0], &any, 1);
	expect(&env, 0, vips[0], 81, IPPROTO_TCP, 2);
	memset(&in_use, 0, sizeof(in_use));
	put(env.skel->maps.sh_switches, &zero, sizeof(zero), &in_use, sizeof(in_use));
	expect(&env, 0, vips[0], 81, IPPROTO_TCP, 0);
	expect(&env, 0, vips[0], 80, IPPROTO_TCP, 1);
	env_close(&env);
}

/* Flows of ranges are kept apart by the port that they are to. */
static void test_flows_keep_their_port(void **state)
{
	static const struct shunt_range any = {.lo = 0, .hi = 65535, .proto = IPPROTO_TCP};
	struct pkt_spec spec = spec_to(0, vips[0], 1234, IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	env.svc.tracking = SHUNT_TRACK_ALWAYS;
	set_record(&env, vips[0], 0, 65535, IPPROTO_TCP, 0, 1);
	set_ranges(&env, vips[0], &any, 1);
	spec.tcp_flags = F_SYN;
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
	assert_true(env_flow(&env, TABLE_PENDING, &in, NULL));
	spec.dport = 1235;
	pkt_build(&spec, &in);
	assert_false(env_flow(&env, TABLE_PENDING, &in, NULL));
	env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 2);
	env_close(&env);
}

/* ---- by which ring ---- */

/* The service of env_service() with a backend 10.1.0.<slot + 1> in each slot of its ring. */
static void open_spread(struct env *env, uint8_t affinity)
{
	open_env(env);
	env->svc.affinity = affinity;
	for (uint32_t slot = 0; slot < 16; slot++) {
		char dst[32];
		struct env_backend be = {.id = env_id(1, slot + 1), .src = LB4, .dst = dst};

		(void)snprintf(dst, sizeof(dst), "10.1.0.%u", slot + 1);
		env_backend(env, &be);
		env_ring_slot(env, slot, be.id);
	}
	env_ring_publish(env, RING_BASE, 16);
	for (int f = 0; f < 2; f++) {
		env_service(env, vips[f], 80, IPPROTO_TCP);
		env_service(env, others[f], 443, IPPROTO_TCP);
	}
}

static unsigned backend_of(struct env *env, int family, const char *src, uint16_t sport,
			   const char *dst, uint16_t dport)
{
	struct pkt_spec spec = spec_to(family, dst, dport, IPPROTO_TCP);
	static struct frame in;

	spec.src = src;
	spec.sport = sport;
	pkt_build(&spec, &in);
	return env_backend_of(env, &in);
}

static unsigned count_bits(uint32_t set)
{
	return (unsigned)__builtin_popcount(set);
}

/* How many backends get the flows of 100 ports of one source, of that to another address, and of 100
 * sources. */
static void spread(struct env *env, int f, unsigned *ret_ports, bool *ret_follows,
		   unsigned *ret_sources)
{
	uint32_t ports = 0, sources = 0;
	unsigned same = 0;
	char src[64];

	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(src, sizeof(src), f ? "2001:db8:c::%x" : "198.51.100.%u", i + 1);
		ports |= 1U << backend_of(env, f, clients[f], 1000 + i, vips[f], 80);
		sources |= 1U << backend_of(env, f, src, 1000, vips[f], 80);
		same += backend_of(env, f, src, 1000, vips[f], 80) ==
			backend_of(env, f, src, 2000, others[f], 443);
	}
	*ret_ports = count_bits(ports);
	*ret_sources = count_bits(sources);
	*ret_follows = same == 100;
}

static void test_affinity(void **state)
{
	static const struct {
		uint8_t affinity;
		bool one_for_ports, follows;
	} cases[] = {
		{SHUNT_AFFINITY_FLOW, false, false},
		{SHUNT_AFFINITY_PAIR, true, false},
		{SHUNT_AFFINITY_SOURCE, true, true},
	};
	struct env env;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_spread(&env, cases[i].affinity);
		for (int f = 0; f < 2; f++) {
			unsigned ports, sources;
			bool follows;

			spread(&env, f, &ports, &follows, &sources);
			assert_int_equal(ports == 1, cases[i].one_for_ports);
			assert_int_equal(follows, cases[i].follows);
			assert_true(sources >= 14); /* of 16 */
		}
		env_close(&env);
	}
}

/* While the backend of a source is down and the ring still has it, the source's flows go to one other. */
static void test_affinity_while_a_backend_is_down(void **state)
{
	uint32_t seen = 0;
	unsigned first;
	char dst[32];
	struct env env;

	(void)state;
	open_spread(&env, SHUNT_AFFINITY_SOURCE);
	first = backend_of(&env, 0, clients[0], 1000, vips[0], 80);
	(void)snprintf(dst, sizeof(dst), "10.1.0.%u", first);
	env_backend(&env, &(struct env_backend){.id = env_id(1, first),
						.src = LB4,
						.dst = dst,
						.state = SHUNT_BACKEND_DOWN});
	for (unsigned i = 0; i < 100; i++)
		seen |= 1U << backend_of(&env, 0, clients[0], 1000 + i, vips[0], 80);
	assert_int_equal(count_bits(seen), 1);
	assert_false(seen & 1U << first);
	env_close(&env);
}

/* With affinity to the source the entropy of the tunnel still is that of the flow. */
static void test_affinity_keeps_entropy(void **state)
{
	struct pkt_spec spec = spec_to(0, vips[0], 80, IPPROTO_TCP);
	struct env_backend be = {
		.id = env_id(1, 1), .src = "10.0.0.0", .dst = "10.1.0.1", .entropy = 0xff};
	static struct frame in, out;
	uint8_t first = 0;
	bool varies = false;
	struct env env;

	(void)state;
	open_spread(&env, SHUNT_AFFINITY_SOURCE);
	for (uint32_t slot = 0; slot < 16; slot++)
		env_ring_slot(&env, slot, be.id);
	env_backend(&env, &be);
	for (unsigned i = 0; i < 20; i++) {
		spec.sport = (uint16_t)(1000 + i);
		pkt_build(&spec, &in);
		env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
		if (i == 0)
			first = out.data[ETH_LEN + 15];
		varies = varies || out.data[ETH_LEN + 15] != first;
		assert_int_equal(out.data[ETH_LEN + 15], env_hash(&in) & 0xff);
	}
	assert_true(varies);
	env_close(&env);
}

/* The longest prefix of the source decides; other services, and sources of none, go by their own. */
static void test_source_routes(void **state)
{
	static const char *const near[] = {"198.51.100.7", "2001:db8:c::7"};
	static const char *const far[] = {"198.51.200.7", "2001:db8:d::7"};
	static const char *const foreign[] = {"192.0.2.7", "fd00::7"};
	struct shunt_route to_wide = {.index = 21}, to_narrow = {.index = 22};
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		/* Only their rings and backends are used. */
		set_record(&env, "192.0.2.200", 1, 1, IPPROTO_TCP, 0, 21);
		set_record(&env, "192.0.2.200", 2, 2, IPPROTO_TCP, 0, 22);
		set_record(&env, others[f], 80, 80, IPPROTO_TCP, 0, 23);
		env.svc.routed = 1;
		set_record(&env, vips[f], 80, 80, IPPROTO_TCP, 0, 20);
		env_addr_bits(&env, vips[f]);
		env_addr_bits(&env, others[f]);
		set_trie(env.skel->maps.sh_routes, 20, f ? "2001:db8::" : "198.51.0.0", f ? 32 : 16,
			 &to_wide, sizeof(to_wide));
		set_trie(env.skel->maps.sh_routes, 20, f ? "2001:db8:c::" : "198.51.100.0",
			 f ? 48 : 24, &to_narrow, sizeof(to_narrow));
		/* Another service's, and another family's: not looked at. */
		set_trie(env.skel->maps.sh_routes, 19, near[f], f ? 128 : 32, &to_wide,
			 sizeof(to_wide));
		set_trie(env.skel->maps.sh_routes, 20, f ? "0.0.0.0" : "::", 0, &to_wide,
			 sizeof(to_wide));
		assert_int_equal(backend_of(&env, f, near[f], 1000, vips[f], 80), 22);
		assert_int_equal(backend_of(&env, f, far[f], 1000, vips[f], 80), 21);
		assert_int_equal(backend_of(&env, f, foreign[f], 1000, vips[f], 80), 20);
		assert_int_equal(backend_of(&env, f, near[f], 1000, others[f], 80), 23);
		env_close(&env);
	}
}

/* A tracked flow stays with its backend when its source is routed elsewhere. */
static void test_tracked_flow_outlives_its_route(void **state)
{
	struct shunt_route route = {.index = 21};
	struct env env;

	(void)state;
	open_env(&env);
	env.svc.tracking = SHUNT_TRACK_ALWAYS;
	set_record(&env, "192.0.2.200", 1, 1, IPPROTO_TCP, 0, 21);
	env.svc.routed = 1;
	set_record(&env, vips[0], 80, 80, IPPROTO_TCP, 0, 20);
	env_addr_bits(&env, vips[0]);
	assert_int_equal(backend_of(&env, 0, clients[0], 1000, vips[0], 80), 20);
	set_trie(env.skel->maps.sh_routes, 20, "198.51.100.0", 24, &route, sizeof(route));
	assert_int_equal(backend_of(&env, 0, clients[0], 1000, vips[0], 80), 20);
	assert_int_equal(backend_of(&env, 0, clients[0], 1001, vips[0], 80), 21);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_port_range),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_longest_list),
		cmocka_unit_test(test_what_is_not_in_use_is_not_looked_at),
		cmocka_unit_test(test_flows_keep_their_port),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_affinity_while_a_backend_is_down),
		cmocka_unit_test(test_affinity_keeps_entropy),
		cmocka_unit_test(test_source_routes),
		cmocka_unit_test(test_tracked_flow_outlives_its_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
