/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another path for a request, before it goes to a backend; the query stays:
 *	prefix		what the route's own prefix (or exact path) took is replaced, the rest stays
 *	template	the path is what the template gives
 *	regex		a path that the expression matches (as a whole) is what the template gives, with
 *			its groups as ${1} or ${name}; another one stays
 * Compiled once, then read by any thread.
 */
#ifndef ROUTE_REWRITE_H
#define ROUTE_REWRITE_H

#include "route/template.h"

enum rewrite_kind { REWRITE_PREFIX, REWRITE_TEMPLATE, REWRITE_REGEX };

struct rewrite {
	enum rewrite_kind kind;
	size_t prefix_len; /* of the path that is replaced */
	const struct regex *regex;
	const struct template *to;
};

/* rule: of the route. regex: of REWRITE_REGEX. 0, -EINVAL (the diag says why), -ENOMEM. */
int rewrite_compile(const struct route_scope *scope, enum rewrite_kind kind,
		    const struct path_rule *rule, struct slice regex, struct slice to,
		    const struct pos *pos, struct rewrite *ret_rewrite);

/* For a request that the route fits. As template_render(). */
int rewrite_path(const struct rewrite *r, const struct route_input *in,
		 const struct path_captures *captures, char *buf, size_t cap, size_t *ret_len);

#endif
