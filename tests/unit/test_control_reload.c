/* SPDX-License-Identifier: BSD-2-Clause */
/* How a configuration takes effect, and what is left when a step fails: with workers and kernel
 * tables that are told to fail (they stand in for those of the library by their names). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/edit.h"
#include "conf/runtime.h"
#include "control/reload.h"
#include "control/steering.h"
#include "core/log.h"
#include "health/health.h"
#include "l4/l4.h"
#include "worker/worker.h"

/* ---- stand-ins ---- */

struct workers {
	int none;
};
struct worker_sockets {
	int none;
};

static struct {
	int check_err, prepare_err, apply_err, attach_err, commit_err;
	int steer_err, publish_err;
	unsigned cancels;
	bool behind;
	const struct snapshot *published;
	unsigned apply_fails_left;     /* of apply_err; 0: for ever */
	const struct snapshot *mapped; /* what the last good apply wrote */
	unsigned applies, attaches, sockets_open, commits;
	workers_cb commit_cb;
	void *commit_ctx;
	bool hold_commit;
	int events_fd;
} fake;

static struct workers the_workers;

int workers_prepare(struct workers *w, const struct snapshot *snap,
		    struct worker_sockets **ret_sockets, struct diag *d)
{
	(void)w;
	(void)snap;
	if (fake.prepare_err) {
		diag_error(d, NULL, "the address is in use");
		return fake.prepare_err;
	}
	*ret_sockets = calloc(1, sizeof(struct worker_sockets));
	assert_non_null(*ret_sockets);
	fake.sockets_open++;
	return 0;
}

void worker_sockets_free(struct worker_sockets *s)
{
	if (!s)
		return;
	fake.sockets_open--;
	free(s);
}

void workers_commit(struct workers *w, struct snapshot *snap, struct worker_sockets *sockets,
		    workers_cb cb, void *ctx)
{
	(void)w;
	(void)snap;
	fake.commits++;
	worker_sockets_free(sockets);
	fake.commit_cb = cb;
	fake.commit_ctx = ctx;
	if (!fake.hold_commit)
		cb(ctx, fake.commit_err);
}

void workers_status(const struct workers *w, struct workers_status *ret_status)
{
	(void)w;
	memset(ret_status, 0, sizeof(*ret_status));
}

int steering_prepare(struct steering *st, const struct snapshot *snap,
		     struct worker_sockets *sockets, struct diag *d)
{
	(void)st;
	(void)snap;
	assert_non_null(sockets);
	if (fake.steer_err)
		diag_error(d, NULL, "no room for sockets");
	return fake.steer_err;
}

void steering_cancel(struct steering *st)
{
	(void)st;
	fake.cancels++;
}

int steering_publish(struct steering *st, const struct snapshot *snap, struct diag *d)
{
	(void)st;
	fake.behind = fake.publish_err != 0;
	if (fake.publish_err)
		diag_error(d, NULL, "a write failed");
	else
		fake.published = snap;
	return fake.publish_err;
}

bool steering_is_behind(const struct steering *st)
{
	(void)st;
	return fake.behind;
}

int l4_check(struct l4 *l4, struct snapshot *snap, struct diag *d)
{
	(void)l4;
	(void)snap;
	if (fake.check_err)
		diag_error(d, NULL, "no room");
	return fake.check_err;
}

int l4_apply(struct l4 *l4, const struct snapshot *snap, struct l4_report *ret_report,
	     struct diag *d)
{
	(void)l4;
	memset(ret_report, 0, sizeof(*ret_report));
	fake.applies++;
	if (fake.apply_err) {
		int err = fake.apply_err;

		if (fake.apply_fails_left && --fake.apply_fails_left == 0)
			fake.apply_err = 0;
		diag_error(d, NULL, "a write failed");
		return err;
	}
	fake.mapped = snap;
	return 0;
}

/* Never readable. */
int l4_events_fd(const struct l4 *l4)
{
	(void)l4;
	return fake.events_fd;
}

void l4_read_events(struct l4 *l4)
{
	(void)l4;
}

int l4_attach(struct l4 *l4, const struct snapshot *snap, struct diag *d)
{
	(void)l4;
	fake.attaches++;
	if (fake.attach_err && snap->node.interface_count > 1) {
		diag_error(d, NULL, "no such interface");
		return fake.attach_err;
	}
	return 0;
}

