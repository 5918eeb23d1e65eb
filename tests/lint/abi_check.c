/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every struct that the kernel and user space share, instantiated. Built with -Wpadded -Werror by
 * the C compiler and for the BPF target: a hole that only one of them sees cannot slip in.
 */
#include "bpf/abi.h"
#include "bpf/capture_abi.h"
#include "bpf/decap_abi.h"
#include "bpf/sockets_abi.h"

/* One of each, apart: what a struct of them all would need to line up is not the question. */
struct shunt_vip_key vip_key;
struct shunt_range range;
struct shunt_addr_key addr_key;
struct shunt_addr addr;
struct shunt_lpm_key lpm_key;
struct shunt_route route;
struct shunt_server_id server_id;
struct shunt_service service;
struct shunt_backend backend;
struct shunt_slot slot;
struct shunt_flow4_key flow4_key;
struct shunt_flow6_key flow6_key;
struct shunt_flow flow;
struct shunt_nat nat;
struct shunt_nat_source nat_source;
struct shunt_svc_stats svc_stats;
struct shunt_be_stats be_stats;
struct shunt_svc_meta svc_meta;
struct shunt_be_meta be_meta;
struct shunt_settings settings;
struct shunt_guard4_key guard4_key;
struct shunt_guard6_key guard6_key;
struct shunt_guard_entry guard_entry;
struct shunt_svc_guard svc_guard;
struct shunt_svc_flood svc_flood;
struct shunt_source_key source_key;
struct shunt_source source;
struct shunt_guard_event guard_event;
struct shunt_vip vip;
struct shunt_frag4_key frag4_key;
struct shunt_frag6_key frag6_key;
struct shunt_frag frag;
struct shunt_bucket bucket;
struct shunt_switches switches;
struct capture_prefix capture_prefix;
struct capture_settings capture_settings;
struct capture_totals capture_totals;
struct capture_record capture_record;
struct decap_key decap_key;
struct decap_settings decap_settings;
struct sockets_meta sockets_meta;
struct sockets_exact_key sockets_exact_key;
struct sockets_addr_key sockets_addr_key;
struct sockets_prefix_key sockets_prefix_key;
struct sockets_range sockets_range;
struct sockets_ranges sockets_ranges;
struct sockets_stats sockets_stats;

_Static_assert(SOCKETS_MAX_RANGES == SHUNT_MAX_RANGES, "what can be configured fits");

_Static_assert(SHUNT_MAX_BACKENDS <= 1U << SHUNT_ID_INDEX_BITS, "an id has room for any index");

#define FITS(name) _Static_assert(sizeof(name) <= 16, "the kernel keeps 15 characters of a name")
FITS(SHUNT_MAP_SERVICES);
FITS(SHUNT_MAP_BACKENDS);
FITS(SHUNT_MAP_RINGS);
FITS(SHUNT_MAP_FLOW4);
FITS(SHUNT_MAP_FLOW6);
FITS(SHUNT_MAP_PEND4);
FITS(SHUNT_MAP_PEND6);
FITS(SHUNT_MAP_SVC_STATS);
FITS(SHUNT_MAP_BE_STATS);
FITS(SHUNT_MAP_VERDICTS);
FITS(SHUNT_MAP_SVC_META);
FITS(SHUNT_MAP_BE_META);
FITS(SHUNT_MAP_ADDRS);
FITS(SHUNT_MAP_PREFIXES);
FITS(SHUNT_MAP_ADDR_BITS);
FITS(SHUNT_MAP_ROUTES);
FITS(SHUNT_MAP_SERVER_IDS);
FITS(SHUNT_MAP_GUARD4);
FITS(SHUNT_MAP_GUARD6);
FITS(SHUNT_MAP_SVC_GUARD);
FITS(SHUNT_MAP_SVC_FLOOD);
FITS(SHUNT_MAP_SOURCES);
FITS(SHUNT_MAP_EVENTS);
FITS(SHUNT_MAP_DEVICES);
FITS(SHUNT_MAP_NAT_REV4);
FITS(SHUNT_MAP_NAT_REV6);
FITS(SHUNT_MAP_NAT_FWD4);
FITS(SHUNT_MAP_NAT_FWD6);
FITS(SHUNT_MAP_VIPS);
FITS(SHUNT_MAP_FRAGS4);
FITS(SHUNT_MAP_FRAGS6);
FITS(SHUNT_MAP_ICMP_RATE);
FITS(CAPTURE_MAP_ROOM);
FITS(CAPTURE_MAP_TOTALS);
FITS(CAPTURE_MAP_RING);
