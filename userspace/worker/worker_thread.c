/* SPDX-License-Identifier: BSD-2-Clause */
/* One worker thread: see worker_thread.h. */
#include "worker/worker_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/listen.h"
#include "l7/conn_walk.h"
#include "l7/l7.h"
#include "l7/poller.h"

#define RETRY_MS 100
#define LAG_MS	 1000 /* between two looks at how late the loop is */

/* How long sockets stay whose place others have taken: until the program that gives connections to
 * sockets knows of it, and whoever was about to connect has done so, with a lost packet or two. */
#define LINGER_MS 3000U

/* Whoever has an idle connection when another process takes over has this long to ask for something,
 * and is answered; so only who has been idle for longer meets a connection that is being closed. */
#define HANDED_OVER_IDLE_MS 1000U

struct worker {
	pthread_t thread;
	unsigned index;
	struct mailbox mailbox;
	struct mailbox *main_mailbox;
	struct worker_counts counts;
	struct worker_message drain, close_all, stop; /* there when memory is not */
	/* Its own thread's: */
	uv_loop_t loop;
	struct poller poller;
	struct poller_hook publish;
	struct l7 *l7;
	struct snapshot *snapshot; /* the one served; a reference, NULL before the first */
	struct list listeners;
	struct list lingering; /* listeners in whose place there are others */
	uv_timer_t linger;     /* the first of them is to be closed */
	struct list commits;   /* to be done, in the order they came */
	uv_timer_t retry;      /* the first one found no memory */
	uv_timer_t lag;
	uint64_t lag_due_ns;
	bool is_draining;
	bool is_drained; /* and has said so */
};

struct worker_message *worker_message_new(enum worker_task task)
{
	struct worker_message *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->task = task;
	list_init(&m->node);
	list_init(&m->listeners);
	return m;
}

void worker_message_free(struct worker_message *m)
{
	if (!m)
		return;
	list_for_each_safe (it, &m->listeners)
		listener_free(list_entry(it, struct listener, node));
	snapshot_unref(m->snapshot);
	free(m);
}

static void send_back(struct worker *w, struct worker_message *m, int status)
{
	m->status = status;
	mailbox_post(w->main_mailbox, &m->node);
}

static void store(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to, n, memory_order_relaxed);
}

static bool publish(struct poller_hook *hook)
{
	struct worker *w = list_entry(hook, struct worker, publish);
	struct l7_load load;

	store(&w->counts.connections, l7_connections(w->l7));
	store(&w->counts.upstream_idle, l7_upstream_idle(w->l7));
	store(&w->counts.buffer_bytes, l7_buffer_bytes(w->l7));
	l7_load(w->l7, &load);
	store(&w->counts.batched, w->poller.batch.calls);
	atomic_store_explicit(&w->counts.batch_problem, w->poller.batch.problem,
			      memory_order_relaxed);
	store(&w->counts.pressure, load.pressure);
	store(&w->counts.lag_us, load.lag_us);
	store(&w->counts.memory, load.memory);
	store(&w->counts.waiting, load.waiting);
	store(&w->counts.is_full, load.is_full);
	if (w->is_draining && !w->is_drained && l7_connections(w->l7) == 0) {
		w->is_drained = true;
		send_back(w, &w->drain, 0);
	}
	return false;
}

/* How late the loop comes to what is due says how long a request waits for its turn. */
static void on_lag(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	uint64_t now = uv_hrtime(), us = now > w->lag_due_ns ? (now - w->lag_due_ns) / 1000 : 0;

	/* The loop counts in milliseconds, so a fraction of one is no lag. */
	us = us > 1000 ? us - 1000 : 0;
	store(&w->counts.timer_lag_us, us);
	store(&w->counts.turned_ms, now / 1000000); /* the same clock */
	if (us > atomic_load_explicit(&w->counts.timer_lag_max_us, memory_order_relaxed))
		store(&w->counts.timer_lag_max_us, us);
	uv_update_time(timer->loop);
	w->lag_due_ns = uv_hrtime() + LAG_MS * 1000000ULL;
	(void)uv_timer_start(timer, on_lag, LAG_MS, 0); /* 0 */
}

/*
 * Whose is it? Mostly that of the listener. What came to sockets by a program before it knew of a change
 * is that of whoever has the address now. NULL: nobody.
 */
static const char *service_of(const struct worker *w, const struct listener *l,
			      const struct endpoint *local)
{
	const struct service *s;

	if (l->service && !l->group.is_detached)
		return l->service;
	s = l->service ? snapshot_service(w->snapshot, l->service) : NULL;
	for (size_t i = 0; s && i < s->listen_count; i++)
		if (listen_has(&s->listens[i], local))
			return s->name;
	s = listen_find_proxied(w->snapshot, local);
	return s ? s->name : NULL;
}

/* A client that the service refuses, or that there is no memory for, is counted there. */
static void on_accept(struct listener *l, int fd, const struct endpoint *peer,
		      const struct endpoint *local)
{
	struct worker *w = l->events.ctx;
	const char *service = service_of(w, l, local);

	if (service)
		(void)l7_accept(w->l7, fd, service, peer, local);
	else
		close(fd);
}

