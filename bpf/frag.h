/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3a] Fragments, of clients and, where NAT is, of backends. Only the first of a packet has ports: where it goes is noted under what all of them
 * have in common, and the others follow. One that comes before its first one is nobody's as far as
 * can be known; if its address has none but steered services it is dropped, and counted there.
 */
#ifndef SHUNT_BPF_FRAG_H
#define SHUNT_BPF_FRAG_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/clock.h"
#include "bpf/ext.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/rare_room.h"
#include "bpf/select.h"
#include "bpf/service.h"

/* How long the receiver of fragments waits for the rest at least (RFC 8200: 60 s, Linux: 30 s). An id
 * may come again after. */
#define FRAG_IDLE_NS 30000000000LL

static __always_inline const struct shunt_switches *switches_find(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_switches, &zero);
}

/* See backend_find_far(). */
static __noinline const struct shunt_switches *switches_find_far(void)
{
	return switches_find();
}

static __always_inline __u8 frag_policy(void)
{
	const struct shunt_switches *on = switches_find_far();

	return on ? on->fragments : SHUNT_FRAGMENTS_FOLLOW;
}

/* Do services listen on the packet's destination itself, on whatever port? NULL: none, or those of a
 * prefix alone. */
static __noinline const struct shunt_vip *addr_lookup(const struct pkt *p)
{
	struct shunt_addr_key key = {.family = p->family};

	if (p->family == 4) {
		key.addr[0] = p->flow4.daddr;
	} else {
		key.addr[0] = p->flow6.daddr[0];
		key.addr[1] = p->flow6.daddr[1];
		key.addr[2] = p->flow6.daddr[2];
		key.addr[3] = p->flow6.daddr[3];
	}
	return service_may_have(hash_addr_bit_of(key.addr)) ? bpf_map_lookup_elem(&sh_vips, &key)
							    : NULL;
}

/* What the fragments of a packet have in common, in the frame; IPv4: 16 bits. */
static __always_inline __be32 frag_id(struct xdp_md *ctx, const struct pkt *p)
{
	const struct iphdr *ip4 = frame_at(ctx, p->l2_len);
	const struct ipv6hdr *ip6 = frame_at(ctx, p->l2_len);
	const struct ext_fragment *f;
	struct ext_chain ext;

	if (p->family == 4)
		return (void *)(ip4 + 1) > frame_end(ctx) ? 0 : ip4->id;
	if ((void *)(ip6 + 1) > frame_end(ctx))
		return 0;
	ext = ext_walk_frame(ctx, p->l2_len + sizeof(*ip6), ip6->nexthdr);
	f = (void *)(ip6 + 1) + (ext.frag_at & EXT_LEN_MASK);
	return (void *)(f + 1) > frame_end(ctx) ? 0 : f->id;
}

/* Fills r->frag. Of a later fragment of IPv4 the protocol is known, as of the first; of IPv6 not. */
static __always_inline void frag_key(struct xdp_md *ctx, struct rare *r)
{
	const struct pkt *p = &r->pkt;
	__be32 id = frag_id(ctx, p);

	if (p->family == 4) {
		r->frag.v4 = (struct shunt_frag4_key){
			.saddr = p->flow4.saddr,
			.daddr = p->flow4.daddr,
			.id = (__be16)id,
			.proto = p->proto,
		};
		return;
	}
	for (int i = 0; i < 4; i++) {
		r->frag.v6.saddr[i] = p->flow6.saddr[i];
		r->frag.v6.daddr[i] = p->flow6.daddr[i];
	}
	r->frag.v6.id = id;
}

/* A first fragment that goes to a backend, or comes from one: what befalls it, if it has no other fault? */
static __always_inline __u8 frag_defect(const struct pkt *p)
{
	__u8 policy = frag_policy();

	if (p->defect != V_DROP_FRAGMENT || policy == SHUNT_FRAGMENTS_DROP)
		return p->defect;
	return policy == SHUNT_FRAGMENTS_PASS ? V_PASS_FRAGMENT : V_NEXT;
}

static __always_inline void frag_admit(struct pkt *p)
{
	if (p->svc->action != SHUNT_ACTION_LOCAL)
		p->defect = frag_defect(p);
}

/* The first fragment is about to leave to a backend: the others can come at any moment. */
static __always_inline void frag_record(struct xdp_md *ctx, struct rare *r, __u32 backend)
{
	struct pkt *p = &r->pkt;
	struct shunt_frag f = {
		.backend = backend,
		.sport = p->family == 4 ? p->flow4.sport : p->flow6.sport,
		.dport = p->family == 4 ? p->flow4.dport : p->flow6.dport,
		.seen_ns = clock_now_ns_far(),
		.proto = p->proto,
	};
	long err;

	frag_key(ctx, r);
	if (p->family == 4)
		err = bpf_map_update_elem(&sh_frags4, &r->frag.v4, &f, BPF_ANY);
	else
		err = bpf_map_update_elem(&sh_frags6, &r->frag.v6, &f, BPF_ANY);
	p->untracked = p->untracked || err;
}

/* The same for one from a backend, of a packet that rare_put() has put there. */
__noinline int frag_note(struct xdp_md *ctx, __u32 backend)
{
	struct rare *r = rare_room();

	if (r)
		frag_record(ctx, r, backend);
	return 0;
}

/* No first one is known. */
static __always_inline enum verdict frag_alone(struct pkt *p)
{
	const struct shunt_vip *addr = addr_lookup(p);

	if (!addr || addr->flags & SHUNT_VIP_LOCAL || frag_policy() == SHUNT_FRAGMENTS_PASS)
		return V_PASS_FRAGMENT;
	p->addr_row = addr->service + 1;
	return V_DROP_FRAGMENT;
}

/* Fills what a later fragment does not say from what its first one said. */
static __always_inline enum verdict frag_follow(struct xdp_md *ctx, struct rare *r)
{
	const struct shunt_frag *f;
	struct pkt *p = &r->pkt;

	frag_key(ctx, r);
	if (p->family == 4)
		f = bpf_map_lookup_elem(&sh_frags4, &r->frag.v4);
	else
		f = bpf_map_lookup_elem(&sh_frags6, &r->frag.v6);
	if (!f || (__s64)(clock_now_ns_far() - f->seen_ns) > FRAG_IDLE_NS)
		return frag_alone(p);
	p->proto = f->proto;
	if (p->family == 4) {
		p->flow4.sport = f->sport;
		p->flow4.dport = f->dport;
		p->flow4.proto = f->proto;
	} else {
		p->flow6.sport = f->sport;
		p->flow6.dport = f->dport;
		p->flow6.proto = f->proto;
	}
	p->note = SHUNT_COUNT_FRAGMENTS;
	r->follow = f->backend;
	return V_NEXT;
}

#endif
