/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk through a worker's client connections: what is known of each that fits a filter is told, a page
 * at a time, and each may be closed. One call looks at a bounded number of them. Nothing is kept for it
 * in a connection; bytes and silence are what the kernel counts for its socket. One thread for each
 * call; between two calls the walk may change hands.
 */
#ifndef L7_CONN_WALK_H
#define L7_CONN_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/flow_filter.h"
#include "core/addr.h"

struct l7;

#define CONN_PAGE_ITEMS 128

/* X(NAME, "word") */
#define CONN_PROTOCOLS(X)                                                                          \
	X(H1, "h1")                                                                                \
	X(H2, "h2")                                                                                \
	X(TLS, "tls") /* passed on as it is */                                                     \
	X(TCP, "tcp")                                                                              \
	X(WEBSOCKET, "websocket") /* from HTTP/1 */                                                \
	X(TUNNEL, "tunnel")	  /* the same, of another protocol, or by CONNECT */

#define CONN_ACTIVITIES(X)                                                                         \
	X(OPENING, "opening")	      /* a PROXY header, ClientHello or handshake of TLS is due */ \
	X(IDLE, "idle")		      /* between requests, or before the first */                  \
	X(HEADER, "header")	      /* a part of a request's header is here */                   \
	X(REQUEST, "request")	      /* one is under way, or several */                           \
	X(TUNNEL, "tunnel")	      /* client and backend talk to each other, after HTTP */      \
	X(CONNECTING, "connecting")   /* tcp, tls: to a backend */                                 \
	X(ESTABLISHED, "established") /* tcp, tls: with one */                                     \
	X(CLOSING, "closing")	      /* the last word is said, or being said */

enum conn_protocol {
#define X(name, text) CONN_PROTOCOL_##name,
	CONN_PROTOCOLS(X)
#undef X
};

enum conn_activity {
#define X(name, text) CONN_ACTIVITY_##name,
	CONN_ACTIVITIES(X)
#undef X
};

struct conn_item {
	struct endpoint source, destination; /* as conn_peer() and conn_local() */
	char service[SHUNT_NAME_MAX];
	char pool[SHUNT_NAME_MAX], backend[SHUNT_NAME_MAX]; /* in use; "": none. Of several, the
							     * first one that fits */
	uint8_t protocol;				    /* enum conn_protocol */
	uint8_t activity;				    /* enum conn_activity */
	bool is_http, is_tls;				    /* is_tls: which ends here */
	bool is_listed;					    /* what follows is filled in */
	uint32_t requests, streams;			    /* begun so far; of HTTP/2, open now */
	uint64_t age_ms;				    /* up to 64 more */
	uint64_t idle_ms;				    /* since bytes went either way */
	uint64_t bytes_in, bytes_out;
};

/* What is asked. */
struct conn_question {
	struct flow_filter filter;
	bool kills;		/* close those that fit */
	uint64_t offset, limit; /* which of them are listed */
};

/* All but the question is zero at first. */
struct conn_walk {
	struct conn_question asked;
	uint64_t matched, seen; /* so far: that fit, that were looked at */
	bool is_begun, is_over; /* with this worker's */
	unsigned count;		/* of the page */
	struct conn_item items[CONN_PAGE_ITEMS];
};

/* The next page; may be an empty one before is_over. A connection that was there at the beginning and
 * still is comes once. */
void conn_walk(struct l7 *l7, struct conn_walk *w);

const char *conn_protocol_name(uint8_t protocol);
const char *conn_activity_name(uint8_t activity);

#endif
