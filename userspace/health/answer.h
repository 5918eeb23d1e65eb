/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The body of an HTTP/1 answer to a check, as far as it is looked at: the header is parsed as the proxy
 * does, the body decoded, at most so many bytes of it kept. One thread.
 */
#ifndef HEALTH_ANSWER_H
#define HEALTH_ANSWER_H

#include "core/slice.h"

struct answer;

enum answer_state {
	ANSWER_MORE,
	ANSWER_DONE, /* all of the body is here, or as much as is looked at */
	ANSWER_BAD,  /* what came is no HTTP/1, or cut short */
	ANSWER_NO_MEMORY,
};

/* body_max: bytes that are looked at. NULL: out of memory. */
struct answer *answer_new(size_t body_max);
void answer_free(struct answer *a); /* NULL is fine */

/* What came; until it returns another than ANSWER_MORE. */
enum answer_state answer_feed(struct answer *a, const char *data, size_t len);

/* The peer sends no more. */
enum answer_state answer_end(struct answer *a);

/* What is known of the body so far. */
struct slice answer_body(const struct answer *a);

#endif
