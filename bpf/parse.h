/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [1] Ethernet with its VLAN tags, IPv4 or IPv6 with its extension headers, TCP or UDP, read into
 * struct pkt. Also builds natively.
 *
 * A packet whose addresses, protocol and ports can be read goes on (V_NEXT) even if something about
 * it is wrong: it is noted as a defect, and only a service that it is for makes it a drop. A packet
 * that cannot be attributed to a service is somebody else's and passes. Of two kinds more can be found
 * out, by rare.h: V_PASS_FRAGMENT (all but ports and flags is read) and V_PASS_PROTOCOL (addresses are
 * not).
 *
 * Not checked here, because the backend does and a wrong answer costs nothing: checksums and TTL.
 */
#ifndef SHUNT_BPF_PARSE_H
#define SHUNT_BPF_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/compat.h"
#include "bpf/ext.h"
#include "bpf/pkt.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK    0x1fff

#define IPV4_FRAGMENT (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)

/* len: what the IP header gives to the transport, header and data. */
static __always_inline enum verdict check_tcp(struct pkt *p, const struct tcphdr *tcp, __u32 len)
{
	__u32 header_len;

	if (len < sizeof(*tcp) || (void *)(tcp + 1) > p->end)
		return V_DROP_TRUNCATED;
	p->tcp_flags = ((const __u8 *)tcp)[13];
	header_len = tcp->doff * 4;
	if (header_len < sizeof(*tcp))
		return V_DROP_BAD_HEADER;
	if (header_len > len)
		return V_DROP_TRUNCATED;
	return V_NEXT;
}

/* A datagram may be shorter than the IP packet (RFC 9868 puts options there), never longer. */
static __always_inline enum verdict check_udp(struct pkt *p, const struct udphdr *udp, __u32 len)
{
	__u32 udp_len;

	if (len < sizeof(*udp) || (void *)(udp + 1) > p->end)
		return V_DROP_TRUNCATED;
	udp_len = bpf_ntohs(udp->len);
	if (udp_len < sizeof(*udp))
		return V_DROP_BAD_HEADER;
	if (udp_len > len && p->frag == FRAG_NONE)
		return V_DROP_TRUNCATED;
	return V_NEXT;
}

/*
 * Ports stand at the same place in TCP and UDP. ret_ports: source, destination. A fragment that is the
 * first has a defect even if it is whole (see frag_admit); one that ends within the transport's header
 * is not: it serves to get a header past filters (RFC 1858).
 */
static __always_inline enum verdict parse_l4(struct pkt *p, struct cursor *cur, __u32 len,
					     __be16 ret_ports[2])
{
	void *l4 = cur->pos;
	const __be16 *ports;
	enum verdict v;

	if (len < 2 * sizeof(*ports))
		return V_PASS_MALFORMED;
	ports = cursor_take(cur, 2 * sizeof(*ports));
	if (!ports)
		return V_PASS_MALFORMED;
	ret_ports[0] = ports[0];
	ret_ports[1] = ports[1];
	if (p->defect != V_NEXT)
		return V_NEXT;
	v = p->proto == IPPROTO_TCP ? check_tcp(p, l4, len) : check_udp(p, l4, len);
	p->defect = v == V_NEXT && p->frag ? V_DROP_FRAGMENT : v;
	return V_NEXT;
}

/* len: as the IP header has it, that header included. Notes a packet that the frame cuts short. */
static __always_inline void parse_len(struct pkt *p, const void *l3, __u32 len)
{
	__u32 frame_len = p->end - l3;

	if (len > frame_len) {
		p->defect = V_DROP_TRUNCATED;
		len = frame_len;
	}
	p->ip_len = len;
	p->trail_len = frame_len - len;
}

static __always_inline bool has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

/* frag: of the header, not zero but for the bit that forbids fragments. */
static __always_inline void parse_fragment4(struct pkt *p, const struct iphdr *ip, __u16 frag)
{
	p->frag = frag & IPV4_OFFSET_MASK ? FRAG_LATER : FRAG_FIRST;
	/* It would write over the header that was looked at (RFC 3128). */
	if ((frag & IPV4_OFFSET_MASK) == 1 && ip->protocol == IPPROTO_TCP)
		p->defect = V_DROP_FRAGMENT;
}

static __always_inline enum verdict parse_ipv4(struct pkt *p, struct cursor *cur)
{
	const struct iphdr *ip = cursor_take(cur, sizeof(*ip));
	__u32 header_len, len;
	__be16 ports[2] = {};
	enum verdict v;
	__u16 frag;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return V_PASS_MALFORMED;
	header_len = ip->ihl * 4;
	len = bpf_ntohs(ip->tot_len);
	if (len < header_len || !cursor_take(cur, header_len - sizeof(*ip)))
		return V_PASS_MALFORMED;
	parse_len(p, ip, len);
	p->family = 4;
	p->l3_len = header_len;
	p->proto = ip->protocol;
	p->tos = ip->tos;
	frag = bpf_ntohs(ip->frag_off) & IPV4_FRAGMENT;
	if (frag)
		parse_fragment4(p, ip, frag);
	if (!has_ports(ip->protocol))
		return V_PASS_PROTOCOL;

	v = p->frag == FRAG_LATER ? V_PASS_FRAGMENT : parse_l4(p, cur, len - header_len, ports);
	if (v != V_NEXT && v != V_PASS_FRAGMENT)
		return v;
	p->flow4 = (struct shunt_flow4_key){
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.sport = ports[0],
		.dport = ports[1],
		.proto = ip->protocol,
	};
	return v;
}

