/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy's threads as the main thread sees them: see worker.h. */
#include "worker/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"
#include "core/clock.h"
#include "l7/conn_walk.h"
#include "tls/shared.h"
#include "worker/legacy.h"
#include "worker/worker_thread.h"

/* A commit under way; freed when it is over. */
struct commit {
	workers_cb cb;
	void *ctx;
	unsigned pending;
	int status;
};

/* Those of the sockets that are served, by group. */
struct served {
	struct served_group {
		struct listener_group group;
		int *fds; /* for each worker, which own them, or more: see listen_at() */
		size_t count;
	} * groups;
	size_t count;
	int *fds; /* of all groups */
};

/* Sockets that have been let go of and may still be open for a while. */
struct leaving {
	struct endpoint ep;
	uint64_t until_ms;
};

#define LEAVING_MAX 64	  /* the latest: with more, a new listen address may seem to be in use */
#define LEAVING_MS  10000 /* longer than a worker lets them linger */

#define WORKER_TURN_MS_MIN 3000 /* an idle one turns every second */

/* All that a commit needs, so that it cannot fail for want of memory. */
struct worker_sockets {
	struct commit *commit;
	struct worker_message **messages; /* for each worker, with its listeners */
	unsigned count;
	struct served served; /* afterwards */
};

struct workers {
	unsigned count;
	struct worker **workers;
	struct tls_shared *tls; /* among them */
	struct mailbox mailbox; /* what comes back from them */
	uv_timer_t deadline;	/* of the drain */
	unsigned open_handles;
	struct served served; /* what has listeners */
	struct legacy legacy; /* sockets of another process, until the first commit */
	struct leaving leaving[LEAVING_MAX];
	unsigned next_leaving;
	struct drain {
		bool started;
		workers_cb cb;
		void *ctx;
		unsigned pending;
		int status;
	} drain;
};

/* ---- messages that come back ----------------------------------------------------------------- */

static void commit_done(struct commit *c, int status)
{
	if (status < 0)
		c->status = status;
	if (--c->pending)
		return;
	if (c->cb)
		c->cb(c->ctx, c->status);
	free(c);
}

static void drain_done(struct workers *w)
{
	struct drain d = w->drain;

	if (--w->drain.pending)
		return;
	(void)uv_timer_stop(&w->deadline); /* always 0 */
	d.cb(d.ctx, d.status);
}

/* ---- walks ---- */

/* Owner of itself: it is under way between two threads until it is over. */
struct walk {
	struct worker_message message;
	struct workers_walk events;
	unsigned worker; /* whose connections are looked at */
	struct conn_walk at;
};

int workers_walk(struct workers *w, const struct conn_question *question,
		 const struct workers_walk *events)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	walk->at.asked = *question;
	walk->events = *events;
	walk->message.task = WORKER_WALK;
	walk->message.walk = &walk->at;
	walk->message.op = walk;
	list_init(&walk->message.node);
	worker_post(w->workers[0], &walk->message);
	return 0;
}

static void end_walk(struct walk *walk, int status)
{
	walk->events.done(walk->events.ctx, status);
	free(walk);
}

/* A page came back. */
static void go_on(struct workers *w, struct walk *walk)
{
	bool more = walk->events.page(walk->events.ctx, &walk->at);

	if (walk->at.is_over) {
		walk->at.is_begun = walk->at.is_over = false;
		walk->worker++;
	}
	if (more && walk->worker < w->count)
		worker_post(w->workers[walk->worker], &walk->message);
	else
		end_walk(walk, 0);
}

static void on_message(struct mailbox *mailbox, struct list *node)
{
	struct worker_message *m = list_entry(node, struct worker_message, node);
	enum worker_task task = m->task;
	void *op = m->op;
	int status = m->status;

	if (task == WORKER_DRAIN) {
		drain_done(mailbox->ctx);
		return;
	}
	if (task == WORKER_WALK) {
		go_on(mailbox->ctx, op);
		return;
	}
	worker_message_free(m);
	commit_done(op, status);
}

