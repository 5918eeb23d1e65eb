/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request and its response: from a header that was parsed to a response that was written. Finds
 * a backend, tries another where that is safe, pumps both bodies, keeps the time. One thread.
 */
#ifndef L7_REQUEST_H
#define L7_REQUEST_H

#include "l7/http1_parse.h"

struct conn;
struct request;

/*
 * h: parsed from the first block_len bytes of c->io.in, which are taken. REASON_NONE: under way, or
 * over already; c->state tells. Another reason: nothing was done, the caller answers.
 */
enum reason request_start(struct conn *c, const struct head *h, size_t block_len);

/* What happens on the client's side. Each may end the request. */
void request_on_client_event(struct request *r, int events);
void request_on_deadline(struct request *r);

/* The client's connection shall end, now that nothing new comes on it. */
void request_drain(struct request *r);

/* The client's connection is closing: forget it all. NULL is fine. */
void request_cancel(struct request *r);

#endif
