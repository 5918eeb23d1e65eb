/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What few packets need, kept apart from what all do: each stage here is entered by a branch that an
 * ordinary packet does not take. Behind it is a global function, which the kernel verifies once and not
 * again for each way there. Such a function cannot be given a struct pkt with pointers in it, so it gets
 * all but those by way of a table (rare_room.h), and finds the frame and the backend itself.
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
#include "bpf/rare_room.h"
#include "bpf/select.h"
#include "bpf/service.h"

/* v: what the parser said of the packet. */
static __always_inline enum verdict flow_of(struct xdp_md *ctx, struct rare *r, enum verdict v)
{
	struct pkt *p = &r->pkt;

	if (v == V_PASS_FRAGMENT)
		return frag_follow(ctx, r);
	if (p->proto == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return icmp_packet(ctx, r);
	return v;
}

__noinline int rare_flow(struct xdp_md *ctx, __u32 v)
{
	struct rare *r = rare_room();

	return r ? flow_of(ctx, r, v) : v;
}

/* A packet that the parser could not name a flow of, and said v of. */
static __always_inline enum verdict rare_parse(struct xdp_md *ctx, struct pkt *p, enum verdict v)
{
	struct rare *r = rare_room();

	if (!r || is_group_frame(p))
		return v;
	rare_put(r, p);
	r->follow = 0;
	v = rare_flow(ctx, v);
	p->flow6 = r->pkt.flow6; /* or flow4, which stands in the same place */
	p->family = r->pkt.family;
	p->proto = r->pkt.proto;
	p->peek = r->pkt.peek;
	p->note = r->pkt.note;
	p->addr_row = r->pkt.addr_row;
	if (!r->follow)
		return v;
	p->backend = backend_find_far(r->follow);
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

static __always_inline enum verdict prepare(struct xdp_md *ctx, struct rare *r,
					    const struct shunt_backend *be, __u32 mss)
{
	struct pkt *p = &r->pkt;

	/* NAT brings over errors by itself. */
	if (be->forward == SHUNT_FORWARD_NAT && p->peek)
		return V_PASS_PROTOCOL;
	if (p->peek == PEEK_TUNNEL)
		return tunnel_answer(ctx, r, be);
	if (p->frag == FRAG_FIRST) {
		p->note = SHUNT_COUNT_FRAGMENTS;
		frag_record(ctx, r, be->id);
	}
	if (mss && p->tcp_flags & TCP_SYN &&
	    mss_clamp(ctx, p->l2_len + p->l3_len, mss_limit(p, be, mss)))
		p->note = SHUNT_COUNT_MSS_LOWERED;
	return V_NEXT;
}

__noinline int rare_backend(struct xdp_md *ctx, __u32 id, __u32 mss)
{
	const struct shunt_backend *be = backend_find_far(id);
	struct rare *r = rare_room();

	return r && be ? prepare(ctx, r, be, mss) : V_DROP_NO_BACKEND;
}

static __always_inline enum verdict rare_prepare(struct xdp_md *ctx, struct pkt *p)
{
	struct rare *r = rare_room();
	enum verdict v;

	if (!r)
		return V_NEXT;
	rare_put(r, p);
	v = rare_backend(ctx, p->backend->id, p->svc->mss);
	p->note = r->pkt.note;
	p->untracked = r->pkt.untracked;
	pkt_reload(ctx, p);
	return v;
}

__noinline int rare_answer(struct xdp_md *ctx, __u32 id)
{
	const struct shunt_backend *be = backend_find_far(id);
	struct rare *r = rare_room();

	return r && be ? too_big_answer(ctx, &r->pkt, be) : V_DROP_TOO_BIG;
}

/* Too big for the way to its backend. */
static __always_inline enum verdict rare_too_big(struct xdp_md *ctx, struct pkt *p)
{
	struct rare *r = rare_room();
	enum verdict v;

	if (!r || !p->backend)
		return V_DROP_TOO_BIG;
	rare_put(r, p);
	v = rare_answer(ctx, p->backend->id);
	p->note = r->pkt.note;
	p->defect = r->pkt.defect;
	pkt_reload(ctx, p);
	return v;
}

/* An ICMP error that is about no flow of a service, or about one by NAT, is for nat_icmp.h. */
static __always_inline enum verdict rare_disown(struct pkt *p, enum verdict v)
{
	if (v != V_PASS_NO_SERVICE && !(p->backend && p->backend->forward == SHUNT_FORWARD_NAT))
		return v;
	p->peek = PEEK_NOT;
	p->note = 0;
	p->addr_row = 0;
	p->svc = NULL;
	p->backend = NULL;
	return V_PASS_PROTOCOL;
}

#endif
