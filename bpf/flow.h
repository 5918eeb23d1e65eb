/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3] The backend of a flow: the one that its table entry names, else the one that the ring names.
 *
 * Which flows have entries is the service's `tracking`: all of them, none, or those that began in a
 * slot of the ring that is moving. A flow is met first in the pending table and moves to the flow
 * table with the first packet after its SYN (UDP: with its second packet), so packets that nobody
 * follows up never displace a flow that lives. An entry is void once nothing came for the idle time
 * of its state, and stale when its backend is gone or down.
 */
#ifndef SHUNT_BPF_FLOW_H
#define SHUNT_BPF_FLOW_H

#include <linux/in.h>

#include "bpf/clock.h"
#include "bpf/flow_cache.h"
#include "bpf/guard.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/select.h"
#include "bpf/settings.h"

#define NS_PER_S 1000000000LL

/* How old an entry's stamp may get before it is brought up to date: its cache line is shared by all
 * processors. With the ticks of flow_cache.h less than the second that is added to all idle times for
 * this (STAMP_LATE_S in l4/desired.c). */
#define FLOW_STAMP_NS (NS_PER_S / 4)

/* In the table of the packet's family. */
static __always_inline struct shunt_flow *flow_find(const struct pkt *p)
{
	struct shunt_flow *f;

	if (p->family == 4)
		return bpf_map_lookup_elem(&sh_flow4, &p->flow4);
	f = bpf_map_lookup_elem(&sh_flow6, &p->flow6);
	/* Or the compiler makes one call of the two: for a table that it does not know the kernel takes
	 * a slower one. */
	barrier_var(f);
	return f;
}

static __always_inline struct shunt_flow *flow_find_pending(const struct pkt *p)
{
	struct shunt_flow *f;

	if (p->family == 4)
		return bpf_map_lookup_elem(&sh_pend4, &p->flow4);
	f = bpf_map_lookup_elem(&sh_pend6, &p->flow6);
	barrier_var(f);
	return f;
}

/* What is known of a flow besides the packet. */
struct lookup {
	struct draw draw;	   /* empty until it is asked for, where all flows have entries */
	struct shunt_stamp *stamp; /* of a moving slot, where not all have; else NULL */
	__u64 now_ns;
	__u16 generation; /* of the flow, where it may be cached */
	bool cache;
};

/* Another processor may have stamped the entry a moment after we read the clock: ages are signed. */
static __always_inline __s64 ticks_age_ns(__u32 ticks, __u64 now_ns)
{
	return (__s64)(__s32)(SHUNT_TICKS(now_ns) - ticks) * (1LL << SHUNT_TICK_SHIFT);
}

/*
 * Entries are not kept up to date while their slot is settled: one from before it began to move may
 * be of a former connection of the same ports. (What it names is what `old` names, unless that
 * backend was dead meanwhile.)
 */
static __always_inline bool flow_is_former(const struct lookup *l, const struct shunt_flow *f)
{
	__u32 since = l->stamp ? l->stamp->since_ticks : 0;

	return since && (__s32)(f->seen_ticks - since) < 0;
}

static __always_inline bool flow_is_void(const struct pkt *p, const struct lookup *l,
					 const struct shunt_flow *f)
{
	__u32 state = f->state;

	if (state >= SHUNT_FLOW_STATE_COUNT || flow_is_former(l, f))
		return true;
	return ticks_age_ns(f->seen_ticks, l->now_ns) > p->svc->idle_s[state] * NS_PER_S;
}

/* The state of a flow in `state` after packet p. */
static __always_inline __u8 flow_next_state(const struct pkt *p, __u8 state)
{
	if (p->proto == IPPROTO_UDP)
		return SHUNT_FLOW_UDP;
	if (p->tcp_flags & (TCP_FIN | TCP_RST))
		return SHUNT_FLOW_FIN;
	if (pkt_is_syn(p) || state == SHUNT_FLOW_FIN)
		return state;
	return SHUNT_FLOW_ESTABLISHED;
}

/*
 * Does the packet follow its entry? Fills p->backend then. A SYN follows a live entry too: anyone
 * can send one with a forged source, and it must not tear a connection from its backend. It opens a
 * new connection where the former one has ended or should not be renewed (draining).
 */
static __always_inline bool flow_adopt(struct pkt *p, const struct shunt_flow *f)
{
	const struct shunt_backend *be = backend_find_far(f->backend);

	if (!be)
		p->stale = true;
	else if (!pkt_is_syn(p) || (f->state != SHUNT_FLOW_FIN && be->state == SHUNT_BACKEND_UP))
		p->backend = be;
	return p->backend;
}

