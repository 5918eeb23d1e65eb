/* SPDX-License-Identifier: BSD-2-Clause */
/* A summary for the log, on SIGUSR1: the daemon in one line, each service in one. Main thread. */
#ifndef CONTROL_SUMMARY_H
#define CONTROL_SUMMARY_H

#include "control/commands.h"

void summary_log(const struct commands_env *env);

/* Where the program is attached, and how: a line for each interface. */
void summary_log_interfaces(struct l4 *l4);

#endif
