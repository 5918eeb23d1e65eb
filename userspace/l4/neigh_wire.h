/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What l4/neigh.c asks of the kernel's routes and neighbours, over two netlink sockets: one that is
 * asked, one that tells of changes. Everything returns 0 or -errno and answers at once. Main thread.
 */
#ifndef L4_NEIGH_WIRE_H
#define L4_NEIGH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct mnl_socket;

struct neigh_wire {
	struct mnl_socket *ask, *events;
};

/* Who stands at the other end of a link. */
struct hop_id {
	uint32_t ifindex;
	struct addr addr;
};

struct hop_news {
	struct hop_id id;
	uint16_t state; /* NUD_*; 0: it is gone */
	bool ours;	/* made by neigh_wire_keep(), of this process or of another one */
};

int neigh_wire_open(struct neigh_wire *w);
void neigh_wire_close(struct neigh_wire *w); /* half-built is fine */

/* Becomes readable when there are events. */
int neigh_wire_fd(const struct neigh_wire *w);

/*
 * To whom packets for dst go: the routers of its route, or dst itself. ret_count: how many of max
 * were written. -EHOSTUNREACH, or the kernel's word for it, where packets cannot go there.
 */
int neigh_wire_route(struct neigh_wire *w, const struct addr *dst, struct hop_id *ret_hops,
		     size_t max, size_t *ret_count);

/* -ENOENT: there is no such neighbour. */
int neigh_wire_get(struct neigh_wire *w, const struct hop_id *id, struct hop_news *ret_news);

/*
 * Have the kernel find the neighbour and keep its address fresh from now on (managed; Linux 5.16),
 * or only look now. An entry of the administrator's (permanent) must not be given here: it would
 * stop being one.
 */
int neigh_wire_keep(struct neigh_wire *w, const struct hop_id *id, bool managed);
int neigh_wire_drop(struct neigh_wire *w, const struct hop_id *id);

typedef void (*neigh_news_cb)(void *ctx, const struct hop_news *news);

/* Every neighbour that there is. */
int neigh_wire_list(struct neigh_wire *w, neigh_news_cb cb, void *ctx);

/* What has happened since the last call. ret_routes: something besides neighbours has changed.
 * -ENOBUFS: events were lost. */
int neigh_wire_events(struct neigh_wire *w, neigh_news_cb cb, void *ctx, bool *ret_routes);

#endif
