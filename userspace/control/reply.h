/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies of the commands: JSON values, errors with a reason word, YAML text. Main thread. */
#ifndef CONTROL_REPLY_H
#define CONTROL_REPLY_H

#include <jansson.h>

#include "control/server.h"
#include "core/diag.h"

/* X(NAME, HTTP status, "reason"). */
#define REPLY_REASONS(X)                                                                           \
	X(BAD_REQUEST, 400, "bad-request")                                                         \
	X(UNAUTHORIZED, 401, "unauthorized")                                                       \
	X(FORBIDDEN, 403, "forbidden")                                                             \
	X(NOT_FOUND, 404, "not-found")                                                             \
	X(METHOD, 405, "method-not-allowed")                                                       \
	X(EXISTS, 409, "exists")                                                                   \
	X(CONFLICT, 409, "conflict")                                                               \
	X(STALE, 412, "stale")                                                                     \
	X(TOO_LARGE, 413, "too-large")                                                             \
	X(REFUSED, 422, "refused")                                                                 \
	X(FAILED, 500, "failed")                                                                   \
	X(NO_MEMORY, 500, "no-memory")                                                             \
	X(BUSY, 503, "busy")

enum reply_reason {
#define X(name, status, text) REPLY_##name,
	REPLY_REASONS(X)
#undef X
};

/* Takes value; NULL: out of memory. */
void reply_json(struct request *rq, unsigned status, json_t *value);

/* Takes text; NULL: out of memory. */
void reply_text(struct request *rq, const char *content_type, char *text);

/* d: NULL, or what is listed under "diagnostics". */
void reply_error(struct request *rq, enum reply_reason reason, const struct diag *d,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void reply_method(struct request *rq, const char *allow);

/* The list under "diagnostics"; NULL: out of memory. */
json_t *reply_diagnostics(const struct diag *d);

#endif
