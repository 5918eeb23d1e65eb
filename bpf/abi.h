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
#define SHUNT_MAP_SERVICES    "sh_services"   /* vip key -> struct shunt_service */
#define SHUNT_MAP_EXACT	      "sh_exact"      /* bucket -> struct shunt_exact_bucket, mmap-able */
#define SHUNT_MAP_EXACT_ROWS  "sh_exact_rows" /* row -> struct shunt_exact_row, mmap-able */
#define SHUNT_MAP_BACKENDS    "sh_backends"   /* backend index -> struct shunt_backend */
#define SHUNT_MAP_RINGS	      "sh_rings"      /* slot index -> struct shunt_slot, mmap-able arena */
#define SHUNT_MAP_SVC_RINGS   "sh_svc_rings"  /* service index -> struct shunt_ring, mmap-able */
#define SHUNT_MAP_STAMPS      "sh_stamps"     /* slot index -> struct shunt_stamp, mmap-able */
#define SHUNT_MAP_SVC_INSERTS "sh_svc_inserts" /* service index -> struct shunt_insert, per CPU */
#define SHUNT_MAP_FLOW4	      "sh_flow4"       /* established flows */
#define SHUNT_MAP_FLOW6	      "sh_flow6"
#define SHUNT_MAP_PEND4	      "sh_pend4" /* flows seen once, not yet promoted */
#define SHUNT_MAP_PEND6	      "sh_pend6"
#define SHUNT_MAP_FLOW_GENS   "sh_flow_gens"  /* part of a flow's hash -> __u64, mmap-able */
#define SHUNT_MAP_SVC_STATS   "sh_svc_stats"  /* service index -> struct shunt_svc_stats, per CPU */
#define SHUNT_MAP_BE_STATS    "sh_be_stats"   /* backend index -> struct shunt_be_stats, per CPU */
#define SHUNT_MAP_VERDICTS    "sh_verdicts"   /* enum shunt_verdict -> __u64, per CPU */
#define SHUNT_MAP_SWITCHES    "sh_switches"   /* 0 -> struct shunt_switches, mmap-able */
#define SHUNT_MAP_ADDRS	      "sh_addrs"      /* exact service address -> struct shunt_addr */
#define SHUNT_MAP_PREFIXES    "sh_prefixes"   /* service prefix -> struct shunt_addr */
#define SHUNT_MAP_ADDR_BITS   "sh_addr_bits"  /* which addresses can be a service's, mmap-able */
#define SHUNT_MAP_ROUTES      "sh_routes"     /* service index and source -> struct shunt_route */
#define SHUNT_MAP_SERVER_IDS  "sh_server_ids" /* struct shunt_server_id -> backend id */
#define SHUNT_MAP_GUARD4      "sh_guard4" /* struct shunt_guard4_key -> struct shunt_guard_entry */
#define SHUNT_MAP_GUARD6      "sh_guard6"
#define SHUNT_MAP_SVC_GUARD   "sh_svc_guard" /* service index -> struct shunt_svc_guard */
#define SHUNT_MAP_SVC_FLOOD   "sh_svc_flood" /* service index -> struct shunt_svc_flood */
#define SHUNT_MAP_SOURCES     "sh_sources"   /* struct shunt_source_key -> struct shunt_source */
#define SHUNT_MAP_EVENTS      "sh_events"    /* ring of struct shunt_guard_event */
#define SHUNT_MAP_DEVICES     "sh_devices"   /* ifindex -> device, where packets may leave */
#define SHUNT_MAP_NAT_FWD4    "sh_nat_fwd4"  /* client's flow key -> struct shunt_nat_source */
#define SHUNT_MAP_NAT_FWD6    "sh_nat_fwd6"
#define SHUNT_MAP_NAT_REV4    "sh_nat_rev4" /* flow key of replies -> struct shunt_nat */
#define SHUNT_MAP_NAT_REV6    "sh_nat_rev6"
#define SHUNT_MAP_NAT_SHARES  "sh_nat_shares" /* service index -> struct shunt_nat_share */
#define SHUNT_MAP_VIPS	      "sh_vips"	      /* address -> struct shunt_vip */
#define SHUNT_MAP_FRAGS4      "sh_frags4"     /* where the first fragment of a packet went */
#define SHUNT_MAP_FRAGS6      "sh_frags6"
#define SHUNT_MAP_ICMP_RATE   "sh_icmp_rate" /* 0 -> struct shunt_bucket, per CPU */
#define SHUNT_MAP_SVC_META                                                                         \
	"sh_svc_meta"		       /* service index -> struct shunt_svc_meta, user space only */
