/* SPDX-License-Identifier: BSD-2-Clause */
/* inotify on the directory of the configuration: see config_watch.h. A file that is replaced is
 * another one, so the file itself is not what can be watched. */
#include "control/config_watch.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "conf/tree_dir.h"
#include "control/config_stamp.h"
#include "core/log.h"

#define SETTLE_MS 100

/* A file that says what is in force is no change. */
static bool says_what_is_in_force(const struct config_file *f)
{
	struct change_list changes = {0};
	struct tree *t;
	struct diag d;
	bool same;

	diag_init(&d);
	t = tree_load(f->path, &d);
	same = t && !reload_check(f->reload, t, &d, &changes) && !changes.count;
	tree_free(t);
	change_list_deinit(&changes);
	diag_deinit(&d);
	return same;
}

static void on_settled(uv_timer_t *timer)
{
	struct config_watch *w = timer->data;
	const struct snapshot *snap = reload_current(w->file->reload);
	uint64_t stamp;

	if (!snap || snap->admin.watch != WATCH_ON || config_stamp(w->file->path, &stamp) ||
	    stamp == w->stamp)
		return;
	w->stamp = stamp;
	/* What was saved was in force then, and may be changed since: that is not to be undone. What
	 * is in force says nothing while another one is on its way. */
	if (stamp == w->file->saved)
		return;
	if (w->file->running || !says_what_is_in_force(w->file))
		config_file_reload(w->file, "watch");
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
	struct config_watch *w = event->data;

	(void)name;
	(void)events;
	(void)status; /* whatever it was: the stamp tells */
	(void)uv_timer_start(&w->settle, on_settled, SETTLE_MS, 0); /* fails when closing */
}

void config_watch_start(struct config_watch *w, uv_loop_t *loop, struct config_file *file)
{
	char copy[PATH_MAX];
	const char *dir = file->path;
	int err;

	w->file = file;
	if (!strcmp(file->path, "-"))
		return;
	(void)config_stamp(file->path, &w->stamp); /* not there: any is another one */
	if (!tree_dir_is_one(file->path)) {
		(void)snprintf(copy, sizeof(copy), "%s", file->path); /* it was opened: it fits */
		dir = dirname(copy);
	}
	(void)uv_timer_init(loop, &w->settle); /* cannot fail */
	w->settle.data = w;
	err = uv_fs_event_init(loop, &w->event);
	w->event.data = w;
	if (!err)
		err = uv_fs_event_start(&w->event, on_event, dir, 0);
	if (err)
		log_warning("config: changes of the file are not noticed path=%s error=\"%s\"", dir,
			    uv_strerror(err));
}