unsigned l4_follow_interfaces(struct l4 *l4, const struct snapshot *snap, struct diag *d)
{
	(void)l4;
	(void)snap;
	(void)d;
	return 0;
}

void l4_nat_tick(struct l4 *l4, struct diag *d)
{
	(void)l4;
	(void)d;
}

unsigned l4_tick(struct l4 *l4)
{
	(void)l4;
	return 0;
}

unsigned l4_sweep(struct l4 *l4)
{
	(void)l4;
	return 1000;
}

int l4_service_moves(struct l4 *l4, const char *service, struct l4_moves *ret_moves)
{
	(void)l4;
	(void)service;
	(void)ret_moves;
	return -ENOENT;
}

struct loader *l4_loader(struct l4 *l4)
{
	(void)l4;
	return NULL;
}

int l4_service_stats(struct l4 *l4, const char *service, struct shunt_svc_stats *ret_stats)
{
	(void)l4;
	(void)service;
	(void)ret_stats;
	return -ENOENT;
}

int loader_attachments(struct loader *l, struct attachment **ret_list, size_t *ret_count)
{
	(void)l;
	*ret_list = NULL;
	*ret_count = 0;
	return 0;
}

/* ---- fixture ---- */

struct outcome {
	unsigned calls;
	int status;
	uint64_t generation;
	size_t changes, errors, edits;
};

struct fixture {
	uv_loop_t loop;
	struct runtime *rt;
	struct health *health;
	struct reload *reload;
	int some_l4;
};

static const struct reload_origin origin = {.what = "command", .uid = 0};

static void on_change(void *ctx)
{
	(void)ctx;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct reload_parts parts;

	assert_non_null(f);
	memset(&fake, 0, sizeof(fake));
	fake.events_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(fake.events_fd >= 0);
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->rt = runtime_new();
	assert_non_null(f->rt);
	assert_int_equal(health_start(&f->loop, on_change, f, &f->health), 0);
	parts = (struct reload_parts){.loop = &f->loop,
				      .runtime = f->rt,
				      .l4 = (struct l4 *)&f->some_l4,
				      .workers = &the_workers,
				      .health = f->health};
	assert_int_equal(reload_new(&parts, &f->reload), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	health_close(f->health, NULL, NULL);
	reload_close(f->reload, NULL, NULL);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(fake.sockets_open, 0);
	close(fake.events_fd);
	runtime_free(f->rt);
	free(f);
	return 0;
}

static void on_result(void *ctx, const struct reload_result *r)
{
	struct outcome *o = ctx;

	o->calls++;
	o->status = r->status;
	o->generation = r->generation;
	o->changes = r->changes.count;
	o->errors = r->diag.errors;
	o->edits = r->edits;
}

static void spin(struct fixture *f)
{
	for (int i = 0; i < 10; i++)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

static struct tree *document(unsigned weight, const char *interfaces)
{
	char text[512];
	struct diag d;
	struct tree *t;

	(void)snprintf(text, sizeof(text),
		       "node: {interfaces: [%s], workers: 1}\n"
		       "pools: {p: {forward: ipip, health: none, backends: "
		       "[{name: a, address: 192.0.2.1, weight: %u}]}}\n"
		       "services: {s: {listen: [\"203.0.113.1:80/tcp\"], mode: l4, pool: p}}\n",
		       interfaces, weight);
	diag_init(&d);
	t = tree_parse("test", text, strlen(text), &d);
	assert_non_null(t);
	diag_deinit(&d);
	return t;
}

static struct outcome apply(struct fixture *f, unsigned weight, const char *interfaces)
{
	struct outcome o = {0};

	assert_int_equal(
		reload_document(f->reload, document(weight, interfaces), &origin, on_result, &o),
		0);
	assert_int_equal(o.calls, 0); /* never before it returns */
	spin(f);
	assert_int_equal(o.calls, 1);
	return o;
}

static unsigned weight_in_force(const struct fixture *f)
{
	return reload_current(f->reload)->pools[0].backends[0].weight;
}

/* ---- tests ---- */

static void test_good_ones_take_effect(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");

	assert_int_equal(o.status, 0);
	assert_int_equal(o.generation, 1);
	assert_ptr_equal(fake.mapped, reload_current(f->reload));
	assert_ptr_equal(fake.published, reload_current(f->reload));
	assert_int_equal(fake.attaches, 1);
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, 0);
	assert_int_equal(o.generation, 2);
	assert_int_equal(o.changes, 1);
	assert_int_equal(weight_in_force(f), 2);
	assert_int_equal(fake.attaches, 1); /* the interfaces are the same */
	assert_int_equal(fake.commits, 2);
}

/* Each step in turn fails: nothing changes, and the next good one works. */
static void test_a_failing_step_changes_nothing(void **state)
{
	struct fixture *f = *state;
	int *const steps[] = {&fake.check_err, &fake.prepare_err, &fake.steer_err, &fake.apply_err};
	struct outcome o = apply(f, 1, "eth0");

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		*steps[i] = -ENOSPC;
		fake.apply_fails_left = 1;
		o = apply(f, 5, "eth0");
		assert_int_equal(o.status, -ENOSPC);
		assert_int_equal(o.generation, 1);
		assert_true(o.errors > 0);
		assert_int_equal(weight_in_force(f), 1);
		assert_ptr_equal(fake.mapped, reload_current(f->reload));
		assert_int_equal(fake.commits, 1);
		assert_int_equal(fake.sockets_open, 0);
		*steps[i] = 0;
	}
	o = apply(f, 6, "eth0");
	assert_int_equal(o.status, 0);
	assert_int_equal(o.generation, 2);
}

