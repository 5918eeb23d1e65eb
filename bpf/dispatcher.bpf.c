// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * A dispatcher for libxdp: several XDP programs on one interface, each in the place of one of the
 * functions below. libxdp brings its own, but up to 1.5.0 its functions do not touch the packet,
 * and kernels from 6.13 on (6.12 in its stable releases) do not let a program that does, as ours,
 * replace one that does not: "Extension program changes packet data, while original does not".
 * loader/dispatcher.c hands this one to libxdp then. Names, settings and the meaning of return
 * values are libxdp's (xdp/prog_dispatcher.h).
 */
#include "bpf/compat.h"

#include <xdp/prog_dispatcher.h>

const volatile struct xdp_dispatcher_config conf = {};

/* The places for programs. An empty one says "go on"; its call moves nothing, it is there to be
 * seen by the verifier. */
#define PLACE(n)                                                                                   \
	__attribute__((noinline)) int prog##n(struct xdp_md *ctx)                                  \
	{                                                                                          \
		volatile int go_on = XDP_DISPATCHER_RETVAL;                                        \
                                                                                                   \
		bpf_xdp_adjust_head(ctx, 0);                                                       \
		return go_on;                                                                      \
	}

PLACE(0)
PLACE(1)
PLACE(2)
PLACE(3)
PLACE(4)
PLACE(5)
PLACE(6)
PLACE(7)
PLACE(8)
PLACE(9)

/* Ask the next program; what it says is the end, unless its settings say to go on after that. */
#define ASK(n)                                                                                     \
	do {                                                                                       \
		int action;                                                                        \
                                                                                                   \
		if (conf.num_progs_enabled <= (n))                                                 \
			return XDP_PASS;                                                           \
		action = prog##n(ctx);                                                             \
		if (!(conf.chain_call_actions[n] & 1U << action))                                  \
			return action;                                                             \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	ASK(0);
	ASK(1);
	ASK(2);
	ASK(3);
	ASK(4);
	ASK(5);
	ASK(6);
	ASK(7);
	ASK(8);
	ASK(9);
	return XDP_PASS;
}

/* libxdp finds out with this one whether the kernel can replace functions. */
SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

__uint(dispatcher_version, XDP_DISPATCHER_VERSION) SEC(XDP_METADATA_SECTION);

char _license[] SEC("license") = "Dual BSD/GPL";
