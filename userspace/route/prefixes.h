/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of address prefixes, some few of them: searched one by one. Pure. */
#ifndef ROUTE_PREFIXES_H
#define ROUTE_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"

struct route_prefix {
	struct addr addr;
	uint8_t len;
};

struct route_prefixes {
	const struct route_prefix *items;
	size_t count;
};

/* Of those of its family, that is: an IPv4 address in IPv6's clothes (::ffff:a.b.c.d) is IPv6. */
bool route_prefixes_have(const struct route_prefixes *p, const struct addr *addr);

/* Is all of inner in outer? */
bool route_prefix_covers(const struct route_prefix *outer, const struct route_prefix *inner);

#endif