static void test_a_failed_write_is_rolled_back(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");
	unsigned before = fake.applies;

	fake.apply_err = -EIO;
	fake.apply_fails_left = 1;
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, -EIO);
	assert_int_equal(fake.applies, before + 2); /* the new one, then the old one again */
	assert_ptr_equal(fake.mapped, reload_current(f->reload));
}

static void test_a_failed_attach_is_rolled_back(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");

	fake.attach_err = -ENODEV;
	o = apply(f, 2, "eth0, eth1");
	assert_int_equal(o.status, -ENODEV);
	assert_int_equal(weight_in_force(f), 1);
	assert_ptr_equal(fake.mapped, reload_current(f->reload));
	assert_int_equal(fake.attaches, 3); /* at first, the new one, the old one again */
}

static void test_what_was_prepared_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");
	unsigned before = fake.cancels;

	fake.apply_err = -EIO;
	fake.apply_fails_left = 1;
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, -EIO);
	assert_int_equal(fake.cancels, before + 1);
	assert_ptr_equal(fake.published, reload_current(f->reload));
}

/* It is in force, and new connections follow as soon as they can. */
static void test_who_gets_connections_is_repaired_later(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");

	fake.publish_err = -ENOMEM;
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, 0);
	assert_int_equal(o.errors, 0);
	assert_ptr_not_equal(fake.published, reload_current(f->reload));
	fake.publish_err = 0;
	for (uint64_t end = uv_hrtime() + 5000000000ULL; fake.behind && uv_hrtime() < end;)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_ptr_equal(fake.published, reload_current(f->reload));
}

/* Where even the roll-back fails, it is tried again until the tables are right. */
static void test_tables_are_repaired_later(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");

	fake.apply_err = -EIO;
	fake.apply_fails_left = 2;
	fake.mapped = NULL;
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, -EIO);
	assert_null(fake.mapped);
	while (!fake.mapped)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_ptr_equal(fake.mapped, reload_current(f->reload));
}

static int bad_edit(void *ctx, struct tree *doc, struct diag *d)
{
	(void)ctx;
	(void)doc;
	diag_error(d, NULL, "no such pool");
	return -ENOENT;
}

static void test_an_edit_that_fails_tells_its_status(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};

	(void)apply(f, 1, "eth0");
	assert_int_equal(reload_edit_document(f->reload, bad_edit, &origin, on_result, &o), 0);
	spin(f);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.status, -ENOENT);
	assert_int_equal(o.generation, 1);
}

/* An edit whose document is refused when it is built. */
static int heavy_edit(void *ctx, struct tree *doc, struct diag *d)
{
	(void)ctx;
	return edit_backend_weight(doc, "p", "a", 5000, d);
}

