/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [4a] Flows from some sources go by another ring than their service's. */
#ifndef SHUNT_BPF_ROUTE_H
#define SHUNT_BPF_ROUTE_H

#include "bpf/maps.h"
#include "bpf/pkt.h"

/* The row of sh_svc_rings that the source is sent to: the longest prefix decides, without one the
 * service itself. flow: of the family, which has its source first. A global function, to be verified
 * once. */
__noinline __u32 route_ring(__u32 service, __u8 family, const struct shunt_flow6_key *flow)
{
	struct shunt_lpm_key key = {
		.prefixlen = SHUNT_LPM_SCOPE_BITS + (family == 4 ? 32 : 128),
		.scope = SHUNT_LPM_SCOPE(service, family),
	};
	const struct shunt_route *route;

	if (!flow)
		return service;
	key.addr[0] = flow->saddr[0];
	for (int i = 1; i < 4; i++)
		key.addr[i] = family == 4 ? 0 : flow->saddr[i];
	route = bpf_map_lookup_elem(&sh_routes, &key);
	return route ? route->index : service;
}

#endif
