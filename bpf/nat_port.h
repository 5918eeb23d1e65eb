/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5c] A source of our own for a flow: one of the backend row's addresses, and a port that no other
 * flow to the same backend has. The table of replies is the register of who has which: a port is
 * taken by making its entry, in one step, where there is none.
 */
#ifndef SHUNT_BPF_NAT_PORT_H
#define SHUNT_BPF_NAT_PORT_H

#include <linux/errno.h>

#include "bpf/hash.h"
#include "bpf/nat_share.h"
#include "bpf/nat_table.h"
#include "bpf/select.h"

/*
 * How many ports are tried. With a share u of them taken, u^64 of new flows find none: one in a
 * thousand at 90 %, one in 27 at 95 %. Sixteen would refuse one in six at 90 % already.
 */
#define NAT_ATTEMPTS 64

/* One flow's search. Candidates are start, start + step, ... in the space of all addresses and ports;
 * start and step are of the keyed hash, so that nobody else can tell which come next. */
struct nat_search {
	struct nat_work *work;
	const struct shunt_backend *be;
	__u32 at, step, space;
	int found; /* 1: taken; -1: the table is full */
};

/* The backend's address, in the order of words of struct shunt_nat. */
static __always_inline void nat_backend_addr(const struct shunt_backend *be, __be32 addr[4])
{
	if (be->family == 4) {
		addr[0] = be->dst[3];
		addr[1] = addr[2] = addr[3] = 0;
		return;
	}
	nat_copy_addr(addr, be->dst);
}

/* From w->source and the row: the key of replies. */
static __always_inline void nat_reply_key(struct nat_work *w, const struct shunt_backend *be)
{
	nat_backend_addr(be, w->to.daddr);
	w->to.dport = be->port ? be->port : w->entry.service_port;
	nat_key_fill(&w->reply_key, w->family, w->proto, w->to.daddr, w->to.dport, w->source.addr,
		     w->source.port);
}

/* Candidate n of the space, into w->source. */
static __always_inline void nat_candidate(struct nat_work *w, const struct shunt_backend *be,
					  __u32 n)
{
	__u32 count = be->nat_port_count ? be->nat_port_count : 1;
	__be32 mask = be->src_entropy;
	__be32 last = (be->src[3] & ~mask) | (bpf_htonl(n / count) & mask);

	w->source.port = bpf_htons(be->nat_port_low + n % count);
	if (be->family == 4) {
		w->source.addr[0] = last;
		w->source.addr[1] = w->source.addr[2] = w->source.addr[3] = 0;
		return;
	}
	w->source.addr[0] = be->src[0];
	w->source.addr[1] = be->src[1];
	w->source.addr[2] = be->src[2];
	w->source.addr[3] = last;
}

/* The other half of a pair whose entry is about to be another flow's. */
static __always_inline void nat_forget_source(struct nat_work *w, const struct shunt_nat *e)
{
	const struct shunt_nat_source *source;

	if (nat_is_of(e, w))
		return; /* to be replaced */
	nat_key_fill(&w->former, w->family, w->proto, e->client, e->client_port, e->service,
		     e->service_port);
	source = nat_source_find(w->family, &w->former);
	if (source && source->port == w->source.port && nat_same_addr(source->addr, w->source.addr))
		nat_source_delete(w->family, &w->former);
}

/*
 * Take over a port whose flow is void, or was this one before. Only one processor can: who sets seen_ns first makes it live
 * for all others. The other half of the former pair goes too.
 */
static __always_inline bool nat_take_over(struct nat_work *w)
{
	struct shunt_nat *e = nat_find(w->family, &w->reply_key);
	__u64 seen;

	if (!e)
		return false; /* went this moment: the next one will do */
	seen = e->seen_ns;
	if (!nat_is_of(e, w) && nat_is_live(w, e))
		return false;
	if (__sync_val_compare_and_swap(&e->seen_ns, seen, w->now) != seen)
		return false;
	nat_share_give_of(w, e);
	nat_forget_source(w, e);
	return nat_put(w->family, &w->reply_key, &w->entry, BPF_ANY) == 0;
}

/* bpf_loop()'s function: 1 ends the search. */
static long nat_try_port(__u32 round, void *ctx)
{
	struct nat_search *s = ctx;
	struct nat_work *w = s->work;
	long err;

	nat_candidate(w, s->be, s->at);
	s->at = ((__u64)s->at + s->step) % s->space;
	if (nat_source_listens(w))
		return 0;
	nat_reply_key(w, s->be);
	err = nat_put(w->family, &w->reply_key, &w->entry, BPF_NOEXIST);
	if (err == -EEXIST && nat_take_over(w))
		err = 0;
	if (!err)
		s->found = 1;
	else if (err != -EEXIST)
		s->found = -1;
	return s->found != 0;
}

/*
 * Find a source for the flow of w->entry, and enter it by the key of its replies. Leaves w->source and
 * w->to filled.
 */
static __always_inline enum verdict nat_claim_source(struct nat_work *w,
						     const struct shunt_backend *be)
{
	__u64 hash = hash_again(w->hash); /* w->hash itself has chosen the backend */
	struct nat_search s = {.work = w, .be = be};

	s.space = (bpf_ntohl(be->src_entropy) + 1) * be->nat_port_count;
	if (!s.space)
		return V_DROP_NAT_PORTS;
	s.at = hash_to_slot(hash, s.space);
	/* Odd, and so in few common factors with the space; one by one where it can be gone through. */
	s.step = s.space > NAT_ATTEMPTS ? hash_entropy(hash) | 1 : 1;
	bpf_loop(NAT_ATTEMPTS, nat_try_port, &s, 0);
	if (s.found <= 0)
		return s.found ? V_DROP_NAT_FULL : V_DROP_NAT_PORTS;
	return V_NEXT;
}

#endif
