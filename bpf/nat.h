/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5d] NAT: the packet itself goes to the backend, with the backend's address and port in the place
 * of the service's, and with a source of ours where the row has one. What the backend answers comes
 * back through here and leaves as from the service, by the way that the client's packets came.
 *
 * Each flow has a pair of entries (nat_table.h): by the key of its replies all about it, by the
 * client's key what leads there. They are made with the first packet, void once nothing came for the
 * idle time of the flow's state, and never given up before.
 */
#ifndef SHUNT_BPF_NAT_H
#define SHUNT_BPF_NAT_H

#include "bpf/encap.h"
#include "bpf/frag.h"
#include "bpf/maps.h"
#include "bpf/nat_port.h"
#include "bpf/nat_rewrite.h"
#include "bpf/nat_share.h"
#include "bpf/nat_table.h"
#include "bpf/next_hop.h"
#include "bpf/pkt.h"
#include "bpf/rare_room.h"

/* ---- ways ---- */

/* The client's frames come in by this interface, with this header of l2_len bytes. */
static __always_inline void nat_note_way(struct shunt_nat *e, __u32 ifindex,
					 const struct eth_frame *eth, __u8 l2_len)
{
	e->ifindex = ifindex;
	e->l2_len = l2_len;
	for (int i = 0; i < 3; i++) {
		e->router[i] = eth->source[i];
		e->own[i] = eth->dest[i];
	}
	for (int i = 0; i < 4; i++)
		e->tags[i] = i < (l2_len - ETH_HLEN) / 2 ? eth->tags[i] : 0;
}

static __always_inline bool nat_way_differs(const struct shunt_nat *a, const struct shunt_nat *b)
{
	bool differs = a->ifindex != b->ifindex || a->l2_len != b->l2_len;

	for (int i = 0; i < 3; i++)
		differs |= a->router[i] != b->router[i] || a->own[i] != b->own[i];
	for (int i = 0; i < 4; i++)
		differs |= a->tags[i] != b->tags[i];
	return differs;
}

static __always_inline void nat_copy_way(struct shunt_nat *to, const struct shunt_nat *from)
{
	to->ifindex = from->ifindex;
	to->l2_len = from->l2_len;
	for (int i = 0; i < 3; i++) {
		to->router[i] = from->router[i];
		to->own[i] = from->own[i];
	}
	for (int i = 0; i < 4; i++)
		to->tags[i] = from->tags[i];
}

/* On the interface that the client's packets come in by, replies come to the same address of ours.
 * (A frame to another station, which an interface shows that listens to all, is not for us.) */
static __always_inline bool nat_is_to_us(const struct xdp_md *ctx, const struct eth_frame *eth,
					 const struct shunt_nat *e)
{
	if (ctx->ingress_ifindex != e->ifindex)
		return true;
	return eth->dest[0] == e->own[0] && eth->dest[1] == e->own[1] && eth->dest[2] == e->own[2];
}

/*
 * A packet to w->backend, which is to be reached by the routes: where do they lead? Before anything is
 * changed or entered.
 */
static __noinline enum verdict nat_ask_route(struct xdp_md *ctx, struct nat_work *w)
{
	struct onward *o = onward_room_far();
	enum verdict v;

	if (!o)
		return V_DROP_FORWARD;
	o->hash = w->hash;
	o->backend = w->backend;
	o->ip_len = w->ip_len;
	o->trail_len = 0;
	o->family = w->family;
	o->proto = w->proto;
	o->tos = 0;
	o->l2_len = w->at.l3;
	o->mtu = 0;
	v = next_hop_find(ctx, o);
	if (v == V_NEXT) {
		w->hop = o->hop;
		w->routed = 1;
	}
	return v;
}

/* be: w->backend. */
static __always_inline enum verdict nat_route(struct xdp_md *ctx, struct nat_work *w,
					      const struct shunt_backend *be)
{
	return be->next_hop == SHUNT_NEXT_HOP_REFLECT ? V_NEXT : nat_ask_route(ctx, w);
}

