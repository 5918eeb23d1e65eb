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
 * call a slot, and publishes it with one store into the service's row of sh_svc_rings.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct shunt_slot);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_MMAPABLE);
} sh_rings SEC(".maps");

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
 * Flows. Written by the program, read by user space for its reports. Each table is shared by all
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

/*
 * One row. What rare.h hands to its functions: nothing is kept there from packet to packet, and every
 * program that is loaded has its own.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct pkt);
	__uint(max_entries, 1);
} sh_scratch SEC(".maps");

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
