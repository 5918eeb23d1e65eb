/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what stands in the kernel's tables to what should: the shortest list of writes, in an order
 * in which every packet meets a whole service, old or new, wherever the list is cut off. Pure; main
 * thread.
 */
#ifndef L4_PLAN_H
#define L4_PLAN_H

#include "core/diag.h"
#include "l4/desired.h"
#include "l4/moves.h"
#include "core/ring.h"
#include "l4/tables.h"

enum plan_kind {
	PLAN_WAIT,	    /* until no packet looks at what was unpublished before */
	PLAN_BACKEND_CLAIM, /* clear the counters of row index, write its owner */
	PLAN_BACKEND,	    /* write row index */
	PLAN_SERVICE_CLAIM, /* clear the counters of row index, write its owner */
	PLAN_RING,	 /* fill slots that nothing names, and publish them as row index's ring */
	PLAN_RING_CLEAR, /* row index has no ring any more */
	PLAN_SERVICE,	 /* write the record of a key */
	PLAN_SERVICE_DELETE,  /* the key's packets are no service's any more */
	PLAN_SERVICE_RELEASE, /* row index has no owner any more */
	PLAN_GATE,	      /* what packets look at before the index of addresses */
	PLAN_ENTRY,	      /* write a row of table */
	PLAN_ENTRY_DELETE,
};

struct plan_ring {
	uint32_t base, size;
	struct ring_member *members; /* of positive weight; owned by the plan */
	uint32_t *ids;		     /* what a member's slots hold; owned by the plan */
	size_t count;
	enum slots_rule rule; /* how it follows from the ring of row `from` */
	bool forget;	      /* nothing moves in that, whatever it says */
	uint32_t from;
};

struct plan_op {
	enum plan_kind kind;
	uint32_t index; /* of the row; for RING: of the service */
	union {
		struct shunt_be_meta be_meta;
		struct shunt_backend backend;
		struct shunt_svc_meta svc_meta;
		struct plan_ring ring;
		struct table_key service;
		struct maps_index *gate; /* owned by the plan */
		struct {
			enum maps_table table;
			struct maps_entry entry;
		};
	};
};

struct plan {
	struct plan_op *ops;
	size_t count, capacity;
	struct assignment assigned; /* the rows before it, as assign_rows() has them; the plan's */
};

/* Strings are borrowed from want. 0; -ENOMEM; -ENOSPC with d filled: which table, and by how
 * much. */
int plan_build(const struct tables *t, const struct desired *want, struct plan *ret_plan,
	       struct diag *d);
void plan_deinit(struct plan *plan); /* NULL is fine */

/* The members of a service's ring, with the ids that an assignment gave them. 0, or -ENOMEM. */
struct assignment;
int plan_ring_init(struct plan_ring *ring, const struct desired *want,
		   const struct desired_service *service, const struct assignment *assigned);
void plan_ring_deinit(struct plan_ring *ring); /* NULL is fine */

#endif
