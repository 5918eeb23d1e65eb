// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * Makes each frame of a test run with live frames the packet of the next flow, and sends it. All of
 * it is written each time: the frame's memory comes back from wherever the last packet in it ended,
 * with the headers that it got on the way.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bench/veth/flood.h"
#include "bpf/csum.h"

struct flood flood = {};
__u64 flood_sent = 0;

SEC("xdp")
int flood_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 flow = (__u32)flood_sent * FLOOD_STEP & flood.flow_mask;
	__u64 *words = data;
	__be32 source;

	if (data + FLOOD_FRAME_LEN > end)
		return XDP_ABORTED;
	for (unsigned int i = 0; i < FLOOD_WORDS; i++)
		words[i] = flood.frame[i];
	source = bpf_htonl(flood.source + (flow >> FLOOD_PORT_BITS));
	ip->saddr = source;
	ip->check = (__u16)~csum_fold((__u64)flood.check + source);
	udp->source = bpf_htons(FLOOD_FIRST_PORT + (flow & ((1U << FLOOD_PORT_BITS) - 1)));
	flood_sent++;
	return bpf_redirect(flood.ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