static void on_accept_failed(struct listener *l)
{
	struct worker *w = l->events.ctx;

	if (l->service)
		l7_accept_failed(w->l7, l->service);
}

static bool may_accept(const struct listener *l)
{
	const struct worker *w = l->events.ctx;

	return l7_may_accept(w->l7);
}

/* The proxied service of a snapshot that these sockets are of; NULL: none. */
static const char *service_at(const struct snapshot *snap, const struct listener_group *group)
{
	char name[LISTEN_GROUP_STRLEN];

	for (size_t s = 0; s < snap->service_count; s++) {
		const struct service *service = &snap->services[s];

		if (!service_is_proxied(service))
			continue;
		for (size_t i = 0; i < service->listen_count; i++)
			if (!strcmp(listen_group(service, &service->listens[i], name), group->name))
				return service->name;
	}
	return NULL;
}

static void close_list(struct list *listeners, bool handed_over)
{
	list_for_each_safe (it, listeners) {
		struct listener *l = list_entry(it, struct listener, node);

		list_unlink(it);
		if (handed_over)
			listener_leave(l);
		else
			listener_close(l);
	}
}

/* Those that linger are this process's alone. */
static void close_listeners(struct worker *w, bool handed_over)
{
	close_list(&w->listeners, handed_over);
	close_list(&w->lingering, false);
	(void)uv_timer_stop(&w->linger); /* always 0 */
}

/* Do clients of l's now come to other sockets of this daemon? */
static bool has_heirs(const struct worker *w, const struct listener *l)
{
	const struct endpoint *ep = &l->group.ep;

	if (l->group.is_detached)
		return true; /* only by the program: there are none any more, or they have */
	if (!addr_is_unspecified(&ep->addr))
		return listen_find_proxied(w->snapshot, ep) != NULL;
	for (size_t s = 0; s < w->snapshot->service_count; s++) {
		const struct service *service = &w->snapshot->services[s];

		for (size_t i = 0; service_is_proxied(service) && i < service->listen_count; i++)
			if (service->listens[i].ep.addr.family == ep->addr.family &&
			    listen_has_port(&service->listens[i], ep->port))
				return true;
	}
	return false;
}

static void on_linger(uv_timer_t *timer)
{
	struct worker *w = timer->data;
	uint64_t now = uv_now(&w->loop);

	list_for_each_safe (it, &w->lingering) {
		struct listener *l = list_entry(it, struct listener, node);

		if (l->until_ms > now) {
			(void)uv_timer_start(timer, on_linger, l->until_ms - now, 0); /* 0 */
			return;
		}
		list_unlink(it);
		listener_close(l);
	}
}

static void linger(struct worker *w, struct listener *l)
{
	l->service = NULL;
	l->until_ms = uv_now(&w->loop) + LINGER_MS;
	list_append(&w->lingering, &l->node);
	if (!uv_is_active((uv_handle_t *)&w->linger))
		(void)uv_timer_start(&w->linger, on_linger, LINGER_MS, 0); /* 0 */
}

/* Each listener that is there gets the name that its service has now; or goes. */
static void rename_listeners(struct worker *w, bool steered)
{
	list_for_each_safe (it, &w->listeners) {
		struct listener *l = list_entry(it, struct listener, node);

		l->service = service_at(w->snapshot, &l->group);
		if (l->service)
			continue;
		list_unlink(it);
		/* Else nobody is served there any more, nor is who waits in the queue. */
		if (steered && has_heirs(w, l))
			linger(w, l);
		else
			listener_close(l);
	}
}

static void take_listeners(struct worker *w, struct worker_message *m)
{
	const struct listener_events events = {on_accept, on_accept_failed, may_accept, w};

	list_for_each_safe (it, &m->listeners) {
		struct listener *l = list_entry(it, struct listener, node);
		int err;

		l->service = service_at(w->snapshot, &l->group);
		if (!l->service) /* prepared for another snapshot: the message frees it */
			continue;
		list_unlink(it);
		err = listener_start(l, &w->poller, &events);
		if (err == 0) {
			list_append(&w->listeners, it);
		} else {
			listener_close(l);
			m->status = err;
		}
	}
}

/* -ENOMEM: nothing was done. */
static int commit(struct worker *w, struct worker_message *m)
{
	struct snapshot *before = w->snapshot;
	int err = l7_set_snapshot(w->l7, m->snapshot);

	if (err < 0)
		return err;
	w->snapshot = snapshot_ref(m->snapshot);
	rename_listeners(w, m->is_steered);
	if (!w->is_draining)
		take_listeners(w, m);
	snapshot_unref(before);
	store(&w->counts.generation, w->snapshot->generation);
	return 0;
}

static void on_retry(uv_timer_t *timer);

/* The other workers have the new snapshot already: want of memory is waited out. */
static void run_commits(struct worker *w)
{
	while (!list_empty(&w->commits)) {
		struct worker_message *m = list_entry(w->commits.next, struct worker_message, node);

		if (commit(w, m) < 0) {
			(void)uv_timer_start(&w->retry, on_retry, RETRY_MS, 0); /* 0 */
			return;
		}
		list_unlink(&m->node);
		send_back(w, m, m->status);
	}
}

