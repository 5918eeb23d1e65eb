/* SPDX-License-Identifier: BSD-2-Clause */
/* Generations and their documents: see history.h. The files are history_file.c's. */
#include "control/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/history_file.h"
#include "control/json_build.h"
#include "control/message.h"
#include "core/log.h"

/* Without a directory: what all texts take together. */
#define MEMORY_MAX    (32U << 20)
#define WAITING_MAX   16
#define SHOWN_CHANGES 4

struct entry {
	struct history_head head;
	char *text; /* without a directory, once it is written */
	size_t text_len;
	struct snapshot *snap; /* until it is written */
};

struct history {
	char *dir; /* NULL: in memory */
	uv_loop_t *loop;
	struct entry *entries; /* the oldest first */
	size_t count;
	size_t keep;
	uv_work_t work;
	bool busy; /* a document is being written ... */
	struct {
		struct history_head head; /* ... of this generation */
		struct snapshot *snap;
		char *text;
		int err;
	} job;
	bool closing;
};

static void entry_deinit(struct entry *e)
{
	free(e->text);
	snapshot_unref(e->snap);
}

static void free_history(struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		entry_deinit(&h->entries[i]);
	free(h->entries);
	free(h->dir);
	free(h);
}

static struct entry *find(const struct history *h, uint64_t generation)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->entries[i].head.generation == generation)
			return &h->entries[i];
	return NULL;
}

