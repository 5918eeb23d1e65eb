// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * A test run hands each repetition the frame as the last one left it. restore() makes it whole again,
 * gives it to the next flow and jumps into the program that is measured. What it costs is measured
 * by jumping into nothing(), and subtracted; to take off an outer header again is not in that, and
 * so is charged to whoever put it on, the floor included.
 *
 * It writes only what programs change, in pieces no smaller than they read: a load that spans two
 * stores of a moment ago would wait for them, which no packet from a driver makes it do.
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

#include "bench/walk.h"

#define FIRST_PORT  1024
#define PORT_SHIFT  24 /* flow number: source port above, last bytes of the source address below */
#define CLIENTS_NET 10 /* 10.0.0.0/8 */

#define IP4_AT ETH_HLEN
#define IP6_AT ETH_HLEN
#define L4_AT4 (IP4_AT + (int)sizeof(struct iphdr))
#define L4_AT6 (IP6_AT + (int)sizeof(struct ipv6hdr))
#define TTL_AT (IP4_AT + (int)offsetof(struct iphdr, ttl))
#define ADDRS4 (IP4_AT + (int)offsetof(struct iphdr, saddr))
#define ADDRS6 (IP6_AT + (int)offsetof(struct ipv6hdr, saddr))

struct walk walk = {};

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} target SEC(".maps");

#define put(type, frame, at, value) (*(type *)((frame) + (at)) = (value))
#define head(type, at)		    (*(const type *)(walk.head + (at)))
#define keep(type, frame, at)	    put(type, frame, at, head(type, at))

static __always_inline __u32 next_flow(void)
{
	__u64 state = walk.state * walk.mul + walk.add;

	walk.state = state;
	return state >> walk.shift;
}

static __always_inline __be32 client_of(__u32 flow)
{
	return bpf_htonl(CLIENTS_NET << PORT_SHIFT | (flow & ((1U << PORT_SHIFT) - 1)));
}

/* Both ports in one word. */
static __always_inline __u32 ports_of(__u32 flow, const __u8 *l4)
{
	union {
		__be16 port[2];
		__u32 word;
	} ports = {.port = {bpf_htons(FIRST_PORT + (flow >> PORT_SHIFT)), ((const __be16 *)l4)[1]}};

	return ports.word;
}

static __always_inline void restore_ipv4(void *frame, __u32 flow)
{
	union {
		__be32 addr[2];
		__u64 word;
	} addrs = {.addr = {client_of(flow), head(__be32, ADDRS4 + 4)}};

	put(__u64, frame, ADDRS4, addrs.word);
	put(__u32, frame, L4_AT4, ports_of(flow, walk.head + L4_AT4));
	if (!walk.rewritten)
		return;
	keep(__u32, frame, TTL_AT);
	keep(__u16, frame, L4_AT4 + offsetof(struct udphdr, check));
	keep(__u16, frame, L4_AT4 + offsetof(struct tcphdr, check));
}

static __always_inline void restore_ipv6(void *frame, __u32 flow)
{
	union {
		__be32 addr[2];
		__u64 word;
	} low = {.addr = {head(__be32, ADDRS6 + 8), client_of(flow)}};

	put(__u64, frame, ADDRS6 + 8, low.word);
	put(__u32, frame, L4_AT6, ports_of(flow, walk.head + L4_AT6));
	if (!walk.rewritten)
		return;
	put(__u8, frame, IP6_AT + offsetof(struct ipv6hdr, hop_limit),
	    walk.head[IP6_AT + offsetof(struct ipv6hdr, hop_limit)]);
	keep(__u64, frame, ADDRS6 + 16);
	keep(__u64, frame, ADDRS6 + 24);
	keep(__u16, frame, L4_AT6 + offsetof(struct udphdr, check));
	keep(__u16, frame, L4_AT6 + offsetof(struct tcphdr, check));
}

SEC("xdp")
int restore(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	long len = end - frame;
	__u32 flow = next_flow();

	/* Else clang adds the wanted length to the pointer, with 32 bits. */
	barrier_var(len);
	if (len != walk.frame_len && bpf_xdp_adjust_head(ctx, (int)(len - walk.frame_len)))
		return XDP_ABORTED;
	frame = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (frame + WALK_HEAD_LEN > end)
		return XDP_ABORTED;
	keep(__u64, frame, 0);
	keep(__u32, frame, 8);
	keep(__u16, frame, 12);
	if (walk.family == 4)
		restore_ipv4(frame, flow);
	else
		restore_ipv6(frame, flow);
	bpf_tail_call_static(ctx, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
