/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the kernel able to send to backends whose next hop is this host's routes': the MAC address
 * of each one's next hop is resolved before a packet needs it and stays so, since packets that XDP
 * sends do not make the kernel look. The entries are the kernel's to keep fresh ("managed", Linux
 * 5.16), also while no daemon runs; an older kernel is asked again every few seconds.
 * Main thread.
 */
#ifndef L4_NEIGH_H
#define L4_NEIGH_H

#include <stddef.h>
#include <stdint.h>

#include "core/diag.h"
#include "l4/desired.h"
#include "l4/tables.h"

struct neigh;

/* 0, or -errno. Entries of a daemon before this one are taken over, or removed with the first
 * neigh_want(). */
int neigh_open(struct neigh **ret_neigh);

/* The kernel's entries stay: packets go on. NULL is fine. */
void neigh_close(struct neigh *n);

/* Readable: call neigh_read(). */
int neigh_fd(const struct neigh *n);

/* From now on, the backends in want whose rows say so, and those in t that are not wanted any more
 * but have flows left. Looks only where something differs. 0, or -ENOMEM. */
int neigh_want(struct neigh *n, const struct desired *want, const struct tables *t);

/* Those of them that t has no more can be forgotten. */
void neigh_forget(struct neigh *n, const struct tables *t);

/* The interfaces that packets may leave by. 0, or -ENOMEM. */
int neigh_devices(struct neigh *n, const uint32_t *ifindices, size_t count);

/* Take events: what was removed is made again at once. */
void neigh_read(struct neigh *n);

/* Call every second. Follows changed routes; d gets a warning for each backend that packets cannot
 * be sent to, once until they can. */
void neigh_tick(struct neigh *n, struct diag *d);

/* "resolved", "no-neighbour", "no-route", "not-direct" (l2, but behind a router), "not-listed" (by an
 * interface that is not the node's); NULL: its packets take no route of this host's. */
const char *neigh_state(const struct neigh *n, const char *pool, const char *name);

#endif
