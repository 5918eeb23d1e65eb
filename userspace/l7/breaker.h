/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a pool's backends are spared (struct pool_limits): counts that all workers share, and the
 * budget for trying again. What is taken is given back by whoever took it. Any worker's thread.
 */
#ifndef L7_BREAKER_H
#define L7_BREAKER_H

#include "conf/snapshot.h"

/* What one try of a request has taken; all zero: nothing. */
struct claims {
	bool pending; /* it waits for a connection, and counts */
	bool probe;   /* the backend is on trial by it: see outlier.h */
};

/* False: there are as many as there may be, which is counted. Without a limit nothing is counted. */
bool breaker_take_request(const struct pool *p, bool *ret_taken);
void breaker_give_request(const struct pool *p, bool *taken);

/* A try with the backend begins; it waits for a connection, or does so no longer. */
void breaker_try(const struct backend *be, struct claims *c);
bool breaker_wait(const struct backend *be, struct claims *c); /* false: too many do */
void breaker_go(const struct backend *be, struct claims *c);

/* The try is over. What became of it was told before, or nothing is known of that. */
void breaker_end(const struct backend *be, struct claims *c);

/* May one more request be under way again? workers: how many there are. */
bool breaker_take_retry(const struct pool *p, const struct retry_conf *retry, unsigned workers);
void breaker_give_retry(const struct pool *p);

/* May one more connection to the backend be opened? If so it counts until it is given back. */
bool breaker_take_connection(const struct pool_limits *l, struct backend_rt *rt);
void breaker_give_connection(struct backend_rt *rt);

/* Was one refused? True once: one that is not needed any more is closed for it, as it may be kept by
 * the wrong worker, or to the wrong backend. */
bool breaker_wants_connection(const struct pool_limits *l, struct backend_rt *rt);

#endif
