/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access log of a service: what a request was is kept from its beginning, what became of it is
 * added at its end, and the line goes to the thread that writes (log/writer.h). Nothing here waits, and
 * nothing is called where a service has none. One thread.
 */
#ifndef L7_ACCESS_LOG_H
#define L7_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"
#include "l7/reason.h"

struct access_entry;
struct answer;
struct backend;
struct client;
struct head;
struct pool;
struct route_action;

/* Has the request's service one? */
bool access_log_is_on(const struct client *who);

/* h: the request, target: as it came. NULL: it is not drawn, or there is no memory, which is counted. */
struct access_entry *access_log_begin(const struct client *who, const struct head *h,
				      struct slice target);

/* What became of it. */
struct access_end {
	unsigned status;
	const char *reason; /* NULL: none */
	uint64_t request_bytes, response_bytes, duration_ms;
	unsigned attempts;
	const struct route_action *action; /* NULL: no route */
	const struct pool *pool;	   /* NULL: none */
	const struct backend *backend;	   /* NULL: none */
	struct slice request_id;	   /* that it is answered with; empty: what it came with */
};

/* Takes e; NULL is fine. who: as at the beginning. end: NULL: no line is written. */
void access_log_end(const struct client *who, struct access_entry *e, const struct access_end *end);

/* A request that is refused where it begins. h: what is known of it, NULL: nothing. a: what it is
 * answered, which gets its name. action: of its route, NULL: none. */
void access_log_refused(const struct client *who, const struct head *h, struct answer *a,
			const struct route_action *action);

#endif
