/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * Everything the kernel program and user space share: keys, values, enums, limits.
 * The only header that both sides include. Values are append-only within one SHUNT_ABI_VERSION;
 * the version is part of the pin path, and a daemon refuses objects of another one.
 */
#ifndef SHUNT_BPF_ABI_H
#define SHUNT_BPF_ABI_H

#include <linux/types.h>

#define SHUNT_ABI_VERSION 2

/* Names of the maps as they are created and pinned (at most 15 characters). */
#define SHUNT_MAP_SERVICES  "sh_services"  /* vip key -> struct shunt_service */
#define SHUNT_MAP_BACKENDS  "sh_backends"  /* backend index -> struct shunt_backend */
#define SHUNT_MAP_RINGS	    "sh_rings"	   /* slot index -> struct shunt_slot, mmap-able arena */
#define SHUNT_MAP_SVC_RINGS "sh_svc_rings" /* service index -> struct shunt_ring, mmap-able */
#define SHUNT_MAP_FLOW4	    "sh_flow4"	   /* established flows */
#define SHUNT_MAP_FLOW6	    "sh_flow6"
#define SHUNT_MAP_PEND4	    "sh_pend4" /* flows seen once, not yet promoted */
#define SHUNT_MAP_PEND6	    "sh_pend6"
#define SHUNT_MAP_SVC_STATS "sh_svc_stats" /* service index -> struct shunt_svc_stats, per CPU */
#define SHUNT_MAP_BE_STATS  "sh_be_stats"  /* backend index -> struct shunt_be_stats, per CPU */
#define SHUNT_MAP_VERDICTS  "sh_verdicts"  /* enum shunt_verdict -> __u64, per CPU */
#define SHUNT_MAP_SWITCHES  "sh_switches"  /* 0 -> struct shunt_switches, mmap-able */
#define SHUNT_MAP_VIPS	    "sh_vips"	   /* address -> struct shunt_vip */
#define SHUNT_MAP_FRAGS4    "sh_frags4"	   /* where the first fragment of a packet went */
#define SHUNT_MAP_FRAGS6    "sh_frags6"
#define SHUNT_MAP_ICMP_RATE "sh_icmp_rate" /* 0 -> struct shunt_bucket, per CPU */
#define SHUNT_MAP_SVC_META                                                                         \
	"sh_svc_meta"		       /* service index -> struct shunt_svc_meta, user space only */
#define SHUNT_MAP_BE_META "sh_be_meta" /* backend index -> struct shunt_be_meta, user space only */

/* A listen address. IPv4 addresses stand in addr[0], the rest zero. */
struct shunt_vip_key {
	__be32 addr[4];
	__be16 port;
	__u8 proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct shunt_vip_key) == 20, "vip key layout is ABI");

enum shunt_action {
	SHUNT_ACTION_STEER, /* encapsulate towards a backend */
	SHUNT_ACTION_LOCAL, /* terminated on this host: count and pass to the stack */
};

enum shunt_tracking {
	SHUNT_TRACK_ALWAYS, /* one entry a flow */
	SHUNT_TRACK_NEVER,  /* the ring alone decides */
};

/* State of a flow entry, and index of its idle time in struct shunt_service. */
enum shunt_flow_state {
	SHUNT_FLOW_SYN, /* pending: one packet seen, the next one promotes it */
	SHUNT_FLOW_ESTABLISHED,
	SHUNT_FLOW_FIN, /* the client sent FIN or RST */
	SHUNT_FLOW_UDP,
	SHUNT_FLOW_STATE_COUNT
};

/* One service. Several vip keys may carry a copy of it: what changes often is in its rows. */
struct shunt_service {
	__u32 index;   /* row of sh_svc_rings, sh_svc_stats and sh_svc_meta */
	__u8 action;   /* enum shunt_action */
	__u8 tracking; /* enum shunt_tracking */
	__u8 _pad[2];
	__u32 idle_s[SHUNT_FLOW_STATE_COUNT]; /* seconds without a packet until an entry is void */
	__u16 mss; /* largest that a SYN may offer to a backend; 0: any; or SHUNT_MSS_AUTO */
	__u16 _pad2;
};
_Static_assert(sizeof(struct shunt_service) == 28, "service layout is ABI");

#define SHUNT_MSS_AUTO 0xffff /* what fits into the tunnel to the backend */

/* An address that services listen on, for packets that name no port. */
struct shunt_addr_key {
	__be32 addr[4]; /* as in struct shunt_vip_key */
	__u8 family;
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_addr_key) == 20, "address key layout is ABI");

#define SHUNT_VIP_LOCAL 0x01 /* this host terminates a service there: the address is its own */

struct shunt_vip {
	__u32 service; /* row of a service there, which counts such packets */
	__u8 flags;    /* SHUNT_VIP_* */
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_vip) == 8, "address layout is ABI");

/* The ring of a service, for all of its vip keys. One word, written by one store and read by one
 * load: base and size always belong together. */
