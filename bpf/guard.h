/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [2a] May the packet go on? Block and allow lists of the node, then the limits of its service: what
 * it takes for abuse, what one source may send, how many flows may be new. Only packets for a
 * service come here.
 *
 * All that a service counts and all that is blocked on its account is its own: a flood of one never
 * changes what becomes of another's packets.
 */
#ifndef SHUNT_BPF_GUARD_H
#define SHUNT_BPF_GUARD_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "bpf/clock.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/syncookie.h"

/* Packets of a source are counted in windows of this length, and limits are by the second. */
#define GUARD_WINDOW_NS 1000000000ULL

/* How soon user space is told again of a block for which the ring had no room. */
#define GUARD_TELL_AGAIN_NS 100000000ULL

/* Entries that are void and stand above one another until user space removes them. */
#define GUARD_VOID_ENTRIES 4

/*
 * What the functions below ask about, apart from struct pkt: they are global ones, which the kernel
 * verifies once and not again for each way to them, and it lets such a function have plain memory
 * but no pointers in it.
 */
struct guard_query {
	__be32 saddr[4]; /* IPv4 in word 0 */
	__u32 service;	 /* row */
	__u32 len;	 /* of the packet behind its IP header */
	__u64 until_ns;	 /* guard_find: when the entry that was found is void; 0: never */
	__u8 family;
	__u8 tcp_flags; /* 0 for UDP */
	__u8 is_tcp;	/* 1: a TCP header without a defect */
	__u8 opens;	/* 1: it begins a flow */
	__u8 guards;	/* of the service: SHUNT_GUARDS_* */
	__u8 l3;	/* where the IP header stands */
	__u16 l4;	/* and the transport's */
};

/* ---- lists ---- */

enum guard_listed { GUARD_NOT_LISTED, GUARD_LISTED_BLOCK, GUARD_LISTED_ALLOW };

/*
 * The entry for the packet's source in a scope, the longest prefix first. The clock is read only
 * where there is an entry that ends. One that has ended hides those of shorter prefixes until it is
 * removed, perhaps for long where no daemon runs: they are asked for then. Returns an enum
 * guard_listed.
 */
__noinline __u32 guard_find(struct guard_query *q, __u32 scope)
{
	struct shunt_guard4_key key4 = {.prefix_len = SHUNT_SCOPE_BITS + 32, .scope = scope};
	struct shunt_guard6_key key6 = {.prefix_len = SHUNT_SCOPE_BITS + 128, .scope = scope};

	if (!q)
		return GUARD_NOT_LISTED;
	key4.addr = q->saddr[0];
	__builtin_memcpy(key6.addr, q->saddr, sizeof(key6.addr));
	for (int i = 0; i < GUARD_VOID_ENTRIES; i++) {
		const struct shunt_guard_entry *e;

		if (q->family == 4)
			e = bpf_map_lookup_elem(&sh_guard4, &key4);
		else
			e = bpf_map_lookup_elem(&sh_guard6, &key6);
		if (!e)
			return GUARD_NOT_LISTED;
		q->until_ns = e->expires_ns;
		if (!q->until_ns || clock_now_ns_far() < q->until_ns)
			return e->action == SHUNT_GUARD_ALLOW ? GUARD_LISTED_ALLOW
							      : GUARD_LISTED_BLOCK;
		if (!e->prefix_len)
			return GUARD_NOT_LISTED;
		key4.prefix_len = key6.prefix_len = SHUNT_SCOPE_BITS + e->prefix_len - 1;
	}
	return GUARD_NOT_LISTED;
}

/* ---- limits by time taken ---- */

/*
 * A flow takes one_ns of a time that passes by itself, up to burst_ns in advance (one at least). *taken is where
 * the time is taken up to: one word, for all processors. Over the limit it is only read, so that a
 * flood does not fight for its cache line.
 */
