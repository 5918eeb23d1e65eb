/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that gives connections to listening sockets, as a part of how a configuration takes
 * effect: it is loaded when the first one asks for it. Where it cannot be, services of one address and
 * port do without it, others are refused. Main thread.
 */
#ifndef CONTROL_STEERING_H
#define CONTROL_STEERING_H

#include <jansson.h>
#include <stdbool.h>

#include "conf/snapshot.h"
#include "core/diag.h"

struct steering;
struct worker_sockets;
struct workers;

struct steering *steering_new(void); /* NULL: out of memory */

/* The kernel goes on by what was published last. NULL is fine. */
void steering_free(struct steering *st);

/* Make ready for snap, whose sockets are known to the workers. 0, or -errno with d filled: then nothing
 * has changed. */
int steering_prepare(struct steering *st, const struct snapshot *snap,
		     struct worker_sockets *sockets, struct diag *d);
void steering_cancel(struct steering *st); /* what was prepared does not come to be */

/* The workers serve snap: connections go by it from now on. 0, or -errno with d filled: to be tried
 * again. */
int steering_publish(struct steering *st, const struct snapshot *snap, struct diag *d);
/* Another process is to have the tables: what is published stays in force. Then, where that came to
 * nothing: take them again for what is in force. 0, or -errno with d filled. */
void steering_let_go(struct steering *st);
int steering_take_back(struct steering *st, struct workers *w, const struct snapshot *snap,
		       struct diag *d);

bool steering_is_behind(const struct steering *st); /* the last publish has failed */

/* For status; and of a service, null where the program does not give it connections. */
json_t *steering_json(struct steering *st, const struct snapshot *snap);
json_t *steering_service_json(struct steering *st, const struct service *service);

#endif
