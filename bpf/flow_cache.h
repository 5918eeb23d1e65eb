/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3a] In front of the flow table, for services that track always: of flows that this processor has
 * just looked up, where they went. To ask the table costs a call, a hash of the whole key and often a
 * miss of the caches; to ask here, three loads.
 *
 * A row stands for the table's entry only as long as that says the same. Whoever gives a flow another
 * backend, or takes it for a new one, moves the flow's generation, which all processors share: rows
 * that were made before are void at once. And they are void after a few ticks of the clock, so that
 * the table sees of a flow often enough that it is in use, and neither forgets it nor takes it for
 * idle. Backends that are gone or down are found out by their row, as for any entry.
 *
 * A row is known by the flow's hash alone: 64 bits with a key that nobody outside has.
 */
#ifndef SHUNT_BPF_FLOW_CACHE_H
#define SHUNT_BPF_FLOW_CACHE_H

#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/select.h"

#define FLOW_CACHE_ROWS (1 << 14)

/* 2^6 jiffies: 64 ms to 640 ms, by how the kernel was built. */
#define FLOW_CACHE_TICK_SHIFT 6

struct flow_cached {
	__u64 hash;
	__u32 backend; /* id */
	__u16 generation;
	__u16 tick;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct flow_cached);
	__uint(max_entries, FLOW_CACHE_ROWS);
} sh_flow_cache SEC(".maps");

static __always_inline __u16 flow_cache_tick(void)
{
	return bpf_jiffies64() >> FLOW_CACHE_TICK_SHIFT;
}

/* The two are by different bits of the hash's lower half. */
static __always_inline struct flow_cached *flow_cache_row(__u64 hash)
{
	__u32 at = hash % FLOW_CACHE_ROWS;

	return bpf_map_lookup_elem(&sh_flow_cache, &at);
}

static __always_inline volatile __u64 *flow_generation(__u64 hash)
{
	__u32 at = (__u32)hash >> 16;

	return bpf_map_lookup_elem(&sh_flow_gens, &at);
}
_Static_assert(SHUNT_FLOW_GENERATIONS == 1 << 16, "flow_generation() is of 16 bits");

/* The same by a call: see backend_find_far(). */
static __noinline volatile __u64 *flow_generation_far(__u64 hash)
{
	return flow_generation(hash);
}

/* Can the packet change nothing of its flow's entry, but that it was seen? And is the hash of the flow? */
static __always_inline bool flow_cache_serves(const struct pkt *p)
{
	return !(p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) && !p->peek &&
	       p->svc->affinity == SHUNT_AFFINITY_FLOW;
}

/* Fills p->backend, if the flow is here. */
static __always_inline bool flow_cache_find(struct pkt *p)
{
	const struct flow_cached *row = flow_cache_row(p->hash);
	const volatile __u64 *generation = flow_generation(p->hash);

	if (!row || !generation || row->hash != p->hash || row->tick != flow_cache_tick() ||
	    row->generation != (__u16)*generation)
		return false;
	p->backend = backend_find(row->backend);
	return p->backend;
}

/* To be asked for before the table is. False: it cannot be cached. */
static __always_inline bool flow_generation_now(__u64 hash, __u16 *ret_generation)
{
	const volatile __u64 *generation = flow_generation_far(hash);

	if (!generation)
		return false;
	*ret_generation = *generation;
	return true;
}

/* generation: as it was before the table was asked. */
static __always_inline void flow_cache_put(const struct pkt *p, __u16 generation)
{
	struct flow_cached *row = flow_cache_row(p->hash);

	if (!row)
		return;
	row->hash = p->hash;
	row->backend = p->backend->id;
	row->generation = generation;
	row->tick = flow_cache_tick();
}

/* After the table was written to. Two processors at once may add one together: it has moved all the
 * same. */
static __always_inline void flow_cache_void(const struct pkt *p)
{
	volatile __u64 *generation = flow_generation_far(p->hash);

	if (generation)
		*generation = *generation + 1;
}

#endif
