/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT as l4/l4.h has the rest: its switch, its tables' upkeep, what is to be reported. Main thread. */
#ifndef L4_NAT_H
#define L4_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "l4/desired.h"
#include "l4/nat_sweep.h"

/* Drops of a service that were told of, or were there at the start. */
struct nat_told {
	uint64_t full, ports, clash;
};

struct nat {
	struct nat_sweep sweep;
	struct nat_told *told; /* by row of a service */
};

void nat_deinit(struct nat *nat); /* NULL is fine */

/* Before rows of such backends are written: is there one? Then the program is told to look. */
void nat_prepare(struct nat *nat, struct loader *loader, const struct tables *t,
		 const struct desired *want);

/* Every ten seconds or so: sweep, tell in d of services whose flows were refused since the last call,
 * and let the program look no longer where nobody needs it. */
void nat_tick(struct nat *nat, struct loader *loader, const struct tables *t, struct diag *d);

/* Does the row of a backend have flows, as far as is known? Those of which only the backend sends
 * packets are seen here alone. */
bool nat_has_flows(const struct nat *nat, const struct tables *t, uint32_t index);

#endif
