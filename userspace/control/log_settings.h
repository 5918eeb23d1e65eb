/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration says of the daemon's own log takes effect. Main thread. */
#ifndef CONTROL_LOG_SETTINGS_H
#define CONTROL_LOG_SETTINGS_H

#include "conf/snapshot.h"

/* former: NULL for the first. A level that a command has set stays until the configuration's changes. */
void log_settings_apply(const struct snapshot *former, const struct snapshot *snap);

#endif
