/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: see config_file.h. */
#include "control/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/diag_log.h"
#include "control/notify.h"
#include "core/log.h"

int config_file_load(const char *path, struct runtime *rt, struct tree **ret_document,
		     struct snapshot **ret_snap, struct diag *d)
{
	struct tree *document = tree_load(path, d);
	struct snapshot *snap = document ? conf_build(document, rt, d) : NULL;

	if (!snap) {
		tree_free(document);
		return d->out_of_memory ? -ENOMEM : -EINVAL;
	}
	*ret_document = document;
	*ret_snap = snap;
	return 0;
}

int config_file_check(const char *path, struct runtime *rt, bool strict)
{
	struct tree *document = NULL;
	struct snapshot *snap = NULL;
	struct diag d;
	int err;

	diag_init(&d);
	err = config_file_load(path, rt, &document, &snap, &d);
	if (!err && strict)
		err = diag_refuse_warnings(&d);
	diag_print(&d, stderr);
	if (!err)
		fprintf(stdout, "%s: good, services: %zu, pools: %zu\n", path, snap->service_count,
			snap->pool_count);
	snapshot_unref(snap);
	tree_free(document);
	diag_deinit(&d);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void on_reloaded(void *ctx, const struct reload_result *result)
{
	struct config_file *f = ctx;

	f->running = false;
	if (!result->status)
		f->fallback = 0;
	notify_ready(result->status ? "running; the last reload was refused" : "running");
	if (f->again)
		config_file_reload(f, f->why);
}

void config_file_reload(struct config_file *f, const char *why)
{
	struct reload_origin origin = {.what = why, .uid = -1, .strict = f->strict};
	struct tree *document;
	struct diag d;
	int err = -EINVAL;

	f->why = why;
	if (f->running) {
		f->again = true;
		return;
	}
	f->again = false;
	if (!strcmp(f->path, "-")) {
		log_warning("config: it came from standard input and is not read again");
		return;
	}
	notify_reloading();
	diag_init(&d);
	document = tree_load(f->path, &d);
	if (document)
		err = reload_document(f->reload, document, &origin, on_reloaded, f);
	f->running = !err;
	if (err) {
		diag_log(&d);
		log_error("config: refused, nothing changed origin=%s errors=%zu reason=\"%s\"",
			  why, d.errors, strerror(-err));
		notify_ready("running; the last reload was refused");
	}
	diag_deinit(&d);
}
