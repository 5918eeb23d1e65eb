/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [4] The ring: which backend a flow gets when no table entry says so. */
#ifndef SHUNT_BPF_SELECT_H
#define SHUNT_BPF_SELECT_H

#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/route.h"

/* The row, if it is still the id's, and up or draining. */
static __always_inline const struct shunt_backend *backend_find(__u32 id)
{
	__u32 index = SHUNT_ID_INDEX(id);
	const struct shunt_backend *be = bpf_map_lookup_elem(&sh_backends, &index);

	if (!be || !id || be->id != id || be->state == SHUNT_BACKEND_DOWN)
		return NULL;
	return be;
}

/* The service's ring at this moment. One load of the whole row: read in two halves, it could have
 * the base of one ring and the size of another. */
static __always_inline struct shunt_ring ring_find(const struct pkt *p)
{
	union {
		__u64 word;
		struct shunt_ring ring;
	} now = {};
	__u32 index = p->svc->index;
	const volatile __u64 *row;

	if (p->svc->routed)
		index = route_ring(index, p->family, &p->flow6);
	row = bpf_map_lookup_elem(&sh_svc_rings, &index);
	if (row)
		now.word = *row;
	return now.ring;
}

/* The id in the slot that a hash falls on; 0 where the ring is empty. */
static __always_inline __u32 ring_draw(__u32 base, __u32 size, __u64 hash)
{
	__u32 index = base + hash_to_slot(hash, size);
	const struct shunt_slot *slot = bpf_map_lookup_elem(&sh_rings, &index);

	return slot && size ? slot->backend : 0;
}

/*
 * A slot may name a backend that is down for the moment between the verdict of the health checks
 * and the publication of the ring without it. The flow then draws other slots, by other hashes so
 * that the flows of the lost backend spread over all the rest. Bounded: with one backend in ten
 * down, all draws miss for one flow in 100,000, and the ring that is being built ends it.
 *
 * A global function, because the kernel then verifies it once and not again for each way here.
 * Returns an id; 0: none.
 */
#define SELECT_REDRAWS 4

__noinline __u32 select_redraw(__u32 base, __u32 size, __u64 hash)
{
	for (int i = 0; i < SELECT_REDRAWS; i++) {
		const struct shunt_backend *be;

		hash = hash_again(hash);
		be = backend_find(ring_draw(base, size, hash));
		if (be)
			return be->id;
	}
	return 0;
}

/* Fills p->backend. */
static __always_inline enum verdict select_backend(struct pkt *p)
{
	struct shunt_ring ring = ring_find(p);

	p->backend = backend_find(ring_draw(ring.base, ring.size, p->hash));
	if (!p->backend && ring.size)
		p->backend = backend_find(select_redraw(ring.base, ring.size, p->hash));
	return p->backend ? V_NEXT : V_DROP_NO_BACKEND;
}

#endif
