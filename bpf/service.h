/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [2] Whose packet is it, and does it go to a backend at all? */
#ifndef SHUNT_BPF_SERVICE_H
#define SHUNT_BPF_SERVICE_H

#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"

static __always_inline void service_key(const struct pkt *p, struct shunt_vip_key *ret_key)
{
	*ret_key = (struct shunt_vip_key){.proto = p->proto, .family = p->family};
	if (p->family == 4) {
		ret_key->addr[0] = p->flow4.daddr;
		ret_key->port = p->flow4.dport;
	} else {
		ret_key->addr[0] = p->flow6.daddr[0];
		ret_key->addr[1] = p->flow6.daddr[1];
		ret_key->addr[2] = p->flow6.daddr[2];
		ret_key->addr[3] = p->flow6.daddr[3];
		ret_key->port = p->flow6.dport;
	}
}

/* False: no service has the address. */
static __always_inline bool service_may_have(const __be32 addr[4])
{
	__u32 bit = hash_addr_bit(addr), word = bit / SHUNT_ADDR_WORD_BITS;
	const __u64 *bits = bpf_map_lookup_elem(&sh_addr_bits, &word);

	return bits && *bits >> bit % SHUNT_ADDR_WORD_BITS & 1;
}

/* The first len bits of an address, in place. */
static __always_inline void addr_mask(__be32 addr[4], __u32 len)
{
	for (__u32 i = 0; i < 4; i++) {
		__u32 bits = len > 32 * i ? len - 32 * i : 0;

		if (bits < 32)
			addr[i] &= bpf_htonl((__u32) ~(0xffffffffULL >> bits));
	}
}

/*
 * The first of the ranges that has the packet's port and a record: makes key, of the packet alone,
 * the one of that record. A global function, here and below, because the kernel then verifies it
 * once and not again for each way here.
 */
__noinline bool service_find_range(const struct shunt_addr *a, struct shunt_vip_key *key)
{
	/* On the stack: Linux 6.1 takes no key of a map from where an argument points. */
	struct shunt_vip_key exact, tried;
	__u16 port;

	if (!a || !key)
		return false;
	exact = *key;
	port = bpf_ntohs(exact.port);
	for (__u32 i = 0; i < SHUNT_MAX_RANGES; i++) {
		const struct shunt_range *r = &a->ranges[i];

		if (i >= a->range_count)
			break;
		if (r->proto != exact.proto || port < r->lo || port > r->hi)
			continue;
		tried = exact;
		tried.port = bpf_htons(r->lo);
		tried.port_hi = r->hi != r->lo ? bpf_htons(r->hi) : 0;
		tried.prefix_len = r->prefix_len;
		if (r->prefix_len)
			addr_mask(tried.addr, r->prefix_len);
		if (bpf_map_lookup_elem(&sh_services, &tried)) {
			*key = tried;
			return true;
		}
	}
	return false;
}

/* An address of its own comes before a longer prefix before a shorter one, and of each a port alone
 * before a narrower range before a wider one. Makes key the one of the record, if there is one. */
__noinline bool service_find_wide(struct shunt_vip_key *key)
{
	__u32 zero = 0;
	const struct shunt_switches *in_use = bpf_map_lookup_elem(&sh_switches, &zero);
	struct shunt_vip_key found;

	if (!in_use || !key)
		return false;
	if (in_use->ranges) {
		struct shunt_addr_key addr = {.family = key->family};

		for (int i = 0; i < 4; i++)
			addr.addr[i] = key->addr[i];
		found = *key;
		if (service_find_range(bpf_map_lookup_elem(&sh_addrs, &addr), &found)) {
			*key = found;
			return true;
		}
	}
	if (in_use->prefixes) {
		struct shunt_lpm_key addr = {
			.prefixlen = SHUNT_LPM_SCOPE_BITS + (key->family == 4 ? 32 : 128),
			.scope = SHUNT_LPM_SCOPE(0, key->family),
		};

		for (int i = 0; i < 4; i++)
			addr.addr[i] = key->addr[i];
		return service_find_range(bpf_map_lookup_elem(&sh_prefixes, &addr), key);
	}
	return false;
}

/* Do services listen on the packet's destination itself, on whatever port? NULL: none, or those of a
 * prefix alone. */
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
	return service_may_have(key.addr) ? bpf_map_lookup_elem(&sh_vips, &key) : NULL;
}

/* Sent to a group, not to this host: to answer such a frame would multiply it. */
static __always_inline bool is_group_frame(const struct pkt *p)
{
	return p->eth->h_dest[0] & 1;
}

static __always_inline enum verdict service_find(struct pkt *p)
{
	struct shunt_vip_key key;

	if (is_group_frame(p))
		return V_PASS_NO_SERVICE;
	service_key(p, &key);
	if (!service_may_have(key.addr))
		return V_PASS_NO_SERVICE;
	p->svc = bpf_map_lookup_elem(&sh_services, &key);
	if (!p->svc && service_find_wide(&key))
		p->svc = bpf_map_lookup_elem(&sh_services, &key);
	return p->svc ? V_NEXT : V_PASS_NO_SERVICE;
}

/* Packets for a service that this host terminates go up the stack as they came, defects and all,
 * since the stack has its own opinion of those. */
static __always_inline enum verdict service_steers(const struct pkt *p)
{
	return p->svc->action == SHUNT_ACTION_LOCAL ? V_PASS_LOCAL : p->defect;
}

#endif