static __always_inline bool guard_take(__u64 *taken, __u64 one_ns, __u64 burst_ns, __u64 now)
{
	__u64 was = *(volatile __u64 *)taken, ahead = burst_ns > one_ns ? burst_ns - one_ns : 0;

	if (!one_ns)
		return true;
	if ((__s64)(was - now) < 0)
		(void)__sync_val_compare_and_swap(taken, was, now); /* or another one did */
	else if (was - now > ahead)
		return false;
	was = __sync_fetch_and_add(taken, one_ns);
	if ((__s64)(was - now) <= (__s64)ahead)
		return true;
	(void)__sync_fetch_and_add(taken, -one_ns); /* others were quicker */
	return false;
}

/* ---- sources ---- */

static __always_inline void guard_source_key(const struct guard_query *q,
					     const struct shunt_svc_guard *g,
					     struct shunt_source_key *key)
{
	*key = (struct shunt_source_key){.scope = g->scope, .family = q->family};
	if (q->family == 4) {
		key->addr[0] = q->saddr[0] & g->mask4;
		return;
	}
	for (int i = 0; i < 4; i++)
		key->addr[i] = q->saddr[i] & g->mask6[i];
}

/* Too much for the stack, of which all functions on the way here have 512 bytes together. The
 * program's own, made with it: nothing in it outlives a packet. */
struct guard_work {
	struct shunt_guard_event event;
	struct shunt_source source;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct guard_work);
	__uint(max_entries, 1);
} sh_guard_work SEC(".maps");

static __noinline struct guard_work *guard_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_guard_work, &zero);
}

/* Tell user space of a block. False: the ring is full. */
static __always_inline bool guard_tell(struct guard_work *w, const struct shunt_source_key *key,
				       const struct shunt_svc_guard *g, __u64 until, __u8 reason)
{
	w->event = (struct shunt_guard_event){
		.until_ns = until,
		.source = *key,
		.prefix_len = key->family == 4 ? g->prefix_len4 : g->prefix_len6,
		.reason = reason,
	};
	return !bpf_ringbuf_output(&sh_events, &w->event, sizeof(w->event), 0);
}

/*
 * From here on the program drops what the source sends. Written under the source's key and not into
 * the entry at hand: the table may have given that to another source by now.
 */
static __noinline void guard_block(const struct shunt_source_key *key,
				   const struct shunt_svc_guard *g, __u64 now, __u8 reason)
{
	struct guard_work *w = guard_work();
	__u64 until = now + g->block_ns;

	if (!w)
		return;
	w->source = (struct shunt_source){.blocked_until_ns = until, .reason = reason};
	if (!guard_tell(w, key, g, until, reason))
		w->source.tell_ns = now + GUARD_TELL_AGAIN_NS;
	(void)bpf_map_update_elem(&sh_sources, key, &w->source, BPF_ANY);
}

/* A block for which the ring had no room. */
static __always_inline void guard_tell_again(const struct shunt_source_key *key,
					     const struct shunt_svc_guard *g,
					     struct shunt_source *s, __u64 now)
{
	struct guard_work *w;

	if (!s->tell_ns || now < s->tell_ns)
		return;
	w = guard_work();
	if (!w)
		return;
	s->tell_ns = now + GUARD_TELL_AGAIN_NS;
	if (guard_tell(w, key, g, s->blocked_until_ns, s->reason))
		s->tell_ns = 0;
}

/* The first packet of a source, or the first since the table forgot it: its block may be on the
 * service's list all the same. */
static __always_inline enum verdict
guard_source_enter(struct guard_query *q, const struct shunt_source_key *key, __u64 now)
{
	struct guard_work *w = guard_work();
	bool blocked = guard_find(q, key->scope) == GUARD_LISTED_BLOCK && q->until_ns > now;

	if (!w)
		return V_NEXT;
	w->source = (struct shunt_source){.window_ns = now};
	if (blocked)
		w->source.blocked_until_ns = q->until_ns;
	(void)bpf_map_update_elem(&sh_sources, key, &w->source, BPF_NOEXIST);
	return blocked ? V_DROP_BLOCKED : V_NEXT;
}

