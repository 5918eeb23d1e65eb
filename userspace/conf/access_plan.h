/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a line of an access log is made of: as JSON, or by a template, "{client} {method} {path}
 * {header.user-agent}", in which "{{" and "}}" are braces. Compiled once; read by any thread.
 */
#ifndef CONF_ACCESS_PLAN_H
#define CONF_ACCESS_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

struct arena;

/* X(NAME, "name") */
#define ACCESS_FIELDS(X)                                                                           \
	X(TIME, "time") /* when the request's header was whole, in UTC */                          \
	X(SERVICE, "service")                                                                      \
	X(CLIENT, "client") /* address */                                                          \
	X(METHOD, "method")                                                                        \
	X(HOST, "host")                                                                            \
	X(PATH, "path")	  /* as the client sent it */                                              \
	X(QUERY, "query") /* the same, secrets apart */                                            \
	X(PROTOCOL, "protocol")                                                                    \
	X(TLS, "tls")		    /* "on", or nothing */                                         \
	X(REQUEST_ID, "request_id") /* X-Request-Id as the client sent it */                       \
	X(ROUTE, "route")	    /* its place in the list, from 0 */                            \
	X(POOL, "pool")                                                                            \
	X(BACKEND, "backend")                                                                      \
	X(ATTEMPTS, "attempts") /* backends that were tried */                                     \
	X(STATUS, "status")	/* 499: the client went away before there was one */               \
	X(REASON, "reason")	/* of an answer of ours, or of a response that was cut short */    \
	X(REQUEST_BYTES, "request_bytes") /* of body */                                            \
	X(RESPONSE_BYTES, "response_bytes")                                                        \
	X(DURATION, "duration_ms")

enum access_field {
#define X(name, text) ACCESS_##name,
	ACCESS_FIELDS(X)
#undef X
		ACCESS_FIELD_COUNT
};

#define ACCESS_HEADERS_MAX 8

enum access_piece_kind { ACCESS_LITERAL, ACCESS_VALUE, ACCESS_HEADER };

struct access_piece {
	enum access_piece_kind kind;
	enum access_field field; /* ACCESS_VALUE */
	unsigned header;	 /* ACCESS_HEADER: of the plan's */
	struct slice text;	 /* ACCESS_LITERAL */
};

struct access_plan {
	bool is_json; /* values are quoted and escaped so */
	const struct access_piece *pieces;
	size_t count;
	struct slice headers[ACCESS_HEADERS_MAX]; /* of requests, in lower case */
	unsigned header_count;
};

/* In the arena. headers: for JSON, in lower case. NULL: out of memory. */
const struct access_plan *access_plan_json(struct arena *arena, const char *const *headers,
					   size_t count);

/* *ret_problem: what is wrong with the template, and NULL is returned; or NULL: out of memory. */
const struct access_plan *access_plan_template(struct arena *arena, const char *text,
					       const char **ret_problem);

#endif
