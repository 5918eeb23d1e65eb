/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: read at the start, checked by --check, read again on SIGHUP. Main thread. */
#ifndef CONTROL_CONFIG_FILE_H
#define CONTROL_CONFIG_FILE_H

#include <stdbool.h>

#include "control/reload.h"

/* Read and check. 0, or -EINVAL or -ENOMEM with d filled. Both results are the caller's. */
int config_file_load(const char *path, struct runtime *rt, struct tree **ret_document,
		     struct snapshot **ret_snap, struct diag *d);

/* The same for a person: what is wrong on standard error, a summary on standard output. An exit
 * code, 0 or 1. */
int config_file_check(const char *path, struct runtime *rt, bool strict);

/* Reading again. Zeroed, then path and reload set, by the owner. */
struct config_file {
	const char *path;
	struct reload *reload;
	bool strict;
	uint64_t fallback; /* the generation that was started from, as the file was bad; 0: none */
	bool running, again; /* asked for while one was running */
	uint64_t saved;	     /* config_stamp() of what a command wrote there last; 0: nothing */
	const char *why;     /* of the one that was asked for last: "signal", "watch" */
};

/* Read the file and have it take effect, or log every error and change nothing. why: literal. */
void config_file_reload(struct config_file *f, const char *why);

#endif
