/* SPDX-License-Identifier: BSD-2-Clause */
/* The document in force and the file that the daemon was started with. Main thread. */
#ifndef CONTROL_SAVED_H
#define CONTROL_SAVED_H

#include <stdbool.h>

#include "control/commands.h"

/* Would the file, loaded now, change anything (or is it no good configuration any more)? What was
 * found is kept until the file or the generation is another one. False for standard input. */
bool saved_differs(struct commands_env *env);

/* Write the document in force to the file: whole or not at all, the former one kept as FILE.bak. Of a
 * directory, each file that differs, one after another: what came from it, and what a command added to
 * a pool of it; -ENOTSUP where something came from none of them.
 * 0, or -errno with d filled. */
int saved_write(struct commands_env *env, struct diag *d);

#endif
