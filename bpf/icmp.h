/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [2a] ICMP: whose is it? An error belongs to the flow of the packet that it quotes. If that is one
 * which a backend sent, from the address of its service, the backend must hear of it. If it is one that
 * we sent, to a backend, the error is about the tunnel, and it is the client in it who may have to send
 * smaller packets.
 *
 * In a quotation everything is reversed: who sent the packet gets the error.
 */
#ifndef SHUNT_BPF_ICMP_H
#define SHUNT_BPF_ICMP_H

#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/encap.h"
#include "bpf/ext.h"
#include "bpf/gue.h"
#include "bpf/icmp_send.h"
#include "bpf/parse.h"
#include "bpf/pkt.h"
#include "bpf/rare_room.h"

/* What every router quotes behind the IP header (RFC 792). */
#define QUOTED_L4 8

#define ICMPV6_ERRORS_END 128

/* Where a quotation can begin, and how far its IP headers can reach: bounds for the verifier. */
#define QUOTE_AT_MASK 0xfff
#define QUOTE_L4_MASK 0x7ff

static __always_inline bool quote_read4(struct xdp_md *ctx, struct quote *q)
{
	const struct iphdr *ip = frame_at(ctx, q->at & QUOTE_AT_MASK);

	if ((void *)(ip + 1) > frame_end(ctx) || ip->version != 4 || ip->ihl < 5)
		return false;
	if (ip->frag_off & bpf_htons(IPV4_OFFSET_MASK))
		return false;
	q->l4 = ip->ihl * 4;
	q->proto = ip->protocol;
	q->v4.saddr = ip->saddr;
	q->v4.daddr = ip->daddr;
	return true;
}

static __always_inline bool quote_read6(struct xdp_md *ctx, struct quote *q)
{
	const struct ipv6hdr *ip = frame_at(ctx, q->at & QUOTE_AT_MASK);
	struct ext_chain ext;

	if ((void *)(ip + 1) > frame_end(ctx) || ip->version != 6)
		return false;
	ext = ext_walk_frame(ctx, (q->at & QUOTE_AT_MASK) + sizeof(*ip), ip->nexthdr);
	if (ext.frag == FRAG_LATER)
		return false;
	q->l4 = sizeof(*ip) + ext.len;
	q->proto = ext.proto;
	copy_ipv6(q->v6.saddr, &ip->saddr);
	copy_ipv6(q->v6.daddr, &ip->daddr);
	return true;
}

/* q: at, len and family are set. False: it is none, or there is too little of it. */
static __always_inline bool quote_read(struct xdp_md *ctx, struct quote *q)
{
	const __be16 *ports;

	if (!(q->family == 4 ? quote_read4(ctx, q) : quote_read6(ctx, q)))
		return false;
	if (q->l4 + QUOTED_L4 > q->len)
		return false;
	ports = frame_at(ctx, q->at & QUOTE_AT_MASK) + (q->l4 & QUOTE_L4_MASK);
	if ((void *)(ports + 2) > frame_end(ctx))
		return false;
	q->ports[0] = ports[0];
	q->ports[1] = ports[1];
	return true;
}

/* The flow of the client whose packet it is, or to whom it goes (reverse). */
static __always_inline void quote_flow(struct pkt *p, const struct quote *q, bool reverse)
{
	__be16 sport = q->ports[reverse], dport = q->ports[!reverse];

	p->family = q->family;
	p->proto = q->proto;
	if (q->family == 4) {
		p->flow4 = (struct shunt_flow4_key){
			.saddr = reverse ? q->v4.daddr : q->v4.saddr,
			.daddr = reverse ? q->v4.saddr : q->v4.daddr,
			.sport = sport,
			.dport = dport,
			.proto = q->proto,
		};
		return;
	}
	for (int i = 0; i < 4; i++) {
		p->flow6.saddr[i] = reverse ? q->v6.daddr[i] : q->v6.saddr[i];
		p->flow6.daddr[i] = reverse ? q->v6.saddr[i] : q->v6.daddr[i];
	}
	p->flow6.sport = sport;
	p->flow6.dport = dport;
	p->flow6.proto = q->proto;
}

