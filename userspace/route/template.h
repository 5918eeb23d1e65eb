/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts with names in them that stand for what is in a request: "/v2/${region}/${header.x-user}".
 *	${NAME}		what the path's rule took under that name; else a variable; else a name of the
 *			expression language (host, request.path, source.ip, ...)
 *	${1}		what the path's rule took, by number; ${0} is the whole path
 *	${header.NAME}  ${query.NAME}  ${cookie.NAME}
 *	$$		a dollar sign
 * What is not there is the empty text. Values are escaped for where they are put (enum
 * template_use), and what comes out is looked at once more: no request can end a header field, name
 * another host than the text does, or climb out of a path. Compiled once, then read by any thread.
 */
#ifndef ROUTE_TEMPLATE_H
#define ROUTE_TEMPLATE_H

#include "route/input.h"
#include "route/path_rule.h"
#include "route/scope.h"

#define TEMPLATE_LEN_MAX 4096

enum template_use {
	TEMPLATE_VALUE, /* of a header field: values as they are */
	TEMPLATE_PATH,	/* begins with "/", has no query */
	TEMPLATE_URL,	/* "/path?query", or "https://host/path?query" */
};

struct template;

/* pos: where text begins in its file. scope->captures: of the route's path, or of the regular
 * expression that goes with the text. 0, -EINVAL (the diag says why), -ENOMEM. */
int template_compile(const struct route_scope *scope, enum template_use use, struct slice text,
		     const struct pos *pos, const struct template **ret_template);

/* Write to buf, which has no zero behind it. 0, -EMSGSIZE (cap is too little), -EILSEQ (what came
 * out is nothing for that use). Then buf may hold a part. */
int template_render(const struct template *t, const struct route_input *in,
		    const struct path_captures *captures, char *buf, size_t cap, size_t *ret_len);

/* Is it a path that TEMPLATE_PATH may give? */
bool template_path_is_good(struct slice path);

#endif
