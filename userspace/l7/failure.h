/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong with a request: where, when, with whom. Filled by attempt.c with each try that
 * fails, read by whoever tells of it: counters, the log, and answers. One thread.
 */
#ifndef L7_FAILURE_H
#define L7_FAILURE_H

#include <stdint.h>

#include "l7/reason.h"

struct backend;
struct pool;
struct request;

/* X(NAME, "words"): how far the try had come. */
#define FAILURE_PHASES(X)                                                                          \
	X(PICK, "pick")	      /* no backend yet */                                                 \
	X(CONNECT, "connect") /* TCP, TLS, and what else a connection needs */                     \
	X(SEND, "send")	      /* the request */                                                    \
	X(AWAIT, "await")     /* the response's header */                                          \
	X(BODY, "body")	      /* of the response */

enum failure_phase {
#define X(name, text) FAILURE_PHASE_##name,
	FAILURE_PHASES(X)
#undef X
};

enum failure_cause {
	FAILURE_NONE,
	FAILURE_LIMIT,	 /* of the pool; says nothing of a backend */
	FAILURE_OURS,	 /* want of memory or descriptors; the same */
	FAILURE_CONNECT, /* no connection could be made */
	FAILURE_REFUSED, /* a stream of HTTP/2 that the backend did not look at */
	FAILURE_RESET,	 /* the connection ended */
	FAILURE_TIMEOUT,
	FAILURE_RESPONSE, /* what came is no response */
	FAILURE_STATUS,	  /* it is one, but says that there was an error */
};

struct failure {
	const char *route; /* its name; NULL: it has none */
	const struct pool *pool;
	const struct backend *backend; /* of the last try; NULL: there was none */
	uint8_t attempt, attempts;     /* the how manieth of how many at most; 0: there was none */
	enum failure_phase phase;
	enum failure_cause cause;
	enum reason reason; /* what the client is told */
	int error;	    /* -errno of a connection; 0: does not apply */
	unsigned status;    /* FAILURE_STATUS */
};

const char *failure_phase_text(enum failure_phase phase);

/* All that is known of the request's failure, from now on with this reason. */
struct failure failure_of(const struct request *r, enum reason reason);

/* A request is answered with an error of our own: counts it and writes it to the log. */
void failure_tell(const struct request *r, enum reason reason);

#endif