/* Is the source blocked, or to be blocked for this packet? abuse: enum shunt_guard_reason, or 0. */
static __always_inline enum verdict
guard_source(struct guard_query *q, const struct shunt_svc_guard *g, __u64 now, __u8 abuse)
{
	struct shunt_source_key key;
	struct shunt_source *s;
	enum verdict v;

	guard_source_key(q, g, &key);
	s = bpf_map_lookup_elem(&sh_sources, &key);
	if (!s) {
		v = guard_source_enter(q, &key, now);
		if (v != V_NEXT)
			return v;
		s = bpf_map_lookup_elem(&sh_sources, &key);
	}
	if (!s)
		return V_NEXT;
	if (s->blocked_until_ns > now) {
		guard_tell_again(&key, g, s, now);
		return V_DROP_BLOCKED;
	}
	if (abuse && g->block_abuse) {
		guard_block(&key, g, now, abuse);
		return V_DROP_ABUSE;
	}
	if ((__s64)(now - s->window_ns) >= (__s64)GUARD_WINDOW_NS) {
		s->window_ns = now;
		s->packets = 0;
	}
	if (__sync_fetch_and_add(&s->packets, 1) >= g->packets_per_source &&
	    g->packets_per_source) {
		guard_block(&key, g, now, SHUNT_REASON_PACKET_RATE);
		return V_DROP_BLOCKED;
	}
	if (!abuse && q->opens && !guard_take(&s->taken_ns, g->source_flow_ns, g->burst_ns, now))
		return V_DROP_SOURCE_RATE;
	return V_NEXT;
}

/* ---- abuse ---- */

/* FIN, RST and SYN do not go together, and a segment without any of SYN, ACK and RST belongs to no
 * connection (RFC 9293). */
static __always_inline bool guard_flags_are_bad(__u8 flags)
{
	if (!(flags & (TCP_SYN | TCP_ACK | TCP_RST)))
		return true;
	return (flags & TCP_SYN) && (flags & (TCP_FIN | TCP_RST));
}

/* What stands behind the TCP header. */
static __always_inline __u32 guard_payload(struct xdp_md *ctx, const struct guard_query *q)
{
	const __u8 *tcp = frame_at(ctx, q->l4 & PKT_L3_MAX);
	__u32 header;

	if ((void *)(tcp + 20) > frame_end(ctx))
		return 0;
	header = (tcp[12] >> 4) * 4;
	return q->len > header ? q->len - header : 0;
}

/* Returns an enum shunt_guard_reason; 0: nothing is wrong. */
static __always_inline __u8 guard_abuse(struct xdp_md *ctx, const struct guard_query *q,
					const struct shunt_svc_guard *g)
{
	if (!q->is_tcp)
		return 0;
	if (g->bad_flags && guard_flags_are_bad(q->tcp_flags))
		return SHUNT_REASON_BAD_FLAGS;
	if (q->opens && g->syn_payload && guard_payload(ctx, q) > g->syn_payload)
		return SHUNT_REASON_SYN_PAYLOAD;
	return 0;
}

/* ---- all of it ---- */

static __always_inline bool guard_looks_at_sources(const struct shunt_svc_guard *g)
{
	return g->packets_per_source || g->source_flow_ns || g->block_abuse;
}

/* May the service have one more flow? */
static __noinline enum verdict guard_service_rate(__u32 service)
{
	const struct shunt_svc_guard *g = bpf_map_lookup_elem(&sh_svc_guard, &service);
	struct shunt_svc_flood *f = bpf_map_lookup_elem(&sh_svc_flood, &service);

	if (g && f && !guard_take(&f->taken_ns, g->flow_ns, g->burst_ns, clock_now_ns_far()))
		return V_DROP_SERVICE_RATE;
	return V_NEXT;
}

/* May the source have one more flow? For those that guard_conduct() could not know to be new. */
__noinline __u32 guard_source_rate(struct guard_query *q)
{
	const struct shunt_svc_guard *g;
	struct shunt_source_key key;
	struct shunt_source *s;
	__u32 service;

	if (!q)
		return V_NEXT;
	service = q->service;
	g = bpf_map_lookup_elem(&sh_svc_guard, &service);
	if (!g)
		return V_NEXT;
	guard_source_key(q, g, &key);
	s = bpf_map_lookup_elem(&sh_sources, &key);
	if (s && !guard_take(&s->taken_ns, g->source_flow_ns, g->burst_ns, clock_now_ns_far()))
		return V_DROP_SOURCE_RATE;
	return V_NEXT;
}

