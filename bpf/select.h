/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [4] The ring: which backend a flow gets when no table entry says so. Its slots: see abi.h. */
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

/*
 * The same by a call, for all ways but the short one. The kernel writes the instructions of a look-up to
 * every place that makes one, and for each of them moves all that it knows of the program behind it:
 * that is half of the time that a program of this size takes to load. Likewise for other functions
 * whose names end in _far.
 */
static __noinline const struct shunt_backend *backend_find_far(__u32 id)
{
	return backend_find(id);
}

/* The row of the ring that the flow goes by. */
static __always_inline __u32 ring_row(const struct pkt *p)
{
	if (p->svc->routed)
		return route_ring(p->svc->index, p->family, &p->flow6);
	return p->svc->index;
}

/* The ring of a row at this moment. One load of it all: read in two halves, it could have the base of
 * one ring and the size of another. */
static __always_inline struct shunt_ring ring_find(__u32 index)
{
	union {
		__u64 word;
		struct shunt_ring ring;
	} now = {};
	const volatile __u64 *row = bpf_map_lookup_elem(&sh_svc_rings, &index);

	if (row)
		now.word = *row;
	return now.ring;
}

/* What the ring says of a flow now. */
struct draw {
	struct shunt_ring ring;
	struct shunt_slot slot; /* all zero where the ring is empty */
	__u32 at;		/* the slot's index in the arena */
};

/* One load of the whole slot, for the same reason. */
static __always_inline struct shunt_slot slot_find(__u32 at)
{
	union {
		__u64 word;
		struct shunt_slot slot;
	} now = {};
	const volatile __u64 *slot = bpf_map_lookup_elem(&sh_rings, &at);

	if (slot)
		now.word = *slot;
	return now.slot;
}

static __noinline __u32 slot_backend_far(__u32 at)
{
	return slot_find(at).backend;
}

/* row: of the ring. */
static __always_inline void draw_slot_of(__u32 row, __u64 hash, struct draw *d)
{
	d->ring = ring_find(row);
	d->at = d->ring.base + hash_to_slot(hash, d->ring.size);
	if (d->ring.size)
		d->slot = slot_find(d->at);
}

static __always_inline void draw_slot(const struct pkt *p, struct draw *d)
{
	draw_slot_of(ring_row(p), p->hash, d);
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
		be = backend_find_far(slot_backend_far(base + hash_to_slot(hash, size)));
		if (be)
			return be->id;
	}
	return 0;
}

/* To where new flows of the slot go. Fills p->backend. */
static __always_inline enum verdict select_backend(struct pkt *p, const struct draw *d)
{
	p->backend = backend_find(d->slot.backend);
	if (!p->backend && d->ring.size)
		p->backend = backend_find_far(select_redraw(d->ring.base, d->ring.size, p->hash));
	return p->backend ? V_NEXT : V_DROP_NO_BACKEND;
}

#endif