#define SHUNT_MAP_BE_META "sh_be_meta" /* backend index -> struct shunt_be_meta, user space only */

/*
 * What a service listens on: a port or a range of ports of an address or of a prefix. IPv4 addresses
 * stand in addr[0], the rest zero; host bits of a prefix are zero.
 */
struct shunt_vip_key {
	__be32 addr[4];
	__be16 port;	 /* of a range: the lowest */
	__u8 proto;	 /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 family;	 /* 4 or 6 */
	__be16 port_hi;	 /* the highest of a range; 0: port alone */
	__u8 prefix_len; /* 0: one address */
	__u8 _pad;
};
_Static_assert(sizeof(struct shunt_vip_key) == 24, "vip key layout is ABI");

/*
 * Ports, and how much of an address goes with them: with the address of a packet, a vip key. A row
 * of one port has lo == hi.
 */
struct shunt_range {
	__u16 lo, hi; /* host order, both included */
	__u8 proto;
	__u8 prefix_len; /* of the vip key; 0: one address */
	__u8 _pad[2];
};
_Static_assert(sizeof(struct shunt_range) == 8, "range layout is ABI");

#define SHUNT_MAX_RANGES 16 /* of one address or prefix */

struct shunt_addr_key {
	__be32 addr[4];
	__u8 family; /* 4 or 6 */
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_addr_key) == 20, "address key layout is ABI");

/*
 * An index of sh_services by address: under which keys a packet is to be looked for that no exact
 * key has, in this order. That a key is here does not say that it has a record.
 */
struct shunt_addr {
	__u32 service; /* reserved: row of a service of this address */
	__u8 flags;    /* reserved */
	__u8 range_count;
	__u8 _pad[2];
	struct shunt_range ranges[SHUNT_MAX_RANGES];
};
_Static_assert(sizeof(struct shunt_addr) == 136, "address layout is ABI");

/* Of the tries. scope is matched as a whole, then as much of the address as the prefix has. */
struct shunt_lpm_key {
	__u32 prefixlen; /* SHUNT_LPM_SCOPE_BITS and the bits of the address */
	__u32 scope;	 /* SHUNT_LPM_SCOPE() */
	__be32 addr[4];	 /* IPv4 in addr[0] */
};
_Static_assert(sizeof(struct shunt_lpm_key) == 24, "trie key layout is ABI");

#define SHUNT_LPM_SCOPE_BITS	       32
#define SHUNT_LPM_SCOPE_SHIFT	       8
#define SHUNT_LPM_SCOPE(index, family) ((__u32)(index) << SHUNT_LPM_SCOPE_SHIFT | (family))

/* One bit for each value of hash_addr_bit(): set, a service may have an address of that value. All
 * are set while a service has a prefix. */
#define SHUNT_ADDR_BITS	      65536
#define SHUNT_ADDR_WORD_BITS  64
#define SHUNT_ADDR_BITS_WORDS (SHUNT_ADDR_BITS / SHUNT_ADDR_WORD_BITS)

/* Values of the part of a flow's hash by which sh_flow_gens goes. */
#define SHUNT_FLOW_GENERATIONS 65536

/* Flows of a service from a source prefix go by another ring than its own. */
struct shunt_route {
	__u32 index; /* row of sh_svc_rings */
};
_Static_assert(sizeof(struct shunt_route) == 4, "route layout is ABI");

#define SHUNT_SERVER_ID_MAX 8

/* The value is a backend id. */
struct shunt_server_id {
	__u32 service; /* row of the service */
	__u8 len;
	__u8 _pad[3];
	__u8 id[SHUNT_SERVER_ID_MAX]; /* behind len: zero */
};
_Static_assert(sizeof(struct shunt_server_id) == 16, "server id layout is ABI");

enum shunt_action {
	SHUNT_ACTION_STEER, /* encapsulate towards a backend */
	SHUNT_ACTION_LOCAL, /* terminated on this host: count and pass to the stack */
};