static int weight_edit(void *ctx, struct tree *doc, struct diag *d)
{
	(void)ctx;
	return edit_backend_weight(doc, "p", "a", 7, d);
}

static int drain_edit(void *ctx, struct tree *doc, struct diag *d)
{
	(void)ctx;
	return edit_backend_state(doc, "p", "a", ADMIN_DRAIN, d);
}

static void enqueue_edit(struct fixture *f, reload_edit edit, const struct reload_origin *who,
			 struct outcome *o)
{
	assert_int_equal(reload_edit_document(f->reload, edit, who, on_result, o), 0);
}

static void test_edits_that_wait_together_are_one_generation(void **state)
{
	struct fixture *f = *state;
	struct outcome o[3] = {{0}}, after = {0};

	(void)apply(f, 1, "eth0");
	enqueue_edit(f, weight_edit, &origin, &o[0]);
	enqueue_edit(f, bad_edit, &origin, &o[1]);
	enqueue_edit(f, drain_edit, &origin, &o[2]);
	assert_int_equal(
		reload_document(f->reload, document(2, "eth0"), &origin, on_result, &after), 0);
	spin(f);
	assert_int_equal(o[1].status, -ENOENT);
	assert_int_equal(o[1].generation, 1);
	for (size_t i = 0; i < 3; i += 2) {
		assert_int_equal(o[i].status, 0);
		assert_int_equal(o[i].generation, 2);
		assert_int_equal(o[i].changes, 2);
		assert_int_equal(o[i].edits, 2);
	}
	assert_int_equal(after.generation, 3); /* a document is nobody's company */
	assert_int_equal(o[0].calls + o[1].calls + o[2].calls + after.calls, 4);
}

/* What is wrong with one is not the fault of the others. */
static void test_a_refused_edit_does_not_take_others_with_it(void **state)
{
	struct fixture *f = *state;
	struct outcome o[3] = {{0}};

	(void)apply(f, 1, "eth0");
	enqueue_edit(f, drain_edit, &origin, &o[0]);
	enqueue_edit(f, heavy_edit, &origin, &o[1]);
	enqueue_edit(f, weight_edit, &origin, &o[2]);
	spin(f);
	/* The last one's weight is the one that counts, so nothing is wrong with all together. */
	assert_int_equal(o[1].status, 0);
	assert_int_equal(weight_in_force(f), 7);

	memset(o, 0, sizeof(o));
	enqueue_edit(f, weight_edit, &origin, &o[0]);
	enqueue_edit(f, drain_edit, &origin, &o[1]);
	enqueue_edit(f, heavy_edit, &origin, &o[2]);
	spin(f);
	assert_int_equal(o[0].status, 0);
	assert_int_equal(o[1].status, 0);
	assert_int_equal(o[2].status, -EINVAL);
	assert_int_equal(o[0].edits + o[1].edits, 2); /* each by itself */
	assert_int_equal(weight_in_force(f), 7);
	assert_int_equal(o[0].calls + o[1].calls + o[2].calls, 3);
}

static void test_terms_are_kept(void **state)
{
	struct fixture *f = *state;
	struct reload_origin stale = origin, fresh = origin, strict = origin;
	struct outcome o[3] = {{0}};

	(void)apply(f, 1, "eth0");
	(void)apply(f, 2, "eth0");
	stale.if_generation = 1;
	fresh.if_generation = 2;
	strict.strict = true;
	enqueue_edit(f, weight_edit, &stale, &o[0]);
	enqueue_edit(f, weight_edit, &fresh, &o[1]);
	enqueue_edit(f, drain_edit, &strict, &o[2]); /* no backend takes flows: a warning */
	spin(f);
	assert_int_equal(o[0].status, -ESTALE);
	assert_int_equal(o[1].status, 0);
	assert_int_equal(o[1].generation, 3);
	assert_int_equal(o[2].status, -EINVAL);
	assert_int_equal(reload_current(f->reload)->generation, 3);
}

