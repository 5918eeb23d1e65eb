/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What the program that gives connections to listening sockets shares with user space. Apart from
 * abi.h: it is loaded without the steering program too, and has a life and a version of its own.
 */
#ifndef SHUNT_BPF_SOCKETS_ABI_H
#define SHUNT_BPF_SOCKETS_ABI_H

#include <linux/types.h>

#define SOCKETS_VERSION 1 /* of the pins; another one is not taken up */

#define SOCKETS_MAX_SLOTS 131072 /* listening sockets */
#define SOCKETS_MAX_EXACT 32768	 /* keys of one address and one port */
#define SOCKETS_MAX_ADDRS 8192	 /* addresses with ranges; prefixes */
#define SOCKETS_MAX_ROWS  8192	 /* targets */

/* A target, where connections go: the listening sockets of one kind, one for each worker, in so many
 * slots of sk_sockets. One word, which user space stores at once. 0: left to the stack. */
#define SOCKETS_TARGET(first, count) ((__u64)(count) << 32 | (first))
#define SOCKETS_TARGET_FIRST(target) ((__u32)(target))
#define SOCKETS_TARGET_COUNT(target) ((__u32)((target) >> 32))

/* The row that keys name which are left to the stack. */
#define SOCKETS_ROW_STACK 0

/* By which a later process finds the row again; for user space alone. */
#define SOCKETS_NAME_MAX 80
struct sockets_meta {
	char name[SOCKETS_NAME_MAX]; /* empty: the row is free */
};
_Static_assert(sizeof(struct sockets_meta) == 80, "meta layout is ABI");

/* One address and one port. IPv4 stands in addr[0], the rest zero. */
struct sockets_exact_key {
	__be32 addr[4];
	__be16 port;
	__u8 family; /* 4 or 6 */
	__u8 _pad;
};
_Static_assert(sizeof(struct sockets_exact_key) == 20, "exact key layout is ABI");

struct sockets_addr_key {
	__be32 addr[4];
	__u32 family;
};
_Static_assert(sizeof(struct sockets_addr_key) == 20, "address key layout is ABI");

/* Of the trie: the family is matched as a whole, then as much of the address as the prefix has. */
struct sockets_prefix_key {
	__u32 prefixlen; /* SOCKETS_FAMILY_BITS and the bits of the address */
	__u32 family;
	__be32 addr[4];
};
_Static_assert(sizeof(struct sockets_prefix_key) == 24, "prefix key layout is ABI");
#define SOCKETS_FAMILY_BITS 32

struct sockets_range {
	__u16 lo, hi; /* host order, both included */
	__u32 row;    /* of sk_targets */
};
_Static_assert(sizeof(struct sockets_range) == 8, "range layout is ABI");

#define SOCKETS_MAX_RANGES 16 /* SHUNT_MAX_RANGES */

/* Of an address or a prefix, the one that goes first in front. A prefix also has those of shorter ones
 * around it, as a search finds but the longest. */
struct sockets_ranges {
	__u32 count;
	struct sockets_range ranges[SOCKETS_MAX_RANGES];
};
_Static_assert(sizeof(struct sockets_ranges) == 132, "ranges layout is ABI");

/* What became of a search for a socket: X(NAME, "name"). Anything but CHOSEN is left to the stack. */
#define SOCKETS_COUNTERS(X)                                                                        \
	X(CHOSEN, "chosen")                                                                        \
	X(NO_SOCKET, "no_socket") /* its process has ended */                                      \
	X(FAILED, "failed")	  /* the kernel did not take the choice */

enum sockets_counter {
#define X(name, text) SOCKETS_##name,
	SOCKETS_COUNTERS(X)
#undef X
		SOCKETS_COUNTER_COUNT
};

struct sockets_stats {
	__u64 count[SOCKETS_COUNTER_COUNT];
};
_Static_assert(sizeof(struct sockets_stats) == 24, "stats layout is ABI");

#endif
