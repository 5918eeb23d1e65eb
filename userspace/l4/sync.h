/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the kernel's tables and carries plans out. The only code that writes them. Main thread. */
#ifndef L4_SYNC_H
#define L4_SYNC_H

#include "l4/l4.h"
#include "l4/plan.h"
#include "l4/tables.h"

/* What stands there. 0, or -errno with d filled. */
int sync_read(struct loader *loader, struct tables *ret_tables, struct diag *d);

/* Carry a plan out, write by write; t follows. 0, or the -errno of the write that d names: what was
 * written before it stands, and a new plan goes on from there. Adds to report. */
int sync_run(struct loader *loader, struct tables *t, const struct plan *plan,
	     struct l4_report *report, struct diag *d);

/* Wait until no packet looks at what was unpublished. 0, or -errno. */
int sync_settle(struct loader *loader, struct tables *t);

/* Free the rows of backends that are gone for good: no ring names them. Waits once for packets. 0, or
 * -errno: those that were not freed can be tried again. */
int sync_free_backends(struct loader *loader, struct tables *t, const uint32_t *indexes,
		       size_t count);

#endif
