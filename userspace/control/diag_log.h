/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors and warnings for people, a line of the log each. Main thread. */
#ifndef CONTROL_DIAG_LOG_H
#define CONTROL_DIAG_LOG_H

#include "core/diag.h"

void diag_log(const struct diag *d);

#endif
