/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * One packet on its way through the program: what the parser found in it, what the later stages
 * decided about it, and the only helpers that change its size.
 */
#ifndef SHUNT_BPF_PKT_H
#define SHUNT_BPF_PKT_H

#include <linux/if_ether.h>
#include <linux/in.h>

#include "bpf/abi.h"
#include "bpf/compat.h"

/*
 * What a stage says. V_NEXT: go on. Below SHUNT_VERDICT_COUNT: final, and counted under that name.
 * From V_DROP_FIRST on: a drop, for a reason that the packet's service counts.
 */
enum verdict {
#define X(name, text) V_##name = SHUNT_VERDICT_##name,
	SHUNT_VERDICTS(X)
#undef X
		V_DROP_FIRST = 32,
#define X(name, text) V_DROP_##name = V_DROP_FIRST + SHUNT_DROP_##name,
	SHUNT_DROPS(X)
#undef X
		V_NEXT = 255,
};
_Static_assert((int)SHUNT_VERDICT_COUNT <= (int)V_DROP_FIRST, "verdicts and drop reasons overlap");

/* A tag of 802.1Q or 802.1ad, and how many of them a frame may have. */
#define TAG_LEN	 4
#define TAGS_MAX 2

/* No IP header is longer, with all that stands before the transport's. */
#define PKT_L3_MAX 0x7ff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Where a frame leaves, and the addresses that it does so with. */
struct hop {
	__u32 ifindex;
	__u16 dest[3], source[3];
};

struct pkt {
	/* The frame. Dead after every change of its size: see pkt_reload(). */
	struct ethhdr *eth;
	void *end;

	/* The parser's part. Only the key of the packet's family is filled. */
	union {
		struct shunt_flow4_key flow4;
		struct shunt_flow6_key flow6;
	};
	__u32 ip_len;	 /* of the whole IP packet, no more than the frame holds; host order */
	__u32 trail_len; /* bytes of the frame behind the IP packet */
	__u16 l3_len;	 /* of the IP header, with all that stands before the transport's */
	__u8 l2_len;	 /* of the Ethernet header with its tags: 14, 18 or 22 */
	__u8 family;	 /* 4 or 6 */
	__u8 proto;	 /* IPPROTO_TCP or IPPROTO_UDP, once it is known whose it is */
	__u8 tos;	 /* DSCP and ECN, as in the IPv4 field */
	__u8 tcp_flags;	 /* TCP_*; 0 for UDP */
	__u8 defect;	 /* enum verdict: what befalls it if it is for a service; V_NEXT: nothing */
	__u8 frag;	 /* enum frag */

	/* The later stages' part. */
	__u8 peek;	/* enum peek: is the flow the packet's own? */
	__u8 note;	/* enum shunt_svc_counter: what else to count of it; 0: nothing */
	bool new_flow;	/* entered a table, or starts a flow of a service without tracking */
	bool untracked; /* its flow should have an entry and could not be given one */
	bool stale;	/* its entry named a backend that is gone or down */
	bool limited;	/* its flow should have an entry, but its service makes too many */
	bool exempt;	/* its source is on an allow list: no limit holds */
	union {
		__u64 hash;	/* of the flow, where svc is known */
		__u64 addr_row; /* else, where a service of its address counts it: row and 1 */
	};
	const struct shunt_service *svc;
	const struct shunt_backend *backend;
};

enum frag {
	FRAG_NONE,
	FRAG_FIRST, /* has the ports */
	FRAG_LATER,
};

/* A packet that only tells something about a flow changes nothing in the tables of flows. */
enum peek {
	PEEK_NOT,
	PEEK_ERROR,  /* an ICMP error about a packet that the flow's backend sent */
	PEEK_TUNNEL, /* an ICMP error about a packet that we sent to the flow's backend */
	PEEK_REPLY,  /* NAT: from a backend to a client */
};

/* Where the IP header stands; l3_len behind it stands the transport's. Whoever reads or writes there
 * compares with p->end first. */
static __always_inline void *pkt_l3(const struct pkt *p)
{
	return (void *)p->eth + p->l2_len;
}

/* A TCP packet that opens a connection, and does nothing else. */
static __always_inline bool pkt_is_syn(const struct pkt *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

#ifdef __bpf__

/* The frame as it is at this moment, for functions that have no struct pkt with pointers. */
static __always_inline void *frame_at(const struct xdp_md *ctx, __u32 offset)
{
	return (void *)(long)ctx->data + offset;
}

static __always_inline void *frame_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline void pkt_reload(struct xdp_md *ctx, struct pkt *p)
{
	p->eth = (void *)(long)ctx->data;
	p->end = (void *)(long)ctx->data_end;
}

/*
 * Make len bytes of room in front of the frame. What they hold is left from former packets: every
 * one of them is the caller's to write. Tests are built with them set to 0xff (a test run of the
 * kernel clears them, which would hide one forgotten).
 */
static __always_inline int pkt_push(struct xdp_md *ctx, struct pkt *p, __u32 len)
{
	if (bpf_xdp_adjust_head(ctx, -(int)len))
		return -1;
	pkt_reload(ctx, p);
#ifdef SHUNT_POISON_HEADROOM
	if ((void *)p->eth + len > p->end)
		return -1;
	for (__u32 i = 0; i < len; i++)
		((__u8 *)p->eth)[i] = 0xff;
#endif
	return 0;
}

/* Cut off what stands behind the IP packet. */
static __always_inline int pkt_trim(struct xdp_md *ctx, struct pkt *p)
{
	if (bpf_xdp_adjust_tail(ctx, -(int)p->trail_len))
		return -1;
	p->trail_len = 0;
	pkt_reload(ctx, p);
	return 0;
}

#endif

#endif
