/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What the decapsulating program of a backend host shares with shunt-decap. Apart from abi.h: it
 * runs on other machines, and has a life and a version of its own.
 */
#ifndef SHUNT_BPF_DECAP_ABI_H
#define SHUNT_BPF_DECAP_ABI_H

#include <linux/types.h>

#define DECAP_MAX_SERVICES 1024

#define DECAP_GUE_PORT_DEFAULT 6080 /* "gue" with IANA */

/* A service address: inner packets to it are unpacked. IPv4 stands in addr[0], the rest zero. */
struct decap_key {
	__be32 addr[4];
	__u32 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct decap_key) == 20, "decap key layout is ABI");

/* One for each program, written by shunt-decap. */
struct decap_settings {
	__be16 gue_port; /* 0: GUE is not unpacked */
	__u16 _pad;
};
_Static_assert(sizeof(struct decap_settings) == 4, "decap settings layout is ABI");

/* What kind of packet it was: X(NAME, "name"). OTHER: no tunnel packet. */
#define DECAP_KINDS(X)                                                                             \
	X(OTHER, "other")                                                                          \
	X(IPIP, "ipip")                                                                            \
	X(GUE, "gue")

enum decap_kind {
#define X(name, text) DECAP_KIND_##name,
	DECAP_KINDS(X)
#undef X
		DECAP_KIND_COUNT
};

/* What became of a packet: X(NAME, "name"). From DROP_TRUNCATED on the packet is dropped. */
#define DECAP_RESULTS(X)                                                                           \
	X(DECAPSULATED, "decapsulated")                                                            \
	X(PASS, "passed")			 /* no tunnel packet, or for no service of ours */ \
	X(PASS_FRAGMENT, "passed-fragment")	 /* a fragment of a tunnel packet */               \
	X(PASS_CONTROL, "passed-control")	 /* a control message of GUE */                    \
	X(DROP_TRUNCATED, "dropped-truncated")	 /* shorter than its headers say */                \
	X(DROP_CONGESTION, "dropped-congestion") /* CE outside, and inside unable to carry it */   \
	X(DROP_FLAGS, "dropped-flags")		 /* GUE flags, which may change its meaning */     \
	X(DROP_MERGED, "dropped-merged")	 /* several GUE packets in one, made by GRO */     \
	X(DROP_KERNEL, "dropped-kernel")	 /* the kernel refused to change the packet */

enum decap_result {
#define X(name, text) DECAP_##name,
	DECAP_RESULTS(X)
#undef X
		DECAP_RESULT_COUNT
};

/* Where the counter of a result of a kind of packet stands. */
#define DECAP_COUNTER(kind, result) ((kind)*DECAP_RESULT_COUNT + (result))
#define DECAP_COUNTERS		    (DECAP_KIND_COUNT * DECAP_RESULT_COUNT)

#endif
