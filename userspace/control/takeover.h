/* SPDX-License-Identifier: BSD-2-Clause */
/* The side of an upgrade that comes: a process that was started to take a daemon's place (upgrade.h).
 * Main thread, before its loop runs. */
#ifndef CONTROL_TAKEOVER_H
#define CONTROL_TAKEOVER_H

#include <stdbool.h>

#include "control/handover.h"

#define TAKEOVER_VARIABLE "SHUNT_TAKEOVER" /* the descriptor of its end of the pair of sockets */

struct runtime;

/* Zeroed, but sock -1, before takeover_begin(). */
struct takeover {
	int sock; /* -1: nobody's place is taken */
	bool is_over;
	struct handover_state from;
};

/* Looks at the environment. */
void takeover_begin(struct takeover *t);

static inline bool takeover_is_wanted(const struct takeover *t)
{
	return t->sock >= 0 || t->is_over;
}

/* Says whether the configuration is good here, then waits until the other lets go of everything, and
 * fills t->from. 0, or -errno with d filled. */
int takeover_receive(struct takeover *t, struct runtime *rt, struct diag *d);

/* The other may go; or stays what it is, and says why. Once; nothing happens where nobody waits. */
void takeover_ready(struct takeover *t);
void takeover_failed(struct takeover *t, const struct diag *d, int err);

void takeover_end(struct takeover *t);

#endif
