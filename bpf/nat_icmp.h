/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [2a] ICMP errors about packets of NAT flows. Each quotes the beginning of the packet that it is
 * about, as that packet was where the error happened, and is brought to the one who sent it, with
 * the quotation as it was there: this is how path MTU discovery and "port unreachable" work through
 * NAT. Eight bytes of the quoted transport header are enough.
 *
 * Errors about packets to the backend go to the client, as from the service (what stands between
 * is not the client's to see, nor would its addresses pass everywhere). Errors about replies go to
 * the backend.
 */
#ifndef SHUNT_BPF_NAT_ICMP_H
#define SHUNT_BPF_NAT_ICMP_H

#include <linux/icmpv6.h>

#include "bpf/icmp.h"
#include "bpf/icmp_send.h"
#include "bpf/nat.h"
#include "bpf/parse.h"

/* The same in both families; the quotation stands behind it. */
struct icmp_error {
	__u8 type, code;
	__u16 check;
	__be32 rest;
};

/* Does the error, as long as its IP header says, have so many bytes of the quoted transport header? What
 * else is in the frame is no part of it. */
static __always_inline bool nat_quotes(const struct nat_work *w, __u32 len)
{
	return w->quoted.l4 + len <= w->at.l3 + w->ip_len;
}

/* The checksum in the quoted transport header, if it is there: see nat_fix_l4(). */
static __always_inline __u64 nat_fix_quoted(const struct nat_work *w, __be16 *ports,
					    const void *end, __u64 change)
{
	__u32 to_check = w->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check)
						 : offsetof(struct udphdr, check);

	if (!nat_quotes(w, to_check + sizeof(__u16)))
		return 0;
	return nat_fix_l4(ports, end, w->proto, change);
}

/* ---- reading ---- */

/*
 * An error about TCP or UDP, whole as it says, and sent to who sent that? Fills in w->quoted where
 * its parts are, and w->to with what it quotes. Returns an enum verdict.
 */
__noinline int nat_error4_read(struct xdp_md *ctx, struct nat_work *w)
{
	const __be16 fragment = bpf_htons(IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS);
	struct cursor cur = {.end = (void *)(long)ctx->data_end};
	const struct icmp_error *icmp;
	const struct iphdr *ip, *inner;
	const __be16 *ports;

	if (!w)
		return V_PASS_PROTOCOL;
	cur.pos = nat_at(ctx, w->at.l3);
	ip = cursor_take(&cur, sizeof(*ip));
	if (!ip || ip->version != 4 || ip->ihl < 5 || ip->protocol != IPPROTO_ICMP ||
	    ip->frag_off & fragment)
		return V_PASS_PROTOCOL;
	w->at.l4 = w->at.l3 + ip->ihl * 4;
	cur.pos = nat_at(ctx, w->at.l4);
	icmp = cursor_take(&cur, sizeof(*icmp));
	inner = cursor_take(&cur, sizeof(*inner));
	if (!icmp || !inner ||
	    (icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED &&
	     icmp->type != ICMP_PARAMETERPROB))
		return V_PASS_PROTOCOL;
	if (inner->version != 4 || inner->ihl < 5 ||
	    inner->frag_off & bpf_htons(IPV4_OFFSET_MASK) || !has_ports(inner->protocol) ||
	    ip->daddr != inner->saddr)
		return V_PASS_PROTOCOL;
	w->quoted.l3 = w->at.l4 + sizeof(*icmp);
	w->quoted.l4 = w->quoted.l3 + inner->ihl * 4;
	w->proto = inner->protocol;
	w->ip_len = bpf_ntohs(ip->tot_len);
	for (int i = 1; i < 4; i++)
		w->to.saddr[i] = w->to.daddr[i] = 0;
	w->error_saddr[0] = ip->saddr;
	w->to.saddr[0] = inner->saddr;
	w->to.daddr[0] = inner->daddr;
	if (w->ip_len > cur.end - (void *)ip)
		return V_PASS_PROTOCOL;
	cur.pos = nat_at(ctx, w->quoted.l4);
	ports = cursor_take(&cur, QUOTED_L4);
	if (!ports || !nat_quotes(w, QUOTED_L4))
		return V_PASS_PROTOCOL;
	w->to.sport = ports[0];
	w->to.dport = ports[1];
	return V_NEXT;
}

