/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3a] Fragments. Only the first of a packet has ports: where it goes is noted under what all of them
 * have in common, and the others follow. One that comes before its first one is nobody's as far as
 * can be known; if its address has none but steered services it is dropped, and counted there.
 */
#ifndef SHUNT_BPF_FRAG_H
#define SHUNT_BPF_FRAG_H

#include "bpf/maps.h"
#include "bpf/pkt.h"
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

static __always_inline __u8 frag_policy(void)
{
	const struct shunt_switches *on = switches_find();

	return on ? on->fragments : SHUNT_FRAGMENTS_FOLLOW;
}

union frag_key {
	struct shunt_frag4_key v4;
	struct shunt_frag6_key v6;
};

/* first: proto is then the transport's, and IPv4 knows no other. */
static __always_inline union frag_key frag_key(const struct pkt *p)
{
	union frag_key key = {};

	if (p->family == 4) {
		key.v4.saddr = p->flow4.saddr;
		key.v4.daddr = p->flow4.daddr;
		key.v4.id = (__be16)p->frag_id;
		key.v4.proto = p->proto;
		return key;
	}
	for (int i = 0; i < 4; i++) {
		key.v6.saddr[i] = p->flow6.saddr[i];
		key.v6.daddr[i] = p->flow6.daddr[i];
	}
	key.v6.id = p->frag_id;
	return key;
}

/* Is a first fragment for a service, without another fault, to go on? */
static __always_inline enum verdict frag_admit(struct pkt *p)
{
	__u8 policy = frag_policy();

	if (p->frag != FRAG_FIRST || policy == SHUNT_FRAGMENTS_DROP)
		return V_DROP_FRAGMENT;
	return policy == SHUNT_FRAGMENTS_PASS ? V_PASS_FRAGMENT : V_NEXT;
}

/* The first fragment is about to leave to a backend: the others can come at any moment. */
static __always_inline void frag_record(struct pkt *p, __u32 backend)
{
	union frag_key key = frag_key(p);
	struct shunt_frag f = {
		.backend = backend,
		.sport = p->family == 4 ? p->flow4.sport : p->flow6.sport,
		.dport = p->family == 4 ? p->flow4.dport : p->flow6.dport,
		.seen_ns = bpf_ktime_get_coarse_ns(),
		.proto = p->proto,
	};
	long err;

	if (p->family == 4)
		err = bpf_map_update_elem(&sh_frags4, &key.v4, &f, BPF_ANY);
	else
		err = bpf_map_update_elem(&sh_frags6, &key.v6, &f, BPF_ANY);
	p->untracked = p->untracked || err;
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
static __always_inline enum verdict frag_follow(struct pkt *p)
{
	union frag_key key = frag_key(p);
	const struct shunt_frag *f;

	if (p->family == 4)
		f = bpf_map_lookup_elem(&sh_frags4, &key.v4);
	else
		f = bpf_map_lookup_elem(&sh_frags6, &key.v6);
	if (!f || (__s64)(bpf_ktime_get_coarse_ns() - f->seen_ns) > FRAG_IDLE_NS)
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
	p->follow = f->backend;
	return V_NEXT;
}

#endif
