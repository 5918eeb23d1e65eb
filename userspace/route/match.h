/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a route asks of a request: all of its conditions must hold; of what is a list, one. Made of
 * compiled parts by the caller, in memory of a route_mem; then read by any thread. Pure.
 */
#ifndef ROUTE_MATCH_H
#define ROUTE_MATCH_H

#include "core/strbuf.h"
#include "route/expr.h"
#include "route/host.h"
#include "route/path_rule.h"
#include "route/prefixes.h"

/* In the order in which they are looked at. */
enum route_part {
	ROUTE_HOST,
	ROUTE_PATH,
	ROUTE_METHOD,
	ROUTE_SNI,
	ROUTE_SOURCE,
	ROUTE_HEADER,
	ROUTE_QUERY,
	ROUTE_COOKIE,
	ROUTE_EXPR,
	ROUTE_ALL, /* nothing is amiss */
};

enum test_kind { TEST_PRESENT, TEST_ABSENT, TEST_EXACT, TEST_PREFIX, TEST_SUFFIX, TEST_REGEX };

/* Of a header field (any of its lines), a parameter or a cookie (the first of the name). */
struct route_test {
	enum route_part where; /* ROUTE_HEADER, ROUTE_QUERY, ROUTE_COOKIE */
	enum test_kind kind;
	struct slice name;  /* of a header field: in lower case */
	struct slice value; /* of a regular expression: its text */
	const struct regex *regex;
};

struct route_match {
	const struct host_pattern *hosts;
	size_t host_count; /* 0: any, as with all others */
	struct path_rule path;
	const struct slice *methods;
	size_t method_count;
	const struct host_pattern *snis;
	size_t sni_count;
	struct route_prefixes sources;
	const struct route_test *tests; /* sorted by where */
	size_t test_count;
	const struct expr *expr; /* of type truth, or NULL */
	struct slice expr_text;
};

/* The first part that does not hold; *ret_test (if it is of tests): which. */
enum route_part route_match_fails(const struct route_match *m, const struct route_input *in,
				  size_t *ret_test);

/* The same, of a request whose host is known to fit. */
bool route_match_rest(const struct route_match *m, const struct route_input *in);

/* Does outer certainly hold wherever inner holds? room: for regular expressions. */
bool route_match_covers(const struct route_match *outer, const struct route_match *inner,
			struct route_room *room);

/* "host", "path", ... */
const char *route_part_name(enum route_part part);

/* Why that part (and test) does not hold, for a person: what is asked, what is there. */
void route_match_explain(const struct route_match *m, const struct route_input *in,
			 enum route_part part, size_t test, struct strbuf *b);

#endif