static void served_deinit(struct served *s)
{
	free(s->groups);
	free(s->fds);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct workers *w = ((struct mailbox *)handle->data)->ctx;

	if (--w->open_handles)
		return;
	mailbox_deinit(&w->mailbox);
	tls_shared_free(w->tls);
	free(w->workers);
	served_deinit(&w->served);
	legacy_deinit(&w->legacy);
	free(w);
}

static void take_legacy(struct workers *w, struct legacy *legacy)
{
	if (!legacy)
		return;
	if (w && w->tls) {
		(void)tls_shared_adopt(w->tls, &legacy->tickets);
		tls_shared_hold_early_data(w->tls);
		w->legacy = *legacy;
	} else {
		legacy_deinit(legacy);
	}
	*legacy = (struct legacy){0};
}

int workers_start(uv_loop_t *main_loop, const struct node *node, struct legacy *legacy,
		  struct workers **ret_workers, struct diag *d)
{
	struct workers *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (w)
		w->tls = tls_shared_new(node->ticket_rotation_ms);
	take_legacy(w, legacy);
	if (!w || !w->tls)
		goto out;
	w->workers = calloc(node->workers, sizeof(struct worker *));
	if (!w->workers)
		goto out;
	err = mailbox_init(&w->mailbox, main_loop, on_message, w);
	if (err < 0)
		goto out;
	(void)uv_timer_init(main_loop, &w->deadline); /* always 0 */
	w->deadline.data = &w->mailbox;
	w->open_handles = 2;
	for (; w->count < node->workers; w->count++) {
		err = worker_start(w->count, node->io_uring == IO_URING_AUTO, w->tls, &w->mailbox,
				   &w->workers[w->count]);
		if (err < 0) {
			diag_error(d, NULL, "cannot start worker %u: %s", w->count, strerror(-err));
			workers_stop(w);
			return err;
		}
	}
	tls_shared_forget_secret(w->tls);
	*ret_workers = w;
	return 0;
out:
	diag_error(d, NULL, "cannot start workers: %s", strerror(-err));
	if (w) {
		tls_shared_free(w->tls);
		free(w->workers);
		legacy_deinit(&w->legacy);
	}
	free(w);
	return err;
}

int workers_legacy(const struct workers *w, struct legacy *ret_legacy)
{
	struct legacy l = {.count = w->served.count};

	l.groups = calloc(l.count + 1, sizeof(*l.groups));
	if (!l.groups)
		return -ENOMEM;
	for (size_t i = 0; i < l.count; i++) {
		const struct served_group *g = &w->served.groups[i];

		memcpy(l.groups[i].name, g->group.name, sizeof(l.groups[i].name));
		l.groups[i].fds = g->fds;
		l.groups[i].count = g->count;
	}
	tls_shared_keys(w->tls, &l.tickets);
	*ret_legacy = l;
	return 0;
}

/* Commits that come too late for their callbacks. */
static void drop_messages(struct workers *w)
{
	struct list *left;

	while ((left = mailbox_take(&w->mailbox))) {
		struct worker_message *m = list_entry(left, struct worker_message, node);

		if (m->task == WORKER_DRAIN)
			continue; /* a part of its worker */
		if (m->task == WORKER_WALK) {
			end_walk(m->op, -ECANCELED);
			continue;
		}
		((struct commit *)m->op)->cb = NULL;
		commit_done(m->op, 0);
		worker_message_free(m);
	}
}

void workers_stop(struct workers *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->count; i++)
		worker_stop(w->workers[i]);
	for (unsigned i = 0; i < w->count; i++)
		worker_join(w->workers[i]);
	drop_messages(w);
	for (unsigned i = 0; i < w->count; i++)
		worker_free(w->workers[i]);
	mailbox_close(&w->mailbox, on_handle_closed);
	uv_close((uv_handle_t *)&w->deadline, on_handle_closed);
}

