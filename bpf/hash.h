/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * The keyed hash of a flow. All balancers of a fleet share the seed and so agree on every flow;
 * who does not know the seed cannot aim flows at one slot. Pure; also builds natively.
 * Changing anything here moves every flow that no table remembers.
 */
#ifndef SHUNT_BPF_HASH_H
#define SHUNT_BPF_HASH_H

#include "bpf/abi.h"
#include "bpf/compat.h"

/*
 * A bijection in which every input bit changes every output bit with a chance of about one half:
 * multiply and xor-shift, with the multipliers that David Stafford's search found for this shape.
 */
static __always_inline __u64 hash_mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return x;
}

static __always_inline __u64 join(__be32 high, __be32 low)
{
	return (__u64)bpf_ntohl(high) << 32 | bpf_ntohl(low);
}

static __always_inline __u64 join_l4(__be16 sport, __be16 dport, __u8 proto)
{
	return (__u64)proto << 32 | (__u32)bpf_ntohs(sport) << 16 | bpf_ntohs(dport);
}

/* addrs: source and destination; l4: as join_l4() has it. */
static __always_inline __u64 hash_words4(__u64 addrs, __u64 l4, __u64 seed0, __u64 seed1)
{
	return hash_mix((hash_mix(addrs ^ seed0) ^ seed1) + l4);
}

static __always_inline __u64 hash_flow4(const struct shunt_flow4_key *key, __u64 seed0, __u64 seed1)
{
	return hash_words4(join(key->saddr, key->daddr),
			   join_l4(key->sport, key->dport, key->proto), seed0, seed1);
}

/* The halves of the source are mixed apart from each other: the processor does both at once. */
static __always_inline __u64 hash_words6(const __u64 saddr[2], const __u64 daddr[2], __u64 l4,
					 __u64 seed0, __u64 seed1)
{
	__u64 high = hash_mix(saddr[0] ^ seed0);
	__u64 low = hash_mix(saddr[1] ^ seed1);
	__u64 hash;

	high ^= daddr[0];
	low += daddr[1];
	hash = hash_mix(high + (low << 32 | low >> 32));
	return hash_mix((hash ^ seed1) + l4);
}

static __always_inline __u64 hash_flow6(const struct shunt_flow6_key *key, __u64 seed0, __u64 seed1)
{
	const __u64 saddr[2] = {join(key->saddr[0], key->saddr[1]),
				join(key->saddr[2], key->saddr[3])};
	const __u64 daddr[2] = {join(key->daddr[0], key->daddr[1]),
				join(key->daddr[2], key->daddr[3])};

	return hash_words6(saddr, daddr, join_l4(key->sport, key->dport, key->proto), seed0, seed1);
}

/*
 * The same flow, for a service with less than its flow as affinity: what decides on the slot (the
 * upper half) comes from the addresses that count, the entropy (the lower half) from all of the flow.
 */
static __always_inline __u64 hash_affinity4(const struct shunt_flow4_key *key, __u8 affinity,
					    __u64 seed0, __u64 seed1)
{
	struct shunt_flow4_key less = {.saddr = key->saddr};

	if (affinity == SHUNT_AFFINITY_PAIR)
		less.daddr = key->daddr;
	return (hash_flow4(&less, seed0, seed1) & ~0xffffffffULL) |
	       (__u32)hash_flow4(key, seed0, seed1);
}

static __always_inline __u64 hash_affinity6(const struct shunt_flow6_key *key, __u8 affinity,
					    __u64 seed0, __u64 seed1)
{
	struct shunt_flow6_key less = {};

	for (int i = 0; i < 4; i++) {
		less.saddr[i] = key->saddr[i];
		less.daddr[i] = affinity == SHUNT_AFFINITY_PAIR ? key->daddr[i] : 0;
	}
	return (hash_flow6(&less, seed0, seed1) & ~0xffffffffULL) |
	       (__u32)hash_flow6(key, seed0, seed1);
}

/* The same flow's next try: independent of the first, the same on every balancer. It comes from the
 * half that decides on the slot, so that it is the same too for all that have an affinity in common. */
static __always_inline __u64 hash_again(__u64 hash)
{
	return hash_mix((hash & ~0xffffffffULL) + 0x9e3779b97f4a7c15ULL);
}

/* 0..size-1 from the upper half of the hash, without a division. */
static __always_inline __u32 hash_to_slot(__u64 hash, __u32 size)
{
	return (hash >> 32) * size >> 32;
}

/* Where an address is looked for, and it with protocol and port: by the words that it has in memory.
 * No secret is needed: whoever finds one that shares a service's place has a packet looked up in vain. */
static __always_inline __u64 hash_addr(__u64 word0, __u64 word1)
{
	__u64 x = word0 + word1 * 0x94d049bb133111ebULL;

	return x ^ x >> 32;
}

/* The bit of sh_addr_bits that speaks for an address. */
static __always_inline __u32 hash_addr_bit(__u64 word0, __u64 word1)
{
	return hash_addr(word0, word1) * 0x9e3779b97f4a7c15ULL >> 48;
}
_Static_assert(SHUNT_ADDR_BITS == 1 << 16, "hash_addr_bit() is of 16 bits");

/* The bucket of sh_exact for a vip key, by its first three words. */
static __always_inline __u32 hash_vip(__u64 word0, __u64 word1, __u64 word2)
{
	__u64 x = hash_addr(word0, word1) + word2 * 0xbf58476d1ce4e5b9ULL;

	return x * 0x9e3779b97f4a7c15ULL >> 50;
}
_Static_assert(SHUNT_EXACT_BUCKETS == 1 << 14, "hash_vip() is of 14 bits");

/* Of an address as struct shunt_vip_key has it. */
static __always_inline __u32 hash_addr_bit_of(const __be32 addr[4])
{
	return hash_addr_bit((__u64)addr[1] << 32 | addr[0], (__u64)addr[3] << 32 | addr[2]);
}

/* The lower half, which says nothing about the slot: spreads flows on the way to the backend. */
static __always_inline __u32 hash_entropy(__u64 hash)
{
	return (__u32)hash;
}

#endif
