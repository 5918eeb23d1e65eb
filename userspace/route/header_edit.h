/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes to header fields: what a route sets, adds and removes. Compiled once, then read by any
 * thread; applied by who has the message. */
#ifndef ROUTE_HEADER_EDIT_H
#define ROUTE_HEADER_EDIT_H

#include "route/template.h"

enum header_op {
	HEADER_SET, /* in place of all lines of that name */
	HEADER_ADD, /* one more line */
	HEADER_REMOVE,
};

struct header_edit {
	enum header_op op;
	struct slice name;	      /* in lower case */
	const struct template *value; /* NULL: HEADER_REMOVE */
};

/* Names that frame the message or are about one hop are refused. 0, -EINVAL (the diag says why),
 * -ENOMEM. */
int header_edit_compile(const struct route_scope *scope, enum header_op op, struct slice name,
			struct slice value, const struct pos *pos, struct header_edit *ret_edit);

#endif
