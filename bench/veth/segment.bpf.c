// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * The network around a balancer, as cheap as it can be: a router that hands tunnel packets on to the
 * backend in their outer address, and the end of a backend's link, where they are dropped. Each both
 * for XDP and for the stack's ingress, where a packet has become an skb.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define BOXES 256

/* The router's interface to the backend 10.30.N.2, fd00:30:N::2, by N; 0: there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, BOXES);
} seg_ports SEC(".maps");

/* The N of the backend that a tunnel packet is for; 0: it is none. */
static __always_inline __u32 outer_dest(const void *data, const void *end)
{
	const struct ethhdr *eth = data;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct ipv6hdr *ip6 = (const void *)(eth + 1);

	if ((const void *)(ip + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && ip->protocol == IPPROTO_IPIP)
		return bpf_ntohl(ip->daddr) >> 8 & (BOXES - 1);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (const void *)(ip6 + 1) <= end &&
	    ip6->nexthdr == IPPROTO_IPV6)
		return bpf_ntohl(ip6->daddr.s6_addr32[1]) >> 16 & (BOXES - 1);
	return 0;
}

static __always_inline __u32 port_of(const void *data, const void *end)
{
	__u32 key = outer_dest(data, end), *ifindex;

	ifindex = key ? bpf_map_lookup_elem(&seg_ports, &key) : NULL;
	return ifindex ? *ifindex : 0;
}

SEC("xdp")
int route_xdp(struct xdp_md *ctx)
{
	__u32 port = port_of((void *)(long)ctx->data, (void *)(long)ctx->data_end);

	return port ? (int)bpf_redirect(port, 0) : XDP_PASS;
}

SEC("xdp")
int end_xdp(struct xdp_md *ctx)
{
	return outer_dest((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP
										: XDP_PASS;
}

SEC("tc")
int route_tc(struct __sk_buff *skb)
{
	__u32 port = port_of((void *)(long)skb->data, (void *)(long)skb->data_end);

	return port ? (int)bpf_redirect_peer(port, 0) : TC_ACT_OK;
}

/* Another section than the router's, for it is by section that tc finds it. */
SEC("tc/end")
int end_tc(struct __sk_buff *skb)
{
	return outer_dest((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT
										: TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
