/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the backends of pools with discover, by DNS and in files, and puts what has changed in force the
 * way of all changes (control/reload.h), with "dns" or "file" as its origin. Changes that come fast are
 * gathered; what fails leaves what was found before. Main thread.
 */
#ifndef CONTROL_DISCOVER_H
#define CONTROL_DISCOVER_H

#include <jansson.h>
#include <uv.h>

#include "conf/snapshot.h"

struct discover;
struct reload;
struct runtime;

/* state_dir: where what was found is kept, for the next start; NULL: nowhere. What is kept there goes into
 * the runtime's table. NULL: out of memory. */
struct discover *discover_new(struct runtime *rt, const char *state_dir);

/* Drops what an earlier process has found. False: there was none of that. */
bool discover_forget(struct discover *d);

/* Before the first snapshot. loop and reload must outlive it. */
void discover_start(struct discover *d, uv_loop_t *loop, struct reload *reload);

/* snap is in force. */
void discover_follow(struct discover *d, const struct snapshot *snap);

/* Nothing changes any more: the daemon stops. */
void discover_quiesce(struct discover *d);

/* The loop frees what is left. NULL is fine. */
void discover_close(struct discover *d);

/* What became of a pool's discovery; null: it has none. NULL: out of memory. */
json_t *discover_json(const struct discover *d, const struct pool *pool);

#endif
