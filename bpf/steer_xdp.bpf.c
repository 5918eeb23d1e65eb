// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/* [0] The program on the interface: a packet's way, stage by stage. See pkt.h for the verdicts. */
#include "bpf/compat.h"

#include <xdp/xdp_helpers.h>

#include "bpf/abi.h"
#include "bpf/flow.h"
#include "bpf/forward.h"
#include "bpf/frag.h"
#include "bpf/guard.h"
#include "bpf/maps.h"
#include "bpf/nat.h"
#include "bpf/nat_icmp.h"
#include "bpf/parse.h"
#include "bpf/pkt.h"
#include "bpf/plain.h"
#include "bpf/quic.h"
#include "bpf/rare.h"
#include "bpf/select.h"
#include "bpf/service.h"
#include "bpf/settings.h"
#include "bpf/verdict.h"

/* For libxdp: our place among the programs of an interface, and that the next one in the chain
 * sees what we pass. */
struct {
	__uint(priority, XDP_DEFAULT_RUN_PRIO);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(steer_xdp);

/* A packet of a known flow. */
static __always_inline enum verdict steer(struct xdp_md *ctx, struct pkt *p)
{
	enum verdict v = service_find(p);

	if (v == V_NEXT && p->frag == FRAG_FIRST)
		frag_admit(p);
	if (v == V_NEXT && !p->peek)
		v = guard_check(ctx, p);
	if (v == V_NEXT)
		v = service_steers(p);
	if (v == V_NEXT)
		quic_select(ctx, p);
	if (v == V_NEXT)
		v = flow_or_select(p);
	if (v == V_NEXT && rare_is(p))
		v = rare_prepare(ctx, p);
	if (v == V_NEXT)
		v = forward_packet(ctx, p);
	if (v == V_DROP_TOO_BIG)
		v = rare_too_big(ctx, p);
	return p->peek ? rare_disown(p, v) : v;
}

/* As an ext_walker. */
static __always_inline struct ext_chain walk_frame(void *ctx, const struct pkt *p, void *pos)
{
	return ext_walk_frame(ctx, pos - (void *)p->eth, p->proto);
}

/* The long way, for whatever comes. plain: the short one has found the packet to be so. */
static __always_inline int steer_any(struct xdp_md *ctx, bool plain)
{
	enum verdict v = V_NEXT;
	struct pkt p = {};

	/* The frame is asked for anew: of what the short way has looked at the verifier knows its length
	 * there, and would follow this once for each length. */
	barrier_var(ctx);
	pkt_reload(ctx, &p);
	if (!plain || !plain_keep(&p))
		v = parse_packet_by(&p, walk_frame, ctx);
	if (v == V_PASS_FRAGMENT || v == V_PASS_PROTOCOL)
		v = rare_parse(ctx, &p, v);
	if (v == V_NEXT)
		v = steer(ctx, &p);
	if (v == V_PASS_NO_SERVICE)
		v = nat_reply(ctx, &p);
	else if (v == V_PASS_PROTOCOL)
		v = nat_icmp(ctx, &p);
	return verdict_finish(&p, v);
}

SEC("xdp")
int steer_xdp(struct xdp_md *ctx)
{
	int action = plain_steer(ctx);

	return action < 0 ? steer_any(ctx, action == PLAIN_LONG) : action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
