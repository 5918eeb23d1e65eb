/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5d] Where a frame goes that does not go back to who sent it: this host's routes say by which
 * interface and to whom, its neighbour table (which user space keeps filled) to which address.
 */
#ifndef SHUNT_BPF_NEXT_HOP_H
#define SHUNT_BPF_NEXT_HOP_H

#include <linux/in.h>

#include "bpf/encap.h"
#include "bpf/gue.h"
#include "bpf/maps.h"
#include "bpf/onward.h"
#include "bpf/pkt.h"

/* As in sys/socket.h, which is not for the kernel side. */
#define ROUTE_IPV4 2
#define ROUTE_IPV6 10

/* The loopback interface of every network namespace. */
#define LOOPBACK_INDEX 1

/* What the route's MTU has to take, and what spreads flows over equal routes. */
static __always_inline void describe_packet(const struct pkt *p, struct bpf_fib_lookup *fib)
{
	const struct shunt_backend *be = p->backend;

	fib->tot_len = p->ip_len + tunnel_overhead(be);
	if (!tunnel_overhead(be)) /* the client's packet, whose flow is no matter to routes */
		return;
	fib->l4_protocol = inner_proto(p);
	if (be->forward == SHUNT_FORWARD_GUE) {
		fib->l4_protocol = IPPROTO_UDP;
		fib->sport = bpf_htons(gue_source_port(p));
		fib->dport = be->port;
	}
}

/*
 * The question is asked as for a packet that this host itself sends, which the outer one is: the
 * kernel then wants forwarding to be on for the loopback interface alone (BPF_FIB_LKUP_RET_FWD_DISABLED
 * else), not for the one that the packet came in by.
 */
static __always_inline void ask_route(const struct pkt *p, struct bpf_fib_lookup *fib)
{
	const struct shunt_backend *be = p->backend;
	bool has_source = tunnel_overhead(be); /* else the client's or NAT's, and no matter */

	fib->ifindex = LOOPBACK_INDEX;
	if (be->family == 4) {
		fib->family = ROUTE_IPV4;
		fib->tos = p->tos;
		fib->ipv4_src = has_source ? outer_source_word(p) : 0;
		fib->ipv4_dst = be->dst[3];
		return;
	}
	fib->family = ROUTE_IPV6;
	if (has_source) {
		fib->ipv6_src[0] = be->src[0];
		fib->ipv6_src[1] = be->src[1];
		fib->ipv6_src[2] = be->src[2];
		fib->ipv6_src[3] = outer_source_word(p);
	}
	fib->ipv6_dst[0] = be->dst[0];
	fib->ipv6_dst[1] = be->dst[1];
	fib->ipv6_dst[2] = be->dst[2];
	fib->ipv6_dst[3] = be->dst[3];
}

/* Is the next hop the backend itself, and no router before it? The kernel writes a router's address
 * over the destination's. */
static __always_inline bool is_direct(const struct pkt *p, const struct bpf_fib_lookup *fib)
{
	const struct shunt_backend *be = p->backend;

	if (be->family == 4)
		return fib->family == ROUTE_IPV4 && fib->ipv4_dst == be->dst[3];
	return fib->ipv6_dst[0] == be->dst[0] && fib->ipv6_dst[1] == be->dst[1] &&
	       fib->ipv6_dst[2] == be->dst[2] && fib->ipv6_dst[3] == be->dst[3];
}

/* Fills o->hop, before the packet is changed. Returns an enum verdict. */
__noinline int next_hop_find(struct xdp_md *ctx, struct onward *o)
{
	struct bpf_fib_lookup fib = {};
	const __u16 *dest = (const void *)fib.dmac, *source = (const void *)fib.smac;
	struct pkt p;
	long result;

	if (!o || !onward_open(ctx, o, &p))
		return V_DROP_NO_BACKEND;
	/* Before anything of the packet is changed: whoever sent it may have to be told (rare.h). */
	if (p.ip_len + tunnel_overhead(p.backend) > p.backend->mtu)
		return V_DROP_TOO_BIG;
	ask_route(&p, &fib);
	describe_packet(&p, &fib);
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH)
		return V_DROP_NO_NEIGHBOUR;
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		o->mtu = fib.mtu_result;
		return V_DROP_TOO_BIG;
	}
	if (result != BPF_FIB_LKUP_RET_SUCCESS)
		return V_DROP_NO_ROUTE;
	if (p.backend->forward == SHUNT_FORWARD_L2 && !is_direct(&p, &fib))
		return V_DROP_NO_ROUTE;
	o->hop = (struct hop){
		.ifindex = fib.ifindex,
		.dest = {dest[0], dest[1], dest[2]},
		.source = {source[0], source[1], source[2]},
	};
	return V_NEXT;
}

/* The network that a route leads into need not have the tags of the one that the packet came by: cut
 * off what is more than a plain Ethernet header, which is written anew. */
static __always_inline enum verdict next_hop_untag(struct xdp_md *ctx, struct onward *o)
{
	if (o->l2_len > ETH_HLEN && bpf_xdp_adjust_head(ctx, o->l2_len - ETH_HLEN))
		return V_DROP_HEADROOM;
	o->l2_len = ETH_HLEN;
	return V_NEXT;
}

/* Out, when the frame is made. An interface that user space has not listed is no way out. */
static __always_inline enum verdict next_hop_send(struct xdp_md *ctx, const struct hop *hop)
{
	if (hop->ifindex == ctx->ingress_ifindex)
		return V_TX;
	if (bpf_redirect_map(&sh_devices, hop->ifindex, XDP_DROP) != XDP_REDIRECT)
		return V_DROP_NO_ROUTE;
	return V_REDIRECT;
}

#endif
