/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5b] IP in UDP in IP: GUE variant 1 (the packet follows the UDP header at once). Switches and
 * queues on the way tell flows apart by the source port, as they do for any UDP.
 *
 * Over IPv4 the UDP checksum is left out. Over IPv6 there must be one, and it covers the packet: it
 * is found from the packet's own checksums where those cover all of it, so that its data need not be
 * read. A packet whose own checksum is wrong then gets a wrong one, and dies a hop earlier.
 */
#ifndef SHUNT_BPF_GUE_H
#define SHUNT_BPF_GUE_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "bpf/csum.h"
#include "bpf/encap.h"
#include "bpf/hash.h"
#include "bpf/onward.h"
#include "bpf/parse.h"
#include "bpf/pkt.h"

/* Dynamic ports, 49152 to 65535: the rest of the port is of the flow. */
#define GUE_SOURCE_PORT	     0xc000
#define GUE_SOURCE_PORT_BITS 0x3fff

/* Sums below are of 16-bit words as they lie in memory, not folded; see csum_fold(). */

#define SUM_CHUNKS 128 /* no frame is larger than a page */

/*
 * Of len bytes of the frame from offset on. -1: they are not there. A global function, because the
 * kernel then verifies it once and not again for each way here.
 */
__noinline __s64 sum_frame(struct xdp_md *ctx, __u32 offset, __u32 len)
{
	__u32 chunks = (len - 1) / SUM_CHUNK;
	__u32 tail = (len - 1) % SUM_CHUNK + 1; /* never 0, which 6.1 would not see otherwise */
	struct onward *o = onward_room_far();
	__be32 *chunk;
	__u64 sum;

	if (chunks > SUM_CHUNKS || !o)
		return -1;
	chunk = o->chunk;
	__builtin_memset(chunk, 0, SUM_CHUNK);
	/* The tail first, while the rest of the chunk is zero. */
	if (bpf_xdp_load_bytes(ctx, offset + chunks * SUM_CHUNK, chunk, tail))
		return -1;
	sum = (__u32)bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK, 0);
	for (__u32 i = 0; i < SUM_CHUNKS && i < chunks; i++) {
		if (bpf_xdp_load_bytes(ctx, offset + i * SUM_CHUNK, chunk, SUM_CHUNK))
			return -1;
		sum += (__u32)bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK, 0);
	}
	return sum;
}

/* Does the transport's checksum cover all that the IP header gives it? len: those bytes. */
static __always_inline bool l4_is_summed(const struct pkt *p, const void *l4, __u32 len)
{
	const struct udphdr *udp = l4;

	if (p->proto == IPPROTO_TCP)
		return true;
	if (p->proto != IPPROTO_UDP || (void *)(udp + 1) > p->end)
		return false;
	return udp->check && bpf_ntohs(udp->len) == len;
}

/*
 * A segment and its pseudo header sum up to nothing (that is, to 0xffff), and so does an IPv4 header.
 * What is left of an IPv4 packet is the pseudo header, taken away. -1: it has to be read.
 */
static __always_inline __s64 sum_ipv4(const struct pkt *p)
{
	const struct iphdr *ip = pkt_l3(p);
	__u32 header_len, len;
	__u64 pseudo;

	if ((void *)(ip + 1) > p->end)
		return -1;
	header_len = ip->ihl * 4;
	len = p->ip_len - header_len;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT) || ip->protocol != p->proto ||
	    !l4_is_summed(p, (void *)ip + header_len, len))
		return -1;
	pseudo = (__u64)ip->saddr + ip->daddr + bpf_htons(p->proto) + bpf_htons(len);
	return (__u16)~csum_fold(pseudo);
}

/* Of an IPv6 packet the addresses are in both headers, and leave: but for the first word, what
 * differs is the hop limit. */
static __always_inline __s64 sum_ipv6(const struct pkt *p)
{
	const struct ipv6hdr *ip = pkt_l3(p);
	__u64 pseudo, header;

	if ((void *)(ip + 1) > p->end)
		return -1;
	if (ip->nexthdr != p->proto || !l4_is_summed(p, ip + 1, p->ip_len - sizeof(*ip)))
		return -1;
	pseudo = (__u64)bpf_htons(p->proto) + ip->payload_len;
	header = (__u64) * (const __be32 *)ip + ip->payload_len +
		 bpf_htons((__u32)ip->nexthdr << 8 | ip->hop_limit);
	return header + (__u16)~csum_fold(pseudo);
}

/* Of the whole IP packet. */
static __always_inline __s64 sum_packet(struct xdp_md *ctx, const struct pkt *p)
{
	__s64 sum = p->family == 4 ? sum_ipv4(p) : sum_ipv6(p);

	return sum >= 0 ? sum : sum_frame(ctx, p->l2_len, p->ip_len);
}

static __always_inline __u64 sum_addrs(const struct pkt *p)
{
	const struct shunt_backend *be = p->backend;
	__u64 sum = (__u64)be->src[0] + be->src[1] + be->src[2] + outer_source_word(p);

	return sum + be->dst[0] + be->dst[1] + be->dst[2] + be->dst[3];
}

/* Its own length is in the sum twice: in the pseudo header too. */
static __always_inline int udp_checksum(struct xdp_md *ctx, const struct pkt *p, struct shim *udp,
					__u32 len)
{
	__s64 sum = sum_packet(ctx, p);
	__u16 check;

	if (sum < 0)
		return -1;
	sum += sum_addrs(p) + udp->words[0] + 2 * (__u64)bpf_htons(len) + bpf_htons(IPPROTO_UDP);
	check = ~csum_fold(sum);
	udp->words[1] |= bpf_htonl(check ? bpf_ntohs(check) : 0xffff); /* 0 would say "none" */
	return 0;
}

static __always_inline __u16 gue_source_port(const struct pkt *p)
{
	return GUE_SOURCE_PORT | (hash_entropy(p->hash) & GUE_SOURCE_PORT_BITS);
}

static __always_inline enum verdict encap_gue(struct xdp_md *ctx, struct pkt *p,
					      const struct hop *hop)
{
	__u32 len = UDP_HLEN + p->ip_len;
	__u32 sport = gue_source_port(p);
	struct shim udp = {
		.len = UDP_HLEN,
		.proto = IPPROTO_UDP,
		.words = {bpf_htonl(sport << 16 | bpf_ntohs(p->backend->port)),
			  bpf_htonl(len << 16)},
	};
	enum verdict v;

	if (p->ip_len + tunnel_overhead(p->backend) > p->backend->mtu)
		return V_DROP_TOO_BIG;
	v = trim_trailer(ctx, p);
	if (v != V_NEXT)
		return v;
	if (p->backend->family == 4)
		return encap_ipv4(ctx, p, hop, &udp);
	if (udp_checksum(ctx, p, &udp, len))
		return V_DROP_TRUNCATED;
	return encap_ipv6(ctx, p, hop, &udp);
}

#endif
