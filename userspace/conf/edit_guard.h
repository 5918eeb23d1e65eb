/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands do to the lists of the guard in a document; as conf/edit.h. Main thread. */
#ifndef CONF_EDIT_GUARD_H
#define CONF_EDIT_GUARD_H

#include "conf/snapshot.h"
#include "conf/tree.h"

/* entry->note may be NULL. -EEXIST: the prefix is in either list already. */
int edit_guard_add(struct tree *doc, const struct guard_prefix *entry, struct diag *d);

/* From the list that it is in. -ENOENT: it is in neither. */
int edit_guard_remove(struct tree *doc, const struct addr *addr, unsigned len, struct diag *d);

#endif
