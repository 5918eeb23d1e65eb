/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What the decapsulating program of a backend host shares with shunt-decap. Apart from abi.h: it
 * runs on other machines, and has a life and a version of its own.
 */
#ifndef SHUNT_BPF_DECAP_ABI_H
#define SHUNT_BPF_DECAP_ABI_H

#include <linux/types.h>

#define DECAP_MAX_SERVICES 1024

/* A service address: inner packets to it are unpacked. IPv4 stands in addr[0], the rest zero. */
struct decap_key {
	__be32 addr[4];
	__u32 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct decap_key) == 20, "decap key layout is ABI");

/* What became of a packet: X(NAME, "name"). */
#define DECAP_RESULTS(X)                                                                           \
	X(DECAPSULATED, "decapsulated")                                                            \
	X(PASS, "passed")			 /* no tunnel packet, or for no service of ours */ \
	X(PASS_FRAGMENT, "passed-fragment")	 /* a fragment of a tunnel packet */               \
	X(DROP_TRUNCATED, "dropped-truncated")	 /* shorter than its headers say */                \
	X(DROP_CONGESTION, "dropped-congestion") /* CE outside, and inside unable to carry it */   \
	X(DROP_KERNEL, "dropped-kernel")	 /* the kernel refused to change the packet */

enum decap_result {
#define X(name, text) DECAP_##name,
	DECAP_RESULTS(X)
#undef X
		DECAP_RESULT_COUNT
};

#endif
