/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What stands in an IP-in-IP packet, found without changing it. Shared by the XDP and the TC
 * program; also builds natively.
 */
#ifndef SHUNT_BPF_DECAP_H
#define SHUNT_BPF_DECAP_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/compat.h"
#include "bpf/decap_abi.h"

/* Ethernet, an outer IPv4 header with all its options, an inner IPv6 header. */
#define DECAP_HEADERS_MAX (ETH_HLEN + 60 + 40)

#define ECN_MASK    3
#define ECN_NOT_ECT 0
#define ECN_ECT1    1
#define ECN_CE	    3

#define DECAP_FOUND DECAP_RESULT_COUNT

struct tunnel {
	__u32 outer_len;   /* of the outer header, 20..60 */
	__u32 outer_total; /* of the outer packet, by its own header */
	__u32 inner_total; /* the same of the inner one */
	__u8 outer_family; /* 4 or 6 */
	__u8 outer_tos;
	__u8 inner_tos;
	struct decap_key dst; /* inner destination; its family is the inner packet's */
};

/* Outer header and next protocol. DECAP_FOUND: go on; else the packet is not one of ours. */
static __always_inline __u32 tunnel_outer(void *data, void *end, struct tunnel *t, __u8 *ret_proto)
{
	const struct ethhdr *eth = data;
	const struct iphdr *ip4 = data + ETH_HLEN;
	const struct ipv6hdr *ip6 = data + ETH_HLEN;

	if ((void *)(eth + 1) > end || eth->h_dest[0] & 1)
		return DECAP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if ((void *)(ip4 + 1) > end || ip4->version != 4 || ip4->ihl < 5)
			return DECAP_PASS;
		t->outer_family = 4;
		t->outer_len = ip4->ihl * 4;
		t->outer_total = bpf_ntohs(ip4->tot_len);
		t->outer_tos = ip4->tos;
		*ret_proto = ip4->protocol;
		if (*ret_proto != IPPROTO_IPIP && *ret_proto != IPPROTO_IPV6)
			return DECAP_PASS;
		/* More fragments, or not the first: only the stack can put it together. */
		if (ip4->frag_off & bpf_htons(0x3fff))
			return DECAP_PASS_FRAGMENT;
		return DECAP_FOUND;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end || ip6->version != 6)
			return DECAP_PASS;
		t->outer_family = 6;
		t->outer_len = sizeof(*ip6);
		t->outer_total = sizeof(*ip6) + bpf_ntohs(ip6->payload_len);
		t->outer_tos = bpf_ntohl(*(const __be32 *)ip6) >> 20;
		*ret_proto = ip6->nexthdr;
		if (*ret_proto != IPPROTO_IPIP && *ret_proto != IPPROTO_IPV6)
			return DECAP_PASS;
		return DECAP_FOUND;
	}
	return DECAP_PASS;
}

static __always_inline __u32 tunnel_inner4(const struct iphdr *ip, void *end, struct tunnel *t)
{
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return DECAP_PASS;
	t->dst.family = 4;
	t->dst.addr[0] = ip->daddr;
	t->inner_tos = ip->tos;
	t->inner_total = bpf_ntohs(ip->tot_len);
	return DECAP_FOUND;
}

static __always_inline __u32 tunnel_inner6(const struct ipv6hdr *ip, void *end, struct tunnel *t)
{
	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_PASS;
	t->dst.family = 6;
	t->dst.addr[0] = ip->daddr.s6_addr32[0];
	t->dst.addr[1] = ip->daddr.s6_addr32[1];
	t->dst.addr[2] = ip->daddr.s6_addr32[2];
	t->dst.addr[3] = ip->daddr.s6_addr32[3];
	t->inner_tos = bpf_ntohl(*(const __be32 *)ip) >> 20;
	t->inner_total = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	return DECAP_FOUND;
}

/* t: zeroed. DECAP_FOUND: t is filled, and the inner destination may be looked up. */
static __always_inline __u32 tunnel_parse(void *data, void *end, struct tunnel *t)
{
	__u8 proto;
	__u32 result = tunnel_outer(data, end, t, &proto);
	void *inner = data + ETH_HLEN + t->outer_len;

	if (result != DECAP_FOUND)
		return result;
	return proto == IPPROTO_IPIP ? tunnel_inner4(inner, end, t) : tunnel_inner6(inner, end, t);
}

/* Of a packet that is ours: is all of it there? frame_len: with Ethernet. */
static __always_inline bool tunnel_is_whole(const struct tunnel *t, __u32 frame_len)
{
	__u32 least = t->dst.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	return t->inner_total >= least && t->outer_len + t->inner_total <= t->outer_total &&
	       ETH_HLEN + t->outer_total <= frame_len;
}

/*
 * What the inner ECN field becomes (RFC 6040, figure 4). False: the path says congestion and the
 * inner packet's sender would not understand: drop.
 */
static __always_inline bool tunnel_ecn(const struct tunnel *t, __u8 *ret_tos)
{
	__u8 outer = t->outer_tos & ECN_MASK, inner = t->inner_tos & ECN_MASK;

	*ret_tos = t->inner_tos;
	if (inner == ECN_NOT_ECT)
		return outer != ECN_CE;
	if (inner != ECN_CE && (outer == ECN_CE || outer == ECN_ECT1))
		*ret_tos = (t->inner_tos & ~ECN_MASK) | outer;
	return true;
}

#endif
