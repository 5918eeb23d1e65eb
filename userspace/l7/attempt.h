/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tries of a request: which backend is next, the connection to it, and whether what came of one
 * is worth another (struct retry_conf). For request.c, response.c and hedge.c alone. One thread.
 */
#ifndef L7_ATTEMPT_H
#define L7_ATTEMPT_H

#include "l7/failure.h"
#include "l7/outlier.h"
#include "l7/upstream_conn.h"

struct claims;
struct head;
struct request;

/* To the next backend that will have it. The request may be over afterwards. */
void attempt_next(struct request *r);

/* The try failed, before anything of a response was passed on: the request is tried again, or over,
 * answered with reason. */
void attempt_failed(struct request *r, enum failure_cause cause, enum reason reason);

/* The backend ended or broke the connection before a response: the same. */
void attempt_lost(struct request *r);

/* The header h of a final response, of block_len bytes, is here: true, if the request is tried again
 * instead; the caller forgets it then. Else what it says of the backend is noted. */
bool attempt_refuses(struct request *r, struct head *h, size_t block_len);

/* The backend broke off a response that was being passed on. */
void attempt_broke(struct request *r);

/* REQUEST_CONNECT: a wait is over. */
void attempt_on_deadline(struct request *r);

/* Part with the connection to the backend; all else that tries have taken is given back, too. */
void attempt_detach(struct request *r, bool keep);
void attempt_end(struct request *r, bool keep);

/* ---- for hedge.c ---- */

extern const struct upstream_user attempt_user;

/* A connection that is there already, for user; NULL: none. */
struct upstream_conn *attempt_take(struct request *r, const struct backend *be,
				   const struct upstream_user *user, void *ctx);
/* Begin to connect. 0, or -errno. */
int attempt_open(struct request *r, const struct backend *be, const struct upstream_user *user,
		 void *ctx, struct claims *claims, struct upstream_conn **ret_conn);
/* May one more request be under way again? If so it counts until the request's end. */
bool attempt_take_retry(struct request *r);
/* No connection could be made, which is noted, also as why the request failed. */
void attempt_note_connect(struct request *r, const struct backend *be, int err, bool was_probe);
/* What came of a try that is not r's own, or is. */
void attempt_note(const struct request *r, const struct backend *be, struct claims *claims,
		  enum outlier_result result, uint64_t began_ms);

#endif