static void test_requests_run_one_after_another(void **state)
{
	struct fixture *f = *state;
	struct outcome a = {0}, b = {0};

	(void)apply(f, 1, "eth0");
	fake.hold_commit = true;
	assert_int_equal(reload_document(f->reload, document(2, "eth0"), &origin, on_result, &a),
			 0);
	assert_int_equal(reload_document(f->reload, document(3, "eth0"), &origin, on_result, &b),
			 0);
	spin(f);
	assert_int_equal(a.calls + b.calls, 0);
	assert_int_equal(weight_in_force(f), 2);
	fake.commit_cb(fake.commit_ctx, 0);
	assert_int_equal(a.calls, 1);
	spin(f);
	assert_int_equal(b.calls, 0);
	fake.commit_cb(fake.commit_ctx, 0);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.generation, 3);
}

static void test_the_queue_has_an_end(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	unsigned taken = 0;
	int err = 0;

	(void)apply(f, 1, "eth0");
	while (!err && taken < 10000) {
		err = reload_document(f->reload, document(2, "eth0"), &origin, on_result, &o);
		taken += !err;
	}
	assert_int_equal(err, -EBUSY);
	for (unsigned i = 0; i < taken && o.calls < taken; i++)
		spin(f);
	assert_int_equal(o.calls, taken);
}

static void test_while_stopping_all_is_refused(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	(void)apply(f, 1, "eth0");
	reload_quiesce(f->reload);
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, -EBUSY);
	assert_int_equal(weight_in_force(f), 1);
}

static void test_a_worker_that_cannot_accept_is_a_warning(void **state)
{
	struct fixture *f = *state;
	struct outcome o = apply(f, 1, "eth0");

	fake.commit_err = -ENOMEM;
	o = apply(f, 2, "eth0");
	assert_int_equal(o.status, 0);
	assert_int_equal(o.generation, 2);
	assert_int_equal(weight_in_force(f), 2);
}

static void test_an_end_at_once_tells_everybody(void **state)
{
	struct fixture *f = *state;
	struct outcome o[3] = {{0}};

	(void)apply(f, 1, "eth0");
	fake.hold_commit = true;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(reload_document(f->reload, document(2 + i, "eth0"), &origin,
						 on_result, &o[i]),
				 0);
	spin(f);
	reload_abort(f->reload);
	assert_int_equal(o[0].status, 0); /* the workers have it */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(o[i].calls, 1);
		assert_int_equal(o[i].generation, 2);
		assert_true(i == 0 || o[i].status == -EBUSY);
	}
	assert_int_equal(weight_in_force(f), 2);
}

static void test_closing_with_requests_under_way(void **state)
{
	struct fixture *f = *state;
	static struct outcome o;

	(void)apply(f, 1, "eth0");
	memset(&o, 0, sizeof(o));
	fake.hold_commit = true;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			reload_document(f->reload, document(2, "eth0"), &origin, on_result, &o), 0);
	spin(f);
	assert_int_equal(o.calls, 0); /* and never: teardown looks for what is left */
}

static void test_a_check_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct change_list changes = {0};
	struct tree *t = document(7, "eth0");
	struct diag d;

	(void)apply(f, 1, "eth0");
	diag_init(&d);
	assert_int_equal(reload_check(f->reload, t, &d, &changes), 0);
	assert_int_equal(changes.count, 1);
	assert_int_equal(weight_in_force(f), 1);
	assert_int_equal(reload_current(f->reload)->generation, 1);
	change_list_deinit(&changes);
	diag_deinit(&d);
	tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_good_ones_take_effect),
		T(test_a_failing_step_changes_nothing),
		T(test_a_failed_write_is_rolled_back),
		T(test_a_failed_attach_is_rolled_back),
		T(test_tables_are_repaired_later),
		T(test_what_was_prepared_is_taken_back),
		T(test_who_gets_connections_is_repaired_later),
		T(test_an_edit_that_fails_tells_its_status),
		T(test_edits_that_wait_together_are_one_generation),
		T(test_a_refused_edit_does_not_take_others_with_it),
		T(test_terms_are_kept),
		T(test_requests_run_one_after_another),
		T(test_the_queue_has_an_end),
		T(test_while_stopping_all_is_refused),
		T(test_closing_with_requests_under_way),
		T(test_a_worker_that_cannot_accept_is_a_warning),
		T(test_an_end_at_once_tells_everybody),
		T(test_a_check_changes_nothing),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
