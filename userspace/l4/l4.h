/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the kernel's maps in step with a snapshot and the health of its backends. The one place
 * that writes them. Main thread.
 */
#ifndef L4_L4_H
#define L4_L4_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "conf/snapshot.h"
#include "core/diag.h"
#include "loader/loader.h"

struct guard;
struct l4;
struct nat_use;
struct reconcile;

/* How many map operations an apply took; all zero when nothing differed. */
struct l4_report {
	unsigned services_set, services_deleted;
	unsigned backends_set, backends_freed;
	unsigned rings_built;
	unsigned entries_set, entries_deleted; /* of the index, source routes and server ids */
	unsigned addresses_written;
};

/*
 * Open the kernel side (loader_open), adopt what is pinned: rows, rings, ids and generations, and
 * for backends that were down there, their health in snap. Attaches nothing yet. snap: only node is
 * read and health set. 0, or -errno with d filled.
 */
int l4_open(const struct snapshot *snap, struct l4 **ret_l4, struct diag *d);

/* The maps stay as they are. NULL is fine. */
void l4_close(struct l4 *l4);

/* Are the interfaces and their addresses there, and would l4_apply() find room? Writes nothing. 0, or
 * -errno with d filled. What it has found out is kept for an l4_apply() of the same snapshot before the
 * loop's next turn. */
int l4_check(struct l4 *l4, struct snapshot *snap, struct diag *d);

/*
 * Make the maps say what snap and the health of its backends say now: new backend rows, then rings
 * in free slots, then records of listen addresses, then what is no longer named. Only what differs is written.
 * A packet meets the old state of a service or the new one. Removed backends keep serving the flows
 * they have (see l4_tick). An interface or an address that is gone does not stand in the way: tunnels
 * then stay as they were. -ENOSPC before anything is written; any other -errno: d says which write
 * failed, and the next call completes it.
 */
int l4_apply(struct l4 *l4, const struct snapshot *snap, struct l4_report *ret_report,
	     struct diag *d);

/* Attach to what snap's node lists and detach from what it no longer lists. 0, or the first -errno;
 * d has a line for each. */
int l4_attach(struct l4 *l4, const struct snapshot *snap, struct diag *d);

/*
 * Call every second or so. An interface that was attached to, went away and came back as another
 * device of the same name is attached to again. Returns how many were; what failed is in d, once
 * for each device, and is tried again. So is, once, what stands between this host and a backend.
 */
unsigned l4_follow_interfaces(struct l4 *l4, const struct snapshot *snap, struct diag *d);

/* Readable when routes or neighbours have changed: call l4_read_events() then. */
int l4_events_fd(const struct l4 *l4);
void l4_read_events(struct l4 *l4);

/* What is known of a backend's next hop: "reflect", or a word of neigh_state() (l4/neigh.h); NULL:
 * it has none. */
const char *l4_next_hop(const struct l4 *l4, const struct backend *b);

/*
 * Call every ten seconds or so. A backend that was removed from the configuration stays, draining,
 * until no packet went to it for the longest idle time of its services; then its row is freed.
 * Returns how many such rows there are.
 */
unsigned l4_tick(struct l4 *l4);

/*
 * Settle slots of rings where nothing keeps them moving (l4/sweep.h), a few milliseconds of it. Call
 * again after as many milliseconds as it returns.
 */
unsigned l4_sweep(struct l4 *l4);

/* How a service's ring moves. */
struct l4_moves {
	uint32_t settled, moving; /* slots */
	uint64_t oldest_s;	  /* how long one has been moving, where that is known; else 0 */
	bool counted;
	uint64_t entries;   /* of its flows, when they were counted ... */
	uint64_t counted_s; /* ... so long ago */
};
/* -ENOENT: has no row. */
int l4_service_moves(struct l4 *l4, const char *service, struct l4_moves *ret_moves);

/* Call every ten seconds or so: takes void flows out of the tables of NAT, some at a time. d: what was
 * refused since the last call, and why. */
void l4_nat_tick(struct l4 *l4, struct diag *d);

/* NAT flows and ports in use, as of the last whole pass; NULL: there was none. Borrowed until the next
 * l4_nat_tick(). */
const struct nat_use *l4_nat_use(const struct l4 *l4);

/* What a service has of the tables of NAT at this moment; *ret_common: what all share. -ENOENT: has no
 * row. */
int l4_nat_share(const struct l4 *l4, const char *service, struct shunt_nat_share *ret_share,
		 struct shunt_nat_share *ret_common);

/* Ports towards a backend that NAT has taken, [0] TCP [1] UDP, and those that there are; zero for one
 * that needs none. */
struct l4_nat_ports {
	uint32_t taken[2], all;
};
void l4_nat_ports(const struct l4 *l4, const struct pool *pool, const struct backend *backend,
		  struct l4_nat_ports *ret_ports);

/* Counters of a service by name. -ENOENT: has no row. */
int l4_service_stats(struct l4 *l4, const char *service, struct shunt_svc_stats *ret_stats);

/* Counters of all backends of a pool, in the pool's order; zero for one that has no row. 0, or
 * -ENOMEM with nothing written. */
int l4_pool_stats(struct l4 *l4, const struct pool *pool, struct shunt_be_stats *ret_stats);

/* Slots that each backend of a pool holds now of a ring, in the pool's order. ring: the name of a
 * service, or of a source route's ring (service_route_name()). */
void l4_ring_slots(struct l4 *l4, const char *ring, const struct pool *pool, uint32_t *ret_slots);

/* Call every second or so. Every every_ms (0: never), while the tables are in step: what another has
 * changed in them is put back (l4/reconcile.h), and d says what that was. */
void l4_reconcile(struct l4 *l4, unsigned every_ms, struct diag *d);
const struct reconcile *l4_reconciled(const struct l4 *l4); /* borrowed */

struct guard *l4_guard(struct l4 *l4);	 /* borrowed: l4/guard.h */
struct loader *l4_loader(struct l4 *l4); /* borrowed, for status */

#endif
