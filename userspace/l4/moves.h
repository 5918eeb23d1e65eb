/* SPDX-License-Identifier: BSD-2-Clause */
/* What flows that live ask of a service's next ring. Pure; main thread. */
#ifndef L4_MOVES_H
#define L4_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/diag.h"
#include "l4/assign.h"
#include "l4/desired.h"
#include "l4/tables.h"

/* How a ring follows from the one before it. See slots_write(). */
enum slots_rule {
	SLOTS_MOVE,	/* slots that go to another backend move */
	SLOTS_MOVE_ALL, /* all of them: flows have entries now, and will have none any more */
	SLOTS_SETTLE,	/* none does: flows have no entries, and follow the ring */
};

/* Of a ring of source routes the service whose flows are routed; else the service itself. */
size_t moves_owner(const struct desired *want, size_t service);

/* The rule for the rings of a desired service that has records, as those stand that name its row.
 * ret_forget: its flows follow the present ring, whatever moves in that. */
enum slots_rule moves_rule(const struct tables *t, const struct desired *want, size_t service,
			   uint32_t row, bool *ret_forget);

/*
 * The size of its ring; 0: it has none. Without a usable backend there still is a ring, of former
 * owners alone, while one of them is draining: their flows are known by nothing else.
 */
uint32_t moves_ring_size(const struct tables *t, const struct desired *want,
			 const struct assignment *assigned, size_t service);

/* Warn of what will break connections all the same: a ring of another size. 0, or as
 * assign_rows(). */
void moves_warn(const struct tables *t, const struct desired *want,
		const struct assignment *assigned, struct diag *d);

#endif