/* ---- commits --------------------------------------------------------------------------------- */

static size_t count_listens(const struct snapshot *snap)
{
	size_t n = 0;

	for (size_t s = 0; s < snap->service_count; s++)
		if (service_is_proxied(&snap->services[s]))
			n += snap->services[s].listen_count;
	return n;
}

static struct served_group *find_group(const struct served *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->groups[i].group.name, name))
			return &s->groups[i];
	return NULL;
}

/* How many sockets a group has at most. */
static size_t group_width(const struct workers *w)
{
	size_t width = w->count;

	for (size_t i = 0; i < w->legacy.count; i++)
		if (w->legacy.groups[i].count > width)
			width = w->legacy.groups[i].count;
	for (size_t i = 0; i < w->served.count; i++)
		if (w->served.groups[i].count > width)
			width = w->served.groups[i].count;
	return width;
}

static struct worker_sockets *sockets_new(unsigned count, size_t listens, size_t width)
{
	struct worker_sockets *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->commit = calloc(1, sizeof(*s->commit));
	s->messages = calloc(count, sizeof(struct worker_message *));
	s->served.groups = calloc(listens + 1, sizeof(*s->served.groups));
	s->served.fds = calloc((listens + 1) * width, sizeof(*s->served.fds));
	if (!s->commit || !s->messages || !s->served.groups || !s->served.fds)
		goto fail;
	for (; s->count < count; s->count++) {
		s->messages[s->count] = worker_message_new(WORKER_COMMIT);
		if (!s->messages[s->count])
			goto fail;
	}
	return s;
fail:
	worker_sockets_free(s);
	return NULL;
}

void worker_sockets_free(struct worker_sockets *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->count; i++)
		worker_message_free(s->messages[i]);
	free(s->commit);
	free(s->messages);
	served_deinit(&s->served);
	free(s);
}

static void report(const struct service *service, const struct listen *l, int err, struct diag *d)
{
	char text[LISTEN_STRLEN];

	if (listen_is_exact(l))
		endpoint_format(&l->ep, text, sizeof(text));
	else
		listen_format(l, text, sizeof(text));
	diag_error(d, NULL, "service %s: cannot listen at %s: %s", service->name, text,
		   strerror(-err));
}

/* Does a listener of this daemon stand in the way of asking who else is there? */
static bool is_ours(const struct workers *w, const struct endpoint *ep)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < w->served.count; i++)
		if (listener_overlaps(&w->served.groups[i].group.ep, ep))
			return true;
	for (unsigned i = 0; i < LEAVING_MAX; i++)
		if (w->leaving[i].until_ms > now && listener_overlaps(&w->leaving[i].ep, ep))
			return true;
	return false;
}

static bool is_legacy(const struct workers *w, const struct service *s, const struct listen *l)
{
	const struct listener_group group = listener_group_of(s, l);

	return legacy_find(&w->legacy, group.name) != NULL;
}

/* Does somebody else listen at an address of the service? Asked before any socket of ours is made,
 * which might overlap the next address. */
static int probe_all(const struct workers *w, const struct service *service, struct diag *d)
{
	int first = 0;

	for (size_t i = 0; i < service->listen_count; i++) {
		const struct listen *l = &service->listens[i];
		int err = !listen_is_exact(l) || is_ours(w, &l->ep) || is_legacy(w, service, l)
				  ? 0
				  : listener_probe(&l->ep);

		if (err < 0)
			report(service, l, err, d);
		if (!first)
			first = err;
	}
	return first;
}

/* One socket for each worker; if another process had more, some have several: the kernel goes on giving
 * connections to all of them. */
static int listen_at(struct worker_sockets *s, struct served_group *group,
		     struct legacy_group *legacy)
{
	unsigned count = legacy && legacy->count > s->count ? (unsigned)legacy->count : s->count;