/* Of both families, without a branch: the source stands at the same place. */
static __always_inline void guard_ask(const struct pkt *p, struct guard_query *q)
{
	bool is_tcp = p->proto == IPPROTO_TCP && p->defect == V_NEXT && p->frag != FRAG_LATER;

	*q = (struct guard_query){
		.service = p->svc->index,
		.len = p->ip_len - p->l3_len,
		.family = p->family,
		.tcp_flags = is_tcp ? p->tcp_flags : 0,
		.is_tcp = is_tcp,
		.opens = is_tcp && pkt_is_syn(p),
		.guards = p->svc->guard,
		.l3 = p->l2_len,
		.l4 = p->l2_len + p->l3_len,
	};
	__builtin_memcpy(q->saddr, p->flow6.saddr, sizeof(q->saddr));
}

/* What the packet and its source have done: an enum verdict. */
static __always_inline enum verdict guard_conduct(struct xdp_md *ctx, struct guard_query *q)
{
	const struct shunt_svc_guard *g;
	__u64 now = clock_now_ns_far();
	enum verdict v = V_NEXT;
	__u32 service = q->service;
	__u8 abuse;

	g = bpf_map_lookup_elem(&sh_svc_guard, &service);
	if (!g)
		return V_NEXT;
	abuse = guard_abuse(ctx, q, g);
	if (guard_looks_at_sources(g))
		v = guard_source(q, g, now, abuse);
	return v == V_NEXT && abuse ? V_DROP_ABUSE : v;
}

/*
 * What costs a source least is asked first, so that one which is over its own limits takes nothing
 * of the service's. Where SYN cookies are in use a flow is new once its client has answered: until
 * then nobody knows whether there is a client. Returns an enum verdict; the frame may have moved.
 */
__noinline __u32 guard_limits(struct xdp_md *ctx, struct guard_query *q)
{
	__u32 v = V_NEXT;
	bool opens;

	if (!q)
		return V_NEXT;
	opens = q->opens;
	if (q->guards & SHUNT_GUARDS_LIMITS)
		v = guard_conduct(ctx, q);
	if (v == V_NEXT && (q->guards & SHUNT_GUARDS_COOKIES) && q->is_tcp) {
		v = cookie_check(ctx, q->service, q->l3);
		if (v == V_COOKIE_GOOD) {
			opens = true;
			v = V_NEXT;
		}
	}
	if (v == V_NEXT && opens)
		v = guard_service_rate(q->service);
	return v;
}

/*
 * The flow of packet p is about to enter a table. TCP flows begin with a SYN, which guard_check()
 * has counted already; of a UDP flow only the table knows that it is new.
 */
static __noinline enum verdict guard_new_flow(const struct pkt *p)
{
	struct guard_query q;
	enum verdict v;

	if (!(p->svc->guard & SHUNT_GUARDS_LIMITS) || p->exempt || p->proto != IPPROTO_UDP)
		return V_NEXT;
	guard_ask(p, &q);
	v = guard_source_rate(&q);
	return v == V_NEXT ? guard_service_rate(q.service) : v;
}

/*
 * The lists are of the node: whether there are any is a byte that changes at once for all services.
 * The limits are of a service, whose record is at hand. A packet of a node and a service without
 * either pays for the two questions.
 */
static __always_inline enum verdict guard_check(struct xdp_md *ctx, struct pkt *p)
{
	__u32 zero = 0, listed;
	const volatile struct shunt_switches *on = bpf_map_lookup_elem(&sh_switches, &zero);
	bool lists = on && (p->family == 4 ? on->guard4 : on->guard6);
	struct guard_query q;
	enum verdict v;

	if (!lists && !p->svc->guard)
		return V_NEXT;
	guard_ask(p, &q);
	if (lists) {
		listed = guard_find(&q, SHUNT_SCOPE_NODE);
		if (listed == GUARD_LISTED_BLOCK)
			return V_DROP_BLOCKED;
		p->exempt = listed == GUARD_LISTED_ALLOW;
	}
	if (p->exempt || !p->svc->guard)
		return V_NEXT;
	v = guard_limits(ctx, &q);
	pkt_reload(ctx, p);
	return v;
}

#endif
