/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow hash: evenly spread whatever is regular about the flows, keyed, and always the same. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/hash.h"

#define SEED0 0x243f6a8885a308d3ULL
#define SEED1 0x13198a2e03707344ULL

#define FLOWS	65536U
#define BUCKETS 256U

/* 255 degrees of freedom: mean 255, deviation 22.6. Six deviations either way. */
#define CHI2_LEAST 119.0
#define CHI2_MOST  391.0

static struct shunt_flow4_key base4(void)
{
	return (struct shunt_flow4_key){
		.saddr = htonl(0xc6336407),
		.daddr = htonl(0xcb00710a),
		.sport = htons(40000),
		.dport = htons(80),
		.proto = IPPROTO_TCP,
	};
}

static struct shunt_flow6_key base6(void)
{
	return (struct shunt_flow6_key){
		.saddr = {htonl(0x20010db8), htonl(0xc), 0, htonl(7)},
		.daddr = {htonl(0x20010db8), 0, 0, htonl(0x10)},
		.sport = htons(40000),
		.dport = htons(80),
		.proto = IPPROTO_TCP,
	};
}

/* The hash of flow i of a regular family of flows. */
typedef uint64_t (*family_fn)(uint32_t i, uint64_t seed0, uint64_t seed1);

static uint64_t ports4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.sport = htons(i);
	return hash_flow4(&key, seed0, seed1);
}

static uint64_t dports4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.dport = htons(i);
	return hash_flow4(&key, seed0, seed1);
}

static uint64_t addrs4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.saddr = htonl(0x0a000000 + i);
	return hash_flow4(&key, seed0, seed1);
}

static uint64_t nets4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.saddr = htonl(i << 16);
	return hash_flow4(&key, seed0, seed1);
}

/* Address and port step together, as behind some address translators. */
static uint64_t both4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.saddr = htonl(0x0a000000 + i);
	key.sport = htons(1024 + i % 60000);
	return hash_flow4(&key, seed0, seed1);
}

static uint64_t udp4(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow4_key key = base4();

	key.proto = i & 1 ? IPPROTO_UDP : IPPROTO_TCP;
	key.sport = htons(i >> 1);
	return hash_flow4(&key, seed0, seed1);
}

static uint64_t ports6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.sport = htons(i);
	return hash_flow6(&key, seed0, seed1);
}

static uint64_t hosts6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.saddr[3] = htonl(i);
	return hash_flow6(&key, seed0, seed1);
}

static uint64_t upper_hosts6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.saddr[2] = htonl(i << 16);
	return hash_flow6(&key, seed0, seed1);
}

static uint64_t nets6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.saddr[1] = htonl(i);
	return hash_flow6(&key, seed0, seed1);
}

/* Both halves of the source step together: they must not cancel each other. */
static uint64_t halves6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.saddr[1] = key.saddr[3] = htonl(i);
	return hash_flow6(&key, seed0, seed1);
}

static uint64_t services6(uint32_t i, uint64_t seed0, uint64_t seed1)
{
	struct shunt_flow6_key key = base6();

	key.daddr[3] = htonl(i);
	return hash_flow6(&key, seed0, seed1);
}

static const struct {
	const char *name;
	family_fn hash;
} families[] = {
	{"IPv4 source ports", ports4},
	{"IPv4 destination ports", dports4},
	{"IPv4 addresses", addrs4},
	{"IPv4 networks", nets4},
	{"IPv4 addresses and ports", both4},
	{"IPv4 protocols and ports", udp4},
	{"IPv6 source ports", ports6},
	{"IPv6 hosts", hosts6},
	{"IPv6 hosts by upper bits", upper_hosts6},
	{"IPv6 networks", nets6},
	{"IPv6 networks and hosts alike", halves6},
	{"IPv6 services", services6},
};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

/* bucket: 0..BUCKETS-1 from a hash. */
static void check_spread(const char *what, uint32_t (*bucket)(uint64_t hash))
{
	for (size_t f = 0; f < FAMILY_COUNT; f++) {
		uint32_t counts[BUCKETS] = {0};
		double expected = (double)FLOWS / BUCKETS, chi2 = 0;

		for (uint32_t i = 0; i < FLOWS; i++)
			counts[bucket(families[f].hash(i, SEED0, SEED1))]++;
		for (uint32_t b = 0; b < BUCKETS; b++)
			chi2 += (counts[b] - expected) * (counts[b] - expected) / expected;
		print_message("  %s, %s: chi-square %.0f\n", families[f].name, what, chi2);
		assert_true(chi2 > CHI2_LEAST && chi2 < CHI2_MOST);
	}
}

static uint32_t by_slot(uint64_t hash)
{
	return hash_to_slot(hash, BUCKETS);
}

static uint32_t by_entropy(uint64_t hash)
{
	return hash_entropy(hash) % BUCKETS;
}

