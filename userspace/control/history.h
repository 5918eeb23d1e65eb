/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The generations that were in force: who brought each, when, what it changed, and its document. With
 * a directory they are files there, GENERATION.yaml, each a whole configuration with a head of
 * comments, so that the last good one can be started from; without one they are kept in memory. The
 * oldest go when there are more than admin.history. Documents are written on another thread, the
 * rest is the main thread's.
 */
#ifndef CONTROL_HISTORY_H
#define CONTROL_HISTORY_H

#include <jansson.h>
#include <uv.h>

#include "control/reload.h"

struct history;

/* dir: NULL, or made where it is not there; what is in it is taken up. 0, or -errno with d filled. */
int history_open(const char *dir, struct history **ret_history, struct diag *d);

/* The highest generation; 0: none. */
uint64_t history_last(const struct history *h);

/* From here on documents are written, on a thread of loop. */
void history_start(struct history *h, uv_loop_t *loop);

/* A reload_note; ctx: the history. */
void history_note(void *ctx, struct snapshot *snap, const struct reload_origin *origin,
		  const struct reload_result *result);

/* The document of a generation; NULL: d says why, which is -ENOENT in *ret_err where it is not there
 * (any more). */
struct tree *history_document(struct history *h, uint64_t generation, struct diag *d, int *ret_err);

/* The newest generation from which a snapshot can be built, with its document; 0: there is none. */
uint64_t history_last_good(struct history *h, struct runtime *rt, struct tree **ret_document,
			   struct snapshot **ret_snap);

/* All of them, the newest first. NULL: out of memory. */
json_t *history_json(const struct history *h);

/* Is something being written? */
bool history_is_busy(const struct history *h);

/* Ends when what is under way is written; the loop has to run until then. NULL is fine. */
void history_close(struct history *h);

#endif
