/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions in PCRE2's syntax, over bytes, with a bound on the work that one match may
 * take. An expression is to match the whole of a text: ".*" on a side leaves that side open.
 */
#ifndef ROUTE_REGEX_H
#define ROUTE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "route/mem.h"
#include "route/room.h"

#define REGEX_LEN_MAX	 1024
#define REGEX_GROUPS_MAX 16 /* the whole match is one of them */

struct regex;
struct regex_room;

struct regex_error {
	char text[128];
	size_t offset; /* in the pattern */
};

/* 0, -EINVAL (*ret_error says why), -ENOMEM. The result lives as long as m. */
int regex_compile(struct route_mem *m, struct slice pattern, const struct regex **ret_regex,
		  struct regex_error *ret_error);
/* The same; it is to match somewhere within a text. */
int regex_compile_within(struct route_mem *m, struct slice pattern, const struct regex **ret_regex,
			 struct regex_error *ret_error);
void regex_free_all(struct regex *first);

/* Does it match? ret_groups: NULL, or room for REGEX_GROUPS_MAX, of which regex_group_count() are
 * written; one that took no part is empty. */
bool regex_match(const struct regex *r, struct slice text, struct route_room *room,
		 struct slice *ret_groups);

/* The pattern as it was written. */
struct slice regex_pattern(const struct regex *r);

/* Groups, the whole match with them. */
unsigned regex_group_count(const struct regex *r);

/* The name of a group, "" if it has none. */
const char *regex_group_name(const struct regex *r, unsigned group);

struct regex_room *regex_room_new(void);
void regex_room_free(struct regex_room *room);

#endif
