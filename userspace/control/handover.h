/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon hands over to the process that takes its place: the configuration in force, what is
 * known of backends' health, the keys of session tickets, and every listening socket. Counters, rate
 * limits, outliers and sessions of TLS 1.2 clients without tickets begin anew; kernel tables stay where
 * they are, and are opened by who comes. Main thread.
 */
#ifndef CONTROL_HANDOVER_H
#define CONTROL_HANDOVER_H

#include <jansson.h>

#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/diag.h"
#include "worker/legacy.h"
#include "worker/worker.h"

/* ---- who goes ---- */

struct handover_source {
	const struct snapshot *snap;
	const struct workers *workers;
	int control_fd, admin_fd;	       /* admin_fd -1: there is none */
	const char *control_path, *admin_path; /* admin_path NULL: it is not a unix socket */
};

/* One message: HANDOVER_CHECK; or HANDOVER_STATE and what follows it. 0, or -errno. */
int handover_send_check(int sock, const struct handover_source *from);
int handover_send_state(int sock, const struct handover_source *from);

/* ---- who comes ---- */

/* NULL, -1, 0: not handed over. Whoever takes something leaves that. */
struct handover_state {
	struct tree *document;
	uint64_t generation;
	long pid; /* who goes, and its version */
	char version[32];
	int control_fd, admin_fd;
	char *control_path, *admin_path;
	struct legacy legacy;
	json_t *health;
};

/* Reads what fd, which is closed, has of it. 0, or -errno with d filled. ret_count: how many sockets
 * follow. */
int handover_read(int fd, struct handover_state *ret_handover, size_t *ret_count, struct diag *d);

/* The sockets, in the order that they came in; they are taken. -EINVAL: not as many as there should be. */
int handover_give_sockets(struct handover_state *h, const int *fds, size_t count);

/* What is known of the backends of a snapshot, before anything looks at it. */
void handover_apply_health(const struct handover_state *h, struct snapshot *snap);

/* Frees and closes what was not taken. */
void handover_deinit(struct handover_state *h);

#endif
