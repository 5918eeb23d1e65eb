// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * The least that a balancer can do to a packet: look at its headers, take the one backend there is
 * from an array, put an outer header in front and send it back. No service, no choice, no count.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bpf/csum.h"

#define TTL	      64
#define DONT_FRAGMENT 0x4000

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __be32[8]); /* source, destination; IPv4 in their first words */
	__uint(max_entries, 1);
} fl_backend SEC(".maps");

/* Aligned as a frame is. */
struct eth_words {
	__u16 dest[3];
	__u16 source[3];
	__be16 proto;
};

static __always_inline struct eth_words answer(const struct eth_words *eth)
{
	return (struct eth_words){
		.dest = {eth->source[0], eth->source[1], eth->source[2]},
		.source = {eth->dest[0], eth->dest[1], eth->dest[2]},
		.proto = eth->proto,
	};
}

static __always_inline const __be32 *only_backend(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&fl_backend, &index);
}

static __always_inline int steer4(struct xdp_md *ctx, __u8 protocol, unsigned int l4_len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct eth_words *eth = data, *out_eth, new_eth;
	struct iphdr *ip = (void *)(eth + 1);
	const __be32 *be = only_backend();
	__be32 outer[5], *out;

	if ((void *)(ip + 1) + l4_len > end || eth->proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != protocol || !be)
		return XDP_PASS;
	outer[0] = bpf_htonl(0x45U << 24 | (bpf_ntohs(ip->tot_len) + sizeof(*ip)));
	outer[1] = bpf_htonl(DONT_FRAGMENT);
	outer[2] = bpf_htonl(TTL << 24 | IPPROTO_IPIP << 16);
	outer[3] = be[0];
	outer[4] = be[4];
	outer[2] |= bpf_htonl(bpf_ntohs(csum_ipv4(outer)));
	new_eth = answer(eth);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	out_eth = (void *)(long)ctx->data;
	out = (void *)(out_eth + 1);
	if ((void *)(out + 5) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*out_eth = new_eth;
	for (int i = 0; i < 5; i++)
		out[i] = outer[i];
	return XDP_TX;
}

static __always_inline int steer6(struct xdp_md *ctx, __u8 protocol, unsigned int l4_len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct eth_words *eth = data, *out_eth, new_eth;
	struct ipv6hdr *ip = (void *)(eth + 1);
	const __be32 *be = only_backend();
	__u32 len;
	__be32 *out;

	if ((void *)(ip + 1) + l4_len > end || eth->proto != bpf_htons(ETH_P_IPV6) ||
	    ip->nexthdr != protocol || !be)
		return XDP_PASS;
	len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	new_eth = answer(eth);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	out_eth = (void *)(long)ctx->data;
	out = (void *)(out_eth + 1);
	if ((void *)(out + 10) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*out_eth = new_eth;
	out[0] = bpf_htonl(6U << 28);
	out[1] = bpf_htonl(len << 16 | IPPROTO_IPV6 << 8 | TTL);
	for (int i = 0; i < 8; i++)
		out[2 + i] = be[i];
	return XDP_TX;
}

SEC("xdp")
int floor4(struct xdp_md *ctx)
{
	return steer4(ctx, IPPROTO_TCP, sizeof(struct tcphdr));
}

SEC("xdp")
int floor6(struct xdp_md *ctx)
{
	return steer6(ctx, IPPROTO_TCP, sizeof(struct tcphdr));
}

/* The same for UDP, which is what is sent through veth pairs. */
SEC("xdp")
int floor4_udp(struct xdp_md *ctx)
{
	return steer4(ctx, IPPROTO_UDP, sizeof(struct udphdr));
}

SEC("xdp")
int floor6_udp(struct xdp_md *ctx)
{
	return steer6(ctx, IPPROTO_UDP, sizeof(struct udphdr));
}

char _license[] SEC("license") = "Dual BSD/GPL";
