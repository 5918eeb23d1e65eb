/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [4] The ring: which backend a flow gets when no table entry says so. */
#ifndef SHUNT_BPF_SELECT_H
#define SHUNT_BPF_SELECT_H

#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"

/*
 * A slot may name a backend that is down for the moment between the verdict of the health checks
 * and the publication of the ring without it. The flow then draws another slot, by another hash so
 * that the flows of the lost backend spread over all others. Bounded: with one backend in ten down,
 * five draws miss for one flow in 100,000; the ring that is being built ends it.
 */
#define SELECT_DRAWS 5

/* The row, if it is still the id's, and up or draining. */
static __always_inline const struct shunt_backend *backend_find(__u32 id)
{
	__u32 index = SHUNT_ID_INDEX(id);
	const struct shunt_backend *be = bpf_map_lookup_elem(&sh_backends, &index);

	if (!be || !id || be->id != id || be->state == SHUNT_BACKEND_DOWN)
		return NULL;
	return be;
}

/* Fills p->backend. */
static __always_inline enum verdict select_backend(struct pkt *p)
{
	const struct shunt_service *svc = p->svc;
	__u64 hash = p->hash;

	for (int i = 0; i < SELECT_DRAWS; i++) {
		__u32 index = svc->ring_base + hash_to_slot(hash, svc->ring_size);
		const struct shunt_slot *slot = bpf_map_lookup_elem(&sh_rings, &index);

		if (!slot || !svc->ring_size)
			break;
		p->backend = backend_find(slot->backend);
		if (p->backend)
			return V_NEXT;
		hash = hash_again(hash);
	}
	return V_DROP_NO_BACKEND;
}

#endif
