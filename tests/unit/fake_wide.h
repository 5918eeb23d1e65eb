/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of loader/maps_wide.h in memory, for fake_kernel.h: what a packet finds by them is
 * looked up as the program does it and compared with what the records that stand say of themselves.
 */
#ifndef TESTS_UNIT_FAKE_WIDE_H
#define TESTS_UNIT_FAKE_WIDE_H

#include <arpa/inet.h>

#include "bpf/hash.h"
#include "loader/maps_wide.h"

#define FAKE_ENTRIES 64

struct fake_table {
	struct maps_entry rows[FAKE_ENTRIES];
	size_t count;
	bool retired; /* since the last wait: memory that packets may look at is free */
};

/* A packet, as far as services are looked up by it. */
struct fake_packet {
	struct shunt_vip_key to; /* exact */
	__be32 source[4];
};

static bool bits_are_equal(const void *va, const void *vb, unsigned len)
{
	const uint8_t *a = va, *b = vb;

	for (unsigned i = 0; i < len; i++) {
		if ((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8))
			return false;
	}
	return true;
}

/* The longest match. NULL: none. */
static const struct maps_entry *fake_trie_find(const struct fake_table *t, uint32_t scope,
					       const __be32 addr[4])
{
	const struct maps_entry *best = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct shunt_lpm_key *k = &t->rows[i].lpm_key;

		if (k->scope == scope &&
		    bits_are_equal(k->addr, addr, k->prefixlen - SHUNT_LPM_SCOPE_BITS) &&
		    (best == NULL || k->prefixlen > best->lpm_key.prefixlen))
			best = &t->rows[i];
	}
	return best;
}

static void fake_mask(__be32 addr[4], unsigned len)
{
	uint8_t *bytes = (uint8_t *)addr;

	for (unsigned i = len; i < 128; i++)
		bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static unsigned fake_width(const struct shunt_vip_key *k)
{
	return k->port_hi == 0 ? 0 : (unsigned)ntohs(k->port_hi) - ntohs(k->port);
}

/* Does a listen key have the packet? */
static bool fake_key_has(const struct shunt_vip_key *k, const struct fake_packet *p)
{
	unsigned lo = ntohs(k->port), hi = k->port_hi ? ntohs(k->port_hi) : lo;
	unsigned port = ntohs(p->to.port);

	return k->family == p->to.family && k->proto == p->to.proto && port >= lo && port <= hi &&
	       bits_are_equal(k->addr, p->to.addr,
			      k->prefix_len    ? k->prefix_len
			      : k->family == 4 ? 32
					       : 128);
}

/* Does a come before b, as the manual has it? */
static bool fake_key_before(const struct shunt_vip_key *a, const struct shunt_vip_key *b)
{
	unsigned len_a = a->prefix_len ? a->prefix_len : 255;
	unsigned len_b = b->prefix_len ? b->prefix_len : 255;

	if (len_a != len_b)
		return len_a > len_b;
	if (fake_width(a) != fake_width(b))
		return fake_width(a) < fake_width(b);
	return ntohs(a->port) < ntohs(b->port);
}

#endif
