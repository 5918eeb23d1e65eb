/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [5] On to the backend, in the way that its row names. */
#ifndef SHUNT_BPF_FORWARD_H
#define SHUNT_BPF_FORWARD_H

#include "bpf/encap.h"
#include "bpf/nat.h"
#include "bpf/pkt.h"

static __always_inline enum verdict forward_packet(struct xdp_md *ctx, struct pkt *p)
{
	if (p->backend->forward == SHUNT_FORWARD_IPIP)
		return encap_ipip(ctx, p);
	if (p->backend->forward == SHUNT_FORWARD_NAT)
		return nat_forward(ctx, p);
	return V_DROP_FORWARD;
}

#endif
