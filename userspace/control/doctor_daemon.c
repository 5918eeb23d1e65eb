/* SPDX-License-Identifier: BSD-2-Clause */
/* Of the doctor: the daemon, its configuration, what it serves with. */
#include <string.h>
#include <time.h>

#include "control/cert_near.h"
#include "control/config_file.h"
#include "control/doctor.h"
#include "control/ready.h"
#include "control/saved.h"
#include "control/steering.h"
#include "worker/worker.h"

static void check_ready(struct doctor *d)
{
	struct ready r;

	if (ready_check(d->env, &r))
		doctor_ok(d, DOCTOR_DAEMON, "ready: workers, kernel and sockets are in step");
#define X(name, text)                                                                              \
	if (!r.name)                                                                               \
		doctor_tell(d, DOCTOR_ERROR, DOCTOR_DAEMON, text,                                  \
			    "what is configured is not what is served",                            \
			    "see the log; shuntctl status");
	READY_CHECKS(X)
#undef X
}

static void check_config(struct doctor *d)
{
	const struct change_list *restart = reload_restart_changes(d->env->reload);
	bool unsaved = saved_differs(d->env);

	if (d->env->file->fallback)
		doctor_tell(d, DOCTOR_ERROR, DOCTOR_CONFIG,
			    "the file was bad at the start: the last good generation is in force",
			    "what was written there is not served", "shuntctl config check");
	if (unsaved)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_CONFIG,
			    "the file differs from what is in force",
			    "changes that are not saved are lost when shuntd starts again",
			    "shuntctl config diff; shuntctl config save, or reload");
	if (restart->count)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_CONFIG,
			    doctor_text("%zu changes take effect when shuntd starts again",
					restart->count)
				    .s,
			    "until then the former values hold", "shuntctl status lists them");
	if (!d->env->file->fallback && !unsaved && !restart->count)
		doctor_ok(d, DOCTOR_CONFIG,
			  doctor_text("generation %llu is in force as the file has it",
				      (unsigned long long)d->snap->generation)
				  .s);
}

static void check_sockets(struct doctor *d)
{
	json_t *state = steering_json(d->env->steering, d->snap), *it;
	const char *problem = json_string_value(json_object_get(state, "problem"));
	size_t i;

	if (problem)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_SOCKETS,
			    doctor_text("no program gives connections to sockets: %s", problem).s,
			    "the kernel shares them out, and some may be lost at reloads",
			    "shunt-load probe says what is missing");
	json_array_foreach (json_object_get(state, "not_local"), i, it) {
		doctor_tell(
			d, DOCTOR_ERROR, DOCTOR_SOCKETS,
			doctor_text("not all of %s is local to this host", json_string_value(it)).s,
			"the host takes in no packets for the rest",
			"ip route add local PREFIX dev lo");
	}
	json_decref(state);
}

static void check_batches(struct doctor *d)
{
	struct workers_status w;

	workers_status(d->env->workers, &w);
	if (w.batch_problem)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_SOCKETS,
			    doctor_text("no io_uring: %s", strerror(-w.batch_problem)).s,
			    "each read and write takes a system call of its own",
			    "sysctl kernel.io_uring_disabled, seccomp; or node.io_uring: off");
}

static void check_certificates(struct doctor *d)
{
	int64_t now = time(NULL);
	size_t all = 0, bad = 0;

	for (size_t i = 0; i < d->snap->service_count; i++) {
		const struct service *s = &d->snap->services[i];

		for (size_t k = 0; service_has_tls(s) && k < s->tls.certificate_count; k++) {
			const struct tls_cert *c = s->tls.loaded[k];
			const char *text = cert_warning(c, now);

			if (!text && s->tls.staples[k])
				text = staple_warning(s->tls.staples[k], now);
			all++;
			if (!text)
				continue;
			bad++;
			doctor_tell(d, c->not_after <= now ? DOCTOR_ERROR : DOCTOR_WARNING,
				    DOCTOR_CERTIFICATE,
				    doctor_text("service %s: %s: %s", s->name,
						s->tls.certificates[k].cert, text)
					    .s,
				    "clients refuse what has expired or is revoked",
				    "renew it, then reload; shuntctl cert list");
		}
	}
	if (all && !bad)
		doctor_ok(d, DOCTOR_CERTIFICATE,
			  doctor_text("none of %zu certificates is near its end", all).s);
}

static void check_pool(struct doctor *d, const struct pool *p)
{
	size_t usable = 0;

	for (size_t i = 0; i < p->backend_count; i++)
		usable += backend_is_usable(&p->backends[i]);
	if (usable == p->backend_count)
		doctor_ok(d, DOCTOR_POOL,
			  doctor_text("%s: all of %zu backends are in use", p->name, usable).s);
	else
		doctor_tell(d, usable ? DOCTOR_WARNING : DOCTOR_ERROR, DOCTOR_POOL,
			    doctor_text("%s: %zu of %zu backends are in use", p->name, usable,
					p->backend_count)
				    .s,
			    usable ? "the others carry more" : "its services serve nobody",
			    doctor_text("shuntctl health %s; shuntctl backend list %s", p->name,
					p->name)
				    .s);
}

void doctor_daemon(struct doctor *d)
{
	check_ready(d);
	check_config(d);
	check_sockets(d);
	check_batches(d);
	check_certificates(d);
	for (size_t i = 0; i < d->snap->pool_count; i++)
		check_pool(d, &d->snap->pools[i]);
}
