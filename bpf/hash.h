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

static __always_inline __u64 hash_flow4(const struct shunt_flow4_key *key, __u64 seed0, __u64 seed1)
{
	__u64 hash = hash_mix(join(key->saddr, key->daddr) ^ seed0);

	return hash_mix((hash ^ seed1) + join_l4(key->sport, key->dport, key->proto));
}

/* The halves of the source are mixed apart from each other: the processor does both at once. */
static __always_inline __u64 hash_flow6(const struct shunt_flow6_key *key, __u64 seed0, __u64 seed1)
{
	__u64 high = hash_mix(join(key->saddr[0], key->saddr[1]) ^ seed0);
	__u64 low = hash_mix(join(key->saddr[2], key->saddr[3]) ^ seed1);
	__u64 hash;

	high ^= join(key->daddr[0], key->daddr[1]);
	low += join(key->daddr[2], key->daddr[3]);
	hash = hash_mix(high + (low << 32 | low >> 32));
	return hash_mix((hash ^ seed1) + join_l4(key->sport, key->dport, key->proto));
}

/* The same flow's next try: independent of the first, the same on every balancer. */
static __always_inline __u64 hash_again(__u64 hash)
{
	return hash_mix(hash + 0x9e3779b97f4a7c15ULL);
}

/* 0..size-1 from the upper half of the hash, without a division. */
static __always_inline __u32 hash_to_slot(__u64 hash, __u32 size)
{
	return (hash >> 32) * size >> 32;
}

/* The lower half, which says nothing about the slot: spreads flows on the way to the backend. */
static __always_inline __u32 hash_entropy(__u64 hash)
{
	return (__u32)hash;
}

#endif