/*
 * Of w: the packet, w->entry: out by the way that it names, which for packets to the backend is the
 * one they came by, or by the next hop that nat_route() has found. Returns an enum verdict.
 */
__noinline int nat_send(struct xdp_md *ctx, const struct nat_work *w)
{
	struct eth_words eth = {};
	const struct shunt_nat *e;
	struct hop hop;
	__u8 l2_len = ETH_HLEN;

	if (!w)
		return V_DROP_FORWARD;
	e = &w->entry;
	if (w->routed) {
		hop = w->hop;
		eth_set_macs(&eth, mac_of(hop.dest), mac_of(hop.source));
	} else {
		hop.ifindex = e->ifindex;
		l2_len = e->l2_len;
		eth_set_macs(&eth, mac_of(e->router), mac_of(e->own));
		for (int i = 0; i < 4; i++)
			eth.tags[i] = e->tags[i];
	}
	if (l2_len != w->at.l3 && bpf_xdp_adjust_head(ctx, (int)w->at.l3 - l2_len))
		return V_DROP_HEADROOM;
	eth.proto = bpf_htons(w->family == 4 ? ETH_P_IP : ETH_P_IPV6);
	if (!eth_write_to((void *)(long)ctx->data, (void *)(long)ctx->data_end, l2_len, &eth))
		return V_DROP_TRUNCATED;
	return next_hop_send(ctx, &hop);
}

/* Of w: the packet, w->to: the packet becomes one of those. Returns an enum verdict. */
__noinline int nat_rewrite(struct xdp_md *ctx, const struct nat_work *w)
{
	if (!w)
		return V_DROP_FORWARD;
	if (w->family == 4)
		return nat_rewrite4(ctx, w->at, w->later ? 0 : w->proto, &w->to);
	return nat_rewrite6(ctx, w->at, w->later ? 0 : w->proto, &w->to);
}

/* ---- towards the backend ---- */

/* The live entry under w->reply_key, if it is this flow's; brought up to date then. */
static __always_inline bool nat_follow(struct nat_work *w)
{
	struct shunt_nat *e = nat_find(w->family, &w->reply_key);

	if (!e || !nat_is_of(e, w) || !nat_is_live(w, e))
		return false;
	nat_refresh(w, e);
	if (nat_way_differs(e, &w->entry)) /* another router, after a failover of theirs */
		nat_copy_way(e, &w->entry);
	return true;
}

/* The flow goes to another backend now: what it had at the former one is free again. */
static __always_inline void nat_leave(struct nat_work *w, const struct shunt_nat_source *known)
{
	const struct shunt_backend *former = backend_find_far(known->backend);
	const struct shunt_nat *e;

	w->source = *known;
	if (!former || former->family != w->family)
		return;
	nat_reply_key(w, former);
	e = nat_find(w->family, &w->reply_key);
	if (e && nat_is_of(e, w)) {
		nat_share_give(w->service, w->family);
		nat_delete(w->family, &w->reply_key);
	}
}

/*
 * A flow that begins, with the client's own address. Two flows of one client port, to two services
 * that share a backend, look the same to that backend: the second one is refused while the first one
 * lives.
 */
static __always_inline enum verdict nat_claim_own(struct nat_work *w,
						  const struct shunt_backend *be)
{
	const struct shunt_nat *e;
	long err;

	nat_copy_addr(w->source.addr, w->entry.client);
	w->source.port = w->entry.client_port;
	nat_reply_key(w, be);
	err = nat_put(w->family, &w->reply_key, &w->entry, BPF_NOEXIST);
	if (err == -EEXIST) {
		e = nat_find(w->family, &w->reply_key);
		if (e && !nat_is_of(e, w) && nat_is_live(w, e) &&
		    !(e->state == SHUNT_FLOW_FIN && nat_is_open(w)))
			return V_DROP_NAT_CLASH;
		if (e) {
			nat_share_give_of(w, e);
			nat_forget_source(w, e);
		}
		err = nat_put(w->family, &w->reply_key, &w->entry, BPF_ANY);
	}
	return err ? V_DROP_NAT_FULL : V_NEXT;
}

