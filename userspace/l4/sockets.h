/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which listening sockets take the connections of which service: what the program for listening
 * sockets goes by (loader/sockets.h), brought in step with a snapshot. Sockets come in groups, one for
 * each worker (listen_group() in conf/listen.h says whose). A group that takes another one's place,
 * also one of another process, is chosen from one moment on; nobody in between finds no socket. The
 * sockets that are no longer chosen have to be kept until their queues are empty. Main thread.
 */
#ifndef L4_SOCKETS_H
#define L4_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/snapshot.h"
#include "core/diag.h"
#include "loader/sockets.h"

struct l4_sockets;

/* As sockets_open(), and read what stands there. */
int l4_sockets_open(const char *pin_path, struct l4_sockets **ret_sockets, struct diag *d);

/* NULL is fine. What is published stays in force for as long as the sockets are open; another
 * process may take over from now on. */
void l4_sockets_close(struct l4_sockets *s);

/* Listening sockets of a group, chosen after the next l4_sockets_publish(). A group that this process
 * has added already stays as it is. 0, or -errno with d filled. */
int l4_sockets_add(struct l4_sockets *s, const char *group, const int *fds, size_t count,
		   struct diag *d);

/* Forget those that were added since the last publish: their sockets are closed. */
void l4_sockets_cancel(struct l4_sockets *s);

/*
 * From now on connections go by snap; each group that it needs was added. NULL: by nothing. Groups that
 * are not needed are forgotten. Waits some milliseconds where something changes. 0, or -errno with d
 * filled: to be tried again, which goes on from there.
 */
int l4_sockets_publish(struct l4_sockets *s, const struct snapshot *snap, struct diag *d);

/* Does the program still run? Not, if somebody has detached it. */
bool l4_sockets_attached(const struct l4_sockets *s);

/* Of all groups of a service. */
void l4_sockets_stats(struct l4_sockets *s, const struct service *service,
		      struct sockets_stats *ret_stats);

/* For status. */
struct l4_sockets_info {
	const char *dir;
	bool attached, adopted;
	size_t groups;
	struct sockets_stats stats; /* of all of them */
};
void l4_sockets_describe(struct l4_sockets *s, struct l4_sockets_info *ret_info);

#endif
