/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * ICMP messages of ours to clients: "your packet is too big", and answers to echo requests. No more of
 * them than node.icmp_rate a second and processor.
 */
#ifndef SHUNT_BPF_ICMP_SEND_H
#define SHUNT_BPF_ICMP_SEND_H

#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include "bpf/clock.h"
#include "bpf/csum.h"
#include "bpf/encap.h"
#include "bpf/frag.h"
#include "bpf/gue.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"

/* The kernel's <linux/icmp.h> would bring the C library's headers along. */
#define ICMP_ECHOREPLY	   0
#define ICMP_DEST_UNREACH  3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_ECHO	   8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_FRAG_NEEDED   4 /* code */

#define ICMP_HLEN 8

/* As much of the client's packet as a message may carry: it must fit into 576 bytes (RFC 1812,
 * section 4.3.2.3), and into 1280 (RFC 4443, section 2.4). */
#define QUOTE4_MAX (576 - IPV4_HLEN - ICMP_HLEN)
#define QUOTE6_MAX (1280 - IPV6_HLEN - ICMP_HLEN)

#define TOS_CONTROL 0xc0 /* as routers send them (RFC 1812, section 4.3.2.5) */

/* May one more be sent? Time is saved up, a second of it at most, and each one costs its share. */
static __noinline bool icmp_allowed(void)
{
	const struct shunt_switches *on = switches_find_far();
	__u64 now = clock_now_ns_far(), second = 1000000000, cost;
	__u32 zero = 0;
	struct shunt_bucket *b = bpf_map_lookup_elem(&sh_icmp_rate, &zero);

	if (!on || !b || !on->icmp_rate)
		return false;
	cost = second / on->icmp_rate;
	b->credit_ns += now - b->seen_ns;
	b->seen_ns = now;
	if (b->credit_ns > second)
		b->credit_ns = second;
	if (b->credit_ns < cost)
		return false;
	b->credit_ns -= cost;
	return true;
}

/* Is the packet from one host, that a message can be sent to (RFC 1122, section 3.2.2; RFC 4443,
 * section 2.4)? By the flow's addresses. */
static __always_inline bool from_one_host(const struct pkt *p)
{
	__u8 first;

	if (p->family == 6)
		return (bpf_ntohl(p->flow6.saddr[0]) >> 24) != 0xff &&
		       (p->flow6.saddr[0] | p->flow6.saddr[1] | p->flow6.saddr[2] |
			p->flow6.saddr[3]);
	first = bpf_ntohl(p->flow4.saddr) >> 24;
	return first != 0 && first != 127 && first < 224;
}

/* Of a message at `at` in the frame, with zero in its place. pseudo: what it covers besides. */
static __always_inline enum verdict write_checksum(struct xdp_md *ctx, __u32 at, __u32 len,
						   __u64 pseudo)
{
	__u16 *icmp = frame_at(ctx, at);
	__s64 sum = sum_frame(ctx, at, len);

	if (sum < 0 || (void *)(icmp + 2) > frame_end(ctx))
		return V_DROP_TOO_BIG;
	icmp[1] = (__u16)~csum_fold(pseudo + sum);
	return V_ANSWER;
}

/* The headers of a message, of which the frame's rest already is the quotation: from the service's
 * address to the client. */
static __always_inline enum verdict write_headers4(struct xdp_md *ctx, struct pkt *p,
						   const struct eth_words *eth, __u32 quote_len,
						   __u32 mtu)
{
	__be32 ip[5] = {
		bpf_htonl(0x45U << 24 | TOS_CONTROL << 16 | (IPV4_HLEN + ICMP_HLEN + quote_len)),
		bpf_htonl(IPV4_DONT_FRAGMENT),
		bpf_htonl((__u32)OUTER_TTL << 24 | IPPROTO_ICMP << 16),
		p->flow4.daddr,
		p->flow4.saddr,
	};
	__be32 *out = eth_write_to(frame_at(ctx, 0), frame_end(ctx), p->l2_len, eth);

	if (!out || (void *)(out + 7) > frame_end(ctx))
		return V_DROP_TOO_BIG;
	ip[2] |= bpf_htonl(bpf_ntohs(csum_ipv4(ip)));
	for (int i = 0; i < 5; i++)
		out[i] = ip[i];
	out[5] = bpf_htonl(ICMP_DEST_UNREACH << 24 | ICMP_FRAG_NEEDED << 16);
	out[6] = bpf_htonl(mtu);
	return write_checksum(ctx, p->l2_len + IPV4_HLEN, ICMP_HLEN + quote_len, 0);
}

