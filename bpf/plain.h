/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [0] The short way, which most packets go: from the frame to the verdict with nothing in memory but the
 * tables. A plain packet has no tags, no options, no extension headers, is no fragment, and nothing is
 * wrong with it. Its service has no limits, no connection ids and no source routes; and what decides on
 * its backend is at hand: a slot of the ring that is settled, or the processor's cache of flows.
 *
 * It decides what the stages of the long way decide, in their order, and mostly by their functions. Where
 * it cannot it has changed nothing, and leaves the packet to the long way (steer_any()). A stage that is
 * changed there is to be looked at here; tests/bpf/test_steer_plain.c compares the two.
 *
 * Nobody here may be given the address of the struct pkt but functions that are inlined: then it lies
 * nowhere, its fields are registers, and what is not asked for is never made.
 */
#ifndef SHUNT_BPF_PLAIN_H
#define SHUNT_BPF_PLAIN_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/encap.h"
#include "bpf/flow_cache.h"
#include "bpf/forward.h"
#include "bpf/frag.h"
#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/parse.h"
#include "bpf/pkt.h"
#include "bpf/select.h"
#include "bpf/service.h"
#include "bpf/settings.h"
#include "bpf/verdict.h"

#define IPV4_PLAIN 0x45 /* version 4, and no options */

/* Where the short way ends without an action. In either case the packet is as it came, and not counted. */
enum plain {
	PLAIN_NOT = -1,	 /* the packet is not plain */
	PLAIN_LONG = -2, /* it is, but not its service or its backend */
};

/* What a flow is looked for by. */
struct plain_flow {
	struct vip_words vip;
	__u64 hash;
};

/* Fills p->ip_len. len: of the IP packet. Is it all of the frame, but for the padding of a short one? */
static __always_inline bool plain_len(struct pkt *p, __u32 len)
{
	__u32 frame_len = p->end - (void *)p->eth;

	p->ip_len = len;
	len += ETH_HLEN;
	return len == frame_len || (len < frame_len && frame_len <= PADDED_FRAME_LEN);
}

/* len: what the IP header gives to the transport. */
static __always_inline bool plain_l4(struct pkt *p, const void *l4, __u32 len)
{
	if (p->proto == IPPROTO_TCP)
		return check_tcp(p, l4, len) == V_NEXT;
	return p->proto == IPPROTO_UDP && check_udp(p, l4, len) == V_NEXT;
}

/* The last word of the vip key, and what the flow's hash takes besides addresses. ports: as they lie in
 * memory. */
static __always_inline __u64 plain_vip_tail(const struct pkt *p, __u32 ports)
{
	return (__u64)p->family << 24 | (__u64)p->proto << 16 | ports >> 16;
}

static __always_inline __u64 plain_hash_tail(const struct pkt *p, __u32 ports)
{
	return (__u64)p->proto << 32 | bpf_ntohl(ports);
}

/*
 * Fills *p as parse_packet() does, but for the key of the flow. Addresses and ports are read in words as
 * large as they come. The protocol is read once more: of a value that was compared the kernel's verifier
 * knows what it is, and would follow TCP and UDP apart to the end. False: the packet is not plain.
 */