static uint32_t by_label(uint64_t hash)
{
	return hash_entropy(hash) >> 24;
}

static uint32_t by_slot_and_entropy(uint64_t hash)
{
	return hash_to_slot(hash, 16) * 16 + hash_entropy(hash) % 16;
}

static uint32_t by_slot_and_next(uint64_t hash)
{
	return hash_to_slot(hash, 16) * 16 + hash_to_slot(hash_again(hash), 16);
}

static void test_slots_are_even(void **state)
{
	(void)state;
	check_spread("slot", by_slot);
}

static void test_entropy_is_even(void **state)
{
	(void)state;
	check_spread("entropy, lower bits", by_entropy);
	check_spread("entropy, upper bits", by_label);
}

static void test_slot_tells_nothing_of_the_rest(void **state)
{
	(void)state;
	check_spread("slot and entropy", by_slot_and_entropy);
	check_spread("slot and next slot", by_slot_and_next);
}

static void test_slot_is_in_the_ring(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 251, 65537, 655373, 0x80000000, 0xffffffff};

	(void)state;
	assert_int_equal(hash_to_slot(UINT64_MAX, 0), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(hash_to_slot(0, sizes[i]), 0);
		assert_int_equal(hash_to_slot(UINT64_MAX, sizes[i]), sizes[i] - 1);
	}
}

/* Every bit of a key that carries something changes every bit of the hash half of the time. */
static void check_avalanche(uint64_t (*hash)(const void *key), void *key, size_t len,
			    const uint8_t *dead, size_t dead_count)
{
	enum { TRIALS = 1500 };
	uint8_t *bytes = key;

	for (size_t bit = 0; bit < len * 8; bit++) {
		unsigned changed[64] = {0};

		if (dead_count && bit / 8 >= dead[0] && bit / 8 < dead[0] + dead_count)
			continue;
		for (unsigned trial = 0; trial < TRIALS; trial++) {
			uint64_t before, after;

			for (size_t i = 0; i < len; i += 2) /* other bits: anything, repeatably */
				bytes[i] = (uint8_t)(hash_mix(trial * 64 + i) >> 8);
			before = hash(key);
			bytes[bit / 8] ^= 1U << bit % 8;
			after = hash(key);
			bytes[bit / 8] ^= 1U << bit % 8;
			for (unsigned b = 0; b < 64; b++)
				changed[b] += (before ^ after) >> b & 1;
		}
		for (unsigned b = 0; b < 64; b++)
			assert_in_range(changed[b], TRIALS * 0.40, TRIALS * 0.60);
	}
}

static uint64_t hash_of_key4(const void *key)
{
	return hash_flow4(key, SEED0, SEED1);
}

static uint64_t hash_of_key6(const void *key)
{
	return hash_flow6(key, SEED0, SEED1);
}

static void test_every_bit_counts(void **state)
{
	static const uint8_t pad4 = offsetof(struct shunt_flow4_key, _pad);
	static const uint8_t pad6 = offsetof(struct shunt_flow6_key, _pad);
	struct shunt_flow4_key key4 = base4();
	struct shunt_flow6_key key6 = base6();

	(void)state;
	check_avalanche(hash_of_key4, &key4, sizeof(key4), &pad4, sizeof(key4._pad));
	check_avalanche(hash_of_key6, &key6, sizeof(key6), &pad6, sizeof(key6._pad));
}

/* Another seed, in either half: as if dealt anew. One flow in 256 stays by chance. */
static void test_seed_decides(void **state)
{
	(void)state;
	for (size_t f = 0; f < FAMILY_COUNT; f++) {
		unsigned same0 = 0, same1 = 0;

		for (uint32_t i = 0; i < FLOWS; i++) {
			uint32_t slot = by_slot(families[f].hash(i, SEED0, SEED1));

			same0 += slot == by_slot(families[f].hash(i, SEED0 ^ 1, SEED1));
			same1 += slot == by_slot(families[f].hash(i, SEED0, SEED1 ^ 1));
		}
		assert_in_range(same0, 160, 352);
		assert_in_range(same1, 160, 352);
	}
}

/* Balancers of a fleet, perhaps of different versions, must agree: these values never change. */
static void test_known_values(void **state)
{
	struct shunt_flow4_key key4 = base4();
	struct shunt_flow6_key key6 = base6();

	(void)state;
	assert_int_equal(hash_flow4(&key4, SEED0, SEED1), 0x5209b4a9e18d2e89ULL);
	assert_int_equal(hash_flow6(&key6, SEED0, SEED1), 0xd799b2f2ea58e852ULL);
}

/* ---- less than the flow ---- */

