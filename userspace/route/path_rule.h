/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules for paths:
 *	exact		the path and no other
 *	prefix		by whole segments: /v2 and /v2/ fit /v2, /v2/ and /v2/items, not /v20
 *	template	segments, some of them named: /vpc/{region}/nets/{id:int}. What a name takes is one
 *			segment that is not empty; by type: int (digits), hex, uuid, word (letters,
 *			digits, "-", "_"). {rest:**} at the end takes all that is left, slashes and
 *			nothing too.
 *	regex		the whole path, with groups
 * Paths are in their one form and without a query. Compiled rules are read by any thread.
 */
#ifndef ROUTE_PATH_RULE_H
#define ROUTE_PATH_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "route/regex.h"
#include "route/scope.h"

#define PATH_RULE_LEN_MAX 1024

enum path_kind { PATH_ANY, PATH_EXACT, PATH_PREFIX, PATH_TEMPLATE, PATH_REGEX };

enum path_part { PART_LITERAL, PART_ANY, PART_INT, PART_HEX, PART_UUID, PART_WORD, PART_REST };

struct path_segment {
	enum path_part part;
	struct slice text; /* literal */
};

struct path_rule {
	enum path_kind kind;
	struct slice text; /* as written */
	struct slice
		literal; /* what a path must begin with, to the end of a segment; no "/" at its end */
	struct path_segment *segments; /* template: those behind literal */
	size_t segment_count;
	const struct regex *regex;
	const char *const *names; /* of captures; the first is the whole path: "" */
	unsigned name_count;
};

/* Number 0 is the whole path. */
struct path_captures {
	struct slice values[REGEX_GROUPS_MAX];
	unsigned count;
};

/* 0, -EINVAL (scope's diag says why), -ENOMEM. */
int path_rule_compile(const struct route_scope *scope, enum path_kind kind, struct slice text,
		      const struct pos *pos, struct path_rule *ret_rule);

/* ret_captures may be NULL; written only where the path fits. */
bool path_rule_fits(const struct path_rule *r, struct slice path, struct route_room *room,
		    struct path_captures *ret_captures);

/* Does outer certainly fit all that inner fits? room: for regular expressions. */
bool path_rule_covers(const struct path_rule *outer, const struct path_rule *inner,
		      struct route_room *room);

#endif
