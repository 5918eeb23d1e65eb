/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What few packets need, kept apart from what all do: each stage here is entered by a branch that an
 * ordinary packet does not take. Behind it is a global function, which the kernel verifies once and not
 * again for each way there. Such a function cannot be given a struct pkt with pointers in it, so it gets
 * all but those by way of a table, and finds the frame and the backend itself.
 */
#ifndef SHUNT_BPF_RARE_H
#define SHUNT_BPF_RARE_H

#include <linux/in.h>

#include "bpf/frag.h"
#include "bpf/icmp.h"
#include "bpf/icmp_send.h"
#include "bpf/maps.h"
#include "bpf/mss.h"
#include "bpf/pkt.h"
#include "bpf/select.h"
#include "bpf/service.h"

static __always_inline struct pkt *scratch_find(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_scratch, &zero);
}

/* Lay p down without its pointers. */
static __always_inline void scratch_put(struct pkt *scratch, const struct pkt *p)
{
	*scratch = *p;
	scratch->eth = NULL;
	scratch->end = NULL;
	scratch->svc = NULL;
	scratch->backend = NULL;
}

/* Take it up again; the pointers stay those of p. */
static __always_inline void scratch_take(struct pkt *p, const struct pkt *scratch)
{
	struct pkt old = *p;

	*p = *scratch;
	p->eth = old.eth;
	p->end = old.end;
	p->svc = old.svc;
	p->backend = old.backend;
}

/* v: what the parser said of the packet. */
static __always_inline enum verdict flow_of(struct xdp_md *ctx, struct pkt *p, enum verdict v)
{
	if (v == V_PASS_FRAGMENT)
		return frag_follow(p);
	if (p->proto == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return icmp_packet(ctx, p);
	return v;
}

__noinline int rare_flow(struct xdp_md *ctx, __u32 v)
{
	struct pkt *p = scratch_find();

	return p ? flow_of(ctx, p, v) : v;
}

/* A packet that the parser could not name a flow of, and said v of. */
static __always_inline enum verdict rare_parse(struct xdp_md *ctx, struct pkt *p, enum verdict v)
{
	struct pkt *scratch = scratch_find();

	if (!scratch || is_group_frame(p))
		return v;
	scratch_put(scratch, p);
	v = rare_flow(ctx, v);
	scratch_take(p, scratch);
	if (!p->follow)
		return v;
	p->backend = backend_find(p->follow);
	/* The first fragment is lost with its backend, and so is the packet. */
	if (!p->backend && p->defect == V_NEXT)
		p->defect = V_DROP_FRAGMENT;
	return v;
}

/* Has the packet, for a service and with its backend found, anything about it that is rare? */
static __always_inline bool rare_is(const struct pkt *p)
{
	return p->frag || p->peek || (p->svc->mss && p->tcp_flags & TCP_SYN);
}

static __always_inline enum verdict prepare(struct xdp_md *ctx, struct pkt *p,
					    const struct shunt_backend *be, __u32 mss)
{
	if (p->peek == PEEK_TUNNEL)
		return tunnel_answer(ctx, p, be);
	if (p->frag == FRAG_FIRST) {
		p->note = SHUNT_COUNT_FRAGMENTS;
		frag_record(p, be->id);
	}
	if (mss && p->tcp_flags & TCP_SYN &&
	    mss_clamp(ctx, p->l2_len + p->l3_len, mss_limit(p, be, mss)))
		p->note = SHUNT_COUNT_MSS_LOWERED;
	return V_NEXT;
}

__noinline int rare_backend(struct xdp_md *ctx, __u32 id, __u32 mss)
{
	const struct shunt_backend *be = backend_find(id);
	struct pkt *p = scratch_find();

	return p && be ? prepare(ctx, p, be, mss) : V_DROP_NO_BACKEND;
}

static __always_inline enum verdict rare_prepare(struct xdp_md *ctx, struct pkt *p)
{
	struct pkt *scratch = scratch_find();
	enum verdict v;

	if (!scratch)
		return V_NEXT;
	scratch_put(scratch, p);
	v = rare_backend(ctx, p->backend->id, p->svc->mss);
	scratch_take(p, scratch);
	pkt_reload(ctx, p);
	return v;
}

__noinline int rare_answer(struct xdp_md *ctx, __u32 id)
{
	const struct shunt_backend *be = backend_find(id);
	struct pkt *p = scratch_find();

	return p && be ? too_big_answer(ctx, p, be) : V_DROP_TOO_BIG;
}

/* Too big for the tunnel. */
static __always_inline enum verdict rare_too_big(struct xdp_md *ctx, struct pkt *p)
{
	struct pkt *scratch = scratch_find();
	enum verdict v;

	if (!scratch)
		return V_DROP_TOO_BIG;
	scratch_put(scratch, p);
	v = rare_answer(ctx, p->backend->id);
	scratch_take(p, scratch);
	pkt_reload(ctx, p);
	return v;
}

#endif
