/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one form of a request's path: what is routed and what is forwarded are the same bytes, so
 * that no way of writing a path leads past a rule. Pure.
 */
#ifndef L7_PATH_H
#define L7_PATH_H

#include "conf/snapshot.h"
#include "core/slice.h"
#include "l7/reason.h"

/* Nothing to do for path_normalise()? target: as there. */
bool path_is_plain(struct slice target);

/* How many bytes path_normalise() writes at most. */
static inline size_t path_bound(struct slice target)
{
	return 3 * target.len;
}

/*
 * target: in origin form, of visible ASCII, with or without a query, which stays as it is. In the
 * path escapes of letters, digits and "-._~" become what they stand for, others get upper-case
 * digits; the rest by the rules. *ret_target: in out. A second time changes nothing.
 */
enum reason path_normalise(struct slice target, const struct http_paths *rules, char *out,
			   struct slice *ret_target);

#endif