struct shunt_ring {
	__u32 base; /* first slot in sh_rings */
	__u32 size; /* slots; 0: no usable backend */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shunt_ring) == 8, "ring layout is ABI");

enum shunt_forward {
	SHUNT_FORWARD_IPIP, /* IPv4 or IPv6 in IPv4 or IPv6, by the families at hand */
};

/* Where a packet goes that leaves by a frame of ours. */
enum shunt_next_hop {
	SHUNT_NEXT_HOP_REFLECT, /* back to the router that sent it, by the interface it came in by */
};

enum shunt_backend_state {
	SHUNT_BACKEND_UP,
	SHUNT_BACKEND_DRAINING, /* keeps its flows, in no ring */
	SHUNT_BACKEND_DOWN,	/* its flow entries are void */
};

/*
 * A backend id is generation << SHUNT_ID_INDEX_BITS | index. The generation grows each time the row
 * goes to another backend, so that an entry of the former owner never reaches the new one.
 */
#define SHUNT_ID_INDEX_BITS 16
#define SHUNT_ID_INDEX(id)  ((id) & ((1U << SHUNT_ID_INDEX_BITS) - 1))
#define SHUNT_MAX_BACKENDS  16384
#define SHUNT_MAX_SERVICES  1024

/* One row of sh_backends: one cache line. Index 0 is never used, so that id 0 means "none". */
struct shunt_backend {
	__u32 id;	    /* 0: the row is free */
	__u8 state;	    /* enum shunt_backend_state */
	__u8 forward;	    /* enum shunt_forward */
	__u8 family;	    /* of the outer header: 4 or 6 */
	__u8 next_hop;	    /* enum shunt_next_hop */
	__u16 mtu;	    /* largest outer IP packet, host order */
	__be16 port;	    /* where forward has use for one; 0: the packet's own */
	__be32 src_entropy; /* bits of the last word of src that may carry flow entropy */
	__be32 src
		[4]; /* outer source address; IPv4 in word 3 (the last), so that entropy is one rule */
	__be32 dst[4]; /* outer destination address; IPv4 in word 3 */
	__u8 _reserved[16];
};
_Static_assert(sizeof(struct shunt_backend) == 64, "backend layout is ABI");

/* One slot of a ring. Array elements take eight bytes in the kernel whatever is declared. */
struct shunt_slot {
	__u32 backend; /* id */
	__u32 _reserved;
};
_Static_assert(sizeof(struct shunt_slot) == 8, "slot layout is ABI");

struct shunt_flow4_key {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_flow4_key) == 16, "flow key layout is ABI");

struct shunt_flow6_key {
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_flow6_key) == 40, "flow key layout is ABI");

struct shunt_flow {
	__u32 backend; /* id */
	__u8 state;    /* enum shunt_flow_state */
	__u8 _pad[3];
	__u64 seen_ns; /* CLOCK_MONOTONIC_COARSE of the last packet, at most a second old */
};
_Static_assert(sizeof(struct shunt_flow) == 16, "flow layout is ABI");

/* Fragments of one packet. */
struct shunt_frag4_key {
	__be32 saddr;
	__be32 daddr;
	__be16 id;
	__u8 proto;
	__u8 _pad;
};
_Static_assert(sizeof(struct shunt_frag4_key) == 12, "fragment key layout is ABI");

struct shunt_frag6_key {
	__be32 saddr[4];
	__be32 daddr[4];
	__be32 id;
};
_Static_assert(sizeof(struct shunt_frag6_key) == 36, "fragment key layout is ABI");

/* What the first one said, and where it went. */
struct shunt_frag {
	__u32 backend; /* id */
	__be16 sport;
	__be16 dport;
	__u64 seen_ns; /* CLOCK_MONOTONIC_COARSE */
	__u8 proto;
	__u8 _pad[7];
};
_Static_assert(sizeof(struct shunt_frag) == 24, "fragment layout is ABI");

/* Time that has been saved up, to be spent on messages of ours. */
struct shunt_bucket {
	__u64 credit_ns;
	__u64 seen_ns; /* CLOCK_MONOTONIC_COARSE */
};
_Static_assert(sizeof(struct shunt_bucket) == 16, "bucket layout is ABI");

/*
 * What is counted per service, besides drops: X(NAME, "name"). Packets and bytes are those that came
 * for it, dropped ones included; bytes are those of the IP packet, without Ethernet and padding. A
 * flow is new once, when it enters a table; without tracking, each TCP SYN is one.
 */
