/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What restore.bpf.c makes of the frame before each repetition of a test run, and which flow it
 * takes next. In its global data: written by user space between two runs.
 */
#ifndef BENCH_WALK_H
#define BENCH_WALK_H

#include <linux/types.h>

#define WALK_HEAD_LEN 74 /* Ethernet, IPv6, TCP */

/* The number of the next flow: state = state * mul + add, then state >> shift. */
struct walk {
	__u64 state;
	__u64 mul;
	__u64 add;
	__u32 shift;
	__u32 frame_len;
	__u8 head[WALK_HEAD_LEN]; /* of the frame as it should be, but for the flow */
	__u8 family;		  /* 4 or 6 */
	__u8 rewritten; /* the program under test writes to the packet itself, not only before it */
	__u8 _pad[4];
};

#endif
