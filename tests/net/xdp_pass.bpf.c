// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/* Passes every packet: a veth end needs a program so that its peer can send with XDP_TX. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