static __always_inline bool plain_ipv4(struct pkt *p, struct plain_flow *f)
{
	const struct iphdr *ip = (void *)(p->eth + 1);
	const void *l4 = ip + 1;
	const __u64 *both = (const void *)&ip->saddr;
	__u32 len, ports;
	__u64 addrs;

	if (l4 + sizeof(struct udphdr) > p->end || *(const __u8 *)ip != IPV4_PLAIN ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return false;
	len = bpf_ntohs(ip->tot_len);
	p->proto = ip->protocol;
	if (len < sizeof(*ip) || !plain_len(p, len) || !plain_l4(p, l4, len - sizeof(*ip)))
		return false;
	p->l3_len = sizeof(*ip);
	p->family = 4;
	p->tos = ip->tos;
	p->proto = *(const volatile __u8 *)&ip->protocol;
	addrs = *both;
	ports = *(const __u32 *)l4;
	f->vip = (struct vip_words){{addrs >> 32, 0, plain_vip_tail(p, ports)}};
	f->hash = hash_words4(bpf_be64_to_cpu(addrs), plain_hash_tail(p, ports),
			      settings.hash_seed[0], settings.hash_seed[1]);
	return true;
}

static __always_inline bool plain_ipv6(struct pkt *p, struct plain_flow *f)
{
	const struct ipv6hdr *ip = (void *)(p->eth + 1);
	const void *l4 = ip + 1;
	const __u64 *addrs = (const void *)&ip->saddr;
	__u64 numbers[4];
	__u32 len, ports;

	if (l4 + sizeof(struct udphdr) > p->end || ip->version != 6)
		return false;
	len = bpf_ntohs(ip->payload_len);
	p->proto = ip->nexthdr;
	if (!plain_len(p, sizeof(*ip) + len) || !plain_l4(p, l4, len))
		return false;
	p->l3_len = sizeof(*ip);
	p->family = 6;
	p->tos = bpf_ntohl(*(const __be32 *)ip) >> 20;
	p->proto = *(const volatile __u8 *)&ip->nexthdr;
	ports = *(const __u32 *)l4;
	for (int i = 0; i < 4; i++)
		numbers[i] = bpf_be64_to_cpu(addrs[i]);
	f->vip = (struct vip_words){{addrs[2], addrs[3], plain_vip_tail(p, ports)}};
	f->hash = hash_words6(numbers, numbers + 2, plain_hash_tail(p, ports),
			      settings.hash_seed[0], settings.hash_seed[1]);
	return true;
}

/* The key of the flow, which the short way does without. False: the frame has not got it. */
static __always_inline bool plain_key4(const struct pkt *p, struct shunt_flow4_key *key)
{
	const struct iphdr *ip = (void *)(p->eth + 1);
	const __be16 *ports = (void *)(ip + 1);

	if ((void *)(ports + 2) > p->end)
		return false;
	*key = (struct shunt_flow4_key){
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.sport = ports[0],
		.dport = ports[1],
		.proto = ip->protocol,
	};
	return true;
}

static __always_inline bool plain_key6(const struct pkt *p, struct shunt_flow6_key *key)
{
	const struct ipv6hdr *ip = (void *)(p->eth + 1);
	const __be16 *ports = (void *)(ip + 1);

	if ((void *)(ports + 2) > p->end)
		return false;
	copy_ipv6(key->saddr, &ip->saddr);
	copy_ipv6(key->daddr, &ip->daddr);
	key->sport = ports[0];
	key->dport = ports[1];
	key->proto = ip->nexthdr;
	__builtin_memset(key->_pad, 0, sizeof(key->_pad));
	return true;
}

/* A packet that the index of services has not. */
static __always_inline int plain_no_service(const struct pkt *p, const struct plain_flow *f,
					    bool more, const struct shunt_switches *on)
{
	const __u64 *word = f->vip.word;

	if (on->nat)
		return PLAIN_LONG;
	if ((more || on->ranges || on->prefixes) &&
	    service_may_have(hash_addr_bit(word[0], word[1])))
		return PLAIN_LONG;
	return V_PASS_NO_SERVICE;
}

/* The word of struct shunt_service that says most of it at once; its bytes, the least first. */
#define LONG_WAY_AT	   offsetof(struct shunt_service, affinity)
#define LONG_WAY_OF(field) (0xffULL << 8 * (offsetof(struct shunt_service, field) - LONG_WAY_AT))
#define LONG_WAY                                                                                   \
	(LONG_WAY_OF(affinity) | LONG_WAY_OF(routed) | LONG_WAY_OF(cid) | LONG_WAY_OF(guard))
_Static_assert(LONG_WAY_AT % 8 == 0 && offsetof(struct shunt_service, guard) < LONG_WAY_AT + 8,
	       "one aligned word");
_Static_assert(offsetof(struct shunt_switches, guard4) % 2 == 0 &&
		       offsetof(struct shunt_switches, guard6) ==
			       offsetof(struct shunt_switches, guard4) + 1,
	       "one aligned word");

/* Is there no block or allow list of the whole node? */
static __always_inline bool plain_node(const struct shunt_switches *on)
{
	return !*(const volatile __u16 *)&on->guard4;
}

/* Has the service nothing that takes the long way? */
static __always_inline bool plain_service(const struct pkt *p)
{
	const struct shunt_service *svc = p->svc;
	__u64 word = *(const volatile __u64 *)((const void *)svc + LONG_WAY_AT);

	return !(word & LONG_WAY) && !(svc->mss && p->tcp_flags & TCP_SYN);
}

/* Fills p->backend, unless the table of flows has to be asked or another draw is due. */
static __always_inline void plain_select(struct pkt *p)
{
	struct draw d = {};

	if (p->svc->tracking == SHUNT_TRACK_ALWAYS) {
		if (flow_cache_serves(p))
			(void)flow_cache_find(p);
		return;
	}
	draw_slot_of(p->svc->index, p->hash, &d);
	if (d.slot.old && p->svc->tracking != SHUNT_TRACK_NEVER)
		return;
	p->new_flow = pkt_is_syn(p);
	p->backend = backend_find(d.slot.backend);
}

static __always_inline enum verdict plain_nat(struct xdp_md *ctx, const struct pkt *p)
{
	struct nat_work *w = nat_work();

	if (!w || !(p->family == 4 ? plain_key4(p, &w->client.v4) : plain_key6(p, &w->client.v6)))
		return V_NEXT;
	return nat_forward_flow(ctx, p, w);
}

/* A packet that is too big goes the long way to be answered: nothing of it is changed by then. */
static __always_inline int plain_forward(struct xdp_md *ctx, struct pkt *p)
{
	enum verdict v;

	if (p->backend->forward == SHUNT_FORWARD_NAT)
		v = plain_nat(ctx, p);
	else
		v = forward_packet(ctx, p);
	return v == V_DROP_TOO_BIG || v == V_NEXT ? PLAIN_LONG : v;
}

static __always_inline int plain_way(struct xdp_md *ctx, struct pkt *p, const struct plain_flow *f)
{
	const struct shunt_switches *on = switches_find();
	const struct shunt_exact_row *row;
	__u64 hash = f->hash;
	enum verdict v;
	bool more = true;

	/* To be made now: later, all that it is made from would have to be kept. */
	barrier_var(hash);
	if (!on)
		return PLAIN_LONG;
	row = exact_find(&f->vip, &more);
	if (!row)
		return plain_no_service(p, f, more, on);
	p->svc = &row->service;
	if (!plain_node(on) || !plain_service(p))
		return PLAIN_LONG;
	v = service_steers(p);
	if (v != V_NEXT)
		return v;
	p->hash = hash;
	plain_select(p);
	return p->backend ? plain_forward(ctx, p) : PLAIN_LONG;
}

/* Returns an action of XDP, or one of enum plain. The two families part at once, so that neither pays for
 * what the other one's addresses take. */
static __always_inline int plain_steer(struct xdp_md *ctx)
{
	struct plain_flow f;
	struct pkt p = {};
	const __be16 *proto;
	int v = PLAIN_NOT;

	pkt_reload(ctx, &p);
	proto = (const void *)p.eth + TAGS_AT;
	p.defect = V_NEXT;
	p.l2_len = ETH_HLEN;
	if ((void *)(p.eth + 1) > p.end || is_group_frame(&p))
		return PLAIN_NOT;
	if (*proto == bpf_htons(ETH_P_IP)) {
		if (plain_ipv4(&p, &f))
			v = plain_way(ctx, &p, &f);
	} else if (*proto == bpf_htons(ETH_P_IPV6)) {
		if (plain_ipv6(&p, &f))
			v = plain_way(ctx, &p, &f);
	}
	if (v < 0)
		return v;
	if (v == V_PASS_NO_SERVICE) { /* which nobody but the node counts */
		count_verdict(v);
		return XDP_PASS;
	}
	return verdict_finish(&p, v);
}

static __always_inline __u8 plain_tcp_flags(const struct pkt *p, const __u8 *l4)
{
	if (p->proto != IPPROTO_TCP || (void *)(l4 + sizeof(struct tcphdr)) > p->end)
		return 0;
	return l4[13];
}

static __always_inline bool plain_keep4(struct pkt *p)
{
	const struct iphdr *ip = (void *)(p->eth + 1);

	if (!plain_key4(p, &p->flow4))
		return false;
	parse_len(p, ip, bpf_ntohs(ip->tot_len));
	p->l3_len = sizeof(*ip);
	p->family = 4;
	p->proto = ip->protocol;
	p->tos = ip->tos;
	p->tcp_flags = plain_tcp_flags(p, (void *)(ip + 1));
	return true;
}

static __always_inline bool plain_keep6(struct pkt *p)
{
	const struct ipv6hdr *ip = (void *)(p->eth + 1);

	if (!plain_key6(p, &p->flow6))
		return false;
	parse_len(p, ip, sizeof(*ip) + bpf_ntohs(ip->payload_len));
	p->l3_len = sizeof(*ip);
	p->family = 6;
	p->proto = ip->nexthdr;
	p->tos = bpf_ntohl(*(const __be32 *)ip) >> 20;
	p->tcp_flags = plain_tcp_flags(p, (void *)(ip + 1));
	return true;
}

/* For PLAIN_LONG: fills p as parse_packet() does. p: as there. All of it is read anew from the frame: to be
 * kept along the short way, it would have to be put into memory. False: the packet is not plain. */
static __always_inline bool plain_keep(struct pkt *p)
{
	p->defect = V_NEXT;
	p->l2_len = ETH_HLEN;
	if ((void *)(p->eth + 1) > p->end)
		return false;
	return p->eth->h_proto == bpf_htons(ETH_P_IP) ? plain_keep4(p) : plain_keep6(p);
}

#endif
