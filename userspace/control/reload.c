/* SPDX-License-Identifier: BSD-2-Clause */
/* How a configuration takes effect, step by step, and back again where a step fails: reload.h. */
#include "control/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/diag_log.h"
#include "control/log_settings.h"
#include "control/restart_list.h"
#include "control/steering.h"
#include "control/summary.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "health/health.h"
#include "l4/l4.h"
#include "worker/worker.h"

#define QUEUE_MAX	1024 /* as many as the control socket has connections */
#define GATHER_SHARE	4
#define GATHER_MAX_MS	25
#define TICK_MS		10000
#define FOLLOW_MS	1000
#define REPAIR_FIRST_MS 1000
#define REPAIR_MAX_MS	30000

struct job {
	struct list node;      /* of reload.queue, or of the batch that it is in */
	struct list batch;     /* edits that take effect with this one */
	bool alone;	       /* its batch was refused: each by itself */
	struct tree *document; /* or, NULL, an edit */
	reload_edit edit;
	struct reload_origin origin;
	reload_cb cb;
	void *ctx;
	uint64_t start_ns;
	struct snapshot *snap;
	struct worker_sockets *sockets;
	struct reload_result result;
};

struct reload {
	struct reload_parts parts;
	struct snapshot *current; /* reference; NULL before the first */
	uint64_t generation;
	struct list queue;
	size_t queued;
	struct job *running; /* waits for the workers, or is at work right now */
	uv_timer_t start;    /* runs the next job from the loop, never from a caller */
	uv_timer_t tick;     /* l4_tick() */
	uv_timer_t sweep;    /* l4_sweep() */
	uv_timer_t follow;   /* l4_follow_interfaces() */
	uv_timer_t repair;   /* writes the maps again after a failure */
	uv_poll_t events;    /* l4_read_events() */
	uint64_t repair_ms;
	uint64_t last_ms; /* what the last job took */
	unsigned lingering;
	unsigned open; /* timers, and events, not closed yet */
	struct change_list restart_changes;
	bool started; /* something has been in force */
	bool paused;  /* parts.l4 is another process's */
	bool quiesced;
	bool closing;
	void (*done_cb)(void *ctx);
	void *done_ctx;
};

/* As it was before it was tried. */
static void reset_job(struct job *job)
{
	tree_free(job->document);
	worker_sockets_free(job->sockets);
	snapshot_unref(job->snap);
	diag_deinit(&job->result.diag);
	change_list_deinit(&job->result.changes);
	job->document = NULL;
	job->sockets = NULL;
	job->snap = NULL;
	job->result = (struct reload_result){0};
}

static void free_job(struct job *job)
{
	if (!job)
		return;
	list_for_each_safe (it, &job->batch)
		free_job(list_entry(it, struct job, node));
	list_unlink(&job->node);
	reset_job(job);
	free(job);
}

/* One line for each request, whatever became of it: who, what, how long. */
static void log_job(const struct job *job)
{
	const struct reload_result *r = &job->result;

	/* Warnings of the document were told when it was read; an edit does not repeat them. */
	if (r->status || !job->edit)
		diag_log(&r->diag);
	if (!r->status)
		log_info("config: in force generation=%llu changes=%zu origin=%s uid=%ld "
			 "edits=%zu duration_us=%llu",
			 (unsigned long long)r->generation, r->changes.count, job->origin.what,
			 job->origin.uid, r->edits, (unsigned long long)r->duration_us);
	else
		log_write(job->origin.uid < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			  "config: refused, nothing changed generation=%llu origin=%s uid=%ld "
			  "errors=%zu",
			  (unsigned long long)r->generation, job->origin.what, job->origin.uid,
			  r->diag.errors);
}

static void start_soon(struct reload *r);

static void tell_result(struct reload *r, struct job *job, int status)
{
	job->result.status = status;
	job->result.generation = r->generation;
	job->result.duration_us = (clock_now_ns() - job->start_ns) / 1000;
	if (status && !job->result.diag.errors)
		diag_error(&job->result.diag, NULL, "%s", strerror(-status));
	if (job->cb)
		job->cb(job->ctx, &job->result);
}

/* Those that took effect with job, or fail with it. */
static void finish_batch(struct reload *r, struct job *job, int status)
{
	list_for_each_safe (it, &job->batch) {
		struct job *other = list_entry(it, struct job, node);

		list_unlink(&other->node);
		other->start_ns = job->start_ns;
		if (status && job->result.diag.count)
			diag_error(&other->result.diag, NULL, "%s", job->result.diag.items[0].text);
		other->result.edits = job->result.edits;
		other->result.changes = job->result.changes; /* lent */
		other->result.written = job->result.written;
		tell_result(r, other, status);
		if (status)
			log_job(other);
		other->result.changes = (struct change_list){0};
		free_job(other);
	}
}

