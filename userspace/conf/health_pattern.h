/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The regular expression that the body of a health check's answer is held against. Owner: the snapshot;
 * read by the main thread.
 */
#ifndef CONF_HEALTH_PATTERN_H
#define CONF_HEALTH_PATTERN_H

#include "route/regex.h"

struct health_pattern {
	struct route_mem mem;
	const struct regex *regex;
};

/* 0, -EINVAL (*ret_error says why), or -ENOMEM. */
int health_pattern_new(const char *text, struct health_pattern **ret_pattern,
		       struct regex_error *ret_error);
void health_pattern_free(struct health_pattern *p); /* NULL is fine */

#endif
