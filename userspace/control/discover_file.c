/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backends that a file lists: when it is read. See discover_int.h. A file that is replaced is another one, so
 * it is its directory that is watched; what that does not tell, a look at the file each second does. One that
 * is written in place is read when it has been left alone for a moment.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "control/diag_log.h"
#include "control/discover_int.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/text.h"

#define POLL_MS		 1000
#define SOON_MS		 2
#define SETTLE_MS	 25
#define UNSETTLED_MAX_MS 1000 /* who never stops writing is read all the same */

static void on_timer(uv_timer_t *timer);

static void look_again(struct source *s, uint64_t wait_ms)
{
	s->file.soon = wait_ms < POLL_MS;
	(void)uv_timer_start(&s->timer, on_timer, wait_ms, 0); /* fails when closing */
}

static uint64_t stamp_of(const struct stat *st)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "%llu %llu %lld %lld.%ld",
		       (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		       (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	return text_hash(TEXT_HASH_INIT, text);
}

/* Milliseconds since it was written; a clock that was set back must not keep it unread. */
static bool was_just_written(const struct stat *st)
{
	struct timespec now;
	int64_t age_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = ((int64_t)now.tv_sec - st->st_mtim.tv_sec) * 1000 +
		 (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return age_ms >= 0 && age_ms < SETTLE_MS;
}

/* Written in place, and perhaps not to its end. */
static bool is_unsettled(struct source *s, const struct stat *st)
{
	uint64_t now = clock_now_ms();

	if (st->st_ino != s->file.inode || !was_just_written(st)) {
		s->file.unsettled_ms = 0;
		return false;
	}
	if (!s->file.unsettled_ms)
		s->file.unsettled_ms = now;
	if (now - s->file.unsettled_ms < UNSETTLED_MAX_MS)
		return true;
	s->file.unsettled_ms = 0;
	return false;
}

static void fail_by_diag(struct source *s, const struct diag *d)
{
	char text[DISCOVER_ERROR_MAX] = "it cannot be read";

	if (d->count)
		(void)diag_format(&d->items[0], text, sizeof(text)); /* cut is fine */
	diag_log(d);
	source_fail(s, text);
}

static void read_file(struct source *s)
{
	struct found_set *set;
	struct diag d;

	diag_init(&d);
	s->lookups++;
	s->asked_ms = clock_now_ms();
	set = found_set_load(s->conf.file, DISCOVER_FILE, s->conf.file, &d);
	if (set)
		source_offer(s, set);
	else
		fail_by_diag(s, &d);
	diag_deinit(&d);
}

static void fail_by_errno(struct source *s, int err)
{
	char text[DISCOVER_ERROR_MAX];

	if (s->file.error == err)
		return;
	s->file.error = err;
	s->file.stamp = 0;
	s->lookups++;
	(void)snprintf(text, sizeof(text), "%.150s: %s", s->conf.file, strerror(err));
	source_fail(s, text);
}

static void on_timer(uv_timer_t *timer)
{
	struct source *s = timer->data;
	struct stat before, after;
	uint64_t stamp;

	if (stat(s->conf.file, &before)) {
		fail_by_errno(s, errno);
		look_again(s, POLL_MS);
		return;
	}
	s->file.error = 0;
	stamp = stamp_of(&before);
	if (stamp == s->file.stamp) {
		look_again(s, POLL_MS);
		return;
	}
	if (is_unsettled(s, &before)) {
		look_again(s, SETTLE_MS);
		return;
	}
	read_file(s);
	s->file.stamp = stamp;
	s->file.inode = before.st_ino;
	/* What it became while it was read is looked at next. */
	if (stat(s->conf.file, &after) || stamp_of(&after) != stamp)
		look_again(s, SETTLE_MS);
	else
		look_again(s, POLL_MS);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
	struct source *s = event->data;

	(void)name;
	(void)events;
	(void)status; /* whatever it was: the stamp tells */
	if (!s->file.soon && !s->closing)
		look_again(s, SOON_MS);
}

void source_start_file(struct source *s)
{
	char copy[PATH_MAX];
	int err;

	(void)snprintf(copy, sizeof(copy), "%s", s->conf.file); /* cut: looked at each second */
	err = uv_fs_event_init(s->owner->loop, &s->event);
	if (!err) {
		s->event.data = s;
		s->handles++;
		err = uv_fs_event_start(&s->event, on_event, dirname(copy), 0);
	}
	if (err)
		log_warning("discover: changes are seen within a second only pool=%s file=%s "
			    "error=\"%s\"",
			    s->pool, s->conf.file, uv_strerror(err));
	look_again(s, 0);
}

void source_stop_file(struct source *s)
{
	if (s->event.data)
		uv_close((uv_handle_t *)&s->event, source_on_closed);
}
