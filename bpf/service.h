/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * [2] Whose packet is it? Services that this host terminates end here: their packets go up the
 * stack as they came, defects and all, since the stack has its own opinion of those.
 */
#ifndef SHUNT_BPF_SERVICE_H
#define SHUNT_BPF_SERVICE_H

#include "bpf/maps.h"
#include "bpf/pkt.h"

static __always_inline const struct shunt_service *service_lookup(const struct pkt *p)
{
	struct shunt_vip_key key = {.proto = p->proto, .family = p->family};

	if (p->family == 4) {
		key.addr[0] = p->flow4.daddr;
		key.port = p->flow4.dport;
	} else {
		key.addr[0] = p->flow6.daddr[0];
		key.addr[1] = p->flow6.daddr[1];
		key.addr[2] = p->flow6.daddr[2];
		key.addr[3] = p->flow6.daddr[3];
		key.port = p->flow6.dport;
	}
	return bpf_map_lookup_elem(&sh_services, &key);
}

/* Do services listen on the packet's destination, on whatever port? NULL: none. */
static __always_inline const struct shunt_vip *addr_lookup(const struct pkt *p)
{
	struct shunt_addr_key key = {.family = p->family};

	if (p->family == 4) {
		key.addr[0] = p->flow4.daddr;
	} else {
		key.addr[0] = p->flow6.daddr[0];
		key.addr[1] = p->flow6.daddr[1];
		key.addr[2] = p->flow6.daddr[2];
		key.addr[3] = p->flow6.daddr[3];
	}
	return bpf_map_lookup_elem(&sh_vips, &key);
}

/* Sent to a group, not to this host: to answer such a frame would multiply it. */
static __always_inline bool is_group_frame(const struct pkt *p)
{
	return p->eth->h_dest[0] & 1;
}

static __always_inline enum verdict service_find(struct pkt *p)
{
	if (is_group_frame(p))
		return V_PASS_NO_SERVICE;
	p->svc = service_lookup(p);
	if (!p->svc)
		return V_PASS_NO_SERVICE;
	if (p->svc->action == SHUNT_ACTION_LOCAL)
		return V_PASS_LOCAL;
	return p->defect;
}

#endif
