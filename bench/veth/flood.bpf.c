// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * Makes each frame of a test run with live frames the packet of the next flow, and sends it. All of
 * it is written each time: the frame's memory comes back from wherever the last packet in it ended,
 * with the headers that it got on the way.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bench/veth/flood.h"
#include "bpf/csum.h"

struct flood flood = {};
__u64 flood_sent = 0;

/* What differs from flow to flow. */
struct source {
	__be32 addr;
	__be16 port;
};

static __always_inline struct source next_source(void)
{
	__u32 flow = (__u32)flood_sent * FLOOD_STEP & flood.flow_mask;

	flood_sent++;
	return (struct source){
		.addr = bpf_htonl(flood.source + (flow >> FLOOD_PORT_BITS)),
		.port = bpf_htons(FLOOD_FIRST_PORT + (flow & ((1U << FLOOD_PORT_BITS) - 1))),
	};
}

SEC("xdp")
int flood4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);
	struct source source = next_source();
	__u64 *words = data;

	if (data + FLOOD_LEN4 > end)
		return XDP_ABORTED;
	for (unsigned int i = 0; i < FLOOD_LEN4 / sizeof(*words); i++)
		words[i] = flood.frame[i];
	ip->saddr = source.addr;
	ip->check = (__u16)~csum_fold((__u64)flood.check + source.addr);
	udp->source = source.port;
	udp->check = 0;
	return bpf_redirect(flood.ifindex, 0);
}

SEC("xdp")
int flood6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);
	struct source source = next_source();
	__u64 *words = data;
	__u16 check;

	if (data + FLOOD_LEN6 > end)
		return XDP_ABORTED;
	for (unsigned int i = 0; i < FLOOD_LEN6 / sizeof(*words); i++)
		words[i] = flood.frame[i];
	check = (__u16)~csum_fold((__u64)flood.check + source.addr + source.port);
	ip->saddr.s6_addr32[3] = source.addr;
	udp->source = source.port;
	udp->check = check ? check : 0xffff;
	return bpf_redirect(flood.ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
