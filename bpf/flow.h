/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [3] The backend of a flow: the one that its table entry names, else the one that the ring names.
 *
 * A flow is met first in the pending table and moves to the flow table with the first packet after
 * its SYN (UDP: with its second packet), so packets that nobody follows up never displace a flow
 * that lives. An entry is void once nothing came for the idle time of its state, and stale when its
 * backend is gone or down.
 */
#ifndef SHUNT_BPF_FLOW_H
#define SHUNT_BPF_FLOW_H

#include <linux/in.h>

#include "bpf/maps.h"
#include "bpf/pkt.h"
#include "bpf/select.h"
#include "bpf/settings.h"

#define NS_PER_S 1000000000LL

/* Another processor may have stamped the entry a moment after we read the clock: ages are signed. */
static __always_inline __s64 flow_age_ns(const struct shunt_flow *f, __u64 now)
{
	return (__s64)(now - f->seen_ns);
}

static __always_inline bool flow_is_void(const struct pkt *p, const struct shunt_flow *f, __u64 now)
{
	__u32 state = f->state;

	if (state >= SHUNT_FLOW_STATE_COUNT)
		return true;
	return flow_age_ns(f, now) > p->svc->idle_s[state] * NS_PER_S;
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
	const struct shunt_backend *be = backend_find(f->backend);

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
					 __u64 now)
{
	__u8 state = flow_next_state(p, f->state);

	if (chosen && f->backend != p->backend->id) {
		f->backend = p->backend->id;
		f->seen_ns = now;
	}
	if (f->state != state)
		f->state = state;
	if (flow_age_ns(f, now) > NS_PER_S)
		f->seen_ns = now;
	return state;
}

/* Enter a flow that no table knows. A reset is the last of its flow: there is nothing to keep. */
static __always_inline void flow_start(struct pkt *p, void *pending, const void *key, __u64 now)
{
	struct shunt_flow f = {.backend = p->backend->id, .state = SHUNT_FLOW_SYN, .seen_ns = now};

	if (p->tcp_flags & TCP_RST)
		return;
	if (p->proto == IPPROTO_UDP)
		f.state = SHUNT_FLOW_UDP;
	else if (p->tcp_flags & TCP_FIN)
		f.state = SHUNT_FLOW_FIN;
	if (bpf_map_update_elem(pending, key, &f, BPF_ANY))
		p->untracked = true;
	else
		p->new_flow = true;
}

/* The pending entry may be another flow's by now (flow_refresh): not a copy of it. */
static __always_inline void flow_promote(struct pkt *p, void *flows, void *pending, const void *key,
					 __u8 state, __u64 now)
{
	struct shunt_flow f = {.backend = p->backend->id, .state = state, .seen_ns = now};

	if (bpf_map_update_elem(flows, key, &f, BPF_ANY))
		p->untracked = true;
	else
		(void)bpf_map_delete_elem(pending, key); /* at worst evicted already */
}

static __always_inline enum verdict flow_track(struct pkt *p, void *flows, void *pending,
					       const void *key)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct shunt_flow *f = bpf_map_lookup_elem(flows, key);
	bool is_pending = false, chosen = false;
	enum verdict v;
	__u8 state;

	if (!f || flow_is_void(p, f, now)) {
		f = bpf_map_lookup_elem(pending, key);
		is_pending = true;
	}
	if (f && flow_is_void(p, f, now))
		f = NULL;
	if (!f || !flow_adopt(p, f)) {
		v = select_backend(p);
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
		flow_start(p, pending, key, now);
		return V_NEXT;
	}
	state = flow_refresh(p, f, chosen, now);
	if (is_pending && !pkt_is_syn(p))
		flow_promote(p, flows, pending, key, state, now);
	return V_NEXT;
}

static __always_inline enum verdict flow_or_select(struct pkt *p)
{
	if (p->family == 4)
		p->hash = hash_flow4(&p->flow4, settings.hash_seed[0], settings.hash_seed[1]);
	else
		p->hash = hash_flow6(&p->flow6, settings.hash_seed[0], settings.hash_seed[1]);

	if (p->backend) /* a fragment, which goes where its first one went */
		return V_NEXT;
	if (p->svc->tracking == SHUNT_TRACK_NEVER) {
		p->new_flow = pkt_is_syn(p);
		return select_backend(p);
	}
	if (p->family == 4)
		return flow_track(p, &sh_flow4, &sh_pend4, &p->flow4);
	return flow_track(p, &sh_flow6, &sh_pend6, &p->flow6);
}

#endif