static __always_inline enum verdict write_headers6(struct xdp_md *ctx, struct pkt *p,
						   const struct eth_words *eth, __u32 quote_len,
						   __u32 mtu)
{
	__u64 sum = bpf_htonl(ICMP_HLEN + quote_len) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
	__be32 *out = eth_write_to(frame_at(ctx, 0), frame_end(ctx), p->l2_len, eth);

	if (!out || (void *)(out + 12) > frame_end(ctx))
		return V_DROP_TOO_BIG;
	out[0] = bpf_htonl(6U << 28 | TOS_CONTROL << 20);
	out[1] = bpf_htonl((ICMP_HLEN + quote_len) << 16 | IPPROTO_ICMPV6 << 8 | OUTER_TTL);
	for (int i = 0; i < 4; i++) {
		out[2 + i] = p->flow6.daddr[i];
		out[6 + i] = p->flow6.saddr[i];
		sum += (__u64)p->flow6.daddr[i] + p->flow6.saddr[i];
	}
	out[10] = bpf_htonl(ICMPV6_PKT_TOOBIG << 24);
	out[11] = bpf_htonl(mtu);
	return write_checksum(ctx, p->l2_len + IPV6_HLEN, ICMP_HLEN + quote_len, sum);
}

/*
 * Make the frame a message to the client, that its packet, which begins at `from` in the frame and of
 * which there are `len` bytes, is larger than mtu. V_DROP_TOO_BIG: it could not be made.
 */
static __always_inline enum verdict icmp_too_big(struct xdp_md *ctx, struct pkt *p, __u32 from,
						 __u32 len, __u32 mtu)
{
	bool v4 = p->family == 4;
	__u32 headers = p->l2_len + ICMP_HLEN + (v4 ? IPV4_HLEN : IPV6_HLEN);
	__u32 most = v4 ? QUOTE4_MAX : QUOTE6_MAX;
	__u32 quote_len = (len < most ? len : most) & ~3U;
	struct eth_words eth;

	if (frame_at(ctx, ETH_HLEN) > frame_end(ctx))
		return V_DROP_TOO_BIG;
	eth = eth_answer_to(frame_at(ctx, 0), frame_end(ctx), p->l2_len,
			    v4 ? ETH_P_IP : ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, (int)(from - headers)))
		return V_DROP_TOO_BIG;
	if (bpf_xdp_adjust_tail(ctx, (int)(quote_len - len - p->trail_len)))
		return V_DROP_TOO_BIG;
	p->note = SHUNT_COUNT_ICMP_SENT;
	return v4 ? write_headers4(ctx, p, &eth, quote_len, mtu)
		  : write_headers6(ctx, p, &eth, quote_len, mtu);
}

/* What did not take the packet: the route, which next_hop.h has asked, or the row's own MTU. */
static __always_inline __u32 way_mtu(const struct shunt_backend *be)
{
	const struct onward *o = onward_room_far();

	if (be->next_hop == SHUNT_NEXT_HOP_FIB && o && o->mtu && o->mtu < be->mtu)
		return o->mtu;
	return be->mtu;
}

#define MTU4_MIN 68 /* below, no host lowers its packets (RFC 791) */

/*
 * The packet does not fit into the tunnel to its backend. The client is told, unless the packet is one
 * that nothing is said about: an error, a fragment that is not the first; or, of IPv4, one that its
 * sender leaves to be fragmented.
 */