enum shunt_tracking {
	SHUNT_TRACK_ON_CHANGE, /* entries only for flows whose slot of the ring is moving */
	SHUNT_TRACK_ALWAYS,    /* one entry a flow */
	SHUNT_TRACK_NEVER,     /* the ring alone decides */
};

/*
 * Moments in 32 bits: CLOCK_MONOTONIC_COARSE in ticks of 2^24 ns (17 ms), so that they take no
 * division. They are compared by their signed difference, which is right for a year either way.
 */
#define SHUNT_TICK_SHIFT 24
#define SHUNT_TICKS(ns)	 ((__u32)((__u64)(ns) >> SHUNT_TICK_SHIFT))

/* State of a flow entry, and index of its idle time in struct shunt_service. */
enum shunt_flow_state {
	SHUNT_FLOW_SYN, /* pending: one packet seen, the next one promotes it */
	SHUNT_FLOW_ESTABLISHED,
	SHUNT_FLOW_FIN, /* the client sent FIN or RST */
	SHUNT_FLOW_UDP,
	SHUNT_FLOW_STATE_COUNT
};

/* What a flow is for a service whose hash covers less than all of it. */
enum shunt_affinity {
	SHUNT_AFFINITY_FLOW,
	SHUNT_AFFINITY_PAIR,   /* source and destination address */
	SHUNT_AFFINITY_SOURCE, /* source address */
};

/* How a service finds its backend in QUIC connection ids. */
enum shunt_cid {
	SHUNT_CID_NONE,
	SHUNT_CID_LB,	  /* QUIC-LB without encryption: the server id is behind the first octet */
	SHUNT_CID_OFFSET, /* the server id is at an offset */
};

#define SHUNT_CID_MAX 20 /* octets of a connection id of QUIC versions 1 and 2 */
/* What a service is guarded by; a packet of one without any looks no further. */
#define SHUNT_GUARDS_LIMITS  1
#define SHUNT_GUARDS_COOKIES 2

/* One service. Several vip keys may carry a copy of it: what changes often is in its rows. */
struct shunt_service {
	__u32 index;   /* row of sh_svc_rings, sh_svc_stats and sh_svc_meta */
	__u8 action;   /* enum shunt_action */
	__u8 tracking; /* enum shunt_tracking */
	__u8 _pad[2];
	__u32 idle_s[SHUNT_FLOW_STATE_COUNT]; /* seconds without a packet until an entry is void */
	__u8 affinity;			      /* enum shunt_affinity */
	__u8 routed;			      /* has rows in sh_routes */
	__u8 cid;			      /* enum shunt_cid */
	__u8 cid_config; /* LB: the configuration id in the upper three bits of the first octet */
	__u8 cid_len;	 /* of a connection id; 0, LB: the first octet says it; 0, OFFSET: any */
	__u8 cid_offset; /* OFFSET: of the server id */
	__u8 server_id_len;
	__u8 guard; /* SHUNT_GUARDS_*: what its row of sh_svc_guard says */
	__u8 server_id_mask[SHUNT_SERVER_ID_MAX]; /* OFFSET: bits of it that count */
	__u32 insert_ns; /* between two entries that one processor makes, on average; 0: any */
	__u16 mss;	 /* largest that a SYN may offer to a backend; 0: any; or SHUNT_MSS_AUTO */
	__u16 _pad2;
};
_Static_assert(sizeof(struct shunt_service) == 48, "service layout is ABI");

#define SHUNT_MSS_AUTO 0xffff /* what fits into the tunnel to the backend */

/* How many entries of a service one processor may make at once: those of so many nanoseconds. */
#define SHUNT_INSERT_BURST_NS 250000000LL

/* The account of a service on one processor. */
struct shunt_insert {
	__u64 paid_ns; /* CLOCK_MONOTONIC_COARSE up to which the entries that were made take */
};
_Static_assert(sizeof(struct shunt_insert) == 8, "insert account layout is ABI");

/* An address that services listen on, for packets that name no port. */
#define SHUNT_VIP_LOCAL 0x01 /* this host terminates a service there: the address is its own */

struct shunt_vip {
	__u32 service; /* row of a service there, which counts such packets */
	__u8 flags;    /* SHUNT_VIP_* */
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_vip) == 8, "address layout is ABI");

