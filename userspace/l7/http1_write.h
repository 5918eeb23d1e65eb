/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages written anew: header blocks for the backend and for the client. Nothing of a header is ever passed on raw. Pure.
 */
#ifndef L7_HTTP1_WRITE_H
#define L7_HTTP1_WRITE_H

#include <time.h>

#include "l7/http1_parse.h"

/* What the proxy says of the hop that a request came by. */
struct hop {
	struct slice client;  /* its address, as text */
	struct slice proto;   /* "http" */
	struct slice subject; /* of its certificate, as text; empty: it has none */
	struct slice local;   /* Host for a request that has none (HTTP/1.0) */
	bool is_trusted;      /* the client is a proxy: what it says of hops before it stays */
};

enum persistence {
	PERSIST_DEFAULT,    /* an HTTP/1.1 client goes on: nothing to say */
	PERSIST_KEEP_ALIVE, /* an HTTP/1.0 client that asked for it goes on */
	PERSIST_CLOSE,
};

/* How many bytes the two below need at most. */
size_t http1_request_bound(const struct head *h, const struct hop *hop);
size_t http1_response_bound(const struct head *h);

/* How its body goes to an HTTP/1 backend. */
enum body_kind http1_request_framing(const struct head *h);

/* Return the bytes written. */
size_t http1_write_request(char *out, const struct head *h, const struct hop *hop);

/* framing: of the body as it will be sent to the client (BODY_EOF: ended by closing). An interim
 * response (1xx) takes neither framing nor persistence. */
size_t http1_write_response(char *out, const struct head *h, enum body_kind framing,
			    enum persistence persistence);

#define HTTP1_DATE_MAX 40U

/* For a Date field (RFC 9110, 5.6.7). */
struct slice http1_date(char out[HTTP1_DATE_MAX], time_t now);

/* What stands before a chunk of len bytes (more than 0), and at its end. */
#define HTTP1_FRAME_MAX 24U
size_t http1_write_chunk(char out[HTTP1_FRAME_MAX], size_t len);

/* data: a chunk ends here; last: the body does. */
struct slice http1_chunk_end(bool data, bool last);

#endif
