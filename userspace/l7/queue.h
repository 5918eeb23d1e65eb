/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that wait until there are fewer under way to backends (overload.requests), those of high
 * priority in front. So a worker that has far too many keeps to as many at a time as it does best
 * with; each that waits holds its header alone. One thread.
 */
#ifndef L7_QUEUE_H
#define L7_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "l7/poller.h"
#include "limit/overload.h"

struct l7;
struct request;

/* Of one worker. */
struct queue {
	struct list waiting[PRIORITY_COUNT]; /* request.queue_node, the oldest first */
	uint32_t waiting_count, active, max; /* max 0: no limit */
	unsigned wait_ms;		     /* the longest */
	uint64_t shortest_ns; /* that one that went on since queue_take_shortest() had waited */
	struct poller *poller;
	struct poller_hook hook; /* due while one may go on */
};

void queue_init(struct l7 *l7);
void queue_configure(struct l7 *l7, uint32_t max, unsigned wait_ms);
void queue_close(struct l7 *l7);

/* True: r goes on at once. False: later, by request_go_on(). */
bool queue_enter(struct request *r);

/* r is done with backends, or with waiting; also for one that never entered. */
void queue_leave(struct request *r);

/* The shortest wait of those that went on since the last call; 0: nobody waits. */
uint64_t queue_take_shortest(struct l7 *l7);

#endif