static void finish_job(struct reload *r, struct job *job, int status)
{
	r->running = NULL;
	r->last_ms = (clock_now_ns() - job->start_ns) / 1000000;
	tell_result(r, job, status);
	log_job(job);
	finish_batch(r, job, status);
	if (!status && r->parts.note)
		r->parts.note(r->parts.note_ctx, r->current, &job->origin, &job->result);
	free_job(job);
	start_soon(r);
}

/* ---- kernel maps ---- */

static void on_repair(uv_timer_t *timer);

static void schedule_repair(struct reload *r)
{
	r->repair_ms = r->repair_ms ? r->repair_ms * 2 : REPAIR_FIRST_MS;
	if (r->repair_ms > REPAIR_MAX_MS)
		r->repair_ms = REPAIR_MAX_MS;
	(void)uv_timer_start(&r->repair, on_repair, r->repair_ms, 0); /* fails only when closing */
}

/* Bring the maps in step with what is in force; try again later where that fails. */
static void sync_maps(struct reload *r)
{
	struct l4_report report;
	struct diag d;

	if (!r->parts.l4 || !r->current)
		return;
	diag_init(&d);
	if (l4_apply(r->parts.l4, r->current, &report, &d)) {
		diag_log(&d);
		schedule_repair(r);
		log_error("config: kernel tables are behind retry_ms=%llu",
			  (unsigned long long)r->repair_ms);
	} else {
		if (r->repair_ms)
			log_info("config: kernel tables are in step again");
		r->repair_ms = 0;
		(void)uv_timer_stop(&r->repair);
		if (steering_is_behind(r->parts.steering))
			schedule_repair(r);
	}
	diag_deinit(&d);
}

/* Connections go by what is in force; try again later where that fails. */
static void publish_sockets(struct reload *r)
{
	bool was_behind = steering_is_behind(r->parts.steering);
	struct diag d;

	diag_init(&d);
	if (steering_publish(r->parts.steering, r->current, &d)) {
		diag_log(&d);
		schedule_repair(r);
		log_error("config: tables of listening sockets are behind retry_ms=%llu",
			  (unsigned long long)r->repair_ms);
	} else if (was_behind) {
		log_info("config: tables of listening sockets are in step again");
		if (!r->parts.l4)
			r->repair_ms = 0;
	}
	diag_deinit(&d);
}

static void on_repair(uv_timer_t *timer)
{
	struct reload *r = timer->data;

	sync_maps(r);
	if (steering_is_behind(r->parts.steering))
		publish_sockets(r);
}

static void on_tick(uv_timer_t *timer)
{
	struct reload *r = timer->data;

	struct diag d;

	r->lingering = l4_tick(r->parts.l4);
	diag_init(&d);
	l4_nat_tick(r->parts.l4, &d);
	diag_log(&d);
	diag_deinit(&d);
}

static void on_sweep(uv_timer_t *timer)
{
	struct reload *r = timer->data;

	(void)uv_timer_start(timer, on_sweep, l4_sweep(r->parts.l4), 0); /* fails when closing */
}

static void on_follow(uv_timer_t *timer)
{
	struct reload *r = timer->data;
	struct diag d;

	if (!r->current)
		return;
	diag_init(&d);
	if (l4_follow_interfaces(r->parts.l4, r->current, &d)) {
		summary_log_interfaces(r->parts.l4);
		sync_maps(r); /* with the MTU and the addresses that it has now */
	}
	diag_log(&d);
	diag_deinit(&d);
}

static void on_events(uv_poll_t *poll, int status, int readable)
{
	struct reload *r = poll->data;

	(void)status; /* an error is read as well */
	(void)readable;
	l4_read_events(r->parts.l4);
}

static bool interfaces_differ(const struct snapshot *a, const struct snapshot *b)
{
	if (!a || a->node.interface_count != b->node.interface_count ||
	    a->node.xdp_mode != b->node.xdp_mode)
		return true;
	for (size_t i = 0; i < a->node.interface_count; i++)
		if (strcmp(a->node.interfaces[i], b->node.interfaces[i]) != 0)
			return true;
	return false;
}

