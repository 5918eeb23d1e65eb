/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rows of the kernel's tables the desired backends and services have, or get. Pure; main
 * thread.
 */
#ifndef L4_ASSIGN_H
#define L4_ASSIGN_H

#include "core/diag.h"
#include "l4/desired.h"
#include "l4/tables.h"

struct assigned_backend {
	uint32_t index;
	uint32_t id;
	bool claimed; /* the row was free and gets this owner */
};

struct assigned_service {
	uint32_t index;
	bool claimed;
};

struct assignment {
	struct assigned_backend *backends; /* by position in struct desired */
	struct assigned_service *services;
};

/*
 * A backend keeps its row while pool, name, address and port stay: the flow entries of another
 * address are another machine's. A row that is claimed gets the next generation of its id; those that have
 * been free longest are claimed first. A service keeps its row while its name stays; where a change
 * that was cut short left it two, the one whose keys are all its own. 0, -ENOMEM, or -ENOSPC with d filled.
 */
int assign_rows(const struct tables *t, const struct desired *want, struct assignment *ret_assigned,
		struct diag *d);

/* Does a record that names the row belong to a key of whose packets another service than this one wants
 * some? */
bool assign_row_loses_key(const struct tables *t, const struct desired *want, uint32_t index,
			  size_t service);

/* Give a desired service another row than the one that it has. -ENOSPC: there is none; -ENOMEM. */
int assign_other_row(const struct tables *t, const struct desired *want, struct assignment *a,
		     size_t service);
/* A second one, to be changed. 0, or -ENOMEM. */
int assignment_copy(const struct assignment *a, const struct desired *want,
		    struct assignment *ret_copy);

void assignment_deinit(struct assignment *a); /* NULL is fine */

#endif
