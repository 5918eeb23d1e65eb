/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was found, kept on disk for a start without those who know it. See discover_int.h. A file for each
 * pool: a line that says where it is from, and the list, as conf/found.h reads and writes it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/abi.h"
#include "conf/fields.h"
#include "conf/runtime.h"
#include "control/discover_int.h"
#include "core/log.h"

#define FILE_MODE 0640
#define DIR_MODE  0750
#define SUFFIX	  ".yaml"
#define WRITE_MS  200 /* changes that come within this time are written once */

/* ---- writing ---- */

struct page {
	char path[PATH_MAX];
	char *text;
};

/* Written by another thread. */
struct pages {
	uv_work_t work;
	struct discover *owner;
	size_t count;
	struct page list[];
};

static void write_page(const char *dir, const struct page *p)
{
	char temporary[PATH_MAX + 8];
	int fd, err = 0;
	FILE *out;

	(void)mkdir(dir, DIR_MODE); /* it is there, or open() fails */
	(void)snprintf(temporary, sizeof(temporary), "%s.new", p->path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		err = errno;
		if (fd >= 0)
			close(fd);
	} else {
		if (fputs(p->text, out) < 0 || fflush(out))
			err = errno;
		if (fclose(out) && !err)
			err = errno;
	}
	if (!err && rename(temporary, p->path))
		err = errno;
	if (err)
		log_warning("discover: what was found is not kept file=%s error=\"%s\"", p->path,
			    strerror(err));
}

static void path_of(const struct discover *d, const char *pool, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s" SUFFIX, d->dir, pool); /* cut: not there */
}

static char *text_of(const struct found_set *set)
{
	char *list = found_set_text(set), *text = NULL;
	size_t len = list ? strlen(list) + strlen(set->source) + 16 : 0;

	if (list)
		text = malloc(len);
	if (text)
		(void)snprintf(text, len, "# %s %s\n%s", discover_kind_name(set->kind), set->source,
			       list);
	free(list);
	return text;
}

static struct pages *collect(struct discover *d)
{
	struct pages *p;
	size_t count = 0;

	for (size_t i = 0; i < d->count; i++)
		count += d->sources[i]->dirty;
	p = count ? calloc(1, sizeof(*p) + count * sizeof(p->list[0])) : NULL;
	if (!p)
		return NULL;
	p->owner = d;
	for (size_t i = 0; i < d->count; i++) {
		struct source *s = d->sources[i];
		const struct found_set *set = source_current(s);

		if (!s->dirty)
			continue;
		s->dirty = false;
		p->list[p->count].text = set ? text_of(set) : NULL;
		path_of(d, s->pool, p->list[p->count].path);
		p->count += p->list[p->count].text != NULL;
	}
	return p;
}

static void write_all(struct pages *p)
{
	for (size_t i = 0; i < p->count; i++)
		write_page(p->owner->dir, &p->list[i]);
}

static void free_pages(struct pages *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].text);
	free(p);
}

static void on_work(uv_work_t *work)
{
	write_all(work->data);
}

static void on_written(uv_work_t *work, int status)
{
	struct pages *p = work->data;
	struct discover *d = p->owner;

	(void)status; /* is never cancelled */
	free_pages(p);
	d->writing = false;
	discover_keep(d);
	discover_unref(d);
}

static void on_write(uv_timer_t *timer)
{
	struct discover *d = timer->data;
	struct pages *p = collect(d);

	if (!p)
		return;
	p->work.data = p;
	if (uv_queue_work(d->loop, &p->work, on_work, on_written)) {
		free_pages(p);
		return;
	}
	d->writing = true;
	d->handles++;
}

void discover_keep(struct discover *d)
{
	bool dirty = false;

	for (size_t i = 0; i < d->count && !dirty; i++)
		dirty = d->sources[i]->dirty;
	if (d->dir && dirty && !d->writing && !d->closing &&
	    !uv_is_active((uv_handle_t *)&d->write))
		(void)uv_timer_start(&d->write, on_write, WRITE_MS, 0); /* fails when closing */
}

void discover_keep_now(struct discover *d)
{
	struct pages *p = d->dir ? collect(d) : NULL;

	if (!p)
		return;
	write_all(p);
	free_pages(p);
}

void discover_drop_file(const struct discover *d, const char *pool)
{
	char path[PATH_MAX];

	if (!d->dir)
		return;
	path_of(d, pool, path);
	(void)unlink(path); /* not there, or read in vain next time */
}

/* ---- reading ---- */

/* "# dns NAME". False: it is none of ours. */
static bool read_head(const char *path, enum discover_kind *ret_kind, char *source, size_t len)
{
	char line[PATH_MAX + 16] = "";
	FILE *in = fopen(path, "re");
	const char *rest = NULL;

	if (!in)
		return false;
	if (fgets(line, sizeof(line), in))
		line[strcspn(line, "\n")] = 0;
	fclose(in);
	if (!strncmp(line, "# dns ", 6)) {
		*ret_kind = DISCOVER_DNS;
		rest = line + 6;
	} else if (!strncmp(line, "# file ", 7)) {
		*ret_kind = DISCOVER_FILE;
		rest = line + 7;
	}
	if (rest)
		return *rest && (size_t)snprintf(source, len, "%.4000s", rest) < len;
	return false;
}

static void restore_one(struct discover *d, const char *pool)
{
	char path[PATH_MAX], source[PATH_MAX];
	struct found_set *set, *former = NULL;
	enum discover_kind kind;
	struct diag diag;

	path_of(d, pool, path);
	if (!read_head(path, &kind, source, sizeof(source)))
		return;
	diag_init(&diag);
	set = found_set_load(path, kind, source, &diag);
	if (!set)
		log_warning("discover: what was kept cannot be read file=%s reason=\"%s\"", path,
			    diag.count ? diag.items[0].text : "out of memory");
	diag_deinit(&diag);
	if (!set)
		return;
	set->restored = true;
	if (found_put(runtime_found(d->runtime), pool, set, &former))
		former = set;
	found_set_free(former);
}

void discover_restore(struct discover *d)
{
	struct dirent *entry;
	DIR *dir = opendir(d->dir);

	if (!dir)
		return; /* nothing was kept */
	while ((entry = readdir(dir))) {
		char pool[SHUNT_NAME_MAX];
		size_t len = strlen(entry->d_name);

		if (len <= strlen(SUFFIX) || len - strlen(SUFFIX) >= sizeof(pool) ||
		    strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) != 0)
			continue;
		(void)snprintf(pool, sizeof(pool), "%.*s", (int)(len - strlen(SUFFIX)),
			       entry->d_name);
		if (!field_refuse_name(pool))
			restore_one(d, pool);
	}
	closedir(dir);
}
