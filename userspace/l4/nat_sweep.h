/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes void flows out of the tables of NAT, a slice at a time, and counts those that live. The
 * program does without: it treats a void entry as none. Main thread.
 */
#ifndef L4_NAT_SWEEP_H
#define L4_NAT_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/addr.h"
#include "l4/tables.h"
#include "loader/maps_nat.h"

/* How many flows have one of their ports: TCP, UDP. */
struct nat_source_use { /* where the source is ours */
	struct addr addr;
	uint32_t flows[2];
};

/* As the last whole pass has found it. */
struct nat_use {
	uint64_t flows[2];		/* IPv4, IPv6 */
	struct nat_source_use *sources; /* by address */
	size_t source_count, source_capacity;
	uint32_t (*ports)[2]; /* by row of a backend: ports taken towards it, TCP and UDP */
	uint32_t *live;	      /* by row of a backend: its flows */
	uint32_t rows;
	uint32_t (*services)[2]; /* by row of a service: its flows, IPv4 and IPv6 */
	uint32_t service_rows;
};

struct nat_sweep {
	enum maps_nat_table table; /* that is being gone through */
	struct maps_nat_cursor cursor;
	struct nat_use use;  /* of the last whole pass */
	struct nat_use pass; /* of this one */
	bool known;	     /* there was a whole pass */
	bool failed;	     /* this pass is not whole: memory, or a table that could not be read */
	uint64_t removed;    /* flows, since the start */
};

void nat_sweep_deinit(struct nat_sweep *s); /* NULL is fine */

/* Go on for so long at most (and one slice), or to the end of a pass. 0, or -errno. */
int nat_sweep_run(struct nat_sweep *s, struct loader *loader, const struct tables *t,
		  unsigned budget_ms);

/* Is there nothing left of a flow: was it quiet for longer than the idle time of its state (by so much
 * that the program sees it so too), or is its service or its backend gone? Pure. */
bool nat_flow_is_void(const struct tables *t, uint8_t family, uint8_t proto,
		      const struct shunt_nat *flow, uint64_t now_ns);

/* The key of the packets that a client of that flow sends; of those that its backend sends. */
union maps_nat_key nat_client_key(uint8_t family, uint8_t proto, const struct shunt_nat *flow);
union maps_nat_key nat_reply_key(uint8_t family, const union maps_nat_key *client,
				 const struct shunt_nat_source *source,
				 const struct shunt_backend *row);

#endif
