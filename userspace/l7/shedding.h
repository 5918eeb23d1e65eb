/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker does while it has too much to do (limit/overload.h): requests of low priority are
 * answered with 503, idle connections are closed early, new ones are left in the kernel's queue. Without
 * an overload section it measures nothing. One thread.
 */
#ifndef L7_SHEDDING_H
#define L7_SHEDDING_H

#include <stddef.h>
#include <stdint.h>

#include "l7/poller.h"
#include "limit/overload.h"

struct client;
struct conn;
struct head;
struct l7;
struct l7_load;
struct route_action;
struct routing;
struct service;
struct snapshot;

struct shedding {
	struct poller_hook before, woken; /* each wait, while there is anything to measure */
	uint64_t awake_ns;		  /* since when */
	struct overload state;
	unsigned retry_s;
	bool is_on; /* there is an overload section */
};

void shedding_init(struct l7 *l7);
void shedding_configure(struct l7 *l7, const struct snapshot *snap);
void shedding_close(struct l7 *l7);

/* Of a request; action: NULL: no route. */
enum request_priority shedding_priority(const struct service *s, const struct route_action *action);

/* One of that priority is refused. */
void shedding_count(const struct conn *c, unsigned priority);

/* While it is on: false: the request goes on. True: it was answered. block_len: as
 * request_start(). */
bool shedding_refuses(const struct client *who, const struct head *h, const struct routing *routing,
		      size_t block_len);

#endif