/*
 * The same again for keys of one address and one port, for a packet to look up without a call. A key
 * is in the bucket that hash_vip() names: its way holds 1 + a row of sh_exact_rows, which has a copy of
 * key and record. 0, or four keys of others: look in sh_services.
 * One word, written by one store.
 */
#define SHUNT_EXACT_BUCKETS 16384
#define SHUNT_EXACT_WAYS    4
#define SHUNT_EXACT_END	    0xffff /* in a way: the bucket has all keys that there are */
#define SHUNT_EXACT_ROWS    (SHUNT_MAX_SERVICES + 1) /* one more, to replace another */
#define SHUNT_EXACT_CPUS    1024 /* rows behind them, one a processor: see service_find_rest() */

struct shunt_exact_bucket {
	__u16 way[SHUNT_EXACT_WAYS];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shunt_exact_bucket) == 8, "bucket layout is ABI");

struct shunt_exact_row {
	struct shunt_vip_key key;
	struct shunt_service service;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shunt_exact_row) == 72, "index row layout is ABI");

/* The ring of a service, for all of its vip keys. One word, written by one store and read by one
 * load: base and size always belong together. */
struct shunt_ring {
	__u32 base; /* first slot in sh_rings */
	__u32 size; /* slots; 0: no usable backend */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shunt_ring) == 8, "ring layout is ABI");

enum shunt_forward {
	SHUNT_FORWARD_IPIP,  /* IPv4 or IPv6 in IPv4 or IPv6, by the families at hand */
	SHUNT_FORWARD_GUE,   /* the same in UDP: GUE variant 1, no header of its own */
	SHUNT_FORWARD_L2,    /* as it is, to the MAC address of dst */
	SHUNT_FORWARD_LOCAL, /* this host is the backend */
	SHUNT_FORWARD_NAT,   /* with another destination address and port */
};

/* Where a packet goes that leaves by a frame of ours. */
enum shunt_next_hop {
	SHUNT_NEXT_HOP_REFLECT, /* back to the router that sent it, by the interface it came in by */
	SHUNT_NEXT_HOP_FIB,	/* as this host's routes and neighbours have it, by any interface */
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
#define SHUNT_MAX_DEVICES   256

/* One row of sh_backends: one cache line. Index 0 is never used, so that id 0 means "none". */
struct shunt_backend {
	__u32 id;	    /* 0: the row is free */
	__u8 state;	    /* enum shunt_backend_state */
	__u8 forward;	    /* enum shunt_forward */
	__u8 family;	    /* of dst, which is that of the outer header: 4 or 6 */
	__u8 next_hop;	    /* enum shunt_next_hop */
	__u16 mtu;	    /* largest IP packet that leaves, outer header included; host order */
	__be16 port;	    /* GUE, NAT: of the destination; 0 (NAT): the packet's own */
	__be32 src_entropy; /* bits of the last word of src that may carry flow entropy; NAT: that
			       tell its source addresses apart */
	__be32 src
		[4]; /* outer source address; IPv4 in word 3 (the last), so that entropy is one rule */
	__be32 dst[4];	      /* outer destination address; IPv4 in word 3 */
	__u16 nat_port_low;   /* NAT: first port of each source address, host order */
	__u16 nat_port_count; /* NAT: how many; 0: the source stays the client's */
	__u8 _reserved[12];
};
_Static_assert(sizeof(struct shunt_backend) == 64, "backend layout is ABI");

/*
 * One slot of a ring. Settled: `old` is 0, and all its flows are with `backend`. Moving: flows that
 * no table knows began before the slot moved and are with `old`; new ones go to `backend` and have
 * entries. One word, written by one store and read by one load.
 */
struct shunt_slot {
	__u32 backend; /* id; 0: none, new flows are dropped */
	__u32 old;     /* id; 0: settled */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct shunt_slot) == 8, "slot layout is ABI");

/* What is remembered of a moving slot, at the same place in sh_stamps as the slot in sh_rings. */
struct shunt_stamp {
	__u32 since_ticks; /* it is moving; entries last seen before are void. 0: none is */
	__u32 old_ticks;   /* a packet went to `old` for want of an entry; seconds late at most */
};
_Static_assert(sizeof(struct shunt_stamp) == 8, "stamp layout is ABI");

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
	__u32 backend;	  /* id */
	__u32 hash;	  /* upper half of the flow's: its slot is hash * ring size >> 32 */
	__u32 seen_ticks; /* the last packet; up to a second late */
	__u16 service; /* row of the ring that its slot is in: the service's, or a source route's */
	__u8 state;    /* enum shunt_flow_state */
	__u8 _pad;
};
_Static_assert(sizeof(struct shunt_flow) == 16, "flow layout is ABI");

