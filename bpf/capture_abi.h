/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What capture.bpf.c and user space share: what is wanted, and what is told of a packet. Nothing of it
 * outlives a capture: both sides are always of one build.
 */
#ifndef SHUNT_BPF_CAPTURE_ABI_H
#define SHUNT_BPF_CAPTURE_ABI_H

#include <linux/types.h>

#include "bpf/abi.h"

#define CAPTURE_SNAP_MAX 8192	   /* bytes of a packet that can be kept, before and after each */
#define CAPTURE_RING_LEN (1 << 22) /* bytes; a power of two */

/* Names of the maps, beside those of the steering program. */
#define CAPTURE_MAP_ROOM   "cap_room"	/* 0 -> what a processor is at */
#define CAPTURE_MAP_TOTALS "cap_totals" /* 0 -> struct capture_totals, mmap-able */
#define CAPTURE_MAP_RING   "cap_ring"	/* of struct capture_record, bytes behind each */

/* Of which packets, by what became of them. */
enum capture_which {
	CAPTURE_ACTED, /* all but those that were passed on to the host */
	CAPTURE_DROPS,
	CAPTURE_ALL,
};

/* Addresses as the packet arrived with them; IPv4 in addr[0], the rest zero. */
struct capture_prefix {
	__be32 addr[4];
	__be32 mask[4];
	__u32 family; /* 4 or 6; 0: any packet */
};
_Static_assert(sizeof(struct capture_prefix) == 36, "prefix layout is ABI");

/* In the programs' read-only data. Zero: any. */
struct capture_settings {
	__u64 packets; /* so many, and no more */
	__u64 bytes;   /* the same of what is kept of them */
	__u32 snap;    /* of a packet before and after, up to CAPTURE_SNAP_MAX */
	__u32 ifindex;
	__u32 service; /* 1 + its row */
	struct capture_prefix source, destination;
	__u16 port; /* of source or destination; host order */
	__u8 proto; /* IPPROTO_ICMP: ICMPv6 too */
	__u8 which; /* enum capture_which */
};
_Static_assert(sizeof(struct capture_settings) == 104, "capture settings layout is ABI");

/* All processors together. */
struct capture_totals {
	__u64 taken; /* packets; may grow past the limits by those that are turned away for them */
	__u64 bytes;
	__u64 lost; /* of those taken: the ring had no room */
};
_Static_assert(sizeof(struct capture_totals) == 24, "capture totals layout is ABI");

#define CAPTURE_REPLY 1 /* NAT: from a backend to a client */

/* A packet; behind it before_kept bytes of how it came, and after_kept of how it left. */
struct capture_record {
	__u64 id;	 /* from 0 on */
	__u64 before_ns; /* CLOCK_MONOTONIC */
	__u64 after_ns;
	__u32 ifindex, queue; /* that it came in by */
	__u32 service;	      /* 1 + row; 0: not known, or none */
	__u32 backend;	      /* id; 0: not known here */
	__u32 before_len, before_kept;
	__u32 after_len, after_kept; /* 0: it was dropped */
	__u32 action;		     /* XDP_* */
	__u8 verdict;		     /* enum shunt_verdict; _COUNT: not known */
	__u8 drop;		     /* enum shunt_drop; _COUNT: none, or not known */
	__u8 flags;		     /* CAPTURE_REPLY */
	__u8 _pad;
};
_Static_assert(sizeof(struct capture_record) == 64, "capture record layout is ABI");

#endif