	for (unsigned i = 0; i < count; i++) {
		struct listener *l;
		int err, fd = legacy ? legacy_take(legacy, i) : -1;

		err = fd >= 0 ? listener_adopt(&group->group, fd, &l)
			      : listener_new(&group->group, &l);
		if (err < 0)
			return err;
		group->fds[group->count++] = l->fd;
		list_append(&s->messages[i % s->count]->listeners, &l->node);
	}
	return 0;
}

static int listen_group_at(struct workers *w, const struct listener_group *group,
			   struct worker_sockets *s)
{
	const struct served_group *had = find_group(&w->served, group->name);
	struct served_group *g;

	if (find_group(&s->served, group->name))
		return 0;
	g = &s->served.groups[s->served.count];
	*g = (struct served_group){*group, &s->served.fds[s->served.count * group_width(w)], 0};
	s->served.count++;
	if (!had)
		return listen_at(s, g, legacy_find(&w->legacy, group->name));
	memcpy(g->fds, had->fds, had->count * sizeof(*g->fds));
	g->count = had->count;
	return 0;
}

static int listen_all(struct workers *w, const struct service *service, struct worker_sockets *s,
		      struct diag *d)
{
	int first = 0;

	for (size_t i = 0; i < service->listen_count; i++) {
		const struct listener_group group =
			listener_group_of(service, &service->listens[i]);
		int err = listen_group_at(w, &group, s);

		if (err < 0)
			report(service, &service->listens[i], err, d);
		if (!first)
			first = err;
	}
	return first;
}

int workers_prepare(struct workers *w, const struct snapshot *snap,
		    struct worker_sockets **ret_sockets, struct diag *d)
{
	struct worker_sockets *s;
	int first = 0;

	for (size_t i = 0; i < snap->service_count; i++) {
		int err = 0;

		if (service_is_proxied(&snap->services[i]))
			err = probe_all(w, &snap->services[i], d);
		if (!first)
			first = err;
	}
	if (first < 0)
		return first;
	s = sockets_new(w->count, count_listens(snap), group_width(w));
	if (!s) {
		diag_error(d, NULL, "out of memory for listening sockets");
		return -ENOMEM;
	}
	for (size_t i = 0; i < snap->service_count; i++) {
		int err = 0;

		if (service_is_proxied(&snap->services[i]))
			err = listen_all(w, &snap->services[i], s, d);
		if (!first)
			first = err;
	}
	if (first < 0) {
		worker_sockets_free(s);
		return first;
	}
	*ret_sockets = s;
	return 0;
}

int worker_sockets_each(const struct worker_sockets *s, worker_sockets_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < s->served.count && !err; i++)
		err = fn(ctx, s->served.groups[i].group.name, s->served.groups[i].fds,
			 s->served.groups[i].count);
	return err;
}

void worker_sockets_set_steered(struct worker_sockets *s)
{
	for (unsigned i = 0; i < s->count; i++)
		s->messages[i]->is_steered = true;
}

/* What is served no more may stay open for a while. */
static void note_leaving(struct workers *w, const struct served *next)
{
	uint64_t until = clock_now_ms() + LEAVING_MS;

	for (size_t i = 0; i < w->served.count; i++) {
		const struct listener_group *g = &w->served.groups[i].group;

		if (g->is_detached || find_group(next, g->name))
			continue;
		w->leaving[w->next_leaving++ % LEAVING_MAX] = (struct leaving){g->ep, until};
	}
}

void workers_commit(struct workers *w, struct snapshot *snap, struct worker_sockets *sockets,
		    workers_cb cb, void *ctx)
{
	struct commit *c = sockets->commit;

	*c = (struct commit){.cb = cb, .ctx = ctx, .pending = w->count};
	if (sockets->count && sockets->messages[0]->is_steered)
		note_leaving(w, &sockets->served);
	served_deinit(&w->served);
	legacy_deinit(&w->legacy);
	w->served = sockets->served;
	for (unsigned i = 0; i < w->count; i++) {
		struct worker_message *m = sockets->messages[i];

		m->op = c;
		m->snapshot = snapshot_ref(snap);
		worker_post(w->workers[i], m);
	}
	sockets->commit = NULL;
	sockets->served = (struct served){0};
	sockets->count = 0;
	worker_sockets_free(sockets);
}

