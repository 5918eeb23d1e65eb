/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests of a route are counted by besides the route: a text of theirs, such as a tenant, that the
 * route's `label` makes of them. Clients choose it, so there is a bound on how many there can be, and what
 * is not a printable character of ASCII is "_". Each worker has a table of its own that it alone writes
 * and any thread may read.
 */
#ifndef CONF_ROUTE_LABEL_H
#define CONF_ROUTE_LABEL_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

#define ROUTE_LABEL_LEN	 64  /* with the zero */
#define ROUTE_LABELS_MAX 100 /* of a worker; what comes after them counts as ROUTE_LABEL_OTHER */

/* Stand for texts that are too long or too many, and for the empty one. */
#define ROUTE_LABEL_OTHER "(other)"
#define ROUTE_LABEL_NONE  "(none)"

#define ROUTE_LABEL_CLASSES 4 /* of responses: 2xx to 5xx */

struct route_label {
	char text[ROUTE_LABEL_LEN];
	_Atomic uint64_t requests, responses[ROUTE_LABEL_CLASSES];
};

struct route_labels;

/* NULL: out of memory. */
struct route_labels *route_labels_new(void);
void route_labels_free(struct route_labels *labels); /* NULL is fine */

/* By the owning worker. Stays where it is. */
struct route_label *route_labels_get(struct route_labels *labels, struct slice text);

/* Adds what was counted to the `count` sums in `sums`, of which there may be `max`, one or more; returns how
 * many there are then. The first one is that of ROUTE_LABEL_OTHER, where all goes that finds no room. Any
 * thread. */
size_t route_labels_sum(const struct route_labels *labels, struct route_label *sums, size_t count,
			size_t max);

#endif
