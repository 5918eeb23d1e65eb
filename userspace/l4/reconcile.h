/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do the kernel's tables still say what this process has written? Somebody else may have written or
 * deleted rows: each is put back as it was, counted and named. Flow tables, which packets write, the
 * lists of the guard, which have ends of their own, and the slots of rings are not looked at. Main
 * thread.
 */
#ifndef L4_RECONCILE_H
#define L4_RECONCILE_H

#include <stdint.h>

#include "core/diag.h"
#include "l4/tables.h"

#define RECONCILE_NAME_MAX 160

struct reconcile {
	uint64_t runs;
	uint64_t repaired;		       /* rows, since the start */
	uint64_t repaired_ms;		       /* clock_now_ms() of the last one; 0: none */
	char repaired_row[RECONCILE_NAME_MAX]; /* which that was: "sh_backends web/web-1" */
};

/* One pass; the tables must be in step. A row that was put back is a warning in d. 0, or -errno with
 * d filled: the next pass goes on. */
int reconcile_run(struct reconcile *r, struct loader *loader, const struct tables *t,
		  struct diag *d);

#endif
