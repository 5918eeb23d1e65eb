/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts that the text of metrics.c is made of: see metrics.h. Main thread. */
#ifndef CONTROL_METRICS_INT_H
#define CONTROL_METRICS_INT_H

#include "admin/exposition.h"
#include "control/commands.h"

/* The name of a counter's family: "shunt_service_" "tls-refused" -> shunt_service_tls_refused_total. Good
 * until it is given another counter. */
struct counter_name {
	char s[96];
};
const char *counter_family(struct counter_name *name, const char *prefix, const char *text);

/* The first `count` services of snap are told of. failed: out of memory. */
void metrics_services(struct exposition *e, const struct commands_env *env,
		      const struct snapshot *snap, size_t count, bool *failed);
void metrics_certificates(struct exposition *e, const struct snapshot *snap, size_t count);

/* Of responses by their class, which have a family of their own. */
bool counter_is_of_class(const char *text);

/* The first `max` routes of all services, and as many labels of them. Returns how many are left out;
 * ret_labels: how many of the others have no series of their labels. */
size_t metrics_routes(struct exposition *e, const struct snapshot *snap, size_t max,
		      size_t *ret_labels, bool *failed);

/* Pools, and the first `max` backends of them. Returns how many backends are left out. */
size_t metrics_backends(struct exposition *e, const struct commands_env *env,
			const struct snapshot *snap, size_t max, bool *failed);

/* The first `max` pools with discover. */
void metrics_discover(struct exposition *e, const struct discover *d, size_t max);

#endif