/* What the affinity leaves out changes no slot, also not the next one; the entropy is the flow's. */
static void test_affinity_leaves_out(void **state)
{
	static const uint8_t affinities[] = {SHUNT_AFFINITY_PAIR, SHUNT_AFFINITY_SOURCE};

	(void)state;
	for (size_t i = 0; i < sizeof(affinities); i++) {
		struct shunt_flow4_key a4 = base4(), b4 = base4();
		struct shunt_flow6_key a6 = base6(), b6 = base6();
		uint64_t a, b;

		b4.sport = b6.sport = htons(1);
		b4.dport = b6.dport = htons(2);
		b4.proto = b6.proto = IPPROTO_UDP;
		if (affinities[i] == SHUNT_AFFINITY_SOURCE)
			b4.daddr = b6.daddr[0] = htonl(3);
		a = hash_affinity4(&a4, affinities[i], SEED0, SEED1);
		b = hash_affinity4(&b4, affinities[i], SEED0, SEED1);
		assert_int_equal(a >> 32, b >> 32);
		assert_int_equal(hash_again(a), hash_again(b));
		assert_int_equal(hash_entropy(a), hash_entropy(hash_of_key4(&a4)));
		assert_int_equal(hash_entropy(b), hash_entropy(hash_of_key4(&b4)));
		a = hash_affinity6(&a6, affinities[i], SEED0, SEED1);
		b = hash_affinity6(&b6, affinities[i], SEED0, SEED1);
		assert_int_equal(a >> 32, b >> 32);
		assert_int_equal(hash_again(a), hash_again(b));
		assert_int_equal(hash_entropy(a), hash_entropy(hash_of_key6(&a6)));
		assert_int_equal(hash_entropy(b), hash_entropy(hash_of_key6(&b6)));
	}
}

/* What it keeps changes the slot: of 65,536 sources (or destinations) in a row each slot gets its part,
 * with another seed another one. */
static void test_affinity_keeps(void **state)
{
	enum { KINDS = 4 };
	static unsigned counts[KINDS][BUCKETS];

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct shunt_flow4_key key4 = base4(), to4 = base4();
		struct shunt_flow6_key key6 = base6(), to6 = base6();
		uint64_t hash[KINDS];

		key4.saddr = htonl(0xc6330000 + i);
		key6.saddr[3] = htonl(i);
		to4.daddr = htonl(0xcb000000 + i);
		to6.daddr[1] = htonl(i);
		hash[0] = hash_affinity4(&key4, SHUNT_AFFINITY_SOURCE, SEED0, SEED1);
		hash[1] = hash_affinity6(&key6, SHUNT_AFFINITY_SOURCE, SEED0, SEED1);
		hash[2] = hash_affinity4(&to4, SHUNT_AFFINITY_PAIR, SEED0, SEED1);
		hash[3] = hash_affinity6(&to6, SHUNT_AFFINITY_PAIR, SEED0, SEED1);
		for (int k = 0; k < KINDS; k++)
			counts[k][hash_to_slot(hash[k], BUCKETS)]++;
		assert_true(hash[0] !=
			    hash_affinity4(&key4, SHUNT_AFFINITY_SOURCE, SEED0 ^ 1, SEED1));
	}
	for (int k = 0; k < KINDS; k++) {
		double mean = (double)FLOWS / BUCKETS, chi2 = 0;

		for (unsigned i = 0; i < BUCKETS; i++)
			chi2 += (counts[k][i] - mean) * (counts[k][i] - mean) / mean;
		assert_in_range(chi2, CHI2_LEAST, CHI2_MOST);
	}
}

/* Neighbours do not share the bit that says whether an address may be a service's, as a rule. */
static void test_addr_bits_are_spread(void **state)
{
	static const struct {
		unsigned word, shift;
	} regular[] = {{0, 0}, {0, 8}, {3, 0}, {3, 16}, {1, 0}, {2, 4}};

	(void)state;
	for (size_t k = 0; k < sizeof(regular) / sizeof(regular[0]); k++) {
		static uint8_t seen[SHUNT_ADDR_BITS];
		unsigned different = 0;

		memset(seen, 0, sizeof(seen));
		for (uint32_t i = 0; i < 1024; i++) {
			__be32 addr[4] = {htonl(0x20010db8), 0, 0, 0};
			uint32_t bit;

			addr[regular[k].word] ^= htonl(i << regular[k].shift);
			bit = hash_addr_bit_of(addr);
			assert_true(bit < SHUNT_ADDR_BITS);
			different += !seen[bit];
			seen[bit] = 1;
		}
		/* Of random ones eight would meet another's. */
		assert_true(different >= 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_are_even),
		cmocka_unit_test(test_entropy_is_even),
		cmocka_unit_test(test_slot_tells_nothing_of_the_rest),
		cmocka_unit_test(test_slot_is_in_the_ring),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_seed_decides),
		cmocka_unit_test(test_known_values),
		cmocka_unit_test(test_affinity_leaves_out),
		cmocka_unit_test(test_affinity_keeps),
		cmocka_unit_test(test_addr_bits_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
