/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * Every map of the steering program. The loader sets the real sizes before it loads the object, and
 * pins what it has created; the sizes here only let the object load as it is.
 */
#ifndef SHUNT_BPF_MAPS_H
#define SHUNT_BPF_MAPS_H

#include "bpf/abi.h"
#include "bpf/compat.h"
#include "bpf/pkt.h"

/*
 * Which packets are ours. Written by user space, read once for each TCP or UDP packet. The kernel
 * replaces a record by swinging a pointer, so a packet has the old or the new one. It may hand the
 * memory of the old one to the next update at once: user space lets packets finish between two
 * writes (maps_wait_for_packets).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_vip_key);
	__type(value, struct shunt_service);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_services SEC(".maps");

/*
 * Services whose ports are a range or whose addresses are a prefix: under which keys of sh_services
 * their packets are found. Written by user space, read by service.h for a packet that no exact key
 * has. A key is here before it has a record, and longer. Elements are reused as those of sh_services.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_addr_key);
	__type(value, struct shunt_addr);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_addrs SEC(".maps");

/* The longest prefix has the ranges of the shorter ones around it too: one lookup finds all. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct shunt_lpm_key);
	__type(value, struct shunt_addr);
	__uint(max_entries, SHUNT_MAX_SERVICES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sh_prefixes SEC(".maps");

/* Tells most packets that are for no service by one load. Written by user space through a shared
 * mapping: a bit is set before the first key of an address has a record, and longer. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SHUNT_ADDR_BITS_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_addr_bits SEC(".maps");

/* Sources whose flows go by a ring of their own, for services that say so in their record. Written
 * by user space, read by route.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct shunt_lpm_key);
	__type(value, struct shunt_route);
	__uint(max_entries, SHUNT_MAX_SERVICES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sh_routes SEC(".maps");

/* Backends by the server id in QUIC connection ids, for services that say so in their record.
 * Written by user space, read by quic.h. An id whose backend is gone names a row of another
 * generation, and so nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_server_id);
	__type(value, __u32);
	__uint(max_entries, SHUNT_MAX_BACKENDS);
} sh_server_ids SEC(".maps");

/* Its exact keys again (abi.h). Written by user space through shared mappings: a row before the bucket
 * names it, and again only after packets that could look at it are done. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_exact_bucket);
	__uint(max_entries, SHUNT_EXACT_BUCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_exact SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_exact_row);
	__uint(max_entries, SHUNT_EXACT_ROWS + SHUNT_EXACT_CPUS);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_exact_rows SEC(".maps");

/*
 * Where packets can go. Written by user space; a row is complete before a ring names its id, and a
 * reader that finds another id in the row than it came for leaves it alone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_backend);
	__uint(max_entries, SHUNT_MAX_BACKENDS);
} sh_backends SEC(".maps");

/*
 * The arena of all rings. User space fills a free extent through a shared mapping, without a system
 * call a slot, and publishes it with one store into the service's row of sh_svc_rings. In a ring
 * that is published it changes only that a slot is settled, by one store.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_slot);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_rings SEC(".maps");

/*
 * What is remembered of each slot while it is moving. Written by user space, through a shared
 * mapping, before its ring is published; old_ticks by the program after that. Not in the arena, so
 * that the packets of settled slots have twice as many of those in a cache line.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_stamp);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_stamps SEC(".maps");

/* Which extent of the arena is whose ring. Written by user space through a shared mapping, a whole
 * row at a time; read by select.h likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_ring);
	__uint(max_entries, SHUNT_MAX_SERVICES);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_svc_rings SEC(".maps");

/* One row. Written by user space through a shared mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_switches);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_switches SEC(".maps");

/*
 * The interfaces that packets may leave by when a route says so (next_hop.h). Written by user space;
 * the kernel takes a device that goes out by itself. Keyed by ifindex, and so hashed: an index can
 * be of any size.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, SHUNT_MAX_DEVICES);
} sh_devices SEC(".maps");

/*
 * Flows. Written by the program; user space reads them to find slots that can be settled, and
 * deletes what is void. Each table is shared by all
 * processors, so that a flow which moves to another one is still known, but the list that decides
 * who is evicted is per processor (NO_COMMON_LRU): a common one is a lock that all take.
 * New flows enter sh_pend*, their second packet moves them to sh_flow*: packets that nobody follows
 * up (floods) cannot push established flows out.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_flow4_key);
	__type(value, struct shunt_flow);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_flow4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_flow6_key);
	__type(value, struct shunt_flow);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_flow6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_flow4_key);
	__type(value, struct shunt_flow);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_pend4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_flow6_key);
	__type(value, struct shunt_flow);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_pend6 SEC(".maps");

/* How often the flows of a hash were given a backend: see flow_cache.h. Written by the program alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SHUNT_FLOW_GENERATIONS);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_flow_gens SEC(".maps");

/* Who may make how many entries, see flow_may_start(). Written by the program alone; per processor,
 * as the lists are that it keeps from being flooded. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_insert);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_svc_inserts SEC(".maps");

/*
 * NAT flows (nat.h), by the key that their replies have, and by the client's key what leads there.
 * Written by the program; user space takes out what is void. Plain tables: a flow whose entry went
 * would be broken, and of a pair neither can go alone. A full table refuses new flows, by name.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_flow4_key);
	__type(value, struct shunt_nat);
	__uint(max_entries, 1 << 14);
} sh_nat_rev4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_flow6_key);
	__type(value, struct shunt_nat);
	__uint(max_entries, 1 << 14);
} sh_nat_rev6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_flow4_key);
	__type(value, struct shunt_nat_source);
	__uint(max_entries, 1 << 14);
} sh_nat_fwd4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_flow6_key);
	__type(value, struct shunt_nat_source);
	__uint(max_entries, 1 << 14);
} sh_nat_fwd6 SEC(".maps");

/* Who may have how many of them, see nat_share.h. Written by both sides. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_nat_share);
	__uint(max_entries, SHUNT_MAX_SERVICES + 1);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_nat_shares SEC(".maps");

/*
 * Addresses of services. Written by user space: an address is there once a key of it is, and until
 * the last one has gone. Read for packets without ports alone: ICMP, and fragments.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct shunt_addr_key);
	__type(value, struct shunt_vip);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_vips SEC(".maps");

/* Packets in fragments. Written and read by frag.h. The oldest make room, as in the flow tables. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_frag4_key);
	__type(value, struct shunt_frag);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_frags4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_frag6_key);
	__type(value, struct shunt_frag);
	__uint(max_entries, 1 << 14);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_frags6 SEC(".maps");

/* One row. Written and read by icmp_send.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_bucket);
	__uint(max_entries, 1);
} sh_icmp_rate SEC(".maps");

/* Counters. Written by verdict.h alone, summed over the processors by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_svc_stats);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_svc_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_be_stats);
	__uint(max_entries, SHUNT_MAX_BACKENDS);
} sh_be_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SHUNT_VERDICT_COUNT);
} sh_verdicts SEC(".maps");

/*
 * Block and allow lists of sources, longest prefix first. Written by user space, read once for each
 * packet of a service while the node has entries, and when a source of a guarded service is new.
 * A trie has no memory set aside: an empty one costs nothing.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct shunt_guard4_key);
	__type(value, struct shunt_guard_entry);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sh_guard4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct shunt_guard6_key);
	__type(value, struct shunt_guard_entry);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sh_guard6 SEC(".maps");

/* Limits of a service. Written by user space before the record that says there are any. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_svc_guard);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_svc_guard SEC(".maps");

/* How much of its limits a service has used. Written by the program on every processor, by atomic
 * operations: shares for each processor would be wrong where packets do not spread evenly. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_svc_flood);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_svc_flood SEC(".maps");

/* Sources of guarded services, the same way. Written by the program; user space removes those whose
 * block it lifts. Per-processor lists as those of flows. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct shunt_source_key);
	__type(value, struct shunt_source);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} sh_sources SEC(".maps");

/* Blocks that the program has made, for user space to list. Pinned as the rest: what happens while
 * no daemon runs is read by the next one. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} sh_events SEC(".maps");

/*
 * Who owns which row. No program looks at them: they are here so that the owners are made, pinned
 * and found again together with the rows.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_svc_meta);
	__uint(max_entries, SHUNT_MAX_SERVICES);
} sh_svc_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_be_meta);
	__uint(max_entries, SHUNT_MAX_BACKENDS);
} sh_be_meta SEC(".maps");

#endif
