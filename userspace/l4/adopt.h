/* SPDX-License-Identifier: BSD-2-Clause */
/* What a former process left in the tables, matched with what is wanted now. Main thread. */
#ifndef L4_ADOPT_H
#define L4_ADOPT_H

#include "conf/snapshot.h"
#include "l4/desired.h"
#include "l4/tables.h"

struct shunt_slot;

/* For services whose ring was read rather than built: is it what would be built now? Then it is
 * known from here on, and stays. 0, -ENOMEM, or -ENOSPC with d filled. */
int adopt_rings(struct tables *t, const struct shunt_slot *arena, const struct desired *want,
		struct diag *d);

/* Backends that were down stay down until their checks say otherwise: sets their health in snap. */
void adopt_health(const struct tables *t, const struct snapshot *snap);

#endif
