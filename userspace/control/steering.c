/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/steering.h"

#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"
#include "control/json_build.h"
#include "l4/local_addr.h"
#include "l4/sock_rows.h"
#include "l4/sockets.h"
#include "worker/worker.h"

struct steering {
	struct l4_sockets *sockets; /* NULL: not loaded */
	char *reason;		    /* why not, where it was tried; NULL: it was not */
	bool is_used;		    /* by the configuration that was published */
	bool is_behind;
};

struct steering *steering_new(void)
{
	return calloc(1, sizeof(struct steering));
}

void steering_free(struct steering *st)
{
	if (!st)
		return;
	l4_sockets_close(st->sockets);
	free(st->reason);
	free(st);
}

static bool has_proxied(const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->service_count; i++)
		if (service_is_proxied(&snap->services[i]))
			return true;
	return false;
}

static bool is_wanted(const struct snapshot *snap)
{
	switch (snap->node.steer_sockets) {
	case STEER_SOCKETS_OFF: return false;
	case STEER_SOCKETS_ON: return has_proxied(snap);
	case STEER_SOCKETS_AUTO: break;
	}
	return sock_rows_needed(snap) || (snap->node.interface_count > 0 && has_proxied(snap));
}

/* ---- loading --------------------------------------------------------------------------------- */

/* Why not, in one line: the first error there is. */
static const char *first_error(const struct diag *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->items[i].level == DIAG_ERROR)
			return d->items[i].text;
	return "out of memory";
}

/* Services that ordinary sockets cannot serve. */
static void refuse_wide(const struct snapshot *snap, const char *reason, struct diag *d)
{
	char text[LISTEN_STRLEN];

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++)
			if (!listen_is_exact(&s->listens[k]))
				diag_error(d, NULL,
					   "service %s: cannot listen at %s without a program that "
					   "gives connections to sockets: %s",
					   s->name,
					   listen_format(&s->listens[k], text, sizeof(text)),
					   reason);
	}
}

/* One warning for each reason: it will be the same at the next change. */
static void note_reason(struct steering *st, const char *reason, struct diag *d)
{
	if (!st->reason || strcmp(st->reason, reason) != 0)
		diag_warning(d, NULL,
			     "no program gives connections to the sockets of proxied services: %s; "
			     "the kernel shares them out, and some may be lost when listen "
			     "addresses change",
			     reason);
	free(st->reason);
	st->reason = strdup(reason);
}

/* 0 also where it cannot be loaded and need not. */
static int load(struct steering *st, const struct snapshot *snap, struct diag *d)
{
	struct diag why;
	int err;

	if (st->sockets && l4_sockets_attached(st->sockets))
		return 0;
	/* Somebody has taken it off: attached again, with all that is served. */
	l4_sockets_close(st->sockets);
	st->sockets = NULL;
	diag_init(&why);
	err = l4_sockets_open(snap->node.pin_path, &st->sockets, &why);
	if (err && sock_rows_needed(snap)) {
		refuse_wide(snap, first_error(&why), d);
	} else if (err) {
		note_reason(st, first_error(&why), d);
		err = 0;
	} else {
		for (size_t i = 0; i < why.count; i++)
			diag_warning(d, NULL, "%s", why.items[i].text);
		free(st->reason);
		st->reason = NULL;
	}
	diag_deinit(&why);
	return err;
}

/* ---- steps of a change ----------------------------------------------------------------------- */

static void warn_not_local(const struct snapshot *snap, struct diag *d)
{
	char text[LISTEN_STRLEN], prefix[PREFIX_STRLEN];

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++) {
			const struct listen *l = &s->listens[k];

			if (!l->prefix_len || local_addr_has(l))
				continue;
			prefix_format(&l->ep.addr, l->prefix_len, prefix, sizeof(prefix));
			diag_warning(
				d, NULL,
				"service %s: %s: this host takes in no packets for all of the "
				"prefix until there is a route: `ip route add local %s dev lo`",
				s->name, listen_format(l, text, sizeof(text)), prefix);
		}
	}
}