/* The pair of entries that leads there and back; a flow keeps what it has, whatever is configured. */
static __always_inline enum verdict nat_enter_pair(struct nat_work *w,
						   const struct shunt_backend *be)
{
	const struct shunt_nat_source *known = nat_source_find(w->family, &w->client);
	enum verdict v;

	if (known && known->backend == be->id) {
		w->source = *known;
		nat_reply_key(w, be);
		if (nat_follow(w))
			return V_NEXT;
	} else if (known) {
		nat_leave(w, known);
	}
	if (!nat_share_take(w->service, w->family))
		return V_DROP_NAT_FULL;
	v = be->nat_port_count ? nat_claim_source(w, be) : nat_claim_own(w, be);
	if (v == V_NEXT) {
		w->source.backend = be->id;
		if (!nat_source_put(w->family, &w->client, &w->source,
				    known ? BPF_ANY : BPF_NOEXIST))
			return V_NEXT;
		nat_delete(w->family, &w->reply_key); /* never one half alone */
		v = V_DROP_NAT_FULL;
	}
	nat_share_give(w->service, w->family);
	return v;
}

/* The entry of a flow that begins. */
static __always_inline void nat_begin(struct nat_work *w, const struct shunt_backend *be)
{
	struct shunt_nat *e = &w->entry;

	if (w->family == 4) {
		e->client[0] = w->client.v4.saddr;
		e->service[0] = w->client.v4.daddr;
		for (int i = 1; i < 4; i++)
			e->client[i] = e->service[i] = 0;
		e->client_port = w->client.v4.sport;
		e->service_port = w->client.v4.dport;
	} else {
		nat_copy_addr(e->client, w->client.v6.saddr);
		nat_copy_addr(e->service, w->client.v6.daddr);
		e->client_port = w->client.v6.sport;
		e->service_port = w->client.v6.dport;
	}
	nat_note_vip(w, e);
	e->backend = be->id;
	e->seen_ns = w->now;
	e->flags = nat_next_flags(w, be->nat_port_count ? SHUNT_NAT_SOURCE : 0);
	e->state = nat_next_state(w, SHUNT_FLOW_SYN, e->flags);
}

