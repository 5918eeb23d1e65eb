/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The side of an upgrade that goes: starts a binary that is to take this daemon's place, and lets it.
 * The other one checks the configuration; then this one lets go of the kernel's tables and hands over
 * the rest (handover.h); the other one serves, and says so; then this one retires. Whatever fails on the
 * way ends the other process, and this one takes back what it has let go of. Main thread.
 */
#ifndef CONTROL_UPGRADE_H
#define CONTROL_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "control/handover.h"

#define UPGRADE_TIMEOUT_MS     60000U
#define UPGRADE_TIMEOUT_MAX_MS 3600000U

/* What only the owner of all parts can do; ctx: env's. */
struct upgrade_env {
	uv_loop_t *loop;
	char **argv; /* of this process: the other one gets the same */
	/* Let go of the kernel's tables, and change nothing any more. False: not now, ask again. */
	bool (*pause)(void *ctx);
	/* Take them back. Other than 0: not now, try again. */
	int (*resume)(void *ctx);
	/* The other process serves: go. */
	void (*retire)(void *ctx, pid_t pid);
	void (*source)(void *ctx, struct handover_source *ret_source);
	void *ctx;
};

struct upgrade;

/* status 0: pid serves; else -errno, and why. */
typedef void (*upgrade_cb)(void *ctx, int status, pid_t pid, const char *why);

struct upgrade *upgrade_new(const struct upgrade_env *env); /* NULL: out of memory */

/* binary: NULL: what this process was started from, as it is now. 0: cb comes once (may be NULL);
 * -EBUSY: there is one under way; another -errno: it could not be started, and why says more. */
int upgrade_begin(struct upgrade *u, const char *binary, unsigned timeout_ms, upgrade_cb cb,
		  void *ctx, char *why, size_t why_len);

/* Does the other process have the tables, so that nothing can be changed here? */
bool upgrade_is_switching(const struct upgrade *u);

/* The daemon stops: ends the other process, unless it serves already. */
void upgrade_abort(struct upgrade *u);

/* For status: "none", "checking", "switching", "taking-back"; and why the last one failed (NULL: it did
 * not, or there was none). */
const char *upgrade_state(const struct upgrade *u, pid_t *ret_pid);
const char *upgrade_last_failure(const struct upgrade *u);

/* The loop ends: what is under way is over. Then, once it has closed all handles, free. NULL is fine. */
void upgrade_close(struct upgrade *u);
void upgrade_free(struct upgrade *u);

#endif