/* What a NAT flow has seen. */
#define SHUNT_NAT_SOURCE      0x01 /* the backend sees an address of ours */
#define SHUNT_NAT_CLIENT_FIN  0x02
#define SHUNT_NAT_BACKEND_FIN 0x04
#define SHUNT_NAT_ANSWERED    0x08 /* a packet came from the backend */

/*
 * A NAT flow, under the key that packets from its backend arrive with. IPv4 addresses stand in
 * word 0. The last fields say how the client's packets came, which is how the replies leave.
 */
struct shunt_nat {
	__u64 seen_ns; /* CLOCK_MONOTONIC_COARSE of the last packet, at most a second old */
	__be32 client[4];
	__be32 service[4];
	__be16 client_port;
	__be16 service_port;
	__u32 backend;	     /* id */
	__u8 state;	     /* enum shunt_flow_state */
	__u8 flags;	     /* SHUNT_NAT_* */
	__u8 l2_len;	     /* of their Ethernet headers, with tags */
	__u8 vip_prefix_len; /* of the service's vip key, as its ports below */
	__u32 ifindex;
	__u16 router[3]; /* the MAC address that sent them, */
	__u16 own[3];	 /* the one that they were sent to, */
	__be16 tags[4];	 /* and their tags, as many as there are */
	__be16 vip_port, vip_port_hi;
};
_Static_assert(sizeof(struct shunt_nat) == 80, "NAT layout is ABI");

/* The other half: under the key of the client's packets, what the backend takes for the client. */
struct shunt_nat_source {
	__be32 addr[4]; /* IPv4 in word 0 */
	__be16 port;
	__u8 _pad[2];
	__u32 backend; /* id */
};
_Static_assert(sizeof(struct shunt_nat_source) == 24, "NAT source layout is ABI");

/*
 * What a service has of the tables of NAT: IPv4, IPv6. The row behind those of the services is that of
 * what all share: own is its size, flows is what services have over their own.
 */
#define SHUNT_NAT_COMMON SHUNT_MAX_SERVICES

struct shunt_nat_share {
	__u32 own[2];	/* flows that there is always room for; 0: no account is kept */
	__u32 flows[2]; /* that it has */
};
_Static_assert(sizeof(struct shunt_nat_share) == 16, "NAT share layout is ABI");

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
 * flow is new once, when it enters a table; where none is looked at, each TCP SYN is one.
 */
#define SHUNT_SVC_COUNTERS(X)                                                                      \
	X(PACKETS, "packets")                                                                      \
	X(BYTES, "bytes")                                                                          \
	X(NEW_FLOWS, "new-flows")                                                                  \
	X(UNTRACKED, "untracked") /* a flow entry was due and could not be written */              \
	X(STALE, "stale")	  /* an entry named a backend that is gone or down; chosen anew */ \
	X(CID, "cid")		  /* went by the server id in a QUIC connection id */              \
	X(CID_UNKNOWN,                                                                             \
	  "cid-unknown") /* short header without the id of a usable backend: by flow */            \
	X(INSERT_LIMITED, "insert-limited") /* an entry was due and over the service's limit */    \
	X(REPLY_PACKETS, "reply-packets")   /* NAT: from a backend to a client, and their bytes */ \
	X(REPLY_BYTES, "reply-bytes")                                                              \
	X(FRAGMENTS, "fragments")	  /* of them, fragments that were steered */               \
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
	X(BLOCKED, "blocked")	    /* its source is on a block list, or was blocked by itself */  \
	X(SERVICE_RATE, "service-rate") /* a new flow over the limit of the service */             \
	X(SOURCE_RATE, "source-rate")	/* a new flow over the limit of one source */              \
	X(ABUSE, "abuse")		/* a pattern that the service does not take */             \
	X(SYN_COOKIE, "syn-cookie")	/* answers a SYN cookie that was never sent */             \
	X(NO_ROUTE, "no-route")	  /* no route to the backend, or none that a packet can take */    \
	X(TTL, "ttl")		  /* NAT: no hop left */                                           \
	X(FAMILY, "family")	  /* NAT: the backend is of the other address family */            \
	X(NAT_FULL, "nat-full")	  /* NAT: no room for another flow */                              \
	X(NAT_PORTS, "nat-ports") /* NAT: no free source port towards this backend */              \
	X(NAT_CLASH, "nat-clash") /* NAT: the backend could not tell it from another flow */       \
	X(NO_NEIGHBOUR, "no-neighbour") /* the next hop's MAC address is not known (yet) */        \
	X(ICMP_RATE, "icmp-rate")	/* an echo request over node.icmp_rate */

