/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5a] IP in IP: an outer IPv4 or IPv6 header in front of the packet, which itself stays as it is.
 * gue.h puts a UDP header between the two.
 */
#ifndef SHUNT_BPF_ENCAP_H
#define SHUNT_BPF_ENCAP_H

#include <linux/if_ether.h>
#include <linux/in.h>

#include "bpf/csum.h"
#include "bpf/hash.h"
#include "bpf/pkt.h"

#define OUTER_TTL	   64
#define UDP_HLEN	   8
#define IPV4_HLEN	   20
#define IPV6_HLEN	   40
#define IPV4_DONT_FRAGMENT 0x4000

/*
 * Ethernet pads short frames to 60 bytes; those few bytes may travel on, since the outer header
 * tells the receiver where the packet ends. A longer frame has no honest reason to carry any.
 */
#define PADDED_FRAME_LEN 60

/* An Ethernet header, as 16-bit words, the alignment that a frame has anywhere. */
struct eth_frame {
	__u16 dest[3];
	__u16 source[3];
	__be16 tags[4]; /* as many as the frame has */
	__be16 proto;
};
_Static_assert(sizeof(struct eth_frame) == ETH_HLEN + TAGS_MAX * TAG_LEN, "a whole header");

/*
 * What stands before the IP header. The addresses are in two numbers, as they lie in memory: to move
 * them so takes two loads and two stores where their 16-bit words would take twelve.
 */
struct eth_words {
	__u64 low;	/* the destination, and the first word of the source */
	__u32 high;	/* the rest of the source */
	__be16 tags[4]; /* as many as the frame has */
	__be16 proto;
};

#define MAC_BITS 48
#define MAC_MASK ((1ULL << MAC_BITS) - 1)
#define TAGS_AT	 12 /* in the frame */

/* dest and source: 48 bits. */
static __always_inline void eth_set_macs(struct eth_words *eth, __u64 dest, __u64 source)
{
	eth->low = dest | source << MAC_BITS;
	eth->high = source >> 16;
}

/* The header of the answer to a frame: back where it came from, with the same tags. The frame has at
 * least an Ethernet header. */
static __always_inline struct eth_words eth_answer_to(const void *eth, const void *end, __u8 l2_len,
						      __u16 proto)
{
	const __be16 *tags = eth + TAGS_AT;
	__u64 low = *(const __u64 *)eth;
	__u64 source = low >> MAC_BITS | (__u64) * (const __u32 *)(eth + 8) << 16;
	struct eth_words out = {.proto = bpf_htons(proto)};

	eth_set_macs(&out, source, low & MAC_MASK);
	if (l2_len >= ETH_HLEN + TAG_LEN && eth + ETH_HLEN + TAG_LEN <= end) {
		out.tags[0] = tags[0];
		out.tags[1] = tags[1];
	}
	if (l2_len >= ETH_HLEN + 2 * TAG_LEN && eth + ETH_HLEN + 2 * TAG_LEN <= end) {
		out.tags[2] = tags[2];
		out.tags[3] = tags[3];
	}
	return out;
}

static __always_inline struct eth_words eth_answer(const struct pkt *p, __u16 proto)
{
	return eth_answer_to(p->eth, p->end, p->l2_len, proto);
}

static __always_inline __u64 mac_of(const __u16 words[3])
{
	return words[0] | (__u64)words[1] << 16 | (__u64)words[2] << 32;
}

/* The header that an encapsulated packet leaves with: back to who sent it, or to the next hop that
 * was looked up (next_hop.h). */
static __always_inline struct eth_words eth_onward(const struct pkt *p, const struct hop *hop,
						   __u16 proto)
{
	struct eth_words out = {.proto = bpf_htons(proto)};

	if (!hop)
		return eth_answer(p, proto);
	eth_set_macs(&out, mac_of(hop->dest), mac_of(hop->source));
	return out;
}

/*
 * Write it to the start of a frame, which must have room for the longest one. Returns where the IP
 * header goes; NULL where there is no room.
 */
static __always_inline void *eth_write_to(void *start, const void *end, __u8 l2_len,
					  const struct eth_words *eth)
{
	__be16 *tags = start + TAGS_AT;

	if (start + ETH_HLEN + TAGS_MAX * TAG_LEN > end)
		return NULL;
	*(__u64 *)start = eth->low;
	*(__u32 *)(start + 8) = eth->high;
	if (l2_len == ETH_HLEN) {
		tags[0] = eth->proto;
		return tags + 1;
	}
	tags[0] = eth->tags[0];
	tags[1] = eth->tags[1];
	if (l2_len == ETH_HLEN + TAG_LEN) {
		tags[2] = eth->proto;
		return tags + 3;
	}
	tags[2] = eth->tags[2];
	tags[3] = eth->tags[3];
	tags[4] = eth->proto;
	return tags + 5;
}

static __always_inline void *eth_write(struct pkt *p, const struct eth_words *eth)
{
	return eth_write_to(p->eth, p->end, p->l2_len, eth);
}

