/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* Internet checksum arithmetic (RFC 1071). Pure; also builds natively. */
#ifndef SHUNT_BPF_CSUM_H
#define SHUNT_BPF_CSUM_H

#include "bpf/compat.h"

/* Add the carries back in until any 64-bit sum fits 16 bits. */
static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/*
 * The checksum field, in network order, of an IPv4 header without options, given as five words in
 * network order whose checksum bits are zero.
 */
static __always_inline __u16 csum_ipv4(const __be32 words[5])
{
	__u64 sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];

	return (__u16)~csum_fold(sum);
}

/* A checksum field after one of the 16-bit words that it covers has changed (RFC 1624, eqn. 3). All
 * in network order. */
static __always_inline __u16 csum_replace(__u16 check, __be16 old, __be16 new)
{
	return (__u16)~csum_fold((__u64)(__u16)~check + (__u16)~old + new);
}

/*
 * The same for many words: add up the changes of all (a word of 16 bits counts as one of 32 with its
 * upper half zero), then bring each field that covers them up to date. A change is never 0, so that
 * a sum of some words stays one, and a field comes out as if it were made anew.
 */
static __always_inline __u64 csum_change(__be32 old, __be32 new)
{
	return (__u64)(__u32)~old + new;
}

static __always_inline __u16 csum_update(__u16 check, __u64 change)
{
	return (__u16)~csum_fold((__u64)(__u16)~check + change);
}

/* Of UDP: 0 says that there is none, and a sum that comes out so is sent as its other form. */
static __always_inline __u16 csum_update_udp(__u16 check, __u64 change)
{
	__u16 updated = csum_update(check, change);

	if (!check)
		return 0;
	return updated ? updated : 0xffff;
}

#endif