static __always_inline void copy_ipv6(__be32 to[4], const struct in6_addr *from)
{
	to[0] = from->s6_addr32[0];
	to[1] = from->s6_addr32[1];
	to[2] = from->s6_addr32[2];
	to[3] = from->s6_addr32[3];
}

/* Steps over the extension headers of p, from where it is in its frame; by: whatever that is found by. */
typedef struct ext_chain (*ext_walker)(void *by, const struct pkt *p, void *pos);

static __always_inline struct ext_chain walk_bytes(void *by, const struct pkt *p, void *pos)
{
	(void)by;
	return ext_walk(pos, p->end, p->proto);
}

/* Steps over what stands between the IPv6 header and the transport's, in a payload of *len bytes. */
static __always_inline enum verdict parse_extensions(struct pkt *p, struct cursor *cur,
						     ext_walker walk, void *by, __u32 *len)
{
	struct ext_chain ext = walk(by, p, cur->pos);
	__u32 ext_len = ext.len & EXT_LEN_MASK;

	if (ext_len > *len || !cursor_take(cur, ext_len))
		return V_PASS_MALFORMED;
	*len -= ext_len;
	p->l3_len += ext_len;
	p->proto = ext.proto;
	p->frag = ext.frag;
	if (ext.bad)
		p->defect = V_DROP_BAD_HEADER;
	return V_NEXT;
}

static __always_inline enum verdict parse_ipv6(struct pkt *p, struct cursor *cur, ext_walker walk,
					       void *by)
{
	const struct ipv6hdr *ip = cursor_take(cur, sizeof(*ip));
	__be16 ports[2] = {};
	enum verdict v;
	__u32 len;

	if (!ip || ip->version != 6)
		return V_PASS_MALFORMED;
	len = bpf_ntohs(ip->payload_len);
	parse_len(p, ip, sizeof(*ip) + len);
	p->family = 6;
	p->l3_len = sizeof(*ip);
	p->proto = ip->nexthdr;
	p->tos = bpf_ntohl(*(const __be32 *)ip) >> 20;
	if (!has_ports(ip->nexthdr)) {
		v = parse_extensions(p, cur, walk, by, &len);
		if (v != V_NEXT)
			return v;
		if (!has_ports(p->proto) && !(p->frag == FRAG_LATER && ext_is_one(p->proto)))
			return V_PASS_PROTOCOL;
	}

	v = p->frag == FRAG_LATER ? V_PASS_FRAGMENT : parse_l4(p, cur, len, ports);
	if (v != V_NEXT && v != V_PASS_FRAGMENT)
		return v;
	copy_ipv6(p->flow6.saddr, &ip->saddr);
	copy_ipv6(p->flow6.daddr, &ip->daddr);
	p->flow6.sport = ports[0];
	p->flow6.dport = ports[1];
	p->flow6.proto = p->proto;
	return v;
}

/* What an Ethernet tag holds behind its type. */
struct tag {
	__be16 tci;
	__be16 proto;
};
_Static_assert(sizeof(struct tag) == TAG_LEN, "a tag");

/*
 * 1 if it says that a tag follows, else 0: in arithmetic, not by a comparison. The kernel's verifier
 * follows each outcome of a comparison to the end of the program; this way all tagged frames are one
 * case to it, and only the length of their header is not known.
 */
static __always_inline __u32 is_tag(__be16 proto)
{
	__u64 other = (__u64)(proto ^ bpf_htons(ETH_P_8021Q)) * (proto ^ bpf_htons(ETH_P_8021AD));

	other -= 1;
	barrier_var(other);
	return other >> 63;
}

/*
 * Step over the tags of a frame whose header says `proto`. A priority tag (VLAN 0) is one like any
 * other. Returns what stands behind them: where that is one more tag, the frame is not for us.
 */
static __always_inline __be16 parse_tags(struct pkt *p, struct cursor *cur, __be16 proto)
{
	const struct tag *tag = cur->pos;
	__u32 len = is_tag(proto) * sizeof(*tag);

	if (!len || (void *)(tag + 1) > cur->end)
		return 0;
	len += is_tag(tag->proto) * sizeof(*tag);
	barrier_var(len);
	len &= TAG_LEN | 2 * TAG_LEN; /* what it is anyway; the verifier wants to see it */
	if (!cursor_take(cur, len))
		return 0;
	p->l2_len += len;
	tag = cur->pos;
	return tag[-1].proto;
}

/* p: zeroed but for eth and end. walk, by: see there. */
static __always_inline enum verdict parse_packet_by(struct pkt *p, ext_walker walk, void *by)
{
	struct cursor cur = {.pos = p->eth, .end = p->end};
	const struct ethhdr *eth = cursor_take(&cur, sizeof(*eth));
	__be16 proto;

	p->defect = V_NEXT;
	p->l2_len = sizeof(*eth);
	if (!eth)
		return V_PASS_MALFORMED;
	proto = eth->h_proto;
	if (proto != bpf_htons(ETH_P_IP) && proto != bpf_htons(ETH_P_IPV6))
		proto = parse_tags(p, &cur, proto);
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, &cur);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, &cur, walk, by);
	return V_PASS_NOT_IP;
}

static __always_inline enum verdict parse_packet(struct pkt *p)
{
	return parse_packet_by(p, walk_bytes, NULL);
}

#endif