/* What became of a packet: X(NAME, "name"). Passed packets leave the program untouched. */
#define SHUNT_VERDICTS(X)                                                                          \
	X(TX, "tx")		    /* sent on by the interface it came in by */                   \
	X(PASS_LOCAL, "pass-local") /* for a service or a backend that is this host */             \
	X(PASS_NO_SERVICE, "pass-no-service")                                                      \
	X(PASS_NOT_IP, "pass-not-ip")	    /* or behind more than two VLAN tags */                \
	X(PASS_PROTOCOL, "pass-protocol")   /* neither TCP nor UDP */                              \
	X(PASS_FRAGMENT, "pass-fragment")   /* no ports to look at, and its first is not known */  \
	X(PASS_MALFORMED, "pass-malformed") /* too short or too odd to name its service */         \
	X(DROP, "drop")			    /* see the service's drop counters */                  \
	X(ANSWER, "answered")		    /* with a packet of our own, sent back */              \
	X(REDIRECT, "redirect")		    /* sent on by another interface than it came in by */  \
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
	__u8 ranges;	/* sh_addrs has rows */
	__u8 prefixes;	/* sh_prefixes has rows */
	__u8 guard4;	/* there are entries for the whole node in sh_guard4 */
	__u8 guard6;	/* in sh_guard6 */
	__u8 nat;	/* there are backends of forward NAT, or were a moment ago */
	__u8 fragments; /* enum shunt_fragments */
	__u8 echo;	/* echo requests to addresses of services are answered */
	__u8 _pad;
	__u16 icmp_rate; /* messages of ours a second and processor */
	__u8 _reserved[54];
};
_Static_assert(sizeof(struct shunt_switches) == 64, "switches layout is ABI");

/*
 * Block and allow lists. An entry is of one scope: that of a service (struct shunt_svc_guard), or
 * SHUNT_SCOPE_NODE. prefix_len of a key counts the scope's 32 bits too, so that a prefix is looked
 * for in one scope only.
 */
#define SHUNT_SCOPE_NODE 0
#define SHUNT_SCOPE_BITS 32

struct shunt_guard4_key {
	__u32 prefix_len;
	__u32 scope;
	__be32 addr;
};
_Static_assert(sizeof(struct shunt_guard4_key) == 12, "guard key layout is ABI");

struct shunt_guard6_key {
	__u32 prefix_len;
	__u32 scope;
	__be32 addr[4];
};
_Static_assert(sizeof(struct shunt_guard6_key) == 24, "guard key layout is ABI");

/* What an entry does to packets from its prefix: X(NAME, "name"). */
#define SHUNT_GUARD_ACTIONS(X)                                                                     \
	X(BLOCK, "block")                                                                          \
	X(ALLOW, "allow") /* neither limits nor blocks hold */

/* Who made an entry. */
#define SHUNT_GUARD_ORIGINS(X)                                                                     \
	X(CONFIG, "config")                                                                        \
	X(COMMAND, "command")                                                                      \
	X(AUTOMATIC, "automatic")

/* Why it was made. */
#define SHUNT_GUARD_REASONS(X)                                                                     \
	X(LISTED, "listed")	      /* somebody wants it */                                      \
	X(PACKET_RATE, "packet-rate") /* more packets a second than one source may send */         \
	X(SYN_PAYLOAD, "syn-payload") /* a SYN with more payload than the service takes */         \
	X(BAD_FLAGS, "bad-flags")     /* TCP flags that no TCP sends together */

