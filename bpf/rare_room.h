/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * A packet in the hands of rare.h, and where its functions keep what they find out. Not on the stack, of
 * which all functions that call each other have 512 bytes; and not from one packet to the next.
 */
#ifndef SHUNT_BPF_RARE_ROOM_H
#define SHUNT_BPF_RARE_ROOM_H

#include "bpf/abi.h"
#include "bpf/compat.h"
#include "bpf/pkt.h"

/* The packet that an ICMP error quotes, as far as the error has it. */
struct quote {
	__u32 at;    /* its offset in the frame */
	__u32 len;   /* bytes of it */
	__u32 l4;    /* offset in it of what stands behind its IP headers */
	__u8 family; /* 4 or 6 */
	__u8 proto;  /* of what stands there */
	__be16 ports[2];
	union {
		struct {
			__be32 saddr, daddr;
		} v4;
		struct {
			__be32 saddr[4], daddr[4];
		} v6;
	};
};

union frag_key {
	struct shunt_frag4_key v4;
	struct shunt_frag6_key v6;
};

struct rare {
	struct pkt pkt;	     /* without pointers */
	__u32 follow;	     /* id of the backend that the first fragment went to; 0: none did */
	__u32 quote_mtu;     /* largest packet, as an ICMP error has it; 0: another error */
	struct quote quote;  /* what it quotes */
	struct quote client; /* PEEK_TUNNEL: and what that has in it */
	union frag_key frag;
};

/* One row, and every program that is loaded has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct rare);
	__uint(max_entries, 1);
} sh_rare SEC(".maps");

static __noinline struct rare *rare_room(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_rare, &zero);
}

static __always_inline void rare_put(struct rare *r, const struct pkt *p)
{
	r->pkt = *p;
	r->pkt.eth = NULL;
	r->pkt.end = NULL;
	r->pkt.svc = NULL;
	r->pkt.backend = NULL;
}

#endif