static __always_inline enum verdict too_big_answer(struct xdp_md *ctx, struct pkt *p,
						   const struct shunt_backend *be)
{
	__u32 mtu = way_mtu(be) - tunnel_overhead(be);
	const struct iphdr *ip = frame_at(ctx, p->l2_len);

	if (p->peek || p->frag == FRAG_LATER || !from_one_host(p) || mtu < MTU4_MIN)
		return V_DROP_TOO_BIG;
	if ((void *)(ip + 1) > frame_end(ctx))
		return V_DROP_TOO_BIG;
	if (p->family == 4 && !(ip->frag_off & bpf_htons(IPV4_DONT_FRAGMENT)))
		return V_DROP_TOO_BIG;
	if (!icmp_allowed())
		return V_DROP_TOO_BIG;
	p->defect = V_DROP_TOO_BIG; /* which stays so, answered or not */
	return icmp_too_big(ctx, p, p->l2_len, p->ip_len, mtu);
}

static __always_inline void swap_eth(struct eth_frame *eth)
{
	for (int i = 0; i < 3; i++) {
		__u16 word = eth->dest[i];

		eth->dest[i] = eth->source[i];
		eth->source[i] = word;
	}
}

static __always_inline void swap_words(__be32 *a, __be32 *b)
{
	__be32 word = *a;

	*a = *b;
	*b = word;
}

static __always_inline void echo_answer4(__be32 *ip, __be16 *icmp)
{
	__be16 *ttl = (__be16 *)&ip[2];
	__be16 old_ttl = ttl[0], old_type = icmp[0];

	ttl[0] = bpf_htons(OUTER_TTL << 8 | IPPROTO_ICMP);
	ttl[1] = csum_replace(ttl[1], old_ttl, ttl[0]);
	swap_words(&ip[3], &ip[4]);
	icmp[0] = bpf_htons(ICMP_ECHOREPLY << 8);
	icmp[1] = csum_replace(icmp[1], old_type, icmp[0]);
	/* A message of zeros alone has the checksum 0xffff, which is the same number as 0 in any other:
	 * it is always right where 0 is. */
	if (!icmp[1])
		icmp[1] = 0xffff;
}

/* The pseudo header's sum is that of the request: the addresses change places. */
static __always_inline void echo_answer6(__be32 *ip, __be16 *icmp)
{
	__be16 old_type = icmp[0];

	((__u8 *)ip)[7] = OUTER_TTL;
	for (int i = 0; i < 4; i++)
		swap_words(&ip[2 + i], &ip[6 + i]);
	icmp[0] = bpf_htons(ICMPV6_ECHO_REPLY << 8);
	icmp[1] = csum_replace(icmp[1], old_type, icmp[0]);
}

/*
 * An echo request, with nothing between its IP header and its own. Its checksum is not looked at:
 * where it is wrong, that of the answer is.
 */
static __always_inline enum verdict echo_answer(struct xdp_md *ctx, struct pkt *p)
{
	const struct shunt_switches *on = switches_find_far();
	const struct shunt_vip *addr = addr_lookup(p);
	struct eth_frame *eth = frame_at(ctx, 0);
	__be32 *ip = frame_at(ctx, p->l2_len);
	bool v4 = p->family == 4;

	if (!on || !on->echo || !addr || addr->flags & SHUNT_VIP_LOCAL || !from_one_host(p))
		return V_PASS_PROTOCOL;
	if ((void *)ip + (v4 ? IPV4_HLEN : IPV6_HLEN) + ICMP_HLEN > frame_end(ctx) ||
	    (void *)(eth + 1) > frame_end(ctx) || p->defect != V_NEXT)
		return V_PASS_PROTOCOL;
	p->addr_row = addr->service + 1;
	if (!icmp_allowed())
		return V_DROP_ICMP_RATE;
	p->note = SHUNT_COUNT_ECHOES;
	swap_eth(eth);
	if (v4)
		echo_answer4(ip, (__be16 *)(ip + 5));
	else
		echo_answer6(ip, (__be16 *)(ip + 10));
	return V_ANSWER;
}

#endif
