/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* [2] Whose packet is it, and does it go to a backend at all? */
#ifndef SHUNT_BPF_SERVICE_H
#define SHUNT_BPF_SERVICE_H

#include "bpf/hash.h"
#include "bpf/maps.h"
#include "bpf/pkt.h"

/* The words of a vip key of one address and one port. */
struct vip_words {
	__u64 word[3];
};
_Static_assert(sizeof(struct vip_words) == sizeof(struct shunt_vip_key), "a vip key");

/* False: no service has the address. bit: hash_addr_bit() of it. */
static __always_inline bool service_may_have(__u32 bit)
{
	__u32 word = bit / SHUNT_ADDR_WORD_BITS;
	const __u64 *bits = bpf_map_lookup_elem(&sh_addr_bits, &word);

	return bits && *bits >> bit % SHUNT_ADDR_WORD_BITS & 1;
}

/* x, or 0 where it is negative: in arithmetic, because the kernel's verifier follows each outcome of a
 * comparison to the end of the program. */
static __always_inline __s64 not_below_zero(__s64 x)
{
	__s64 sign = x >> 63;

	barrier_var(sign);
	return x & ~sign;
}

/* The first len bits of an address, in place. */
static __always_inline void addr_mask(__be32 addr[4], __u32 len)
{
	for (int i = 0; i < 4; i++) {
		__s64 kept = 32 - not_below_zero(32 * (i + 1) - (__s64)len);

		addr[i] &= bpf_htonl((__u32)(0xffffffffULL << (32 - not_below_zero(kept))));
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

static __always_inline bool exact_row_is(const struct shunt_exact_row *row,
					 const struct vip_words *vip)
{
	const __u64 *words = (const void *)&row->key;

	return words[0] == vip->word[0] && words[1] == vip->word[1] && words[2] == vip->word[2];
}

#define NO_ROW (SHUNT_EXACT_ROWS + SHUNT_EXACT_CPUS)

/* The row of the index that has the packet's very address and port. NULL: none has; *ret_more: there
 * may be one in sh_services. */
static __always_inline const struct shunt_exact_row *exact_find(const struct vip_words *vip,
								bool *ret_more)
{
	__u32 bucket = hash_vip(vip->word[0], vip->word[1], vip->word[2]);
	const volatile __u64 *word = bpf_map_lookup_elem(&sh_exact, &bucket);
	__u64 ways = word ? *word : 0;
	__u32 way = 0;

	for (int i = 0; i < SHUNT_EXACT_WAYS; i++, ways >>= 16) {
		const struct shunt_exact_row *row;
		__u32 at;

		way = ways & 0xffff;
		at = way - 1;
		row = bpf_map_lookup_elem(&sh_exact_rows, &at);
		if (!row)
			break;
		if (exact_row_is(row, vip))
			return row;
	}
	*ret_more = way != SHUNT_EXACT_END;
	return NULL;
}

/* As the packet's key lies in memory, but from the parser's words: to write a key in small pieces and
 * read it in large ones makes the processor wait. */
static __always_inline struct vip_words vip_of(const struct pkt *p)
{
	__u64 tail = (__u32)p->proto << 16 | (__u32)p->family << 24;

	if (p->family == 4)
		return (struct vip_words){{p->flow4.daddr, 0, tail | p->flow4.dport}};
	return (struct vip_words){{
		(__u64)p->flow6.daddr[1] << 32 | p->flow6.daddr[0],
		(__u64)p->flow6.daddr[3] << 32 | p->flow6.daddr[2],
		tail | p->flow6.dport,
	}};
}

/*
 * The record of a packet that the index has not, in a row of the index that is this processor's: so
 * all records come from one table, and the kernel verifies what follows once. A port alone comes
 * before a range. word0 to word2: the packet's vip key. A global function, for the same reason.
 */
__noinline __u32 service_find_rest(__u64 word0, __u64 word1, __u64 word2, bool exact)
{
	const struct vip_words vip = {{word0, word1, word2}};
	__u32 at = SHUNT_EXACT_ROWS + bpf_get_smp_processor_id();
	struct shunt_exact_row *row = bpf_map_lookup_elem(&sh_exact_rows, &at);
	const struct shunt_service *svc = NULL;
	struct shunt_vip_key found;

	if (!row)
		return NO_ROW;
	__builtin_memcpy(&found, &vip, sizeof(found));
	if (exact)
		svc = bpf_map_lookup_elem(&sh_services, &found);
	if (!svc && service_find_wide(&found))
		svc = bpf_map_lookup_elem(&sh_services, &found);
	if (!svc)
		return NO_ROW;
	row->service = *svc;
	return at;
}

/* Are there keys of more than one address and one port? */
static __noinline bool service_has_wide(void)
{
	__u32 zero = 0;
	const struct shunt_switches *in_use = bpf_map_lookup_elem(&sh_switches, &zero);

	return in_use && (in_use->ranges || in_use->prefixes);
}

/* Sent to a group, not to this host: to answer such a frame would multiply it. */
static __always_inline bool is_group_frame(const struct pkt *p)
{
	return p->eth->h_dest[0] & 1;
}

static __always_inline enum verdict service_find(struct pkt *p)
{
	const struct shunt_exact_row *row;
	struct vip_words vip;
	bool more = true;

	if (is_group_frame(p))
		return V_PASS_NO_SERVICE;
	vip = vip_of(p);
	row = exact_find(&vip, &more);
	if (!row && (more || service_has_wide()) &&
	    service_may_have(hash_addr_bit(vip.word[0], vip.word[1]))) {
		__u32 at = service_find_rest(vip.word[0], vip.word[1], vip.word[2], more);

		row = bpf_map_lookup_elem(&sh_exact_rows, &at);
	}
	if (!row)
		return V_PASS_NO_SERVICE;
	p->svc = &row->service;
	return V_NEXT;
}

/* Packets for a service that this host terminates go up the stack as they came, defects and all,
 * since the stack has its own opinion of those. */
static __always_inline enum verdict service_steers(const struct pkt *p)
{
	return p->svc->action == SHUNT_ACTION_LOCAL ? V_PASS_LOCAL : p->defect;
}

#endif
