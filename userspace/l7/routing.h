/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the routes of a service (conf/route_set.h) make of a request: which pool it is for, what is
 * changed in its header and later in that of the response, or an answer without any backend. One
 * thread.
 */
#ifndef L7_ROUTING_H
#define L7_ROUTING_H

#include "conf/route_label.h"
#include "conf/route_set.h"
#include "l7/http1_parse.h"
#include "l7/rate_limit.h"
#include "l7/request.h"
#include "l7/sticky.h"

struct l7;
struct snapshot;

/* An edit of a header with its value. */
struct rendered_edit {
	const struct header_edit *edit; /* of the snapshot */
	struct slice value;
};

struct routing {
	const struct route_action *action; /* NULL: no route fits, or there are none */
	const struct pool *pool;	   /* NULL: answered without a backend */
	const char *route;		   /* its name; NULL: it has none, or there is none */
	struct route_label *label;	   /* that it is counted by, too; NULL: none */
	struct slice location;		   /* of a redirect */
	uint64_t hash;			   /* for maglev, that pool is balanced by */
	struct sticky sticky;		   /* where pool has cookies */
	/* Of the response. They and what h points to are good until the next routing_find(). */
	const struct rendered_edit *edits;
	size_t edit_count;
	struct limit_verdict limit; /* with REASON_RATE_LIMITED: to be answered by it */
};

/* Memory for routing_find(), once for each worker. 0, or -ENOMEM. */
int routing_prepare(struct l7 *l7, const struct snapshot *snap);
void routing_forget(struct l7 *l7);

/* The host that routes are asked about: without port and the dot of a whole name, in lower case; a longer
 * one than names can be is none. */
#define ROUTING_HOST_MAX 255U
struct slice routing_host(struct slice authority, char buf[ROUTING_HOST_MAX]);

/* A next_field (route/input.h) over an array of struct field. */
bool routing_next_field(const struct route_input *in, struct slice name, unsigned *cursor,
			struct slice *ret_value);

/* h: of the request, its path in the one form and its fields from l7_fields(). Changed as the route
 * says. */
enum reason routing_find(const struct client *who, struct head *h, struct routing *ret_routing);

/* Does the route of h, as above but not changed, take it from TLS early data? */
bool routing_takes_early(const struct client *who, const struct head *h);

/* A response to a request of that route and label; NULL: it has none. is_error: made here, for want of a
 * better one. */
void routing_count(const struct l7 *l7, const struct route_action *a, struct route_label *label,
		   unsigned status, bool is_error);

/* Make the changes to h, whose fields are from l7_fields(). 0, or -ENOMEM. */
int routing_edit(struct l7 *l7, struct head *h, const struct rendered_edit *edits, size_t count);

/* routing->pool is NULL: answer h, the request, as the route says. block_len: as request_start(). */
enum reason routing_answer(const struct client *who, struct head *h, const struct routing *routing,
			   size_t block_len);

#endif