/*
 * Bring an entry up to date. Written to only where it changes: its cache line is shared. And the
 * backend only where it was chosen anew: another processor can promote or evict the flow at any
 * moment, the table then gives the memory to another one at once, and that must not be moved.
 * Returns the state.
 */
static __always_inline __u8 flow_refresh(struct pkt *p, struct shunt_flow *f, bool chosen,
					 __u64 now_ns)
{
	__u8 state = flow_next_state(p, f->state);

	if (chosen && f->backend != p->backend->id) {
		f->backend = p->backend->id;
		f->seen_ticks = SHUNT_TICKS(now_ns);
	}
	if (f->state != state)
		f->state = state;
	if (ticks_age_ns(f->seen_ticks, now_ns) > FLOW_STAMP_NS)
		f->seen_ticks = SHUNT_TICKS(now_ns);
	/* The service has got another row, or the hash another key. (Which row a source route leads to
	 * is not worth a look-up for each packet.) */
	if (!p->svc->routed && (f->service != p->svc->index || f->hash != p->hash >> 32)) {
		f->service = p->svc->index;
		f->hash = p->hash >> 32;
	}
	return state;
}

static __always_inline struct shunt_flow flow_entry(const struct pkt *p, __u8 state, __u64 now_ns)
{
	return (struct shunt_flow){
		.backend = p->backend->id,
		.hash = p->hash >> 32,
		.seen_ticks = SHUNT_TICKS(now_ns),
		.service = ring_row(p),
		.state = state,
	};
}

/*
 * May the service make one more entry? Each service has an account of its own, so that a flood for
 * one does not push the new flows of another out of the pending table. An entry costs insert_ns;
 * what is not used is kept for SHUNT_INSERT_BURST_NS.
 */
static __always_inline bool flow_may_start(struct pkt *p, __u64 now_ns)
{
	__u32 index = p->svc->index;
	struct shunt_insert *account;

	if (!p->svc->insert_ns)
		return true;
	account = bpf_map_lookup_elem(&sh_svc_inserts, &index);
	if (!account)
		return true;
	if ((__s64)(account->paid_ns - now_ns) > SHUNT_INSERT_BURST_NS) {
		p->limited = true;
		return false;
	}
	if ((__s64)(account->paid_ns - now_ns) < 0)
		account->paid_ns = now_ns;
	account->paid_ns += p->svc->insert_ns;
	return true;
}

/* Enter a flow that no table knows. */
static __always_inline void flow_start(struct pkt *p, __u64 now_ns)
{
	struct shunt_flow f = flow_entry(p, SHUNT_FLOW_SYN, now_ns);
	long err;

	if (p->proto == IPPROTO_UDP)
		f.state = SHUNT_FLOW_UDP;
	else if (p->tcp_flags & TCP_FIN)
		f.state = SHUNT_FLOW_FIN;
	if (p->family == 4)
		err = bpf_map_update_elem(&sh_pend4, &p->flow4, &f, BPF_ANY);
	else
		err = bpf_map_update_elem(&sh_pend6, &p->flow6, &f, BPF_ANY);
	if (err)
		p->untracked = true;
	else
		p->new_flow = true;
}

/* The pending entry may be another flow's by now (flow_refresh): not a copy of it. */
static __always_inline void flow_promote(struct pkt *p, __u8 state, __u64 now_ns)
{
	struct shunt_flow f = flow_entry(p, state, now_ns);
	long err;

	if (p->family == 4)
		err = bpf_map_update_elem(&sh_flow4, &p->flow4, &f, BPF_ANY);
	else
		err = bpf_map_update_elem(&sh_flow6, &p->flow6, &f, BPF_ANY);
	if (err)
		p->untracked = true;
	else if (p->family == 4)
		(void)bpf_map_delete_elem(&sh_pend4, &p->flow4); /* at worst evicted already */
	else
		(void)bpf_map_delete_elem(&sh_pend6, &p->flow6);
}

/* By whom the flows of a moving slot are served that no table knows. Fills p->backend. */
static __always_inline enum verdict flow_stay(struct pkt *p, struct lookup *l)
{
	p->backend = backend_find_far(l->draw.slot.old);
	if (!p->backend)
		return select_backend(p, &l->draw);
	if (!p->peek && l->stamp && ticks_age_ns(l->stamp->old_ticks, l->now_ns) > NS_PER_S)
		l->stamp->old_ticks = SHUNT_TICKS(l->now_ns);
	return V_NEXT;
}

