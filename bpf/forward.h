/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [5] On to the backend, in the way that its row names. */
#ifndef SHUNT_BPF_FORWARD_H
#define SHUNT_BPF_FORWARD_H

#include "bpf/encap.h"
#include "bpf/gue.h"
#include "bpf/l2.h"
#include "bpf/nat.h"
#include "bpf/next_hop.h"
#include "bpf/onward.h"
#include "bpf/pkt.h"

/*
 * All ways but the plainest are functions that the plainest does not pay for (onward.h). They return
 * an enum verdict. None calls another: with the main program they share 512 bytes of stack.
 */
__noinline int forward_gue(struct xdp_md *ctx, const struct onward *o)
{
	struct pkt p;

	return onward_open(ctx, o, &p) ? encap_gue(ctx, &p, onward_hop(o, p.backend))
				       : V_DROP_NO_BACKEND;
}

/* With the next hop of a route. */
__noinline int forward_ipip(struct xdp_md *ctx, const struct onward *o)
{
	struct pkt p;

	return onward_open(ctx, o, &p) ? encap_ipip(ctx, &p, onward_hop(o, p.backend))
				       : V_DROP_NO_BACKEND;
}

__noinline int forward_l2(struct xdp_md *ctx, const struct onward *o)
{
	struct pkt p;

	return onward_open(ctx, o, &p) ? send_l2(ctx, &p, onward_hop(o, p.backend))
				       : V_DROP_NO_BACKEND;
}

static __always_inline enum verdict forward_by(struct xdp_md *ctx, __u32 forward,
					       const struct onward *o)
{
	switch (forward) {
	case SHUNT_FORWARD_IPIP: return forward_ipip(ctx, o);
	case SHUNT_FORWARD_GUE: return forward_gue(ctx, o);
	case SHUNT_FORWARD_L2: return forward_l2(ctx, o);
	default: return V_DROP_FORWARD;
	}
}

/* By a route. No part of its callers, but a function of its own: see backend_find_far(). */
static __noinline enum verdict forward_routed(struct xdp_md *ctx, struct onward *o, __u32 forward)
{
	enum verdict v = next_hop_find(ctx, o);

	if (v == V_NEXT)
		v = next_hop_untag(ctx, o);
	if (v == V_NEXT)
		v = forward_by(ctx, forward, o);
	return v == V_TX ? next_hop_send(ctx, &o->hop) : v;
}

static __always_inline enum verdict forward_otherwise(struct xdp_md *ctx, const struct pkt *p)
{
	const struct shunt_backend *be = p->backend;
	struct onward *o;

	if (be->forward == SHUNT_FORWARD_LOCAL)
		return V_PASS_LOCAL;
	o = onward_room();
	if (!o)
		return V_DROP_FORWARD;
	onward_fill(o, p);
	if (be->next_hop != SHUNT_NEXT_HOP_REFLECT)
		return forward_routed(ctx, o, be->forward);
	return forward_by(ctx, be->forward, o);
}

static __always_inline enum verdict forward_packet(struct xdp_md *ctx, struct pkt *p)
{
	const struct shunt_backend *be = p->backend;

	if (be->forward == SHUNT_FORWARD_IPIP && be->next_hop == SHUNT_NEXT_HOP_REFLECT)
		return encap_ipip(ctx, p, NULL);
	if (be->forward == SHUNT_FORWARD_NAT)
		return nat_forward(ctx, p);
	return forward_otherwise(ctx, p);
}

#endif
