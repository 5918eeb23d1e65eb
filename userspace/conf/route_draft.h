/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One route as it stands in the document, by the keyword table (schema_route.c), and what it is built
 * with. For build_route.c, build_match.c and schema_route.c. Main thread.
 */
#ifndef CONF_ROUTE_DRAFT_H
#define CONF_ROUTE_DRAFT_H

#include "conf/draft.h"
#include "conf/route_set.h"

/* Places in the document; NULL: not given. */
struct path_draft {
	const struct tree *exact, *prefix, *template, *regex;
};

struct match_draft {
	const struct tree *hosts, *methods, *snis, *sources, *headers, *parameters, *cookies, *expr;
	struct path_draft path;
};

struct edits_draft {
	const struct tree *set, *add, *remove;
};

struct route_draft {
	const char *name;
	struct match_draft match;
	const char *pool_name;
	const struct tree *split, *split_by, *label;
	struct {
		const struct tree *to;
		unsigned status;
	} redirect;
	struct {
		unsigned status; /* 0: not given */
		const char *body, *content_type;
	} respond;
	struct {
		const struct tree *prefix, *template, *regex, *to;
	} rewrite;
	unsigned timeout_ms;
	struct route_waits {
		unsigned request_body, response_body, tunnel, write; /* ms; 0: not given */
	} timeouts;
	struct {
		uint64_t body;
	} limits;
	const char *fallback_name;
	struct route_fault fault;
	struct {
		const char *pool_name;
		unsigned percent, timeout_ms;
		size_t body;
	} mirror;
	enum route_early early;
	unsigned priority;
	const struct tree *rate_limit;
	struct retry_conf retry;
	struct hedge_conf hedge;
	struct edits_draft request_edits, response_edits;
};

/* A row of "split". */
struct split_draft {
	const char *pool_name;
	unsigned weight;
};

/* The routes of one service while they are built. */
struct route_build {
	struct draft *dr;
	struct route_set *set;
	struct route_scope scope;
};

/* build_match.c: what the route asks of a request, and the captures of its path into b->scope. False:
 * it was told why not. */
bool route_build_match(struct route_build *b, const struct match_draft *md, struct route_match *m);

/* Of what compiles: is err 0? Memory that is not there is remembered; all else was told. */
bool route_build_good(struct route_build *b, int err);

/* Text of a scalar; else it is told that it should be one. */
bool route_build_text(struct route_build *b, const struct tree *node, const char *what,
		      struct slice *ret_text);

/* build_limit.c: the rate limits that node names, for the service or for a route (by its name; NULL: for
 * all of the service's requests). */
void route_build_limits(struct route_build *b, const struct service *s, const char *route,
			const struct tree *node, struct limit_uses *ret_uses);

/* Memory of the set's; NULL is remembered. */
void *route_build_alloc(struct route_build *b, size_t count, size_t size);

#endif
