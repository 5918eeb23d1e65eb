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

struct onward {
	__u64 hash;
	__u32 backend; /* id */
	__u32 ip_len;
	__u32 trail_len;
	__u8 family;
	__u8 proto;
	__u8 tos;
	__u8 _pad;
	struct hop hop;
};

static __always_inline struct onward onward_of(const struct pkt *p)
{
	return (struct onward){
		.hash = p->hash,
		.backend = p->backend->id,
		.ip_len = p->ip_len,
		.trail_len = p->trail_len,
		.family = p->family,
		.proto = p->proto,
		.tos = p->tos,
	};
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
		.hop = o->hop,
	};
	pkt_reload(ctx, p);
	return true;
}

#endif
