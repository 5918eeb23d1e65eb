/* SPDX-License-Identifier: BSD-2-Clause */
/* Is the daemon fit to be given traffic? For /readyz, and as a metric. Main thread. */
#ifndef CONTROL_READY_H
#define CONTROL_READY_H

#include "control/commands.h"

/* What has to be true; X(name, what is not so, else). */
#define READY_CHECKS(X)                                                                            \
	X(running, "shuntd is stopping")                                                           \
	X(config, "workers serve a former configuration still")                                    \
	X(kernel, "the kernel's tables are behind, or a program is not attached")                  \
	X(sockets, "the tables of listening sockets are behind")

struct ready {
#define X(name, text) bool name;
	READY_CHECKS(X)
#undef X
};

/* Are all of them true? */
bool ready_check(const struct commands_env *env, struct ready *ret_ready);

#endif
