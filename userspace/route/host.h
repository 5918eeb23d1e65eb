/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of hosts in rules: one name, or "*.example.com" for all names below one. Pure. */
#ifndef ROUTE_HOST_H
#define ROUTE_HOST_H

#include <stdbool.h>

#include "core/slice.h"
#include "route/mem.h"

struct host_pattern {
	struct slice text; /* in lower case; of a suffix: from its dot on, ".example.com" */
	bool is_suffix;
};

/* Also an address, IPv6 in brackets. A dot at the end is left out. 0, -EINVAL, -ENOMEM. */
int host_pattern_parse(struct route_mem *m, struct slice text, struct host_pattern *ret_pattern);

/* host: as in struct route_input. */
bool host_pattern_fits(const struct host_pattern *p, struct slice host);

/* Does outer fit all that inner fits? */
bool host_pattern_covers(const struct host_pattern *outer, const struct host_pattern *inner);

#endif