/* After a failure half-way: the former snapshot again. */
static void restore(struct reload *r, bool interfaces)
{
	struct diag d;

	if (!r->parts.l4 || !r->current)
		return;
	sync_maps(r);
	if (!interfaces)
		return;
	diag_init(&d);
	if (l4_attach(r->parts.l4, r->current, &d))
		diag_log(&d);
	diag_deinit(&d);
}

static int apply_kernel(struct reload *r, struct job *job)
{
	bool interfaces = interfaces_differ(r->current, job->snap);
	int err;

	if (!r->parts.l4)
		return 0;
	err = l4_apply(r->parts.l4, job->snap, &job->result.written, &job->result.diag);
	if (!err && interfaces)
		err = l4_attach(r->parts.l4, job->snap, &job->result.diag);
	if (err)
		restore(r, interfaces);
	else if (interfaces)
		summary_log_interfaces(r->parts.l4);
	return err;
}

/* ---- one job ---- */

/* The edits of the others, in front of job's own: what cannot be done is refused here and now. */
static void run_batch(struct reload *r, struct job *job)
{
	list_for_each_safe (it, &job->batch) {
		struct job *other = list_entry(it, struct job, node);
		int err = other->edit(other->ctx, job->document, &other->result.diag);

		if (!err) {
			job->result.edits++;
			continue;
		}
		list_unlink(&other->node);
		other->start_ns = job->start_ns;
		tell_result(r, other, err);
		log_job(other);
		free_job(other);
	}
}

static int take_document(struct reload *r, struct job *job)
{
	if (job->document)
		return 0;
	if (!r->current)
		return -EINVAL; /* nothing is in force that could be edited */
	job->document = tree_copy(r->current->document);
	if (!job->document)
		return -ENOMEM;
	job->result.edits = 1;
	run_batch(r, job);
	return job->edit(job->ctx, job->document, &job->result.diag);
}

static int check_terms(const struct reload *r, const struct reload_origin *origin, struct diag *d)
{
	if (!origin->if_generation || origin->if_generation == r->generation)
		return 0;
	diag_error(d, NULL, "generation %llu is not in force any more, but %llu",
		   (unsigned long long)origin->if_generation, (unsigned long long)r->generation);
	return -ESTALE;
}

/* Is snap, NULL where it could not be built, good here and now? Takes it. */
static int judge(struct reload *r, struct snapshot *snap, struct diag *d,
		 struct change_list *ret_changes, struct snapshot **ret_snap)
{
	int err;

	if (!snap)
		return d->out_of_memory ? -ENOMEM : -EINVAL;
	err = diff_snapshots(r->current, snap, ret_changes);
	if (!err && r->parts.l4)
		err = l4_check(r->parts.l4, snap, d);
	if (err) {
		snapshot_unref(snap);
		return err;
	}
	if (!r->parts.l4 && snap->node.interface_count)
		diag_warning(
			d, NULL,
			"node.interfaces takes effect when shuntd starts again; until then the "
			"proxy runs alone");
	*ret_snap = snap;
	return 0;
}

static void on_committed(void *ctx, int status)
{
	struct reload *r = ctx;
	struct job *job = r->running;

	publish_sockets(r);
	if (steering_is_behind(r->parts.steering))
		diag_warning(&job->result.diag, NULL,
			     "new connections go by the former listen addresses until the kernel's "
			     "tables can be written");
	/* In force all the same, and so it is said; at the start it is a reason to give up. */
	if (status < 0 && r->started) {
		diag_warning(&job->result.diag, NULL,
			     "a worker cannot accept at a new address until shuntd starts again: "
			     "%s",
			     strerror(-status));
		status = 0;
	}
	r->started = true;
	finish_job(r, job, status);
}

static int run_job(struct reload *r, struct job *job)
{
	struct diag *d = &job->result.diag;
	struct snapshot *former = r->current;
	struct worker_sockets *sockets;
	int err;

	err = check_terms(r, &job->origin, d);
	if (!err)
		err = take_document(r, job);
	if (!err)
		err = judge(r, conf_build_taking(&job->document, r->parts.runtime, d), d,
			    &job->result.changes, &job->snap);
	if (!err && job->origin.strict)
		err = diag_refuse_warnings(d);
	if (!err)
		err = workers_prepare(r->parts.workers, job->snap, &job->sockets, d);
	if (!err)
		err = steering_prepare(r->parts.steering, job->snap, job->sockets, d);
	if (!err)
		err = apply_kernel(r, job);
	if (err) {
		steering_cancel(r->parts.steering);
		return err;
	}
	err = health_apply(r->parts.health, job->snap);
	if (err) {
		steering_cancel(r->parts.steering);
		restore(r, interfaces_differ(former, job->snap));
		return err;
	}
	/* From here on nothing fails. */
	job->snap->generation = ++r->generation;
	r->current = snapshot_ref(job->snap);
	log_settings_apply(former, r->current);
	snapshot_unref(former);
	if (former && restart_list_note(&r->restart_changes, &job->result.changes))
		log_warning("config: out of memory, a hint to restart is missing");
	sockets = job->sockets;
	job->sockets = NULL;
	workers_commit(r->parts.workers, r->current, sockets, on_committed, r);
	return 0;
}

