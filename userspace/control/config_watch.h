/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the configuration again when its file, or a file of its directory, was written, where
 * admin.watch says so. Main thread. */
#ifndef CONTROL_CONFIG_WATCH_H
#define CONTROL_CONFIG_WATCH_H

#include <uv.h>

#include "control/config_file.h"

struct config_watch {
	struct config_file *file;
	uv_fs_event_t event;
	uv_timer_t settle; /* who writes a file does so in several steps */
	uint64_t stamp;	   /* of what was looked at last */
};

/* Where the kernel does not tell of changes, a line in the log says so. Ends with the loop. */
void config_watch_start(struct config_watch *w, uv_loop_t *loop, struct config_file *file);

#endif
