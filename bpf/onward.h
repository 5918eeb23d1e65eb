/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * A packet as it is handed to the ways on that are functions of their own. They are global ones,
 * which the kernel verifies once each and not again for every path that leads there; such a function
 * may be given no pointers but its context, so it gets a copy without them.
 */
#ifndef SHUNT_BPF_ONWARD_H
#define SHUNT_BPF_ONWARD_H

#include "bpf/pkt.h"
#include "bpf/select.h"

#define SUM_CHUNK 32

struct onward {
	__u64 hash;
	__u32 backend; /* id */
	__u32 ip_len;
	__u32 trail_len;
	__u8 family;
	__u8 proto;
	__u8 tos;
	__u8 l2_len;
	__u16 mtu; /* of the route, where the packet is larger; else 0 */
	struct hop hop;
	__be32 chunk[SUM_CHUNK / 4]; /* what sum_frame() reads, which has no room for it either */
};

/* One of the processor's own: the stack of the main program has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct onward);
	__uint(max_entries, 1);
} sh_onward SEC(".maps");

static __always_inline struct onward *onward_room(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_onward, &zero);
}

/* See backend_find_far(). */
static __noinline struct onward *onward_room_far(void)
{
	return onward_room();
}

static __always_inline void onward_fill(struct onward *o, const struct pkt *p)
{
	o->hash = p->hash;
	o->backend = p->backend->id;
	o->ip_len = p->ip_len;
	o->trail_len = p->trail_len;
	o->family = p->family;
	o->proto = p->proto;
	o->tos = p->tos;
	o->l2_len = p->l2_len;
	o->mtu = 0;
}

/* The next hop, if it was to be looked up. */
static __always_inline const struct hop *onward_hop(const struct onward *o,
						    const struct shunt_backend *be)
{
	const struct hop *hop = be->next_hop == SHUNT_NEXT_HOP_FIB ? &o->hop : NULL;

	barrier_var(
		hop); /* to be asked for itself: of what it came from the verifier does not know */
	return hop;
}

/* The packet again, with its frame. False: its backend is gone meanwhile. */
static __always_inline bool onward_open(struct xdp_md *ctx, const struct onward *o, struct pkt *p)
{
	const struct shunt_backend *be = o ? backend_find(o->backend) : NULL;

	if (!be)
		return false;
	*p = (struct pkt){
		.hash = o->hash,
		.backend = be,
		.ip_len = o->ip_len,
		.trail_len = o->trail_len,
		.family = o->family,
		.proto = o->proto,
		.tos = o->tos,
		.l2_len = o->l2_len,
	};
	pkt_reload(ctx, p);
	return true;
}

#endif