static bool may_share(const struct job *job)
{
	return job->edit && !job->alone && !job->origin.if_generation && !job->origin.strict &&
	       !job->origin.alone;
}

/* The next in line, with the edits that stand before it: the last of those runs last. */
static struct job *take_next(struct reload *r)
{
	struct list before;
	struct job *job;

	list_init(&before);
	do {
		job = list_entry(r->queue.next, struct job, node);
		list_unlink(&job->node);
		r->queued--;
		if (!may_share(job) || list_empty(&r->queue) ||
		    !may_share(list_entry(r->queue.next, struct job, node)))
			break;
		list_append(&before, &job->node);
	} while (true);
	list_for_each_safe (it, &before) {
		list_unlink(it);
		list_append(&job->batch, it);
	}
	return job;
}

/* What a batch was refused for may be the fault of one: in line again, in the same order. */
static bool try_apart(struct reload *r, struct job *job)
{
	struct list rest;

	if (list_empty(&job->batch))
		return false;
	list_init(&rest);
	list_for_each_safe (it, &r->queue) {
		list_unlink(it);
		list_append(&rest, it);
	}
	list_for_each_safe (it, &job->batch) {
		list_unlink(it);
		list_append(&r->queue, it);
		list_entry(it, struct job, node)->alone = true;
		r->queued++;
	}
	list_append(&r->queue, &job->node);
	job->alone = true;
	r->queued++;
	list_for_each_safe (it, &rest) {
		list_unlink(it);
		list_append(&r->queue, it);
	}
	reset_job(job);
	return true;
}

static void run_next(struct reload *r)
{
	struct job *job;
	int err;

	if (r->running || r->paused || list_empty(&r->queue))
		return;
	job = take_next(r);
	r->running = job;
	job->start_ns = clock_now_ns();
	if (r->quiesced)
		diag_error(&job->result.diag, NULL, "shuntd is stopping");
	err = r->quiesced ? -EBUSY : run_job(r, job);
	if (!err)
		return;
	if (!r->quiesced && try_apart(r, job)) {
		r->running = NULL;
		start_soon(r);
		return;
	}
	finish_job(r, job, err);
}

static void on_start(uv_timer_t *timer)
{
	run_next(timer->data);
}

/* Where several wait already and a change takes long, more will come while it would run: they are let in
 * first, for a fraction of the time that it saves. */
static void start_soon(struct reload *r)
{
	uint64_t wait_ms = r->queued > 1 ? r->last_ms / GATHER_SHARE : 0;

	if (!list_empty(&r->queue) && !uv_is_active((uv_handle_t *)&r->start))
		(void)uv_timer_start(&r->start, on_start,
				     wait_ms > GATHER_MAX_MS ? GATHER_MAX_MS : wait_ms,
				     0); /* fails only when closing */
}

static struct job *new_job(const struct reload_origin *origin, reload_cb cb, void *ctx)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	list_init(&job->node);
	list_init(&job->batch);
	diag_init(&job->result.diag);
	job->origin = *origin;
	job->cb = cb;
	job->ctx = ctx;
	return job;
}

static int enqueue(struct reload *r, struct job *job)
{
	if (!job)
		return -ENOMEM;
	if (r->queued >= QUEUE_MAX || r->closing) {
		free_job(job);
		return -EBUSY;
	}
	list_append(&r->queue, &job->node);
	r->queued++;
	start_soon(r);
	return 0;
}

int reload_document(struct reload *r, struct tree *document, const struct reload_origin *origin,
		    reload_cb cb, void *ctx)
{
	struct job *job = new_job(origin, cb, ctx);

	if (job)
		job->document = document;
	else
		tree_free(document);
	return enqueue(r, job);
}

int reload_edit_document(struct reload *r, reload_edit edit, const struct reload_origin *origin,
			 reload_cb cb, void *ctx)
{
	struct job *job = new_job(origin, cb, ctx);

	if (job)
		job->edit = edit;
	return enqueue(r, job);
}

/* ---- the rest ---- */

