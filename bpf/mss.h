/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * The largest segment that a client's SYN offers to take says nothing of the tunnel, but a server takes
 * what it offers in return from its own interface, not from the tunnel either. A service can have the
 * offer lowered (RFC 4459, section 3.2.4 weighs it). It is never raised, and never added.
 */
#ifndef SHUNT_BPF_MSS_H
#define SHUNT_BPF_MSS_H

#include <linux/tcp.h>

#include "bpf/csum.h"
#include "bpf/encap.h"
#include "bpf/pkt.h"

#define TCP_HLEN	20
#define TCP_HLEN_MAX	60
#define TCP_OPT_END	0
#define TCP_OPT_NOP	1
#define TCP_OPT_MSS	2
#define TCP_OPT_MSS_LEN 4

static __always_inline __u32 mss_limit(const struct pkt *p, const struct shunt_backend *be,
				       __u32 mss)
{
	__u32 headers = (p->family == 4 ? IPV4_HLEN : IPV6_HLEN) + TCP_HLEN;

	if (mss != SHUNT_MSS_AUTO)
		return mss;
	return be->mtu - tunnel_overhead(be) - headers;
}

/* Lower the option at `at` in the TCP header, which the checksum sees as two halves of two words where
 * it stands at an odd place. Returns whether it was lowered. */
static __always_inline bool mss_lower(struct tcphdr *tcp, __u32 at, __u8 *option, __u32 limit)
{
	__u16 old = option[2] << 8 | option[3], new = limit;

	if (old <= limit)
		return false;
	option[2] = new >> 8;
	option[3] = new & 0xff;
	if (at & 1) {
		old = old << 8 | old >> 8;
		new = new << 8 | new >> 8;
	}
	tcp->check = csum_replace(tcp->check, bpf_htons(old), bpf_htons(new));
	return true;
}

/*
 * l4: where in the frame the TCP header is, which has been checked. Returns whether the MSS was lowered.
 * A global function: see sum_frame().
 */
__noinline int mss_clamp(struct xdp_md *ctx, __u32 l4, __u32 limit)
{
	struct tcphdr *tcp = (void *)(long)ctx->data + (l4 & 0xfff);
	void *end = (void *)(long)ctx->data_end;
	__u32 at = TCP_HLEN, header_len, any;

	if ((void *)(tcp + 1) > end)
		return false;
	header_len = tcp->doff * 4;
	for (int i = 0; i < TCP_HLEN_MAX - TCP_HLEN; i++) {
		__u8 *option = (void *)tcp + (at & 0x3f);

		if (at + TCP_OPT_MSS_LEN > header_len || (void *)(option + TCP_OPT_MSS_LEN) > end ||
		    option[0] == TCP_OPT_END)
			break;
		any = *(const __u32 *)option;
		if (option[0] == TCP_OPT_NOP) {
			at = forget(at + 1, any);
			continue;
		}
		if (option[0] == TCP_OPT_MSS && option[1] == TCP_OPT_MSS_LEN)
			return mss_lower(tcp, at, option, limit);
		if (option[1] < 2)
			break;
		at = forget(at + option[1], any);
	}
	return false;
}

#endif