/* ---- drain and status ------------------------------------------------------------------------ */

static void on_deadline(uv_timer_t *timer)
{
	struct workers *w = ((struct mailbox *)timer->data)->ctx;

	w->drain.status = -ETIMEDOUT;
	for (unsigned i = 0; i < w->count; i++)
		worker_close_all(w->workers[i]);
}

static void begin_drain(struct workers *w, bool handed_over, unsigned deadline_ms, workers_cb cb,
			void *ctx)
{
	assert(!w->drain.started);
	w->drain = (struct drain){.started = true, .cb = cb, .ctx = ctx, .pending = w->count};
	for (unsigned i = 0; i < w->count; i++)
		worker_drain(w->workers[i], handed_over);
	(void)uv_timer_start(&w->deadline, on_deadline, deadline_ms, 0); /* has a callback: 0 */
}

void workers_drain(struct workers *w, unsigned deadline_ms, workers_cb cb, void *ctx)
{
	begin_drain(w, false, deadline_ms, cb, ctx);
}

void workers_drain_handed_over(struct workers *w, unsigned deadline_ms, workers_cb cb, void *ctx)
{
	tls_shared_end_early_data(w->tls);
	begin_drain(w, true, deadline_ms, cb, ctx);
}

static uint64_t load(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void workers_status(const struct workers *w, struct workers_status *ret_status)
{
	struct workers_status s = {.count = w->count, .generation = UINT64_MAX};

	for (unsigned i = 0; i < w->count; i++) {
		const struct worker_counts *n = worker_counts(w->workers[i]);
		uint64_t generation = atomic_load_explicit(&n->generation, memory_order_relaxed);

		s.connections += atomic_load_explicit(&n->connections, memory_order_relaxed);
		s.upstream_idle += atomic_load_explicit(&n->upstream_idle, memory_order_relaxed);
		s.buffer_bytes += atomic_load_explicit(&n->buffer_bytes, memory_order_relaxed);
		if (generation < s.generation)
			s.generation = generation;
		s.pressure = max(s.pressure, load(&n->pressure));
		s.lag_us = max(s.lag_us, load(&n->lag_us));
		s.memory += load(&n->memory);
		s.waiting += load(&n->waiting);
		s.full += load(&n->is_full) != 0;
		if (!s.batch_problem)
			s.batch_problem =
				atomic_load_explicit(&n->batch_problem, memory_order_relaxed);
	}
	*ret_status = s;
}

void workers_facts(const struct workers *w, unsigned number, struct worker_facts *ret_facts)
{
	const struct worker_counts *n = worker_counts(w->workers[number]);

	*ret_facts = (struct worker_facts){
		.connections = atomic_load_explicit(&n->connections, memory_order_relaxed),
		.upstream_idle = atomic_load_explicit(&n->upstream_idle, memory_order_relaxed),
		.generation = atomic_load_explicit(&n->generation, memory_order_relaxed),
		.batched = load(&n->batched),
		.lag_us = atomic_load_explicit(&n->timer_lag_us, memory_order_relaxed),
		.lag_max_us = atomic_load_explicit(&n->timer_lag_max_us, memory_order_relaxed),
	};
}

bool workers_turn(const struct workers *w, unsigned within_ms)
{
	uint64_t now = clock_now_ms();

	if (within_ms < WORKER_TURN_MS_MIN)
		within_ms = WORKER_TURN_MS_MIN;
	for (unsigned i = 0; i < w->count; i++) {
		const struct worker_counts *n = worker_counts(w->workers[i]);
		uint64_t turned = atomic_load_explicit(&n->turned_ms, memory_order_relaxed);

		if (now > turned + within_ms)
			return false;
	}
	return true;
}
