/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that wait for others to end: see queue.h. */
#include "l7/queue.h"

#include "core/clock.h"
#include "l7/request_int.h"

static struct queue *queue_of(const struct request *r)
{
	return &r->client.conn->l7->queue;
}

static bool has_room(const struct queue *q)
{
	return !q->max || q->active < q->max;
}

/* The oldest of the highest priority. */
static struct request *first(const struct queue *q)
{
	for (unsigned p = PRIORITY_COUNT; p--;)
		if (!list_empty(&q->waiting[p]))
			return list_entry(q->waiting[p].next, struct request, queue_node);
	return NULL;
}

static void occupy(struct queue *q, struct request *r)
{
	q->active++;
	r->has_slot = true;
}

static void unqueue(struct queue *q, struct request *r)
{
	list_unlink(&r->queue_node);
	r->is_queued = false;
	q->waiting_count--;
}

static void wake(struct queue *q)
{
	if (q->waiting_count && has_room(q))
		poller_run_soon(q->poller, &q->hook);
}

/* By itself: who ends a request must not find itself in the middle of another one. */
static bool run_waiting(struct poller_hook *hook)
{
	struct queue *q = list_entry(hook, struct queue, hook);
	uint64_t now = clock_now_ns();

	/* One that fails at once makes room again: those that are there now, and no more. */
	for (uint32_t left = q->waiting_count; left && q->waiting_count && has_room(q); left--) {
		struct request *r = first(q);
		uint64_t waited = now - r->queued_ns;

		if (waited < q->shortest_ns)
			q->shortest_ns = waited;
		unqueue(q, r);
		occupy(q, r);
		request_go_on(r);
	}
	wake(q);
	return false;
}

void queue_init(struct l7 *l7)
{
	struct queue *q = &l7->queue;

	for (unsigned p = 0; p < PRIORITY_COUNT; p++)
		list_init(&q->waiting[p]);
	q->shortest_ns = UINT64_MAX;
	q->poller = l7->env.poller;
	q->hook.run = run_waiting;
	list_init(&q->hook.node);
}

void queue_configure(struct l7 *l7, uint32_t max, unsigned wait_ms)
{
	l7->queue.max = max;
	l7->queue.wait_ms = wait_ms;
	wake(&l7->queue);
}

void queue_close(struct l7 *l7)
{
	list_unlink(&l7->queue.hook.node);
}

bool queue_enter(struct request *r)
{
	struct queue *q = queue_of(r);

	if (!q->max)
		return true;
	/* Nobody passes one that waits with the same right. */
	if (has_room(q) && list_empty(&q->waiting[r->priority])) {
		occupy(q, r);
		return true;
	}
	r->is_queued = true;
	r->queued_ns = clock_now_ns();
	list_append(&q->waiting[r->priority], &r->queue_node);
	q->waiting_count++;
	wake(q);
	return false;
}

void queue_leave(struct request *r)
{
	struct queue *q = queue_of(r);

	if (r->is_queued)
		unqueue(q, r);
	if (!r->has_slot)
		return;
	r->has_slot = false;
	q->active--;
	wake(q);
}

uint64_t queue_take_shortest(struct l7 *l7)
{
	struct queue *q = &l7->queue;
	const struct request *r = first(q);
	uint64_t shortest = q->shortest_ns;

	q->shortest_ns = UINT64_MAX;
	if (shortest != UINT64_MAX)
		return shortest;
	/* Nobody went on: it is at least as long as the next one waits already. */
	return r ? clock_now_ns() - r->queued_ns : 0;
}
