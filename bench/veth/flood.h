/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* What flood.c tells flood.bpf.c to send: in its global data, written before the first frame. */
#ifndef BENCH_VETH_FLOOD_H
#define BENCH_VETH_FLOOD_H

#include <linux/types.h>

/* Ethernet, IP, UDP and some data. With IPv4 it is the least that a wire carries, but for its
 * trailer. Of whole words. */
#define FLOOD_LEN4 64
#define FLOOD_LEN6 88

/* Flows have this many source ports, then the next source address. */
#define FLOOD_PORT_BITS	 14
#define FLOOD_FIRST_PORT 16384U
#define FLOOD_MAX_FLOWS	 (1U << 24)
/* Odd: all flows have their turn before one comes again, and neighbours are far apart. */
#define FLOOD_STEP 0x9e3779b1U

struct flood {
	__u64 frame[FLOOD_LEN6 / sizeof(__u64)]; /* its source address's last word, source port and
						  * checksum are not looked at */
	__u32 check;	 /* sum of the words that the checksum covers, of IPv4's header or of UDP,
			  * but for the source */
	__u32 source;	 /* the last word of the source address of flow 0, as a number */
	__u32 flow_mask; /* number of flows, a power of two, less one */
	__u32 ifindex;	 /* where it goes out */
};

#endif
