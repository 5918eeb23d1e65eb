/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second try of a request beside the first (struct hedge_conf), which takes its place once it has
 * a good response, or once the first has failed. For attempt.c, request.c and response.c. One thread.
 */
#ifndef L7_HEDGE_H
#define L7_HEDGE_H

#include <stdbool.h>

struct request;

/* The first try begins: when is a second one due? */
void hedge_schedule(struct request *r);

/* It is due. */
void hedge_start(struct request *r);

/* The first try has failed, which was noted: does the second one go on for it? Then the caller leaves
 * the request alone. */
bool hedge_promote(struct request *r);

/* It is not needed any more; none is fine. Says nothing of its backend. */
void hedge_cancel(struct request *r);

#endif