/* The outer source: bits of it tell flows apart, for the receiver's queues and the paths there. */
static __always_inline __be32 outer_source_word(const struct pkt *p)
{
	__be32 mask = p->backend->src_entropy;

	return (p->backend->src[3] & ~mask) | (bpf_htonl(hash_entropy(p->hash)) & mask);
}

static __always_inline __u8 inner_proto(const struct pkt *p)
{
	return p->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

/* What stands between the outer IP header and the packet: nothing, or a UDP header. */
struct shim {
	__u32 len;	 /* 0 or 8 */
	__u8 proto;	 /* the outer header's protocol */
	__be32 words[2]; /* for IPv4 and IPv6 */
};

/* How many bytes the way to the backend adds to a packet. */
static __always_inline __u32 tunnel_overhead(const struct shunt_backend *be)
{
	__u32 outer = be->family == 6 ? IPV6_HLEN : IPV4_HLEN;

	switch (be->forward) {
	case SHUNT_FORWARD_IPIP: return outer;
	case SHUNT_FORWARD_GUE: return outer + UDP_HLEN;
	default: return 0;
	}
}

/*
 * DF is set and the id zero: the tunnel's MTU is checked here and nothing is fragmented behind
 * (RFC 6864). DSCP and ECN are the inner packet's (RFC 6040, normal mode).
 */
static __always_inline enum verdict encap_ipv4(struct xdp_md *ctx, struct pkt *p,
					       const struct hop *hop, const struct shim *shim)
{
	struct eth_words eth = eth_onward(p, hop, ETH_P_IP);
	__u32 len = IPV4_HLEN + shim->len + p->ip_len;
	__be32 *out;
	__be32 ip[5] = {
		bpf_htonl(0x45U << 24 | (__u32)p->tos << 16 | len),
		bpf_htonl(IPV4_DONT_FRAGMENT),
		bpf_htonl((__u32)OUTER_TTL << 24 | (__u32)shim->proto << 16),
		outer_source_word(p),
		p->backend->dst[3],
	};

	ip[2] |= bpf_htonl(bpf_ntohs(csum_ipv4(ip)));
	if (pkt_push(ctx, p, IPV4_HLEN + shim->len))
		return V_DROP_HEADROOM;
	out = eth_write(p, &eth);
	if (!out || (void *)(out + 5) + shim->len > p->end)
		return V_DROP_HEADROOM;
	for (int i = 0; i < 5; i++)
		out[i] = ip[i];
	if (shim->len) {
		out[5] = shim->words[0];
		out[6] = shim->words[1];
	}
	return V_TX;
}

static __always_inline enum verdict encap_ipv6(struct xdp_md *ctx, struct pkt *p,
					       const struct hop *hop, const struct shim *shim)
{
	struct eth_words eth = eth_onward(p, hop, ETH_P_IPV6);
	const struct shunt_backend *be = p->backend;
	__u32 label = hash_entropy(p->hash) >> 12; /* 20 bits */
	__u32 len = shim->len + p->ip_len;
	__be32 *out;

	if (pkt_push(ctx, p, IPV6_HLEN + shim->len))
		return V_DROP_HEADROOM;
	out = eth_write(p, &eth);
	if (!out || (void *)(out + 10) + shim->len > p->end)
		return V_DROP_HEADROOM;
	out[0] = bpf_htonl(6U << 28 | (__u32)p->tos << 20 | label);
	out[1] = bpf_htonl(len << 16 | (__u32)shim->proto << 8 | OUTER_TTL);
	out[2] = be->src[0];
	out[3] = be->src[1];
	out[4] = be->src[2];
	out[5] = outer_source_word(p);
	out[6] = be->dst[0];
	out[7] = be->dst[1];
	out[8] = be->dst[2];
	out[9] = be->dst[3];
	if (shim->len) {
		out[10] = shim->words[0];
		out[11] = shim->words[1];
	}
	return V_TX;
}

/* Cut off what stands behind the IP packet, unless it is the padding of a short frame. */
static __always_inline enum verdict trim_trailer(struct xdp_md *ctx, struct pkt *p)
{
	__u32 frame_len = p->l2_len + p->ip_len + p->trail_len;

	if (p->trail_len && frame_len > PADDED_FRAME_LEN && pkt_trim(ctx, p))
		return V_DROP_TRUNCATED;
	return (void *)(p->eth + 1) > p->end ? V_DROP_TRUNCATED : V_NEXT;
}

/* hop: NULL for back to who sent it; likewise in gue.h and l2.h. */
static __always_inline enum verdict encap_ipip(struct xdp_md *ctx, struct pkt *p,
					       const struct hop *hop)
{
	const struct shim none = {.proto = inner_proto(p)};
	enum verdict v;

	if (p->ip_len + (p->backend->family == 6 ? IPV6_HLEN : IPV4_HLEN) > p->backend->mtu)
		return V_DROP_TOO_BIG;
	v = trim_trailer(ctx, p);
	if (v != V_NEXT)
		return v;
	return p->backend->family == 6 ? encap_ipv6(ctx, p, hop, &none)
				       : encap_ipv4(ctx, p, hop, &none);
}

#endif
