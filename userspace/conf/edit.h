/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands do to a document. Each returns 0, or fills d and returns -ENOENT (no such pool
 * or backend), -EEXIST (the backend is there already), -EINVAL or -ENOMEM. Whether the result is a
 * good configuration is for conf_build() to say. Main thread.
 */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H

#include "conf/snapshot.h"
#include "conf/tree.h"

int edit_backend_add(struct tree *doc, const char *pool, const char *name, const char *address,
		     const unsigned *weight, struct diag *d); /* weight NULL: the default */
int edit_backend_remove(struct tree *doc, const char *pool, const char *name, struct diag *d);
int edit_backend_state(struct tree *doc, const char *pool, const char *name, enum admin_state state,
		       struct diag *d);
int edit_backend_weight(struct tree *doc, const char *pool, const char *name, unsigned weight,
			struct diag *d);

#endif