/*
 * A flow that no table knows. In a moving slot it is an old one, unless it opens a connection (UDP
 * does not say: where all flows have entries it is taken for a new one, else for an old one); a new
 * one that may have no entry goes where it will be looked for when it is unknown again.
 * Fills p->backend; says whether the flow is to have an entry.
 */
static __always_inline enum verdict flow_place(struct pkt *p, struct lookup *l, bool *ret_enter)
{
	bool always = p->svc->tracking == SHUNT_TRACK_ALWAYS;
	bool opens = !p->peek && (pkt_is_syn(p) || (always && p->proto == IPPROTO_UDP));

	/* A reset is the last packet of its flow: there is nothing to keep. */
	*ret_enter = (always || opens) && !p->peek && !(p->tcp_flags & TCP_RST) &&
		     flow_may_start(p, l->now_ns);
	if (!l->draw.slot.old || (opens && (*ret_enter || p->proto == IPPROTO_UDP)))
		return select_backend(p, &l->draw);
	return flow_stay(p, l);
}

static __always_inline enum verdict flow_track(struct pkt *p, struct lookup *l)
{
	struct shunt_flow *f = flow_find(p);
	bool is_pending = false, chosen = false, enter = false;
	enum verdict v;
	__u8 state;

	if (!f || flow_is_void(p, l, f)) {
		f = flow_find_pending(p);
		is_pending = true;
	}
	if (f && flow_is_void(p, l, f))
		f = NULL;
	/* Before the flow takes of what entries there may be: floods that are dropped take nothing. */
	if (!f && !p->peek && p->svc->tracking == SHUNT_TRACK_ALWAYS) {
		v = guard_new_flow(p);
		if (v != V_NEXT)
			return v;
	}
	if (!f || !flow_adopt(p, f)) {
		if (p->svc->tracking == SHUNT_TRACK_ALWAYS)
			draw_slot(p, &l->draw);
		v = f ? select_backend(p, &l->draw) : flow_place(p, l, &enter);
		if (v != V_NEXT)
			return v;
		chosen = true;
		/* A SYN that starts over, where it is not the retransmission of another one. */
		if (f && pkt_is_syn(p) && f->state != SHUNT_FLOW_SYN) {
			f->state = SHUNT_FLOW_SYN;
			p->new_flow = true;
		}
	}
	if (p->peek)
		return V_NEXT;
	if (!f) {
		if (enter)
			flow_start(p, l->now_ns);
		if (enter || pkt_is_syn(p))
			flow_cache_void(p);
		return V_NEXT;
	}
	state = flow_refresh(p, f, chosen, l->now_ns);
	if (is_pending && !pkt_is_syn(p))
		flow_promote(p, state, l->now_ns);
	if (chosen)
		flow_cache_void(p);
	else if (l->cache && !is_pending)
		flow_cache_put(p, l->generation);
	return V_NEXT;
}

/* flow: of the family. A global function, to be verified once. */
__noinline __u64 flow_affinity_hash(__u8 family, __u8 affinity, const struct shunt_flow6_key *flow)
{
	__u64 seed0 = settings.hash_seed[0], seed1 = settings.hash_seed[1];

	if (!flow)
		return 0;
	if (family == 4)
		return hash_affinity4((const void *)flow, affinity, seed0, seed1);
	return hash_affinity6(flow, affinity, seed0, seed1);
}

static __always_inline void flow_hash(struct pkt *p)
{
	if (p->svc->affinity != SHUNT_AFFINITY_FLOW)
		p->hash = flow_affinity_hash(p->family, p->svc->affinity, &p->flow6);
	else if (p->family == 4)
		p->hash = hash_flow4(&p->flow4, settings.hash_seed[0], settings.hash_seed[1]);
	else
		p->hash = hash_flow6(&p->flow6, settings.hash_seed[0], settings.hash_seed[1]);
}

static __always_inline enum verdict flow_or_select(struct pkt *p)
{
	struct lookup l = {};

	flow_hash(p);
	if (p->backend) /* named by the packet itself (quic.h), or by its first fragment */
		return V_NEXT;
	if (p->svc->tracking != SHUNT_TRACK_ALWAYS) {
		draw_slot(p, &l.draw);
		if (!l.draw.slot.old || p->svc->tracking == SHUNT_TRACK_NEVER) {
			p->new_flow = pkt_is_syn(p);
			return select_backend(p, &l.draw);
		}
		l.stamp = bpf_map_lookup_elem(&sh_stamps, &l.draw.at);
	} else if (flow_cache_serves(p)) {
		if (flow_cache_find(p))
			return V_NEXT;
		l.cache = flow_generation_now(p->hash, &l.generation);
	}
	l.now_ns = clock_now_ns();
	return flow_track(p, &l);
}

#endif
