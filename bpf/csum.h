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

#endif
