/* SPDX-License-Identifier: BSD-2-Clause */
/* The planner's state. Nobody but plan.c and plan_wide.c includes it. */
#ifndef L4_PLAN_INT_H
#define L4_PLAN_INT_H

#include "l4/assign.h"
#include "l4/plan.h"

/* What the planner decided for a desired service. */
struct service_plan {
	struct plan_ring ring; /* what it should be */
	uint32_t from;	       /* the row in which it is now */
	bool placed;	       /* it is there, or will be by the plan so far */
	bool unrouted;	       /* its source routes are not yet all there */
};

/* A row of the tables of services, as the plan so far leaves it. */
struct row_plan {
	struct shunt_ring ring;
	bool wanted; /* of a desired service */
	bool stays;  /* and its ring is, or by the plan so far will be, the one that is wanted */
	bool owned;
	bool named, named_to_steer; /* by a record; brought up to date by mark_named() */
};

struct planner {
	const struct tables *t;
	const struct desired *want;
	struct diag *d;
	struct plan plan;
	struct assignment assigned;
	struct service_plan *services;		 /* by position in want */
	struct key_table keys;			 /* as the plan so far leaves them */
	struct entries have[MAPS_TABLE_COUNT];	 /* the same */
	struct entries wanted[MAPS_TABLE_COUNT]; /* of ROUTES and SERVER_IDS */
	struct maps_index gate;			 /* as the plan so far leaves it */
	struct row_plan *rows;
	struct extents extents; /* what no ring may be written into */
	struct extents retired; /* as in struct tables */
	bool records_unsettled;
	bool in_place;			     /* services keep their rows, come what may */
	bool rows_changed;		     /* some do not, and it could be planned without that */
	bool deleted;			     /* the plan has its deletions */
	const struct desired_key **in_order; /* the desired keys, by vip_key_precedence() */
};

/* Append a write, with a wait for packets before it where it could be given memory that they look at.
 * 0, or -ENOMEM. */
int planner_emit(struct planner *p, const struct plan_op *op);
int planner_wait(struct planner *p);

/* Write the record of a key. */
int planner_set_key(struct planner *p, const struct shunt_vip_key *key,
		    const struct shunt_service *record, bool replaces);

/* What the tables of entries hold, and are to hold once rows are assigned. 0, or -ENOMEM. */
int wide_init(struct planner *p);
int wide_want(struct planner *p);
void wide_deinit(struct planner *p);

/* Has the service other source routes than it will have, while it keeps its row? */
bool wide_routes_change(const struct planner *p, size_t service);

/* Would the index of old and new keys together hold more at one address than it can? */
int wide_check_index(struct planner *p, bool *ret_delete_first);

/* Do source routes and server ids fit into their tables, old and new ones together? What goes cannot
 * go first: its flows would meet neither. 0, or -ENOSPC with the diag filled. */
int wide_check_entries(struct planner *p);

/* Before the first key is written: the index leads to old and new ones. After the last is deleted: to
 * those that there are. */
int wide_open_index(struct planner *p);
int wide_close_index(struct planner *p);

/* Server ids, and the source routes of those services whose routes have their rings; marks the others
 * as unrouted. Before a ring or a record of theirs is published. */
int wide_set_entries(struct planner *p, size_t *count);

/* Delete what is not wanted and no record leads to. */
int wide_drop_entries(struct planner *p, size_t *count);

#endif