/* An error goes to who sent the packet, and to nobody else. By the addresses in p's flow. */
static __always_inline bool quote_is_for(const struct pkt *p, const struct quote *q)
{
	__be32 other = 0;

	if (q->family == 4)
		return q->v4.saddr == p->flow4.daddr;
	for (int i = 0; i < 4; i++)
		other |= q->v6.saddr[i] ^ p->flow6.daddr[i];
	return !other;
}

/* The ICMP header says it, of packets too big: RFC 1191, section 4; RFC 4443, section 3.2. */
static __always_inline __u32 quote_mtu(const struct pkt *p, __u16 type_code, const __be32 *icmp)
{
	if (p->family == 4 && type_code == (ICMP_DEST_UNREACH << 8 | ICMP_FRAG_NEEDED))
		return bpf_ntohl(icmp[1]) & 0xffff;
	if (p->family == 6 && type_code >> 8 == ICMPV6_PKT_TOOBIG)
		return bpf_ntohl(icmp[1]);
	return 0;
}

/*
 * An error about a packet in a tunnel: shim_len bytes are between its IP header and what is in it. That must be
 * a client's packet for a service, and go to the backend that the tunnel leads to (tunnel_answer): who
 * knows that can send such a packet himself.
 */
static __always_inline enum verdict tunnel_error(struct xdp_md *ctx, struct rare *r, __u32 shim_len)
{
	const struct quote *q = &r->quote;
	__u32 headers = q->l4 + shim_len;
	const __u8 *first = frame_at(ctx, (q->at + headers) & QUOTE_AT_MASK);
	struct quote *client = &r->client;
	struct pkt *p = &r->pkt;

	client->at = q->at + headers;
	client->len = q->len - headers;
	if (q->len < headers || (void *)(first + 1) > frame_end(ctx))
		return V_PASS_TUNNEL;
	client->family = *first >> 4 == 6 ? 6 : 4;
	if (!shim_len && q->proto != (client->family == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP))
		return V_PASS_TUNNEL;
	if (!quote_read(ctx, client) || !has_ports(client->proto))
		return V_PASS_TUNNEL;
	p->peek = PEEK_TUNNEL;
	p->note = SHUNT_COUNT_TUNNEL_ERRORS;
	quote_flow(p, client, false);
	return V_NEXT;
}

/*
 * Is the quoted datagram one of ours to a backend (gue.h)? Its source port is of their range, and its
 * source no address of a service. (Of a prefix it can be: such a datagram is looked at as if it were.)
 * By the addresses in p's flow, which is that of the error.
 */
static __always_inline bool quote_is_gue(const struct pkt *p, const struct quote *q)
{
	return q->proto == IPPROTO_UDP &&
	       (bpf_ntohs(q->ports[0]) & GUE_SOURCE_PORT) == GUE_SOURCE_PORT && !addr_lookup(p);
}

static __always_inline enum verdict icmp_error(struct xdp_md *ctx, struct rare *r)
{
	struct pkt *p = &r->pkt;
	struct quote *q = &r->quote;

	q->at = p->l2_len + p->l3_len + ICMP_HLEN;
	q->len = p->ip_len - p->l3_len - ICMP_HLEN;
	q->family = p->family;
	if (!quote_read(ctx, q) || !quote_is_for(p, q))
		return V_PASS_PROTOCOL;
	if (q->proto == IPPROTO_IPIP || q->proto == IPPROTO_IPV6)
		return tunnel_error(ctx, r, 0);
	if (quote_is_gue(p, q) && tunnel_error(ctx, r, UDP_HLEN) == V_NEXT)
		return V_NEXT;
	if (!has_ports(q->proto))
		return V_PASS_PROTOCOL;
	p->peek = PEEK_ERROR;
	p->note = SHUNT_COUNT_ICMP_ERRORS;
	quote_flow(p, q, true);
	return V_NEXT;
}

