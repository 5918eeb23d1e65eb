/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [5b] What each service has of the tables of NAT. Half of a table is divided among the services that
 * use it, and nobody else gets any of a share; the other half is for whoever comes first. So a service
 * under a flood fills its own share and the common half, and the flows of others still begin.
 *
 * An entry is on the account of its service from when it is made until it is deleted or another one takes
 * its place. The accounts are of all processors, and may be off by what happens at one moment: user
 * space counts the tables from time to time and sets them right (l4/nat_share.c).
 */
#ifndef SHUNT_BPF_NAT_SHARE_H
#define SHUNT_BPF_NAT_SHARE_H

#include "bpf/maps.h"
#include "bpf/nat_table.h"

static __always_inline struct shunt_nat_share *nat_share_of(__u32 row)
{
	return bpf_map_lookup_elem(&sh_nat_shares, &row);
}

/* No account goes below zero. */
static __always_inline __u32 nat_account_drop(__u32 *account)
{
	__u32 before = __sync_fetch_and_sub(account, 1);

	if (!before)
		__sync_fetch_and_add(account, 1);
	return before;
}

/* One entry less. */
static __noinline void nat_share_give(__u32 service, __u8 family)
{
	struct shunt_nat_share *share = nat_share_of(service);
	struct shunt_nat_share *common = nat_share_of(SHUNT_NAT_COMMON);
	__u32 i = family == 6;

	if (share && common && nat_account_drop(&share->flows[i]) > share->own[i])
		nat_account_drop(&common->flows[i]);
}

/* One entry more. False: its share is used up, and the common half too. */
static __always_inline bool nat_share_take(__u32 service, __u8 family)
{
	struct shunt_nat_share *share = nat_share_of(service);
	struct shunt_nat_share *common = nat_share_of(SHUNT_NAT_COMMON);
	__u32 i = family == 6;

	if (!share || !common)
		return true;
	if (__sync_fetch_and_add(&share->flows[i], 1) < share->own[i] || !share->own[i])
		return true;
	if (__sync_fetch_and_add(&common->flows[i], 1) < common->own[i])
		return true;
	nat_account_drop(&common->flows[i]);
	nat_account_drop(&share->flows[i]);
	return false;
}

/* The entry goes, or becomes another flow's. */
static __always_inline void nat_share_give_of(struct nat_work *w, const struct shunt_nat *e)
{
	const struct shunt_service *svc = nat_service(w, e);

	if (svc)
		nat_share_give(svc->index, w->family);
}

#endif