__noinline int nat_error6_read(struct xdp_md *ctx, struct nat_work *w)
{
	struct cursor cur = {.end = (void *)(long)ctx->data_end};
	const struct icmp_error *icmp;
	const struct ipv6hdr *ip, *inner;
	const __be16 *ports;

	if (!w)
		return V_PASS_PROTOCOL;
	cur.pos = nat_at(ctx, w->at.l3);
	ip = cursor_take(&cur, sizeof(*ip));
	icmp = cursor_take(&cur, sizeof(*icmp));
	inner = cursor_take(&cur, sizeof(*inner));
	ports = cursor_take(&cur, QUOTED_L4);
	if (!ip || !icmp || !inner || !ports || ip->version != 6 || ip->nexthdr != IPPROTO_ICMPV6)
		return V_PASS_PROTOCOL;
	if (icmp->type < ICMPV6_DEST_UNREACH || icmp->type > ICMPV6_PARAMPROB ||
	    inner->version != 6 || !has_ports(inner->nexthdr) ||
	    !nat_same_addr(ip->daddr.s6_addr32, inner->saddr.s6_addr32))
		return V_PASS_PROTOCOL;
	w->at.l4 = w->at.l3 + sizeof(*ip);
	w->quoted.l3 = w->at.l4 + sizeof(*icmp);
	w->quoted.l4 = w->quoted.l3 + sizeof(*inner);
	w->proto = inner->nexthdr;
	w->ip_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	copy_ipv6(w->error_saddr, &ip->saddr);
	copy_ipv6(w->to.saddr, &inner->saddr);
	copy_ipv6(w->to.daddr, &inner->daddr);
	w->to.sport = ports[0];
	w->to.dport = ports[1];
	if (w->ip_len > cur.end - (void *)ip || !nat_quotes(w, QUOTED_L4))
		return V_PASS_PROTOCOL;
	return V_NEXT;
}

/* ---- whose it is ---- */

/*
 * Of w: w->to, the addresses and ports of the quoted packet. Fills w->to, which that becomes, w->entry with the
 * flow's ends and the way out, w->reply, and w->error_saddr where it has to be another one. V_NEXT, or
 * V_PASS_PROTOCOL: it is of no flow of ours.
 */
__noinline int nat_find_quoted(struct xdp_md *ctx)
{
	const struct eth_frame *eth = (void *)(long)ctx->data;
	struct nat_work *w = nat_work();
	const struct shunt_backend *be;
	const struct shunt_nat_source *source;
	const struct shunt_nat *e;

	if (!w || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return V_PASS_PROTOCOL;
	w->now = clock_now_ns_far();
	/* A packet to the backend? Its reply would be the other way round, like the error itself. */
	nat_key_fill(&w->reply_key, w->family, w->proto, w->to.daddr, w->to.dport, w->to.saddr,
		     w->to.sport);
	e = nat_find(w->family, &w->reply_key);
	if (e) {
		if (!nat_is_to_us(ctx, eth, e) || !nat_is_live(w, e))
			return V_PASS_PROTOCOL;
		w->reply = 1;
		w->entry = *e;
		nat_copy_addr(w->error_saddr, e->service);
		nat_copy_addr(w->to.saddr, e->client);
		nat_copy_addr(w->to.daddr, e->service);
		w->to.sport = e->client_port;
		w->to.dport = e->service_port;
		return V_NEXT;
	}
	/* Or one to the client, from a service. */
	w->reply = 0;
	nat_copy_addr(w->entry.client, w->to.daddr);
	nat_copy_addr(w->entry.service, w->to.saddr);
	w->entry.client_port = w->to.dport;
	w->entry.service_port = w->to.sport;
	nat_client_key(w);
	source = nat_source_find(w->family, &w->client);
	if (!source)
		return V_PASS_PROTOCOL;
	w->source = *source;
	be = backend_find_far(w->source.backend);
	if (!be || be->forward != SHUNT_FORWARD_NAT || be->family != w->family)
		return V_PASS_PROTOCOL;
	nat_reply_key(w, be); /* and the backend's end into w->to.daddr, dport */
	e = nat_find(w->family, &w->reply_key);
	if (!e || !nat_is_of(e, w) || !nat_is_live(w, e))
		return V_PASS_PROTOCOL;
	w->entry = *e;
	w->backend = be->id;
	nat_note_way(&w->entry, ctx->ingress_ifindex, eth, w->at.l3);
	nat_copy_addr(w->to.saddr, w->to.daddr);
	w->to.sport = w->to.dport;
	nat_copy_addr(w->to.daddr, w->source.addr);
	w->to.dport = w->source.port;
	if (w->entry.flags & SHUNT_NAT_SOURCE) /* it may have no route to any other address */
		nat_copy_addr(w->error_saddr, w->source.addr);
	return V_NEXT;
}

/* ---- writing ---- */

/* Of w: what nat_error4_read() and nat_find_quoted() have found. Returns an enum verdict. */
__noinline int nat_error4_rewrite(struct xdp_md *ctx, const struct nat_work *w)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip, *inner;
	struct icmp_error *icmp;
	__be16 *ports;
	__u64 change, ports_change;
	__u16 inner_check;
	enum verdict v;

	if (!w)
		return V_DROP_FORWARD;
	ip = nat_at(ctx, w->at.l3);
	icmp = nat_at(ctx, w->at.l4);
	inner = nat_at(ctx, w->quoted.l3);
	ports = nat_at(ctx, w->quoted.l4);
	if ((void *)(ip + 1) > end || (void *)(icmp + 1) > end || (void *)(inner + 1) > end ||
	    (void *)(ports + 2) > end)
		return V_DROP_TRUNCATED;
	v = nat_hop_ipv4(ip);
	if (v != V_NEXT)
		return v;
	inner_check = inner->check;
	change = nat_put_ipv4(inner, w->to.saddr[0], w->to.daddr[0]);
	ports_change = nat_put_ports(ports, &w->to);
	change += ports_change + nat_fix_quoted(w, ports, end, change + ports_change);
	change += csum_change(inner_check, inner->check);
	icmp->check = csum_update(icmp->check, change);
	nat_put_ipv4(ip, w->error_saddr[0], w->to.saddr[0]);
	return V_NEXT;
}