void reload_quiesce(struct reload *r)
{
	r->quiesced = true;
	r->paused = false;
	start_soon(r);
}

void reload_abort(struct reload *r)
{
	r->quiesced = r->closing = true;
	r->paused = false;
	if (r->running)
		finish_job(r, r->running, 0);
	while (!list_empty(&r->queue))
		run_next(r);
}

void reload_health_changed(struct reload *r)
{
	sync_maps(r);
}

int reload_check(struct reload *r, const struct tree *document, struct diag *d,
		 struct change_list *ret_changes)
{
	struct snapshot *snap;
	int err = judge(r, conf_build(document, r->parts.runtime, d), d, ret_changes, &snap);

	if (!err)
		snapshot_unref(snap);
	return err;
}

struct snapshot *reload_current(const struct reload *r)
{
	return r->current;
}

bool reload_is_behind(const struct reload *r)
{
	return r->repair_ms != 0;
}

unsigned reload_lingering(const struct reload *r)
{
	return r->lingering;
}

const struct change_list *reload_restart_changes(const struct reload *r)
{
	return &r->restart_changes;
}

static void init_timer(struct reload *r, uv_timer_t *timer)
{
	(void)uv_timer_init(r->parts.loop, timer); /* cannot fail */
	timer->data = r;
	r->open++;
}

/* Without them, on_follow() finds the same a second later. */
static void watch_events(struct reload *r)
{
	int fd = l4_events_fd(r->parts.l4);

	if (uv_poll_init(r->parts.loop, &r->events, fd)) {
		log_warning("config: neighbours are looked at every second only");
		return;
	}
	r->events.data = r;
	r->open++;
	(void)uv_poll_start(&r->events, UV_READABLE, on_events); /* cannot fail */
}

static void watch_tables(struct reload *r)
{
	(void)uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS); /* fail only when closing */
	(void)uv_timer_start(&r->sweep, on_sweep, TICK_MS, 0);
	(void)uv_timer_start(&r->follow, on_follow, FOLLOW_MS, FOLLOW_MS);
	if (!r->events.data)
		watch_events(r);
}

int reload_new(const struct reload_parts *parts, struct reload **ret_reload)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->parts = *parts;
	r->generation = parts->generation;
	list_init(&r->queue);
	init_timer(r, &r->start);
	init_timer(r, &r->tick);
	init_timer(r, &r->repair);
	init_timer(r, &r->sweep);
	init_timer(r, &r->follow);
	if (parts->l4)
		watch_tables(r);
	*ret_reload = r;
	return 0;
}

static void close_one(struct reload *r)
{
	if (--r->open > 0)
		return;
	free_job(r->running);
	list_for_each_safe (it, &r->queue)
		free_job(list_entry(it, struct job, node));
	change_list_deinit(&r->restart_changes);
	snapshot_unref(r->current);
	if (r->done_cb)
		r->done_cb(r->done_ctx);
	free(r);
}

static void on_closed(uv_handle_t *handle)
{
	close_one(handle->data);
}

static void on_events_closed(uv_handle_t *handle)
{
	struct reload *r = handle->data;

	handle->data = NULL;
	close_one(r);
}

static void end_events(struct reload *r)
{
	if (r->events.data && !uv_is_closing((uv_handle_t *)&r->events))
		uv_close((uv_handle_t *)&r->events, on_events_closed);
}

bool reload_pause(struct reload *r)
{
	if (r->running)
		return false;
	r->paused = true;
	r->parts.l4 = NULL;
	(void)uv_timer_stop(&r->tick); /* these are always 0 */
	(void)uv_timer_stop(&r->sweep);
	(void)uv_timer_stop(&r->follow);
	(void)uv_timer_stop(&r->repair);
	end_events(r);
	return true;
}

void reload_resume(struct reload *r, struct l4 *l4)
{
	r->paused = false;
	r->parts.l4 = l4;
	if (l4) {
		restore(r, true);
		watch_tables(r);
	}
	start_soon(r);
}

void reload_close(struct reload *r, void (*done_cb)(void *ctx), void *ctx)
{
	if (!r) {
		if (done_cb)
			done_cb(ctx);
		return;
	}
	r->closing = true;
	r->done_cb = done_cb;
	r->done_ctx = ctx;
	uv_close((uv_handle_t *)&r->start, on_closed);
	uv_close((uv_handle_t *)&r->tick, on_closed);
	uv_close((uv_handle_t *)&r->sweep, on_closed);
	uv_close((uv_handle_t *)&r->repair, on_closed);
	uv_close((uv_handle_t *)&r->follow, on_closed);
	end_events(r);
}
