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

struct l4;

/* How many map operations an apply took; all zero when nothing differed. */
struct l4_report {
	unsigned services_set, services_deleted;
	unsigned backends_set, backends_freed;
	unsigned rings_built;
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
 * -errno with d filled. */
int l4_check(struct l4 *l4, const struct snapshot *snap, struct diag *d);

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

/* Counters of a service by name. -ENOENT: has no row. */
int l4_service_stats(struct l4 *l4, const char *service, struct shunt_svc_stats *ret_stats);

/* Counters of all backends of a pool, in the pool's order; zero for one that has no row. 0, or
 * -ENOMEM with nothing written. */
int l4_pool_stats(struct l4 *l4, const struct pool *pool, struct shunt_be_stats *ret_stats);

/* Slots of a service's ring that each backend of its pool holds now, in the pool's order. */
void l4_service_slots(struct l4 *l4, const struct service *service, uint32_t *ret_slots);

struct loader *l4_loader(struct l4 *l4); /* borrowed, for status */

#endif
