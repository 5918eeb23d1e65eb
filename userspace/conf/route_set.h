/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes of an http service: which request they are for (route/table.h), and what becomes of it.
 * Part of a snapshot: immutable, read by any thread.
 */
#ifndef CONF_ROUTE_SET_H
#define CONF_ROUTE_SET_H

#include "conf/resilience.h"
#include "route/header_edit.h"
#include "route/rewrite.h"
#include "route/table.h"

struct http_timeouts;
struct pool;

enum route_answer { ROUTE_TO_POOL, ROUTE_REDIRECT, ROUTE_RESPOND };

/* Are requests of TLS early data taken: as the service says, or else. */
enum route_early { ROUTE_EARLY_SERVICE, ROUTE_EARLY_ON, ROUTE_EARLY_OFF };

struct route_share {
	const struct pool *pool;
	unsigned weight;
};

struct route_edits {
	const struct header_edit *items; /* removals first, then what is set, then what is added */
	size_t count;
};

struct rate_limit;
struct route_rt;

/* Rate limits as they are used in one place, in order. */
struct limit_use {
	const struct rate_limit *limit;
	const struct expr *key; /* NULL: none */
	struct slice account;	/* what stands before the key: whose requests these are */
};

struct limit_uses {
	const struct limit_use *items;
	size_t count;
};

/* What is done to some requests on purpose, to see how clients bear it. */
struct route_fault {
	unsigned delay_ms, delay_percent; /* delay_ms 0: none */
	unsigned abort, abort_percent;	  /* status; 0: none */
};

/* Copies of requests, whose answers nobody waits for. */
struct route_mirror {
	const struct pool *pool; /* NULL: none */
	unsigned percent, timeout_ms;
	uint32_t body_max; /* a larger one has no copy */
};

/* struct route.action */
struct route_action {
	enum route_answer answer;
	/* ROUTE_TO_POOL: one share or several; weights as split_pick() wants them. */
	const struct pool *const *pools;
	const unsigned *weights;
	size_t pool_count;
	const struct expr *split_by;   /* not of type truth: hashed; NULL: by chance */
	const struct rewrite *rewrite; /* NULL: the path stays */
	unsigned timeout_ms; /* in place of the service's timeouts.response_header; 0: that one */
	const struct retry_conf *retry;	      /* NULL: the service's */
	const struct hedge_conf *hedge;	      /* the same */
	const struct http_timeouts *timeouts; /* the same */
	const struct pool *fallback;	      /* where the pool has no usable backend; NULL: none */
	uint64_t body_max;		      /* as http_limits.body */
	struct route_edits request_edits;
	/* ROUTE_REDIRECT, ROUTE_RESPOND */
	unsigned status;
	const struct template *location; /* a TEMPLATE_URL */
	struct slice body;
	const char *content_type;
	/* All of them. */
	unsigned index;		      /* among the routes of the service */
	struct route_rt *rt;	      /* held by the snapshot */
	const struct template *label; /* NULL: not counted by one */
	struct route_fault fault;
	struct route_mirror mirror;
	enum route_early early;
	unsigned priority; /* enum request_priority; PRIORITY_COUNT: the service's */
	struct limit_uses limits;
	struct route_edits response_edits;
};

struct route_set {
	struct route_mem mem;
	struct route_table table;
	const struct route_variable *variables;
	size_t variable_count;
	const struct pool **pools; /* of all routes; one may be there more than once */
	size_t pool_count;
	bool takes_early;	  /* one of the routes does, whatever the service says */
	struct limit_uses limits; /* of the service: for all its requests */
	bool has_limits;	  /* the service, or a route */
	uint64_t fingerprint; /* of the text of variables and routes, to see whether it changed */
};

/* NULL: out of memory. */
struct route_set *route_set_new(void);
void route_set_free(struct route_set *set); /* NULL is fine */

/* NULL is a set without any. */
size_t route_set_pool_count(const struct route_set *set);
const struct pool *route_set_pool(const struct route_set *set, size_t i);
/* What a route is known by while the configuration changes: its name, or "#" and its number. */
#define ROUTE_KEY_MAX 16 /* of those without a name */
const char *route_key(const struct route_set *set, const struct route *r, char buf[ROUTE_KEY_MAX]);
bool route_set_has_pool(const struct route_set *set, const struct pool *pool);

#endif
