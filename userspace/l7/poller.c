/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turns: see poller.h. */
#include "l7/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "l7/sock.h"

#define EVENTS_PER_TURN 256

int poller_init(struct poller *p, uv_loop_t *loop)
{
	struct epoll_event ev = {.events = EPOLLIN}; /* no socket: the loop */
	int err;

	*p = (struct poller){.loop = loop, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	list_init(&p->closed);
	list_init(&p->hooks);
	list_init(&p->woken);
	if (p->epoll < 0)
		return -errno;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, uv_backend_fd(loop), &ev) == 0)
		return 0;
	err = -errno;
	close(p->epoll);
	return err;
}

void poller_deinit(struct poller *p)
{
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
	if (run_hooks(&p->hooks) || !list_empty(&p->closed))
		return 0;
	/* 0 also where the loop has changes of its own to tell to the kernel. */
	return uv_backend_timeout(p->loop);
}

/* One wait, and what came of it. */
static void turn(struct poller *p)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count = epoll_wait(p->epoll, events, EVENTS_PER_TURN, next_timeout(p));
	bool is_due = false;

	p->turns++;
	uv_update_time(p->loop);
	(void)run_hooks(&p->woken);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			sock_dispatch(events[i].data.ptr, events[i].events);
		else
			is_due = true;
	}
	if (is_due || uv_backend_timeout(p->loop) == 0)
		(void)uv_run(p->loop, UV_RUN_NOWAIT);
}

void poller_run(struct poller *p)
{
	do {
		let_go(p);
		turn(p);
	} while (p->socks || uv_loop_alive(p->loop));
}
