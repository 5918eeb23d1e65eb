/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [6] The only way out of the program: counts what became of the packet and tells the driver. */
#ifndef SHUNT_BPF_VERDICT_H
#define SHUNT_BPF_VERDICT_H

#include "bpf/maps.h"
#include "bpf/pkt.h"

static __always_inline void count_service(const struct pkt *p, __u32 index, enum verdict v)
{
	struct shunt_svc_stats *s = bpf_map_lookup_elem(&sh_svc_stats, &index);
	__u32 reply = p->peek == PEEK_REPLY;
	__u32 note = p->note;
	/* What was answered may have been dropped all the same: the answer says so. */
	__u32 reason = (v == V_ANSWER ? p->defect : v) - V_DROP_FIRST;

	if (!s)
		return;
	barrier_var(
		reply); /* else clang 14 computes an address from it, of which nothing is known */
	if (reply) {
		s->count[SHUNT_COUNT_REPLY_PACKETS]++;
		s->count[SHUNT_COUNT_REPLY_BYTES] += p->ip_len;
	} else {
		s->count[SHUNT_COUNT_PACKETS]++;
		s->count[SHUNT_COUNT_BYTES] += p->ip_len;
	}
	/* Most packets are none of these. */
	if (p->new_flow | p->untracked | p->stale | p->limited) {
		s->count[SHUNT_COUNT_NEW_FLOWS] += p->new_flow;
		s->count[SHUNT_COUNT_UNTRACKED] += p->untracked;
		s->count[SHUNT_COUNT_STALE] += p->stale;
		s->count[SHUNT_COUNT_INSERT_LIMITED] += p->limited;
	}
	if (note) {
		barrier_var(
			note); /* or the compiler makes one comparison of two, on another number */
		if (note < SHUNT_COUNT_COUNT)
			s->count[note]++;
	}
	if (reason < SHUNT_DROP_COUNT)
		s->drop[reason]++;
}

/* Has the backend got it? */
static __always_inline bool is_delivered(enum verdict v)
{
	return v == V_TX || v == V_REDIRECT || v == V_PASS_LOCAL;
}

static __always_inline void count_backend(const struct pkt *p, enum verdict v)
{
	__u32 index = SHUNT_ID_INDEX(p->backend->id);
	struct shunt_be_stats *s = bpf_map_lookup_elem(&sh_be_stats, &index);

	if (!s)
		return;
	if (is_delivered(v)) {
		s->packets++;
		s->bytes += p->ip_len;
	}
	if (p->new_flow)
		s->new_flows++;
}

static __always_inline void count_verdict(__u32 name)
{
	__u64 *count = bpf_map_lookup_elem(&sh_verdicts, &name);

	if (count)
		(*count)++;
}

static __always_inline int verdict_finish(const struct pkt *p, enum verdict v)
{
	count_verdict(v >= V_DROP_FIRST ? V_DROP : v);
	if (p->svc)
		count_service(p, p->svc->index, v);
	else if (p->addr_row)
		count_service(p, p->addr_row - 1, v);
	if (p->backend)
		count_backend(p, v);
	if (v == V_TX || v == V_ANSWER)
		return XDP_TX;
	if (v == V_REDIRECT)
		return XDP_REDIRECT;
	return v >= V_DROP_FIRST ? XDP_DROP : XDP_PASS;
}

#endif
