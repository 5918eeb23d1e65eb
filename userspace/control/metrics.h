/* SPDX-License-Identifier: BSD-2-Clause */
/* All that is counted, as Prometheus reads it. Main thread. */
#ifndef CONTROL_METRICS_H
#define CONTROL_METRICS_H

#include "control/commands.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A text to be freed. NULL: out of memory. */
char *metrics_render(const struct commands_env *env);

#endif
