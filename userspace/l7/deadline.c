/* SPDX-License-Identifier: BSD-2-Clause */
/* Lazy deadlines, in a binary heap: see deadline.h. */
#include "l7/deadline.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CAP_MIN 64U

/* ---- the heap ------------------------------------------------------------------------------ */

static void put(struct deadlines *all, uint32_t index, struct deadline *d)
{
	all->heap[index] = d;
	d->index = index;
}

static void sift_up(struct deadlines *all, uint32_t i, struct deadline *d)
{
	while (i && d->armed < all->heap[(i - 1) / 2]->armed) {
		put(all, i, all->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(all, i, d);
}

static void sift_down(struct deadlines *all, uint32_t i, struct deadline *d)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= all->count)
			break;
		if (child + 1 < all->count && all->heap[child + 1]->armed < all->heap[child]->armed)
			child++;
		if (d->armed <= all->heap[child]->armed)
			break;
		put(all, i, all->heap[child]);
		i = child;
	}
	put(all, i, d);
}

static void take_out(struct deadline *d)
{
	struct deadlines *all = d->of;
	struct deadline *last = all->heap[--all->count];
	uint32_t hole = d->index;

	d->armed = DEADLINE_NONE;
	if (last == d)
		return;
	if (hole && last->armed < all->heap[(hole - 1) / 2]->armed)
		sift_up(all, hole, last);
	else
		sift_down(all, hole, last);
}

/* ---- the timer ----------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void start_timer(struct deadlines *all)
{
	uint64_t now = uv_now(all->timer.loop), at;

	if (!all->count || all->is_passing)
		return;
	at = all->heap[0]->armed;
	/* Cannot fail: the handle is not closing and has a callback. */
	(void)uv_timer_start(&all->timer, on_timer, at > now ? at - now : 0, 0);
}

static void arm(struct deadline *d)
{
	struct deadlines *all = d->of;
	bool is_new = d->armed == DEADLINE_NONE;

	d->armed = d->at;
	sift_up(all, is_new ? all->count++ : d->index, d);
	if (d->index == 0)
		start_timer(all);
}

static void on_timer(uv_timer_t *timer)
{
	struct deadlines *all = timer->data;
	uint64_t now = uv_now(timer->loop);

	all->is_passing = true;
	while (all->count && all->heap[0]->armed <= now) {
		struct deadline *d = all->heap[0];

		take_out(d);
		if (d->at == DEADLINE_NONE)
			continue;
		if (d->at > now) {
			arm(d);
			continue;
		}
		d->at = DEADLINE_NONE;
		d->on_passed(d);
	}
	all->is_passing = false;
	start_timer(all);
}

void deadlines_init(struct deadlines *all, uv_loop_t *loop)
{
	*all = (struct deadlines){0};
	(void)uv_timer_init(loop, &all->timer); /* always 0 */
	all->timer.data = all;
}

void deadlines_close(struct deadlines *all)
{
	uv_close((uv_handle_t *)&all->timer, NULL);
	all->is_passing = true; /* it cannot be started any more */
}

void deadlines_deinit(struct deadlines *all)
{
	assert(all->members == 0);
	free(all->heap);
}

/* ---- one of them --------------------------------------------------------------------------- */

int deadline_init(struct deadline *d, struct deadlines *all, deadline_cb on_passed)
{
	if (all->members == all->cap) {
		uint32_t cap = all->cap ? 2 * all->cap : CAP_MIN;
		struct deadline **heap = realloc(all->heap, cap * sizeof(struct deadline *));

		if (!heap)
			return -ENOMEM;
		all->heap = heap;
		all->cap = cap;
	}
	all->members++;
	*d = (struct deadline){
		.of = all, .at = DEADLINE_NONE, .armed = DEADLINE_NONE, .on_passed = on_passed};
	return 0;
}

void deadline_set(struct deadline *d, uint64_t at)
{
	d->at = at;
	if (at < d->armed)
		arm(d);
}

void deadline_close(struct deadline *d)
{
	if (!d->of)
		return;
	if (d->armed != DEADLINE_NONE)
		take_out(d);
	d->of->members--;
	d->of = NULL;
}
