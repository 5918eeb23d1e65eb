/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5b] Other addresses and ports in a packet's headers, with every checksum that covers them, and
 * one hop less to go. The sums are brought up to date rather than made anew: a packet that was
 * damaged on its way here stays so.
 */
#ifndef SHUNT_BPF_NAT_REWRITE_H
#define SHUNT_BPF_NAT_REWRITE_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/csum.h"
#include "bpf/pkt.h"

/* What a packet is to have. IPv4 addresses stand in word 0. */
struct nat_tuple {
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport;
	__be16 dport;
};

/* Where the headers stand, from the start of the frame. */
struct nat_headers {
	__u16 l3, l4;
};

/* Offsets are below this: said once more to the verifier, which does not remember what the parser
 * has checked. */
#define NAT_OFFSET_MASK 0x7ff

static __always_inline void *nat_at(struct xdp_md *ctx, __u16 offset)
{
	return (void *)(long)ctx->data + (offset & NAT_OFFSET_MASK);
}

/*
 * Bring up to date what a transport header at `ports` has for a checksum. Returns what that changes
 * in a sum that covers the header itself (of an ICMP error, which may hold it cut off). proto:
 * IPPROTO_TCP or IPPROTO_UDP. end: of what may be written.
 */
static __always_inline __u64 nat_fix_l4(__be16 *ports, const void *end, __u8 proto, __u64 change)
{
	struct tcphdr *tcp = (void *)ports;
	struct udphdr *udp = (void *)ports;
	__u16 old;

	if (proto == IPPROTO_TCP) {
		if ((void *)(&tcp->check + 1) > end)
			return 0;
		old = tcp->check;
		tcp->check = csum_update(old, change);
		return csum_change(old, tcp->check);
	}
	if ((void *)(&udp->check + 1) > end)
		return 0;
	old = udp->check;
	udp->check = csum_update_udp(old, change);
	return csum_change(old, udp->check);
}

static __always_inline __u64 nat_put_ports(__be16 *ports, const struct nat_tuple *to)
{
	__u64 change = csum_change(ports[0], to->sport) + csum_change(ports[1], to->dport);

	ports[0] = to->sport;
	ports[1] = to->dport;
	return change;
}

/* The addresses and the checksum of an IPv4 header. Returns what the addresses change. */
static __always_inline __u64 nat_put_ipv4(struct iphdr *ip, __be32 saddr, __be32 daddr)
{
	__u64 change = csum_change(ip->saddr, saddr) + csum_change(ip->daddr, daddr);

	ip->saddr = saddr;
	ip->daddr = daddr;
	ip->check = csum_update(ip->check, change);
	return change;
}

static __always_inline __u64 nat_put_addr6(struct in6_addr *at, const __be32 to[4])
{
	__u64 change = 0;

	for (int i = 0; i < 4; i++) {
		change += csum_change(at->s6_addr32[i], to[i]);
		at->s6_addr32[i] = to[i];
	}
	return change;
}

/*
 * Whoever sends a packet on to another address is a router for it, and takes one hop off its life
 * (IPVS and the kernel's own NAT do so too): a packet that a mistake in the routes sends round and
 * round dies like any other.
 */
static __always_inline enum verdict nat_hop_ipv4(struct iphdr *ip)
{
	__be16 *word = (__be16 *)&ip->ttl, old = *word;

	if (ip->ttl <= 1)
		return V_DROP_TTL;
	ip->ttl--;
	ip->check = csum_replace(ip->check, old, *word);
	return V_NEXT;
}

static __always_inline enum verdict nat_hop_ipv6(struct ipv6hdr *ip)
{
	if (ip->hop_limit <= 1)
		return V_DROP_TTL;
	ip->hop_limit--;
	return V_NEXT;
}

/* proto: 0 for a fragment that has no transport header; likewise below. */
static __always_inline enum verdict nat_rewrite4(struct xdp_md *ctx, struct nat_headers at,
						 __u8 proto, const struct nat_tuple *to)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = nat_at(ctx, at.l3);
	__be16 *ports = nat_at(ctx, at.l4);
	enum verdict v;
	__u64 change;

	if ((void *)(ip + 1) > end)
		return V_DROP_TRUNCATED;
	v = nat_hop_ipv4(ip);
	if (v != V_NEXT)
		return v;
	change = nat_put_ipv4(ip, to->saddr[0], to->daddr[0]);
	if (!proto)
		return V_NEXT;
	if ((void *)(ports + 2) > end)
		return V_DROP_TRUNCATED;
	change += nat_put_ports(ports, to);
	nat_fix_l4(ports, end, proto, change);
	return V_NEXT;
}

static __always_inline enum verdict nat_rewrite6(struct xdp_md *ctx, struct nat_headers at,
						 __u8 proto, const struct nat_tuple *to)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = nat_at(ctx, at.l3);
	__be16 *ports = nat_at(ctx, at.l4);
	enum verdict v;
	__u64 change;

	if ((void *)(ip + 1) > end)
		return V_DROP_TRUNCATED;
	v = nat_hop_ipv6(ip);
	if (v != V_NEXT)
		return v;
	change = nat_put_addr6(&ip->saddr, to->saddr) + nat_put_addr6(&ip->daddr, to->daddr);
	if (!proto)
		return V_NEXT;
	if ((void *)(ports + 2) > end)
		return V_DROP_TRUNCATED;
	change += nat_put_ports(ports, to);
	nat_fix_l4(ports, end, proto, change);
	return V_NEXT;
}

#endif
