// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * On a backend host: take the outer header off packets for its service addresses and let the stack
 * have what is inside. The same work twice: as an XDP program, and as a TC program for interfaces
 * that have another XDP program or none that fits.
 */
#include "bpf/compat.h"

#include <linux/pkt_cls.h>

#include "bpf/csum.h"
#include "bpf/decap.h"
#include "bpf/decap_abi.h"

/* The addresses. Written by shunt-decap; the value says nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct decap_key);
	__type(value, __u32);
	__uint(max_entries, DECAP_MAX_SERVICES);
} dc_services SEC(".maps");

/* Written by shunt-decap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct decap_settings);
	__uint(max_entries, 1);
} dc_settings SEC(".maps");

/* DECAP_COUNTER() -> packets. Written by the programs, summed by shunt-decap. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, DECAP_COUNTERS);
} dc_counters SEC(".maps");

static __always_inline void count(const struct tunnel *t, __u32 result)
{
	__u32 at = DECAP_COUNTER(t->kind, result);
	__u64 *counter = bpf_map_lookup_elem(&dc_counters, &at);

	if (counter)
		(*counter)++;
}

/* DECAP_FOUND: to be unpacked, with *ret_tos in the inner header. */
static __always_inline __u32 decide(void *data, void *end, __u32 frame_len, struct tunnel *t,
				    __u8 *ret_tos)
{
	const struct decap_settings *settings;
	__u32 zero = 0, result;

	settings = bpf_map_lookup_elem(&dc_settings, &zero);
	result = tunnel_parse(data, end, settings ? settings->gue_port : 0, t);
	if (result != DECAP_FOUND)
		return result;
	if (!bpf_map_lookup_elem(&dc_services, &t->dst))
		return DECAP_PASS;
	if (!tunnel_is_whole(t, frame_len))
		return DECAP_DROP_TRUNCATED;
	if (t->flags)
		return DECAP_DROP_FLAGS;
	if (!tunnel_ecn(t, ret_tos))
		return DECAP_DROP_CONGESTION;
	return DECAP_FOUND;
}

static __always_inline __be16 inner_ethertype(const struct tunnel *t)
{
	return t->dst.family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* The first 16 bits of the inner header, with the new ECN field in them. */
static __always_inline __be16 first_half(const struct tunnel *t, __be16 old, __u8 tos)
{
	__u16 word = bpf_ntohs(old);

	if (t->dst.family == 4)
		word = (word & 0xff00) | tos;
	else
		word = (word & 0xf00f) | tos << 4;
	return bpf_htons(word);
}

static __always_inline __u32 xdp_unpack(struct xdp_md *ctx, const struct tunnel *t, __u8 tos)
{
	void *end = (void *)(long)ctx->data_end;
	/* Whole words up to DECAP_OUTER_MAX, which the verifier forgets of a value that was in memory. */
	__u32 outer_len = t->outer_len & 0xfc;
	__u16 *from = (void *)(long)ctx->data;
	__u16 *eth = (void *)from + outer_len;
	__be16 *inner = eth + 7, first;

	if ((void *)(from + 7) > end || (void *)(inner + 10) > end)
		return DECAP_DROP_TRUNCATED;
	first = first_half(t, inner[0], tos);
	if (t->dst.family == 4)
		inner[5] = csum_replace(inner[5], inner[0], first);
	inner[0] = first;
	/* The outer header is longer than this one: the two do not overlap. */
	for (int i = 0; i < 6; i++)
		eth[i] = from[i];
	eth[6] = inner_ethertype(t);
	if (bpf_xdp_adjust_head(ctx, outer_len))
		return DECAP_DROP_KERNEL;
	return DECAP_DECAPSULATED;
}

SEC("xdp")
int decap_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct tunnel t = {};
	__u32 result;
	__u8 tos;

	result = decide(data, end, end - data, &t, &tos);
	if (result == DECAP_FOUND)
		result = xdp_unpack(ctx, &t, tos);
	count(&t, result);
	return result >= DECAP_DROP_TRUNCATED ? XDP_DROP : XDP_PASS;
}

