/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the workers of a process get from those of the one before, so that nobody who connects notices:
 * the listening sockets themselves, with who waits in them, and the keys of session tickets. Main
 * thread.
 */
#ifndef WORKER_LEGACY_H
#define WORKER_LEGACY_H

#include <stddef.h>

#include "conf/listen.h"
#include "tls/tickets.h"

struct legacy_group {
	char name[LISTEN_GROUP_STRLEN]; /* listen_group() */
	int *fds;			/* -1: taken */
	size_t count;
};

struct legacy {
	struct legacy_group *groups;
	size_t count;
	struct tls_ticket_state tickets;
};

/* NULL: not there. */
struct legacy_group *legacy_find(const struct legacy *l, const char *name);

/* The descriptor of that number, the caller's from now on; -1: there is none, or it was taken. */
int legacy_take(struct legacy_group *g, size_t number);

/* Closes what was not taken, of one whose descriptors and groups are its own. Zeroed afterwards. */
void legacy_deinit(struct legacy *l);

#endif
