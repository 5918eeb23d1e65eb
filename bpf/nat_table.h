/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5a] The entries of NAT flows: keys, when one is void, what a packet makes of its state. Shared by
 * nat.h, nat_port.h and nat_icmp.h.
 *
 * The work is done in global functions, which the kernel verifies once and not again for each way
 * that leads to them. They know of the packet what struct nat_work says, and its bytes by ctx. None
 * calls another, for the sake of the stack: the program calls them one after the other, each after
 * a V_NEXT.
 */
#ifndef SHUNT_BPF_NAT_TABLE_H
#define SHUNT_BPF_NAT_TABLE_H

#include <linux/in.h>

#include "bpf/clock.h"
#include "bpf/encap.h"
#include "bpf/flow.h"
#include "bpf/maps.h"
#include "bpf/nat_rewrite.h"
#include "bpf/pkt.h"
#include "bpf/service.h"

union nat_key {
	struct shunt_flow4_key v4;
	struct shunt_flow6_key v6;
};

/*
 * A packet, and where its keys and entries are put together. Not on the stack, of which all functions
 * that call each other have 512 bytes; and a packet is never interrupted by another one on the same
 * processor, so one of these is enough for each.
 */
struct nat_work {
	/* What is known of the packet. */
	struct nat_headers at;
	struct nat_headers quoted; /* those that an ICMP error holds */
	__u8 family, proto, tcp_flags;
	__u8 reply;  /* from a backend to a client */
	__u8 routed; /* leaves by hop, and not by the way that entry names */
	__u8 later;  /* a fragment without a transport header */
	struct hop hop;
	__u32 service; /* row, of one to the backend */
	__u32 backend; /* id */
	__u32 ip_len;
	__u64 hash;
	__u64 now;

	/* The two keys of its flow: of what the client sends, and of what the backend does. */
	union nat_key client;
	union nat_key reply_key;

	struct shunt_nat entry;		/* as it is, or is to be; its ends are always filled */
	struct shunt_nat_source source; /* what the backend takes for the client */
	struct nat_tuple to;		/* what the packet, or the one that it quotes, becomes */
	__be32 error_saddr[4];		/* from whom an ICMP error comes, or is to come */
	struct shunt_vip_key vip;	/* under which the packet's service was found */
	struct shunt_vip_key tried;	/* under which another one is looked for */
	union nat_key former;		/* client's key of a flow whose port is taken over */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct nat_work);
	__uint(max_entries, 1);
} sh_nat_work SEC(".maps");

static __noinline struct nat_work *nat_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sh_nat_work, &zero);
}

/* Are there backends of forward NAT at all? */
static __noinline bool nat_is_on(void)
{
	__u32 zero = 0;
	const struct shunt_switches *s = bpf_map_lookup_elem(&sh_switches, &zero);

	return s && s->nat;
}

/* What the parser knows. */
static __always_inline void nat_describe(struct nat_work *w, const struct pkt *p)
{
	w->at.l3 = p->l2_len;
	w->at.l4 = p->l2_len + p->l3_len;
	w->family = p->family;
	w->proto = p->proto;
	w->tcp_flags = p->tcp_flags;
	w->ip_len = p->ip_len;
	w->routed = 0;
	w->later = p->frag == FRAG_LATER;
}