static int append(struct history *h, const struct entry *e)
{
	struct entry *entries = realloc(h->entries, (h->count + 1) * sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	h->entries = entries;
	entries[h->count++] = *e;
	return 0;
}

static void drop(struct history *h, size_t at)
{
	if (h->dir)
		history_file_remove(h->dir, h->entries[at].head.generation);
	entry_deinit(&h->entries[at]);
	h->count--;
	memmove(&h->entries[at], &h->entries[at + 1], (h->count - at) * sizeof(*h->entries));
}

/* The newest always stays. */
static void drop_oldest(struct history *h)
{
	size_t bytes = 0, at = h->count;

	while (h->keep && h->count > h->keep)
		drop(h, 0);
	while (at > 0 && bytes <= MEMORY_MAX) {
		bytes += h->entries[--at].text_len;
	}
	while (bytes > MEMORY_MAX && at-- > 0)
		drop(h, 0);
}

int history_open(const char *dir, struct history **ret_history, struct diag *d)
{
	struct history *h = calloc(1, sizeof(*h));
	struct history_head *heads = NULL;
	size_t count = 0;
	int err = h ? 0 : -ENOMEM;

	if (!err && dir) {
		h->dir = strdup(dir);
		err = h->dir ? history_file_list(dir, &heads, &count) : -ENOMEM;
	}
	for (size_t i = 0; i < count && !err; i++) {
		struct entry e = {.head = heads[i]};

		err = append(h, &e);
	}
	free(heads);
	if (err) {
		diag_error(d, NULL, "cannot keep generations in %s: %s", dir ? dir : "memory",
			   strerror(-err));
		if (h)
			free_history(h);
		return err;
	}
	*ret_history = h;
	return 0;
}

uint64_t history_last(const struct history *h)
{
	return h->count ? h->entries[h->count - 1].head.generation : 0;
}

/* ---- writing ---- */

static void write_next(struct history *h);

static void on_work(uv_work_t *work)
{
	struct history *h = work->data;

	h->job.text = tree_emit(h->job.snap->document);
	h->job.err = h->job.text ? history_head_finish(&h->job.head, h->job.text) : -ENOMEM;
	if (!h->job.err && h->dir)
		h->job.err = history_file_write(h->dir, &h->job.head, h->job.text);
}

static void on_written(uv_work_t *work, int status)
{
	struct history *h = work->data;
	struct entry *e = find(h, h->job.head.generation);

	(void)status; /* is never cancelled */
	h->busy = false;
	if (h->job.err)
		log_error("config: generation was not kept generation=%llu error=\"%s\"",
			  (unsigned long long)h->job.head.generation, strerror(-h->job.err));
	if (e) {
		e->head = h->job.head;
		snapshot_unref(e->snap);
		e->snap = NULL;
		if (!h->dir) {
			e->text = h->job.text;
			e->text_len = strlen(e->text);
			h->job.text = NULL;
		}
		if (h->job.err)
			drop(h, (size_t)(e - h->entries));
	} else if (h->dir) {
		history_file_remove(h->dir, h->job.head.generation); /* dropped meanwhile */
	}
	free(h->job.text);
	snapshot_unref(h->job.snap);
	drop_oldest(h);
	write_next(h);
	if (h->closing && !h->busy)
		free_history(h);
}

static void write_next(struct history *h)
{
	for (size_t i = 0; i < h->count && !h->busy; i++) {
		struct entry *e = &h->entries[i];

		if (!e->snap)
			continue;
		h->job.head = e->head;
		h->job.snap = snapshot_ref(e->snap);
		h->job.text = NULL;
		h->work.data = h;
		h->busy = !uv_queue_work(h->loop, &h->work, on_work, on_written);
		if (!h->busy)
			snapshot_unref(h->job.snap);
	}
}

/* When there are more than can be written, those in the middle go: the newest must not. */
static void drop_waiting(struct history *h)
{
	size_t waiting = 0;

	for (size_t i = h->count; i > 0; i--) {
		const struct entry *e = &h->entries[i - 1];

		waiting += e->snap != NULL;
		if (e->snap && waiting > WAITING_MAX &&
		    !(h->busy && h->job.head.generation == e->head.generation)) {
			log_warning("config: changes come faster than they can be kept, one is "
				    "not generation=%llu",
				    (unsigned long long)e->head.generation);
			drop(h, i - 1);
		}
	}
}

static void put_summary(struct history_head *head, const struct change_list *changes)
{
	size_t len = 0;

	for (size_t i = 0; i < changes->count && i < SHOWN_CHANGES; i++) {
		const struct change *c = &changes->items[i];
		char sign = c->kind == CHANGE_ADDED ? '+' : c->kind == CHANGE_REMOVED ? '-' : '~';

		if (len < sizeof(head->summary))
			len += (size_t)snprintf(head->summary + len, sizeof(head->summary) - len,
						"%s%c %s%s%s", i ? "; " : "", sign, c->object,
						c->field ? " " : "", c->field ? c->field : "");
	}
	if (changes->count > SHOWN_CHANGES && len < sizeof(head->summary))
		(void)snprintf(head->summary + len, sizeof(head->summary) - len, "; ...");
}

/* Of several in a row that only say who was found, the document is the same: the last one is kept. */
static void drop_same(struct history *h, const struct reload_origin *origin)
{
	if (origin->alone && h->count &&
	    !strcmp(h->entries[h->count - 1].head.origin, origin->what))
		drop(h, h->count - 1);
}

void history_start(struct history *h, uv_loop_t *loop)
{
	h->loop = loop;
}

void history_note(void *ctx, struct snapshot *snap, const struct reload_origin *origin,
		  const struct reload_result *result)
{
	struct history *h = ctx;
	struct entry e = {.head = {.generation = snap->generation,
				   .uid = origin->uid,
				   .duration_us = result->duration_us,
				   .changes = result->changes.count,
				   .edits = result->edits}};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	e.head.time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	(void)snprintf(e.head.origin, sizeof(e.head.origin), "%s", origin->what);
	put_summary(&e.head, &result->changes);
	h->keep = snap->admin.history;
	drop_same(h, origin);
	e.snap = snapshot_ref(snap);
	if (append(h, &e)) {
		snapshot_unref(snap);
		log_error("config: out of memory, generation was not kept generation=%llu",
			  (unsigned long long)snap->generation);
		return;
	}
	drop_waiting(h);
	write_next(h);
}

/* ---- reading ---- */

struct tree *history_document(struct history *h, uint64_t generation, struct diag *d, int *ret_err)
{
	const struct entry *e = find(h, generation);
	struct tree *t;

	*ret_err = e ? -EINVAL : -ENOENT;
	if (!e) {
		diag_error(d, NULL, "generation %llu is not kept: see shuntctl config history",
			   (unsigned long long)generation);
		return NULL;
	}
	if (e->snap)
		t = tree_copy(e->snap->document);
	else if (h->dir)
		return history_file_read(h->dir, &e->head, d);
	else
		t = tree_parse(API_HISTORY_NAME, e->text, strlen(e->text), d);
	if (!t && !d->errors)
		diag_error(d, NULL, "out of memory");
	return t;
}

uint64_t history_last_good(struct history *h, struct runtime *rt, struct tree **ret_document,
			   struct snapshot **ret_snap)
{
	for (size_t i = h->count; i > 0; i--) {
		uint64_t generation = h->entries[i - 1].head.generation;
		struct tree *t;
		struct diag d;
		int err;

		diag_init(&d);
		t = history_document(h, generation, &d, &err);
		*ret_snap = t ? conf_build(t, rt, &d) : NULL;
		diag_deinit(&d);
		if (*ret_snap) {
			*ret_document = t;
			return generation;
		}
		tree_free(t);
		log_warning("config: cannot start from this generation generation=%llu",
			    (unsigned long long)generation);
	}
	return 0;
}

json_t *history_json(const struct history *h)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = h->count; i > 0 && !failed; i--) {
		const struct history_head *e = &h->entries[i - 1].head;
		json_t *o = json_object();

		failed = !o;
		json_put_int(o, "generation", e->generation, &failed);
		json_put_int(o, "time_ms", e->time_ms, &failed);
		json_put(o, "origin", json_text(e->origin), &failed);
		json_put(o, "uid", e->uid < 0 ? json_null() : json_integer(e->uid), &failed);
		json_put(o, "hash", e->hash[0] ? json_string(e->hash) : json_null(), &failed);
		json_put_int(o, "changes", e->changes, &failed);
		json_put_int(o, "edits", e->edits, &failed);
		json_put_int(o, "duration_us", e->duration_us, &failed);
		json_put(o, "summary", json_text(e->summary), &failed);
		json_push(list, o, &failed);
	}
	return json_finish(list, failed);
}

bool history_is_busy(const struct history *h)
{
	return h->busy;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	h->closing = true;
	if (!h->busy)
		free_history(h);
}
