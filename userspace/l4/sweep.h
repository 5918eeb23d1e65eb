/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds slots of rings that have no reason to be moving any more, and settles them: a walk through
 * all flow entries, in pieces, and then one through the slots. Deletes entries that nobody needs on
 * the way. It works from what is in the maps alone, so a new process goes on where one ended. Main
 * thread, between changes.
 */
#ifndef L4_SWEEP_H
#define L4_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "l4/tables.h"
#include "loader/maps_flows.h"

#define SWEEP_NO_RECORD UINT8_MAX

/* What it knows of a service row. */
struct sweep_row {
	/* While one is under way: */
	bool steers;
	uint8_t tracking[2]; /* enum shunt_tracking, or SWEEP_NO_RECORD; [0] TCP [1] UDP */
	uint32_t idle_s[SHUNT_FLOW_STATE_COUNT];
	uint64_t version; /* of the ring that it began with */
	uint8_t *foreign; /* a bit for each slot that has flows elsewhere; NULL: none is moving */
	uint32_t heir;	  /* the row of the service whose flows may still name this one */
	bool has_heir;
	uint64_t counting;
	/* Of the last one: */
	uint64_t entries;
};

enum sweep_phase { SWEEP_IDLE, SWEEP_FLOWS, SWEEP_SLOTS };

/* Owner: whoever embeds it. */
struct sweep {
	enum sweep_phase phase;
	struct maps_flow_walk walk;
	struct sweep_row *rows; /* [row_count] */
	uint32_t row_count;
	uint32_t row, slot;    /* where the walk through slots is */
	uint64_t settled;      /* slots, by this one */
	uint64_t deleted;      /* entries, by this one */
	uint64_t busy_ns;      /* that it took so far */
	uint64_t ended_ms;     /* clock_now_ms() when the last one ended; 0: none has */
	uint64_t last_busy_ns; /* that the last one took */
};

int sweep_init(struct sweep *s, uint32_t rows); /* 0, or -ENOMEM */
void sweep_deinit(struct sweep *s);		/* NULL is fine */

/* Begin one. Waits for packets, where a ring was left since the last wait and slots are moving. 0,
 * or -errno. */
int sweep_begin(struct sweep *s, struct loader *loader, struct tables *t);

/*
 * Go on for some budget_ns at least one piece. now_ns: CLOCK_MONOTONIC_COARSE, by which flows are
 * aged. A service whose ring changes meanwhile is left to the next one. True when it is at its end,
 * or cannot go on.
 */
bool sweep_step(struct sweep *s, struct loader *loader, struct tables *t, uint64_t now_ns,
		uint64_t budget_ns);

#endif
