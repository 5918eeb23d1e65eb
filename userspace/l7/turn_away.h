/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to requests that are turned away for now: with when to try again. One thread. */
#ifndef L7_TURN_AWAY_H
#define L7_TURN_AWAY_H

#include "core/slice.h"
#include "l7/reason.h"

struct client;
struct head;
struct routing;

#define TURN_AWAY_FIELDS_MAX 512U

/* fields: lines of the header beside Retry-After, each with its end; at most TURN_AWAY_FIELDS_MAX.
 * block_len: as request_start(). A call of gRPC gets its status. */
void turn_away(const struct client *who, const struct head *h, const struct routing *routing,
	       enum reason reason, unsigned retry_after_s, struct slice fields, size_t block_len);

#endif