static __always_inline void nat_copy_addr(__be32 to[4], const __be32 from[4])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline bool nat_same_addr(const __be32 a[4], const __be32 b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* The key of packets from one address and port to another. Addresses as in struct shunt_nat. */
static __always_inline void nat_key_fill(union nat_key *key, __u8 family, __u8 proto,
					 const __be32 saddr[4], __be16 sport, const __be32 daddr[4],
					 __be16 dport)
{
	if (family == 4) {
		key->v4 = (struct shunt_flow4_key){
			.saddr = saddr[0],
			.daddr = daddr[0],
			.sport = sport,
			.dport = dport,
			.proto = proto,
		};
		return;
	}
	nat_copy_addr(key->v6.saddr, saddr);
	nat_copy_addr(key->v6.daddr, daddr);
	key->v6.sport = sport;
	key->v6.dport = dport;
	key->v6.proto = proto;
	key->v6._pad[0] = key->v6._pad[1] = key->v6._pad[2] = 0;
}

static __always_inline struct shunt_nat *nat_find(__u8 family, const void *key)
{
	if (family == 4)
		return bpf_map_lookup_elem(&sh_nat_rev4, key);
	return bpf_map_lookup_elem(&sh_nat_rev6, key);
}

static __always_inline long nat_put(__u8 family, const void *key, const struct shunt_nat *e,
				    __u64 flags)
{
	if (family == 4)
		return bpf_map_update_elem(&sh_nat_rev4, key, e, flags);
	return bpf_map_update_elem(&sh_nat_rev6, key, e, flags);
}

static __always_inline void nat_delete(__u8 family, const void *key)
{
	if (family == 4)
		(void)bpf_map_delete_elem(&sh_nat_rev4, key);
	else
		(void)bpf_map_delete_elem(&sh_nat_rev6, key);
}

static __always_inline struct shunt_nat_source *nat_source_find(__u8 family, const void *key)
{
	if (family == 4)
		return bpf_map_lookup_elem(&sh_nat_fwd4, key);
	return bpf_map_lookup_elem(&sh_nat_fwd6, key);
}

static __always_inline long nat_source_put(__u8 family, const void *key,
					   const struct shunt_nat_source *s, __u64 flags)
{
	if (family == 4)
		return bpf_map_update_elem(&sh_nat_fwd4, key, s, flags);
	return bpf_map_update_elem(&sh_nat_fwd6, key, s, flags);
}

static __always_inline void nat_source_delete(__u8 family, const void *key)
{
	if (family == 4)
		(void)bpf_map_delete_elem(&sh_nat_fwd4, key);
	else
		(void)bpf_map_delete_elem(&sh_nat_fwd6, key);
}

/* The service of an entry, as long as there is one that steers. */
static __noinline const struct shunt_service *nat_service(struct nat_work *w,
							  const struct shunt_nat *e)
{
	const struct shunt_service *svc;

	nat_copy_addr(w->tried.addr, e->service);
	if (e->vip_prefix_len)
		addr_mask(w->tried.addr, e->vip_prefix_len);
	w->tried.port = e->vip_port;
	w->tried.proto = w->proto;
	w->tried.family = w->family;
	w->tried.port_hi = e->vip_port_hi;
	w->tried.prefix_len = e->vip_prefix_len;
	svc = bpf_map_lookup_elem(&sh_services, &w->tried);
	return svc && svc->action == SHUNT_ACTION_STEER ? svc : NULL;
}

/*
 * The key under which a packet to an address and port finds its service, into w->vip. Not for global
 * functions: they call none. False: there is none that steers.
 */
static __noinline bool nat_vip_find(struct nat_work *w)
{
	struct shunt_vip_key *key = &w->vip;
	const struct shunt_service *svc;

	*key = (struct shunt_vip_key){.proto = w->proto, .family = w->family};
	if (w->family == 4) {
		key->addr[0] = w->client.v4.daddr;
		key->port = w->client.v4.dport;
	} else {
		nat_copy_addr(key->addr, w->client.v6.daddr);
		key->port = w->client.v6.dport;
	}
	svc = bpf_map_lookup_elem(&sh_services, key);
	if (!svc && service_find_wide(key))
		svc = bpf_map_lookup_elem(&sh_services, key);
	return svc && svc->action == SHUNT_ACTION_STEER;
}

static __always_inline void nat_note_vip(const struct nat_work *w, struct shunt_nat *e)
{
	e->vip_port = w->vip.port;
	e->vip_port_hi = w->vip.port_hi;
	e->vip_prefix_len = w->vip.prefix_len;
}

/* Is there a service at w->source? What is sent there would be its. */
static __always_inline bool nat_source_listens(struct nat_work *w)
{
	nat_copy_addr(w->tried.addr, w->source.addr);
	w->tried.port = w->source.port;
	w->tried.proto = w->proto;
	w->tried.family = w->family;
	w->tried.port_hi = 0;
	w->tried.prefix_len = 0;
	return bpf_map_lookup_elem(&sh_services, &w->tried);
}

/* Does it still stand for a flow: is there its service, its backend, and was there a packet? */
static __always_inline bool nat_is_live(struct nat_work *w, const struct shunt_nat *e)
{
	const struct shunt_service *svc = nat_service(w, e);
	__u32 state;

	if (!svc || !backend_find_far(e->backend))
		return false;
	/* Right before its use: Linux 6.1 does not know any more what was kept on the stack between. */
	state = e->state;
	if (state >= SHUNT_FLOW_STATE_COUNT)
		return false;
	return (__s64)(w->now - e->seen_ns) <= svc->idle_s[state] * NS_PER_S;
}

/* Is the entry that of the flow of w->entry, as far as client and service go? */
static __always_inline bool nat_is_of(const struct shunt_nat *e, const struct nat_work *w)
{
	return e->client_port == w->entry.client_port && e->service_port == w->entry.service_port &&
	       nat_same_addr(e->client, w->entry.client) &&
	       nat_same_addr(e->service, w->entry.service);
}

/* w->client, from the ends that w->entry has. */
static __always_inline void nat_client_key(struct nat_work *w)
{
	const struct shunt_nat *e = &w->entry;

	nat_key_fill(&w->client, w->family, w->proto, e->client, e->client_port, e->service,
		     e->service_port);
}

/* What the client or the backend said in this packet, on top of what is known. */
static __always_inline __u8 nat_next_flags(const struct nat_work *w, __u8 flags)
{
	if (w->reply)
		flags |= SHUNT_NAT_ANSWERED;
	if (w->tcp_flags & TCP_FIN)
		flags |= w->reply ? SHUNT_NAT_BACKEND_FIN : SHUNT_NAT_CLIENT_FIN;
	return flags;
}

/*
 * The state of a flow after a packet; flags: after it too. Both sides are seen here, so a connection
 * is established once both have spoken, and closed when both have said so (or one has broken it):
 * one that is half closed may go on for long.
 */
static __always_inline __u8 nat_next_state(const struct nat_work *w, __u8 state, __u8 flags)
{
	const __u8 both = SHUNT_NAT_CLIENT_FIN | SHUNT_NAT_BACKEND_FIN;

	if (w->proto == IPPROTO_UDP)
		return SHUNT_FLOW_UDP;
	if (w->tcp_flags & TCP_RST || (flags & both) == both)
		return SHUNT_FLOW_FIN;
	if (state == SHUNT_FLOW_SYN && !(w->tcp_flags & TCP_SYN) && flags & SHUNT_NAT_ANSWERED)
		return SHUNT_FLOW_ESTABLISHED;
	return state;
}

/* A packet of the client's that opens a connection, and does nothing else. */
static __always_inline bool nat_is_open(const struct nat_work *w)
{
	return !w->reply && (w->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Written to only where it changes: the cache line is shared. */
static __always_inline void nat_refresh(const struct nat_work *w, struct shunt_nat *e)
{
	__u8 flags = nat_next_flags(w, e->flags), state = e->state;

	if (state == SHUNT_FLOW_FIN && nat_is_open(w)) { /* from the same port once more */
		flags &= SHUNT_NAT_SOURCE;
		state = SHUNT_FLOW_SYN;
	}
	state = nat_next_state(w, state, flags);
	if (e->state != state)
		e->state = state;
	if (e->flags != flags)
		e->flags = flags;
	if ((__s64)(w->now - e->seen_ns) > NS_PER_S)
		e->seen_ns = w->now;
}

#endif
