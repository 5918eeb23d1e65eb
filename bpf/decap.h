/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What stands in an IP-in-IP or GUE packet, found without changing it. Shared by the XDP and the TC
 * program; also builds natively.
 */
#ifndef SHUNT_BPF_DECAP_H
#define SHUNT_BPF_DECAP_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "bpf/compat.h"
#include "bpf/decap_abi.h"

/* The first byte of GUE: version (2 bits), control (1), length of the optional fields in words (5).
 * Versions 0 and 1 are known; 1 is no header at all, but the first byte of an IP header. */
#define GUE_VERSION_SHIFT 6
#define GUE_CONTROL	  0x20
#define GUE_WORDS	  0x1f
#define GUE_HEADER	  4
#define GUE_FIELDS_MAX	  (GUE_WORDS * 4)

/* Of the longest outer headers: IPv4 with all its options, UDP, GUE. */
#define DECAP_OUTER_MAX (60 + 8 + GUE_HEADER + GUE_FIELDS_MAX)

/* Ethernet, the longest outer headers, an inner IPv6 header. */
#define DECAP_HEADERS_MAX (ETH_HLEN + DECAP_OUTER_MAX + 40)

#define ECN_MASK    3
#define ECN_NOT_ECT 0
#define ECN_ECT1    1
#define ECN_CE	    3

#define DECAP_FOUND DECAP_RESULT_COUNT

struct tunnel {
	__u32 kind;	   /* enum decap_kind; IPIP and GUE: also where the packet is passed */
	__u32 outer_len;   /* of all headers that come off, 20..DECAP_OUTER_MAX, whole words */
	__u32 outer_total; /* of the outer packet, by its own header */
	__u32 payload_end; /* of what the outer headers carry, by the last that says it */
	__u32 inner_total; /* length of the inner packet, by its own header */
	__u8 outer_family; /* 4 or 6 */
	__u8 outer_tos;
	__u8 inner_tos;
	bool flags;	      /* GUE with flags */
	struct decap_key dst; /* inner destination; its family is the inner packet's */
};

static __always_inline bool carries_ip(__u8 proto)
{
	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6;
}

/* Outer IP header and next protocol, which is IP or UDP. DECAP_FOUND: go on; else the packet is not
 * one of ours. *ret_fragment: there is more of it elsewhere; where this is not the beginning, no
 * header follows that could be read. */
static __always_inline __u32 tunnel_outer(void *data, void *end, struct tunnel *t, __u8 *ret_proto,
					  bool *ret_fragment)
{
	const struct ethhdr *eth = data;
	const struct iphdr *ip4 = data + ETH_HLEN;
	const struct ipv6hdr *ip6 = data + ETH_HLEN;

	*ret_fragment = false;
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
		*ret_fragment = ip4->frag_off & bpf_htons(0x3fff);
		if (*ret_proto == IPPROTO_UDP)
			return ip4->frag_off & bpf_htons(0x1fff) ? DECAP_PASS : DECAP_FOUND;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end || ip6->version != 6)
			return DECAP_PASS;
		t->outer_family = 6;
		t->outer_len = sizeof(*ip6);
		t->outer_total = sizeof(*ip6) + bpf_ntohs(ip6->payload_len);
		t->outer_tos = bpf_ntohl(*(const __be32 *)ip6) >> 20;
		*ret_proto = ip6->nexthdr;
		if (*ret_proto == IPPROTO_UDP)
			return DECAP_FOUND;
	} else {
		return DECAP_PASS;
	}
	return carries_ip(*ret_proto) ? DECAP_FOUND : DECAP_PASS;
}

/*
 * GUE with its header (version 0). Optional fields belong to flags. What is behind them is for
 * whoever sent it, and is skipped; but of a flag we cannot know whether the payload still means what
 * it says (security, transformation, fragments, checksums), so a packet for a service with any of
 * them is dropped, as the draft wants of flags that are not known. A control message carries nothing
 * of a client: it is left to the host, whose stack answers it if nobody here speaks GUE.
 */
static __always_inline __u32 tunnel_gue_header(const __u8 *gue, void *end, struct tunnel *t,
					       __u8 *ret_proto)
{
	if ((void *)(gue + GUE_HEADER) > end)
		return DECAP_PASS;
	if (gue[0] & GUE_CONTROL)
		return DECAP_PASS_CONTROL;
	*ret_proto = gue[1];
	t->flags = gue[2] | gue[3];
	t->outer_len += GUE_HEADER + (gue[0] & GUE_WORDS) * 4;
	return carries_ip(*ret_proto) ? DECAP_FOUND : DECAP_PASS;
}

/*
 * UDP to our port, and what it carries. The UDP checksum is not looked at: in a tunnel it may be
 * zero, over IPv6 too (RFC 6935, RFC 6936), and where it is not it covers the whole packet, which
 * would have to be read for it. What is inside has a checksum of its own, which covers the addresses
 * that matter from here on, and which the stack verifies.
 */
static __always_inline __u32 tunnel_gue(void *data, void *end, __be16 port, struct tunnel *t,
					__u8 *ret_proto)
{
	const struct udphdr *udp = data + ETH_HLEN + t->outer_len;
	const __u8 *gue = (const void *)(udp + 1);

	if ((void *)(udp + 1) > end || udp->dest != port || !port)
		return DECAP_PASS;
	t->kind = DECAP_KIND_GUE;
	t->payload_end = t->outer_len + bpf_ntohs(udp->len);
	t->outer_len += sizeof(*udp);
	if ((void *)(gue + 1) > end)
		return DECAP_PASS;
	if (gue[0] >> GUE_VERSION_SHIFT == 0)
		return tunnel_gue_header(gue, end, t, ret_proto);
	if (gue[0] >> 4 == 4)
		*ret_proto = IPPROTO_IPIP;
	else if (gue[0] >> 4 == 6)
		*ret_proto = IPPROTO_IPV6;
	else
		return DECAP_PASS;
	return DECAP_FOUND;
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

/* t: zeroed. gue_port: 0: none. DECAP_FOUND: t is filled, and the inner destination may be looked
 * up. */
static __always_inline __u32 tunnel_parse(void *data, void *end, __be16 gue_port, struct tunnel *t)
{
	bool fragment;
	void *inner;
	__u8 proto;
	__u32 result = tunnel_outer(data, end, t, &proto, &fragment);

	if (result != DECAP_FOUND)
		return result;
	if (proto == IPPROTO_UDP) {
		result = tunnel_gue(data, end, gue_port, t, &proto);
	} else {
		t->kind = DECAP_KIND_IPIP;
		t->payload_end = t->outer_total;
	}
	/* Only the stack can put it together. */
	if (fragment && t->kind != DECAP_KIND_OTHER)
		return DECAP_PASS_FRAGMENT;
	if (result != DECAP_FOUND)
		return result;
	inner = data + ETH_HLEN + t->outer_len;
	return proto == IPPROTO_IPIP ? tunnel_inner4(inner, end, t) : tunnel_inner6(inner, end, t);
}

/* Of a packet that is ours: is all of it there? frame_len: with Ethernet. */
static __always_inline bool tunnel_is_whole(const struct tunnel *t, __u32 frame_len)
{
	__u32 least = t->dst.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	return t->inner_total >= least && t->outer_len + t->inner_total <= t->payload_end &&
	       t->payload_end <= t->outer_total && ETH_HLEN + t->outer_total <= frame_len;
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