/* The addresses of the packet itself. */
static __always_inline bool read_addresses(struct xdp_md *ctx, struct pkt *p)
{
	const struct iphdr *ip4 = frame_at(ctx, p->l2_len);
	const struct ipv6hdr *ip6 = frame_at(ctx, p->l2_len);

	if (p->family == 4) {
		if ((void *)(ip4 + 1) > frame_end(ctx))
			return false;
		p->flow4.saddr = ip4->saddr;
		p->flow4.daddr = ip4->daddr;
		return true;
	}
	if ((void *)(ip6 + 1) > frame_end(ctx))
		return false;
	copy_ipv6(p->flow6.saddr, &ip6->saddr);
	copy_ipv6(p->flow6.daddr, &ip6->daddr);
	return true;
}

static __always_inline bool is_error4(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* r: an ICMP packet of its family, by its protocol. */
static __always_inline enum verdict icmp_packet(struct xdp_md *ctx, struct rare *r)
{
	struct pkt *p = &r->pkt;
	const __be32 *icmp = frame_at(ctx, p->l2_len) + (p->l3_len & QUOTE_L4_MASK);
	__u16 type_code;
	__u8 type;

	if (p->frag || p->l3_len + ICMP_HLEN > p->ip_len || (void *)(icmp + 2) > frame_end(ctx) ||
	    !read_addresses(ctx, p))
		return V_PASS_PROTOCOL;
	type_code = bpf_ntohl(icmp[0]) >> 16;
	type = type_code >> 8;
	if (p->family == 4) {
		if (type_code == ICMP_ECHO << 8 && p->l3_len == IPV4_HLEN)
			return echo_answer(ctx, p);
		if (!is_error4(type))
			return V_PASS_PROTOCOL;
	} else {
		if (type_code == ICMPV6_ECHO_REQUEST << 8 && p->l3_len == IPV6_HLEN)
			return echo_answer(ctx, p);
		if (!type || type >= ICMPV6_ERRORS_END)
			return V_PASS_PROTOCOL;
	}
	r->quote_mtu = quote_mtu(p, type_code, icmp);
	return icmp_error(ctx, r);
}

/* Did the packet that the error is about go to this backend? By the frame: what p says of headers is of
 * the client's packet by now. */
static __always_inline bool tunnel_is_backends(struct xdp_md *ctx, const struct rare *r,
					       const struct shunt_backend *be)
{
	const void *outer = frame_at(ctx, r->quote.at & QUOTE_AT_MASK);
	const struct iphdr *ip4 = outer;
	const struct ipv6hdr *ip6 = outer;
	__be32 other = 0;

	if (be->forward != SHUNT_FORWARD_IPIP && be->forward != SHUNT_FORWARD_GUE)
		return false;
	if ((void *)(ip6 + 1) > frame_end(ctx) || ip4->version != be->family)
		return false;
	if (be->family == 4)
		return ip4->daddr == be->dst[3];
	for (int i = 0; i < 4; i++)
		other |= ip6->daddr.s6_addr32[i] ^ be->dst[i];
	return !other;
}

/*
 * An error about the tunnel to the backend be. That packets are too big for it is told to the client in
 * terms of its own packets (RFC 2003, section 4; RFC 4459). Other errors are counted and pass: a
 * backend that cannot be reached is for the health checks to find, and a client that is told may give
 * up a connection which another backend would take.
 */
static __always_inline enum verdict tunnel_answer(struct xdp_md *ctx, struct rare *r,
						  const struct shunt_backend *be)
{
	__u32 overhead = tunnel_overhead(be), at = r->client.at & QUOTE_AT_MASK;
	const struct iphdr *ip = frame_at(ctx, at);
	struct pkt *p = &r->pkt;

	if (!r->quote_mtu || !tunnel_is_backends(ctx, r, be) || r->quote_mtu < overhead + MTU4_MIN)
		return V_PASS_PROTOCOL;
	if ((void *)(ip + 1) > frame_end(ctx) || !from_one_host(p))
		return V_PASS_PROTOCOL;
	if (p->family == 4 && !(ip->frag_off & bpf_htons(IPV4_DONT_FRAGMENT)))
		return V_PASS_PROTOCOL;
	if (!icmp_allowed())
		return V_PASS_PROTOCOL;
	return icmp_too_big(ctx, p, at, p->l2_len + p->ip_len - at, r->quote_mtu - overhead);
}

#endif