static void on_retry(uv_timer_t *timer)
{
	run_commits(timer->data);
}

/* publish(), before the next wait, sees whether anything is left. */
static void drain(struct worker *w, bool handed_over)
{
	w->is_draining = true;
	close_listeners(w, handed_over);
	l7_drain(w->l7, handed_over ? HANDED_OVER_IDLE_MS : 0);
}

static void end(struct worker *w)
{
	while (!list_empty(&w->commits)) {
		struct worker_message *m = list_entry(w->commits.next, struct worker_message, node);

		list_unlink(&m->node);
		send_back(w, m, -ECANCELED);
	}
	close_listeners(w, false);
	l7_close_all(w->l7);
	uv_close((uv_handle_t *)&w->retry, NULL);
	uv_close((uv_handle_t *)&w->linger, NULL);
	uv_close((uv_handle_t *)&w->lag, NULL);
	mailbox_close(&w->mailbox, NULL);
}

static void on_message(struct mailbox *mailbox, struct list *node)
{
	struct worker *w = mailbox->ctx;
	struct worker_message *m = list_entry(node, struct worker_message, node);

	switch (m->task) {
	case WORKER_COMMIT:
		list_append(&w->commits, &m->node);
		if (!uv_is_active((uv_handle_t *)&w->retry))
			run_commits(w);
		break;
	case WORKER_DRAIN: drain(w, m->is_handed_over); break;
	case WORKER_CLOSE: l7_close_all(w->l7); break;
	case WORKER_STOP: end(w); break;
	case WORKER_WALK:
		conn_walk(w->l7, m->walk);
		send_back(w, m, 0);
		break;
	}
}

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof(name), "shuntd-w%u", w->index);
	(void)pthread_setname_np(pthread_self(), name); /* only a name */
	poller_run(&w->poller);				/* until end() left it nothing */
	return NULL;
}

static int start_thread(struct worker *w)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

void worker_free(struct worker *w)
{
	l7_free(w->l7);
	snapshot_unref(w->snapshot);
	mailbox_deinit(&w->mailbox);
	poller_deinit(&w->poller);
	(void)uv_loop_close(&w->loop); /* it ran dry */
	free(w);
}

int worker_start(unsigned index, bool batched, struct tls_shared *tls, struct mailbox *main_mailbox,
		 struct worker **ret_worker)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct l7_env env = {.worker = index, .tls = tls};
	int err;

	if (!w)
		return -ENOMEM;
	w->index = index;
	w->main_mailbox = main_mailbox;
	w->drain.task = WORKER_DRAIN;
	w->close_all.task = WORKER_CLOSE;
	w->stop.task = WORKER_STOP;
	list_init(&w->listeners);
	list_init(&w->lingering);
	list_init(&w->commits);
	err = uv_loop_init(&w->loop);
	if (err < 0)
		goto fail;
	err = poller_init(&w->poller, &w->loop, batched);
	if (err < 0)
		goto fail_loop;
	err = mailbox_init(&w->mailbox, &w->loop, on_message, w);
	if (err < 0)
		goto fail_poller;
	env.loop = &w->loop;
	env.poller = &w->poller;
	err = l7_new(&env, &w->l7);
	if (err < 0)
		goto fail_mailbox;
	/* These are always 0. */
	(void)uv_timer_init(&w->loop, &w->retry);
	(void)uv_timer_init(&w->loop, &w->linger);
	(void)uv_timer_init(&w->loop, &w->lag);
	w->retry.data = w->linger.data = w->lag.data = w;
	w->lag_due_ns = uv_hrtime() + LAG_MS * 1000000ULL;
	(void)uv_timer_start(&w->lag, on_lag, LAG_MS, 0);
	store(&w->counts.turned_ms, uv_hrtime() / 1000000);
	w->publish.run = publish;
	poller_add_hook(&w->poller, &w->publish);
	err = start_thread(w);
	if (err == 0) {
		*ret_worker = w;
		return 0;
	}
	end(w);
	poller_run(&w->poller);
	worker_free(w);
	return err;
fail_mailbox:
	mailbox_close(&w->mailbox, NULL);
	poller_run(&w->poller);
	mailbox_deinit(&w->mailbox);
fail_poller:
	poller_deinit(&w->poller);
fail_loop:
	(void)uv_loop_close(&w->loop);
fail:
	free(w);
	return err;
}

void worker_post(struct worker *w, struct worker_message *m)
{
	mailbox_post(&w->mailbox, &m->node);
}

void worker_drain(struct worker *w, bool handed_over)
{
	w->drain.is_handed_over = handed_over;
	worker_post(w, &w->drain);
}

void worker_close_all(struct worker *w)
{
	worker_post(w, &w->close_all);
}

void worker_stop(struct worker *w)
{
	worker_post(w, &w->stop);
}

const struct worker_counts *worker_counts(const struct worker *w)
{
	return &w->counts;
}

void worker_join(struct worker *w)
{
	(void)pthread_join(w->thread, NULL); /* fails only for a thread that is not ours */
}
