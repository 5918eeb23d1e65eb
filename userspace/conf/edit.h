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

/* The same of a backend that was found for its pool, which the document says nothing of but this; found:
 * what would hold without. */
int edit_found_state(struct tree *doc, const char *pool, const char *name, enum admin_state state,
		     enum admin_state found, struct diag *d);
int edit_found_weight(struct tree *doc, const char *pool, const char *name, unsigned weight,
		      unsigned found, struct diag *d);

/* Is it in the pool's list? */
bool edit_lists_backend(const struct tree *doc, const char *pool, const char *name);

#endif
