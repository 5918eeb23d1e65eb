/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of prefixes: see prefixes.h. */
#include "route/prefixes.h"

#include <string.h>

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

bool route_prefixes_have(const struct route_prefixes *p, const struct addr *addr)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].addr.family == addr->family &&
		    bits_equal(p->items[i].addr.bytes, addr->bytes, p->items[i].len))
			return true;
	return false;
}

bool route_prefix_covers(const struct route_prefix *outer, const struct route_prefix *inner)
{
	return outer->addr.family == inner->addr.family && outer->len <= inner->len &&
	       bits_equal(outer->addr.bytes, inner->addr.bytes, outer->len);
}