__noinline int nat_error6_rewrite(struct xdp_md *ctx, const struct nat_work *w)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip, *inner;
	struct icmp_error *icmp;
	__be16 *ports;
	enum verdict v;
	__u64 change;

	if (!w)
		return V_DROP_FORWARD;
	ip = nat_at(ctx, w->at.l3);
	icmp = nat_at(ctx, w->at.l4);
	inner = nat_at(ctx, w->quoted.l3);
	ports = nat_at(ctx, w->quoted.l4);
	if ((void *)(ip + 1) > end || (void *)(icmp + 1) > end || (void *)(inner + 1) > end ||
	    (void *)(ports + 2) > end)
		return V_DROP_TRUNCATED;
	v = nat_hop_ipv6(ip);
	if (v != V_NEXT)
		return v;
	change = nat_put_addr6(&inner->saddr, w->to.saddr);
	change += nat_put_addr6(&inner->daddr, w->to.daddr);
	change += nat_put_ports(ports, &w->to);
	change += nat_fix_quoted(w, ports, end, change);
	/* The outer addresses are in the sum too (RFC 4443, 2.3). */
	change += nat_put_addr6(&ip->saddr, w->error_saddr);
	change += nat_put_addr6(&ip->daddr, w->to.saddr);
	icmp->check = csum_update(icmp->check, change);
	return V_NEXT;
}

/* By the first byte of the IP header: behind tags the type stands at various places. */
static __always_inline __u8 nat_family(const struct pkt *p)
{
	const __u8 *first = pkt_l3(p);

	return (void *)(first + 1) <= p->end && *first >> 4 == 6 ? 6 : 4;
}

/* A packet that is neither TCP nor UDP: an ICMP error about one of ours? */
static __always_inline enum verdict nat_icmp(struct xdp_md *ctx, struct pkt *p)
{
	struct nat_work *w = nat_work();
	enum verdict v;

	if (!nat_is_on() || !w)
		return V_PASS_PROTOCOL;
	pkt_reload(ctx, p);
	if ((void *)(p->eth + 1) > p->end || p->eth->h_dest[0] & 1)
		return V_PASS_PROTOCOL;
	nat_describe(w, p);
	w->tcp_flags = 0;
	w->family = nat_family(p);
	v = w->family == 4 ? nat_error4_read(ctx, w) : nat_error6_read(ctx, w);
	if (v == V_NEXT)
		v = nat_find_quoted(ctx);
	if (v != V_NEXT)
		return V_PASS_PROTOCOL;
	nat_attribute(p, w);
	if (p->backend)
		v = nat_route(ctx, w, p->backend);
	if (v != V_NEXT)
		return v;
	v = w->family == 4 ? nat_error4_rewrite(ctx, w) : nat_error6_rewrite(ctx, w);
	return v == V_NEXT ? nat_send(ctx, w) : v;
}

#endif