#define SHUNT_SVC_COUNTERS(X)                                                                      \
	X(PACKETS, "packets")                                                                      \
	X(BYTES, "bytes")                                                                          \
	X(NEW_FLOWS, "new-flows")                                                                  \
	X(UNTRACKED, "untracked") /* a flow entry was due and could not be written */              \
	X(STALE, "stale")	  /* an entry named a backend that is gone or down; chosen anew */ \
	X(FRAGMENTS, "fragments") /* of them, fragments that were steered */                       \
	X(ICMP_ERRORS, "icmp-errors")	  /* errors about a flow, sent to its backend */           \
	X(ICMP_SENT, "icmp-sent")	  /* errors of ours to a client: its packet is too big */  \
	X(ECHOES, "echoes")		  /* echo requests that were answered */                   \
	X(MSS_LOWERED, "mss-lowered")	  /* SYNs whose MSS was too large */                       \
	X(TUNNEL_ERRORS, "tunnel-errors") /* errors about the tunnel to a backend */

/* Why a packet for a service was dropped: X(NAME, "name"). */
#define SHUNT_DROPS(X)                                                                             \
	X(TRUNCATED, "truncated")   /* shorter than its IP or transport header says */             \
	X(BAD_HEADER, "bad-header") /* a header field that cannot be */                            \
	X(FRAGMENT, "fragment")	    /* its first one is not known, or none are wanted */           \
	X(NO_BACKEND, "no-backend") /* no usable backend */                                        \
	X(TOO_BIG, "too-big")	    /* with the outer header over the tunnel's MTU */              \
	X(HEADROOM, "headroom")	    /* the driver gave no room for the outer header */             \
	X(FORWARD, "forward")	    /* a backend row of a kind that this program does not know */  \
	X(ICMP_RATE, "icmp-rate")   /* an echo request over node.icmp_rate */

/* What became of a packet: X(NAME, "name"). Passed packets leave the program untouched. */
#define SHUNT_VERDICTS(X)                                                                          \
	X(TX, "tx")		    /* encapsulated and sent back */                               \
	X(PASS_LOCAL, "pass-local") /* for a service that this host terminates */                  \
	X(PASS_NO_SERVICE, "pass-no-service")                                                      \
	X(PASS_NOT_IP, "pass-not-ip")	    /* or behind more than two VLAN tags */                \
	X(PASS_PROTOCOL, "pass-protocol")   /* neither TCP nor UDP */                              \
	X(PASS_FRAGMENT, "pass-fragment")   /* no ports to look at, and its first is not known */  \
	X(PASS_MALFORMED, "pass-malformed") /* too short or too odd to name its service */         \
	X(DROP, "drop")			    /* see the service's drop counters */                  \
	X(ANSWER, "answered")		    /* with a packet of our own, sent back */              \
	X(PASS_TUNNEL, "pass-tunnel-error") /* about a tunnel; it quotes too little to tell whose */

enum shunt_svc_counter {
#define X(name, text) SHUNT_COUNT_##name,
	SHUNT_SVC_COUNTERS(X)
#undef X
		SHUNT_COUNT_COUNT
};

enum shunt_drop {
#define X(name, text) SHUNT_DROP_##name,
	SHUNT_DROPS(X)
#undef X
		SHUNT_DROP_COUNT
};

enum shunt_verdict {
#define X(name, text) SHUNT_VERDICT_##name,
	SHUNT_VERDICTS(X)
#undef X
		SHUNT_VERDICT_COUNT
};

struct shunt_svc_stats {
	__u64 count[SHUNT_COUNT_COUNT];
	__u64 drop[SHUNT_DROP_COUNT];
};

/* Packets and bytes that were sent to the backend, in the same bytes as above: as they came, without
 * the outer header. */
struct shunt_be_stats {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows;
};

enum shunt_fragments {
	SHUNT_FRAGMENTS_FOLLOW, /* the first one */
	SHUNT_FRAGMENTS_DROP,
	SHUNT_FRAGMENTS_PASS,
};

/*
 * What is in use at all, so that a packet pays for no more than that. Zero: nothing. Written by user
 * space, a byte at a time, before the first row that needs it and after the last.
 */
struct shunt_switches {
	__u8 fragments;	 /* enum shunt_fragments */
	__u8 echo;	 /* echo requests to addresses of services are answered */
	__u16 icmp_rate; /* messages of ours a second and processor */
	__u8 _reserved[60];
};
_Static_assert(sizeof(struct shunt_switches) == 64, "switches layout is ABI");

#define SHUNT_NAME_MAX 64 /* of a service, pool or backend, with its terminating zero */

/* Who owns a service row; survives the daemon so that counters keep their owner. */
struct shunt_svc_meta {
	char name[SHUNT_NAME_MAX]; /* empty: the row is free */
};

/* Who owns a backend row. Written before the row itself; id keeps the last generation for ever. */
struct shunt_be_meta {
	char pool[SHUNT_NAME_MAX]; /* empty: the row is free */
	char name[SHUNT_NAME_MAX];
	__u32 id;
	__u32 _pad;
};
_Static_assert(sizeof(struct shunt_be_meta) == 136, "backend meta layout is ABI");

/* Load-time settings, in the program's read-only data. */
struct shunt_settings {
	__u32 abi_version;
	__u32 _pad;
	__u64 hash_seed[2];
};
_Static_assert(sizeof(struct shunt_settings) == 24, "settings layout is ABI");

#endif
