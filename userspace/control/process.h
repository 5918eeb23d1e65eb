/* SPDX-License-Identifier: BSD-2-Clause */
/* What the process asks of the system before anything else. Main thread, before any other. */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

/* Signals that are of no use are ignored, descriptors are allowed as many as may be, nothing gains
 * privileges. What fails is logged and done without. */
void process_prepare(void);

#endif
