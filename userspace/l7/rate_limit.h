/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are held to rate limits (limit/): whether one is taken, when, and what is said if it is
 * not. One thread; the limits are shared by all. */
#ifndef L7_RATE_LIMIT_H
#define L7_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct head;
struct route_input;
struct route_set;
struct route_action;
struct routing;
struct rate_limit;

struct limit_verdict {
	const struct rate_limit *by; /* that refuses it; NULL: it is taken */
	uint64_t wait_ns; /* before it is sent on; refused: before the next one is taken */
};

/* By the limits of the service, then by those of the route (NULL: none). One that refuses ends it; what
 * those before it have put on their accounts stays there. */
struct limit_verdict rate_limit_check(const struct client *who, const struct route_set *set,
				      const struct route_action *action,
				      const struct route_input *in);

/* By routing->limit: 429, or what gRPC calls it. block_len: as request_start(). */
void rate_limit_answer(const struct client *who, const struct head *h,
		       const struct routing *routing, size_t block_len);

#endif
