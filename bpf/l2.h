/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5c] To a backend in a network of this host's: the packet as it is, TTL too, in a frame to the
 * backend's MAC address, which has the service's address on an interface of its own.
 */
#ifndef SHUNT_BPF_L2_H
#define SHUNT_BPF_L2_H

#include "bpf/encap.h"
#include "bpf/pkt.h"

static __always_inline enum verdict send_l2(struct xdp_md *ctx, struct pkt *p,
					    const struct hop *hop)
{
	struct eth_words eth;
	enum verdict v;

	/* Reflected, it would not reach the backend. */
	if (!hop)
		return V_DROP_FORWARD;
	if (p->ip_len > p->backend->mtu)
		return V_DROP_TOO_BIG;
	v = trim_trailer(ctx, p);
	if (v != V_NEXT)
		return v;
	eth = eth_onward(p, hop, p->family == 4 ? ETH_P_IP : ETH_P_IPV6);
	return eth_write(p, &eth) ? V_TX : V_DROP_TRUNCATED;
}

#endif
