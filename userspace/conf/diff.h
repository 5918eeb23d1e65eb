/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What differs between two snapshots, in words a person reads and a program can sort. Pure; main
 * thread.
 */
#ifndef CONF_DIFF_H
#define CONF_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/snapshot.h"

enum change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_CHANGED };

struct change {
	enum change_kind kind;
	char *object;	/* "pool web", "backend web/web-1", "service api", "node" */
	char *field;	/* CHANGED: the key, such as "weight" or "health.every"; else NULL */
	char *old_text; /* CHANGED: as written in a configuration; "default" where nothing is */
	char *new_text;
	bool restart; /* takes effect only when the daemon starts again */
};

struct change_list {
	struct change *items;
	size_t count;
};

/* In the order node, admin, log, pools (each followed by its backends), services, by name; fields in that
 * of the keyword table. old may be NULL: all pools, backends and services are added. 0, or -ENOMEM. */
int diff_snapshots(const struct snapshot *old, const struct snapshot *new,
		   struct change_list *ret_list);
void change_list_deinit(struct change_list *l);

#endif
