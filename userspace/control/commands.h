/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of the control socket: one table of method, path and handler. What changes something
 * goes through control/reload, as the file does. Main thread.
 */
#ifndef CONTROL_COMMANDS_H
#define CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/captures.h"
#include "control/reload.h"
#include "control/server.h"

/* What the commands look at; all borrowed for the life of the server. */
struct commands_env {
	struct reload *reload;
	struct l4 *l4; /* NULL: the proxy alone */
	struct workers *workers;
	struct steering *steering;
	struct history *history;
	struct discover *discover;
	struct runtime *runtime;
	struct config_file *file;
	const char *config_path; /* "-": standard input, nothing can be saved */
	uint64_t started_ms;	 /* clock_now_ms() at the start */
	struct upgrade *upgrade;
	const struct takeover *takeover; /* whose place was taken, if any */
	bool stopping;
	bool ended;   /* the workers are gone, the rest is going */
	bool retired; /* another process is the daemon now, and has most of what is here */
	uv_loop_t *loop;
	struct captures *captures;
	bool explaining;   /* cmd_explain.c: one at a time */
	bool asking_flows; /* cmd_flows.c: the same */
	struct {
		uint64_t generation; /* 0: nothing is known */
		uint64_t stamp;	     /* of the file */
		bool differs;
	} saved; /* control/saved.c: what the last comparison found */
};

/* A server_handler; ctx: struct commands_env. */
void commands_handle(void *ctx, struct request *rq);

#endif