enum shunt_guard_action {
#define X(name, text) SHUNT_GUARD_##name,
	SHUNT_GUARD_ACTIONS(X)
#undef X
		SHUNT_GUARD_ACTION_COUNT
};

enum shunt_guard_origin {
#define X(name, text) SHUNT_ORIGIN_##name,
	SHUNT_GUARD_ORIGINS(X)
#undef X
		SHUNT_ORIGIN_COUNT
};

enum shunt_guard_reason {
#define X(name, text) SHUNT_REASON_##name,
	SHUNT_GUARD_REASONS(X)
#undef X
		SHUNT_REASON_COUNT
};

#define SHUNT_NOTE_MAX 48 /* with its terminating zero */

/* All times here are of CLOCK_MONOTONIC_COARSE, as those of flows. */
struct shunt_guard_entry {
	__u64 expires_ns; /* void from then on; 0: never */
	__u8 action;	  /* enum shunt_guard_action */
	__u8 origin;	  /* enum shunt_guard_origin */
	__u8 reason;	  /* enum shunt_guard_reason */
	__u8 prefix_len;  /* of the address alone */
	__u32 _pad;
	char note[SHUNT_NOTE_MAX];
};
_Static_assert(sizeof(struct shunt_guard_entry) == 64, "guard entry layout is ABI");

enum shunt_syn_cookies {
	SHUNT_SYN_COOKIES_OFF,
	SHUNT_SYN_COOKIES_AUTO, /* while more SYNs come than syn_cookies_over */
	SHUNT_SYN_COOKIES_ALWAYS,
};

/* What a service takes from its clients. Zero: no limit, nothing is done. */
struct shunt_svc_guard {
	__u64 flow_ns;		  /* of the service's time that a new flow takes: 10^9 / rate */
	__u64 source_flow_ns;	  /* of its source's time */
	__u64 burst_ns;		  /* time that may be taken in advance, of either */
	__u64 block_ns;		  /* how long a source is blocked */
	__u32 scope;		  /* of this service's entries and sources; never given twice */
	__u32 packets_per_source; /* in a second; one that sends more is blocked */
	__u32 syn_payload;	  /* bytes; more is abuse */
	__u32 syn_cookies_over;	  /* SYNs in a second */
	__be32 mask4;		  /* which addresses are one source */
	__be32 mask6[4];
	__u16 mss4, mss6; /* that a SYN cookie's answer announces */
	__u8 prefix_len4; /* of mask4 */
	__u8 prefix_len6;
	__u8 bad_flags;	  /* 1: they are abuse */
	__u8 block_abuse; /* 1: its source is blocked */
	__u8 syn_cookies; /* enum shunt_syn_cookies */
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_svc_guard) == 80, "service guard layout is ABI");

/* Its state; a cache line of its own, so that a flood of one service costs no other one. */
struct shunt_svc_flood {
	__u64 taken_ns;	 /* the service's time is taken up to here */
	__u64 window_ns; /* when the second began in which syns are counted */
	__u64 cookies_until_ns;
	__u64 cookies; /* SYNs that were answered by a cookie */
	__u32 syns;
	__u32 _pad;
	__u64 _reserved[3];
};
_Static_assert(sizeof(struct shunt_svc_flood) == 64, "service flood layout is ABI");

/* A source, as one service sees it. The address is masked; IPv4 in addr[0], the rest zero. */
struct shunt_source_key {
	__be32 addr[4];
	__u32 scope;
	__u8 family;
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_source_key) == 24, "source key layout is ABI");

struct shunt_source {
	__u64 taken_ns;	 /* its time for new flows is taken up to here */
	__u64 window_ns; /* when the second began in which packets are counted */
	__u64 blocked_until_ns;
	__u64 tell_ns; /* user space is to be told of the block from then on; 0: it was */
	__u32 packets;
	__u8 reason; /* of the block: enum shunt_guard_reason */
	__u8 _pad[3];
};
_Static_assert(sizeof(struct shunt_source) == 40, "source layout is ABI");

/* The program has blocked a source of a service. */
struct shunt_guard_event {
	__u64 until_ns;
	struct shunt_source_key source;
	__u8 prefix_len;
	__u8 reason; /* enum shunt_guard_reason */
	__u8 _pad[6];
};
_Static_assert(sizeof(struct shunt_guard_event) == 40, "guard event layout is ABI");

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
