/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was changed since the start but takes effect only when the daemon starts again. A change
 * that is taken back leaves the list. Owner: control/reload. Main thread.
 */
#ifndef CONTROL_RESTART_LIST_H
#define CONTROL_RESTART_LIST_H

#include "conf/diff.h"

/* Take in what one reload changed. 0, or -ENOMEM (an entry is missing then). */
int restart_list_note(struct change_list *list, const struct change_list *changes);

#endif