/* Through the helper, which keeps a checksum that the card has made over the packet in step. */
static __always_inline int tc_set_tos(struct __sk_buff *skb, const struct tunnel *t, __u8 tos)
{
	__u32 at = ETH_HLEN + t->outer_len;
	__be16 words[6], first;

	if (tos == t->inner_tos)
		return 0;
	if (bpf_skb_load_bytes(skb, at, words, sizeof(words)))
		return -1;
	first = first_half(t, words[0], tos);
	if (t->dst.family == 4) {
		words[5] = csum_replace(words[5], words[0], first);
		if (bpf_skb_store_bytes(skb, at + 10, &words[5], 2, BPF_F_RECOMPUTE_CSUM))
			return -1;
	}
	return bpf_skb_store_bytes(skb, at, &first, 2, BPF_F_RECOMPUTE_CSUM);
}

/*
 * bpf_skb_adjust_room() goes by the family that the packet had: what remains must be no shorter
 * than a header of that (kernels before 6.3 cannot be told otherwise). A shorter IPv4 packet in
 * IPv6 gets bytes behind its end, which the stack cuts off again.
 */
static __always_inline int tc_remove_outer(struct __sk_buff *skb, const struct tunnel *t)
{
	__u32 least = t->outer_family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 rest = skb->len - ETH_HLEN - t->outer_len;

	if (rest < least && bpf_skb_change_tail(skb, skb->len + least - rest, 0))
		return -1;
	return bpf_skb_adjust_room(skb, -(int)t->outer_len, BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_FIXED_GSO);
}

/*
 * With rx-udp-gro-forwarding, GRO makes one datagram of several of a flow that is for no socket, and
 * writes the sum of them into the UDP header. All but the first would go unseen as what is behind
 * the inner packet. (Inner segments of TCP that are put together fill their tunnel.)
 */
static __always_inline bool tc_is_merged(const struct __sk_buff *skb, const struct tunnel *t)
{
	return t->kind == DECAP_KIND_GUE && skb->gso_size &&
	       t->outer_len + t->inner_total != t->payload_end;
}

static __always_inline __u32 tc_unpack(struct __sk_buff *skb, const struct tunnel *t, __u8 tos)
{
	__be16 proto = inner_ethertype(t);

	if (tc_set_tos(skb, t, tos) || tc_remove_outer(skb, t))
		return DECAP_DROP_KERNEL;
	if (t->outer_family != t->dst.family &&
	    bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &proto, sizeof(proto), 0))
		return DECAP_DROP_KERNEL;
	return DECAP_DECAPSULATED;
}

/* Make the headers readable where the packet lies in pieces. */
static __always_inline void tc_pull(struct __sk_buff *skb)
{
	__u32 linear = skb->data_end - skb->data;

	if (linear < DECAP_HEADERS_MAX && linear < skb->len)
		(void)bpf_skb_pull_data(skb, skb->len < DECAP_HEADERS_MAX ? skb->len
									  : DECAP_HEADERS_MAX);
}

SEC("tc")
int decap_tc(struct __sk_buff *skb)
{
	struct tunnel t = {};
	__u32 result;
	__u8 tos;

	if (skb->vlan_present)
		result = DECAP_PASS; /* as in XDP, where the tag stands in front */
	else {
		tc_pull(skb);
		result = decide((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, &t,
				&tos);
	}
	if (result == DECAP_FOUND && tc_is_merged(skb, &t))
		result = DECAP_DROP_MERGED;
	if (result == DECAP_FOUND)
		result = tc_unpack(skb, &t, tos);
	count(&t, result);
	if (result >= DECAP_DROP_TRUNCATED)
		return TC_ACT_SHOT;
	/*
	 * The packet is of another family than the stack took note of when it came in. Coming in
	 * once more, on the same interface, it is looked at afresh (and counted as passed then).
	 */
	if (result == DECAP_DECAPSULATED && t.outer_family != t.dst.family)
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
