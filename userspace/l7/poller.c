/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turns: see poller.h. */
#include "l7/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "l7/sock.h"

#define EVENTS_PER_TURN 256
#define EVENTS_AT_ONCE	(int)BATCH_CALLS
#define WRITES_PER_TURN 8 /* times that owners may go on after a write */

int poller_init(struct poller *p, uv_loop_t *loop, bool batched)
{
	struct epoll_event ev = {.events = EPOLLIN}; /* no socket: the loop */
	int err;

	*p = (struct poller){.loop = loop, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	list_init(&p->closed);
	list_init(&p->hooks);
	list_init(&p->woken);
	list_init(&p->due);
	if (p->epoll < 0)
		return -errno;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, uv_backend_fd(loop), &ev) == 0) {
		batch_init(&p->batch, batched);
		return 0;
	}
	err = -errno;
	close(p->epoll);
	return err;
}

void poller_deinit(struct poller *p)
{
	batch_deinit(&p->batch);
	close(p->epoll);
}

void poller_add_hook(struct poller *p, struct poller_hook *hook)
{
	list_append(&p->hooks, &hook->node);
}

void poller_add_woken(struct poller *p, struct poller_hook *hook)
{
	list_append(&p->woken, &hook->node);
}

void poller_run_soon(struct poller *p, struct poller_hook *hook)
{
	list_unlink(&hook->node);
	list_append(&p->due, &hook->node);
}

/* Those that ask again meanwhile have their turn in the next one. */
static void run_due(struct poller *p)
{
	struct poller_hook end, *hook;

	if (list_empty(&p->due))
		return;
	list_append(&p->due, &end.node);
	while ((hook = list_entry(p->due.next, struct poller_hook, node)) != &end) {
		list_unlink(&hook->node);
		(void)hook->run(hook);
	}
	list_unlink(&end.node);
}

static bool run_hooks(struct list *hooks)
{
	bool more = false;

	list_for_each (it, hooks) {
		struct poller_hook *hook = list_entry(it, struct poller_hook, node);

		more |= hook->run(hook);
	}
	return more;
}

/* No event names them any more. */
static void let_go(struct poller *p)
{
	while (!list_empty(&p->closed)) {
		struct sock *s = list_entry(p->closed.next, struct sock, node);

		list_unlink(&s->node);
		p->socks--;
		s->on_closed(s);
	}
}

/* Milliseconds; -1: for ever. */
static int next_timeout(struct poller *p)
{
	if (run_hooks(&p->hooks) || !list_empty(&p->closed) || !list_empty(&p->batch.ready) ||
	    !list_empty(&p->due))
		return 0;
	/* 0 also where the loop has changes of its own to tell to the kernel. */
	return uv_backend_timeout(p->loop);
}

static int min(int a, int b)
{
	return a < b ? a : b;
}

/* Of count sockets that something happened to, read from those that have something to read. */
static void read_ahead(struct batch *b, const struct epoll_event *events, int count)
{
	struct sock *socks[BATCH_CALLS];
	unsigned n = 0;

	for (int i = 0; i < count; i++) {
		struct sock *s = events[i].data.ptr;

		if (s && sock_may_read_ahead(s, events[i].events))
			socks[n++] = s;
	}
	if (n > 1)
		batch_read(b, socks, n);
}

/* Reads of which the owner left something are told of again when it wants more. */
static void keep_left(struct batch *b)
{
	struct sock_call *call;

	while ((call = batch_pop(&b->ahead))) {
		call->is_left = true;
		list_append(call->sock->watched & SOCK_READ ? &b->ready : &b->left, &call->node);
	}
}

static void tell_left(struct batch *b)
{
	struct list again;
	struct sock_call *call;

	if (list_empty(&b->ready))
		return;
	again = b->ready; /* those that are ready after this come in the next turn */
	again.next->prev = again.prev->next = &again;
	list_init(&b->ready);
	while ((call = batch_pop(&again))) {
		list_append(&b->ahead, &call->node);
		call->is_left = false;
		sock_dispatch_read(call->sock);
	}
	keep_left(b);
}

/* What was written goes out, and its owners go on; what they write then, too. */
static void write_late(struct batch *b)
{
	for (int i = 0; i < WRITES_PER_TURN && !list_empty(&b->late); i++) {
		struct sock_call *call;

		b->is_collecting = i + 1 < WRITES_PER_TURN;
		batch_write(b);
		while ((call = batch_pop(&b->done)))
			sock_dispatch_write(call->sock);
	}
	b->is_collecting = false;
}

/* Tells the owners of count sockets what happened, with one system call for all that they read, and one
 * for all that they write. Is the loop one of them? */
static bool tell(struct poller *p, const struct epoll_event *events, int count)
{
	struct batch *b = &p->batch;
	bool is_due = false;

	b->is_collecting = b->ring != NULL;
	if (b->ring)
		read_ahead(b, events, count);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			sock_dispatch(events[i].data.ptr, events[i].events);
		else
			is_due = true;
	}
	keep_left(b);
	write_late(b);
	return is_due;
}

void poller_turn(struct poller *p)
{
	struct epoll_event events[EVENTS_PER_TURN];
	bool is_due = false;
	int count;

	let_go(p);
	count = epoll_wait(p->epoll, events, EVENTS_PER_TURN, next_timeout(p));
	p->turns++;
	uv_update_time(p->loop);
	(void)run_hooks(&p->woken);
	tell_left(&p->batch);
	for (int i = 0; i < count; i += EVENTS_AT_ONCE)
		is_due |= tell(p, events + i, min(count - i, EVENTS_AT_ONCE));
	run_due(p);
	if (is_due || uv_backend_timeout(p->loop) == 0)
		(void)uv_run(p->loop, UV_RUN_NOWAIT);
}

void poller_run(struct poller *p)
{
	do
		poller_turn(p);
	while (p->socks || uv_loop_alive(p->loop));
}