struct addition {
	struct l4_sockets *sockets;
	struct diag *d;
};

static int add(void *ctx, const char *group, const int *fds, size_t count)
{
	struct addition *a = ctx;

	return l4_sockets_add(a->sockets, group, fds, count, a->d);
}

int steering_prepare(struct steering *st, const struct snapshot *snap,
		     struct worker_sockets *sockets, struct diag *d)
{
	struct addition a = {.d = d};
	int err;

	if (!is_wanted(snap))
		return 0;
	err = load(st, snap, d);
	if (err || !st->sockets)
		return err;
	a.sockets = st->sockets;
	err = worker_sockets_each(sockets, add, &a);
	if (err) {
		l4_sockets_cancel(st->sockets);
		return err;
	}
	worker_sockets_set_steered(sockets);
	warn_not_local(snap, d);
	return 0;
}

void steering_cancel(struct steering *st)
{
	if (st->sockets)
		l4_sockets_cancel(st->sockets);
}

int steering_publish(struct steering *st, const struct snapshot *snap, struct diag *d)
{
	int err = 0;

	if (st->sockets)
		err = l4_sockets_publish(st->sockets, is_wanted(snap) ? snap : NULL, d);
	st->is_used = st->sockets && is_wanted(snap);
	st->is_behind = err != 0;
	return err;
}

void steering_let_go(struct steering *st)
{
	l4_sockets_close(st->sockets);
	st->sockets = NULL;
}

int steering_take_back(struct steering *st, struct workers *w, const struct snapshot *snap,
		       struct diag *d)
{
	struct worker_sockets *sockets;
	int err = workers_prepare(w, snap, &sockets, d); /* all of them are there */

	if (err)
		return err;
	err = steering_prepare(st, snap, sockets, d);
	worker_sockets_free(sockets);
	return err ? err : steering_publish(st, snap, d);
}

bool steering_is_behind(const struct steering *st)
{
	return st->is_behind;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void put_stats(json_t *o, const struct sockets_stats *stats, bool *failed)
{
#define X(name, text) json_put_counter(o, text, stats->count[SOCKETS_##name], failed);
	SOCKETS_COUNTERS(X)
#undef X
}

static json_t *not_local_json(const struct snapshot *snap)
{
	char text[LISTEN_STRLEN];
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++)
			if (s->listens[k].prefix_len && !local_addr_has(&s->listens[k]))
				json_push(list,
					  json_string(listen_format(&s->listens[k], text,
								    sizeof(text))),
					  &failed);
	}
	return json_finish(list, failed);
}

json_t *steering_json(struct steering *st, const struct snapshot *snap)
{
	struct l4_sockets_info info = {0};
	json_t *o = json_object();
	bool failed = !o;

	if (st->sockets)
		l4_sockets_describe(st->sockets, &info);
	json_put(o, "in_use", json_boolean(st->is_used && info.attached), &failed);
	json_put(o, "problem",
		 st->is_used && !info.attached	 ? json_string("it was detached")
		 : is_wanted(snap) && st->reason ? json_text(st->reason)
						 : json_null(),
		 &failed);
	json_put(o, "behind", json_boolean(st->is_behind), &failed);
	json_put(o, "pin_directory", info.dir ? json_text(info.dir) : json_null(), &failed);
	json_put(o, "tables_adopted", json_boolean(info.adopted), &failed);
	json_put_int(o, "groups", info.groups, &failed);
	put_stats(o, &info.stats, &failed);
	json_put(o, "not_local", not_local_json(snap), &failed);
	return json_finish(o, failed);
}

json_t *steering_service_json(struct steering *st, const struct service *service)
{
	struct sockets_stats stats;
	json_t *o;
	bool failed;

	if (!st->is_used || !service_is_proxied(service))
		return json_null();
	l4_sockets_stats(st->sockets, service, &stats);
	o = json_object();
	failed = !o;
	put_stats(o, &stats, &failed);
	return json_finish(o, failed);
}