/* Of w: the packet, w->client, w->vip, w->backend. Fills w->to and w->entry. Returns an enum verdict. */
__noinline int nat_enter(struct xdp_md *ctx)
{
	const struct eth_frame *eth = (void *)(long)ctx->data;
	const struct shunt_backend *be;
	struct nat_work *w = nat_work();
	enum verdict v;

	if (!w || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return V_DROP_TRUNCATED;
	be = backend_find_far(w->backend);
	if (!be)
		return V_DROP_NO_BACKEND;
	if (be->family != w->family)
		return V_DROP_FAMILY;
	w->now = clock_now_ns();
	nat_begin(w, be);
	nat_note_way(&w->entry, ctx->ingress_ifindex, eth, w->at.l3);
	v = nat_enter_pair(w, be);
	if (v != V_NEXT)
		return v;
	nat_copy_addr(w->to.saddr, w->source.addr);
	w->to.sport = w->source.port;
	return V_NEXT;
}

/* w: has the client's key. */
static __always_inline enum verdict nat_forward_flow(struct xdp_md *ctx, const struct pkt *p,
						     struct nat_work *w)
{
	enum verdict v;

	nat_describe(w, p);
	if (!nat_vip_find(w))
		return V_DROP_FORWARD; /* gone this moment */
	w->reply = 0;
	w->hash = p->hash;
	w->service = p->svc->index;
	w->backend = p->backend->id;
	v = nat_route(ctx, w, p->backend);
	if (v == V_NEXT)
		v = nat_enter(ctx);
	if (v == V_NEXT)
		v = nat_rewrite(ctx, w);
	if (v == V_NEXT)
		v = nat_send(ctx, w);
	return v == V_TX || v == V_REDIRECT || v >= V_DROP_FIRST ? v : V_DROP_FORWARD;
}

static __always_inline enum verdict nat_forward(struct xdp_md *ctx, struct pkt *p)
{
	struct nat_work *w = nat_work();

	if (!w)
		return V_DROP_FORWARD;
	w->client.v6 = p->flow6; /* or flow4, which stands in the same place */
	return nat_forward_flow(ctx, p, w);
}

/* ---- towards the client ---- */

/* What a global function found out about the packet: whom it is counted for. */
static __always_inline void nat_attribute(struct pkt *p, struct nat_work *w)
{
	p->svc = nat_service(w, &w->entry);
	p->note = p->frag ? SHUNT_COUNT_FRAGMENTS : 0;
	p->peek = w->reply ? PEEK_REPLY : PEEK_NOT;
	p->ip_len = w->ip_len;
	if (!w->reply)
		p->backend = backend_find_far(w->backend);
}

/*
 * Of w: the packet, w->reply_key. Fills w->to and w->entry. Returns an enum verdict;
 * V_PASS_NO_SERVICE where it is of no flow of ours. defect: what befalls it if it is.
 */
__noinline int nat_answer(struct xdp_md *ctx, __u32 defect)
{
	const struct eth_frame *eth = (void *)(long)ctx->data;
	struct nat_work *w = nat_work();
	struct shunt_nat *e;

	if (!w || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return V_PASS_NO_SERVICE;
	w->now = clock_now_ns();
	e = nat_find(w->family, &w->reply_key);
	if (!e || !nat_is_to_us(ctx, eth, e) || !nat_is_live(w, e))
		return V_PASS_NO_SERVICE;
	w->entry = *e;
	if (defect != V_NEXT)
		return defect;
	nat_refresh(w, e);
	nat_copy_addr(w->to.saddr, e->service);
	nat_copy_addr(w->to.daddr, e->client);
	w->to.sport = e->service_port;
	w->to.dport = e->client_port;
	return V_NEXT;
}

/* The first fragment of an answer that goes on: the others follow it. */
static __always_inline void nat_lead(struct xdp_md *ctx, const struct pkt *p,
				     const struct nat_work *w)
{
	struct rare *r = rare_room();

	if (!r)
		return;
	rare_put(r, p);
	frag_note(ctx, w->entry.backend);
}

/* A packet for no service: what a backend answers to a client? Of a later fragment the ports are known if
 * its first one was an answer. */
static __always_inline enum verdict nat_reply(struct xdp_md *ctx, struct pkt *p)
{
	struct nat_work *w = nat_work();
	enum verdict v;

	p->backend = NULL; /* that a fragment has found: it comes from there */
	if (!nat_is_on() || !w)
		return V_PASS_NO_SERVICE;
	pkt_reload(ctx, p); /* for the verifier: a frame that was sent does not come here */
	if ((void *)(p->eth + 1) > p->end || is_group_frame(p))
		return V_PASS_NO_SERVICE;
	nat_describe(w, p);
	w->reply = 1;
	w->reply_key.v6 = p->flow6; /* or flow4 */
	v = nat_answer(ctx, p->frag == FRAG_FIRST ? frag_defect(p) : p->defect);
	if (v == V_PASS_NO_SERVICE)
		return v;
	if (v == V_NEXT && p->frag == FRAG_FIRST)
		nat_lead(ctx, p, w);
	nat_attribute(p, w);
	if (v == V_NEXT)
		v = nat_rewrite(ctx, w);
	return v == V_NEXT ? nat_send(ctx, w) : v;
}

#endif
