/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole header block, as http1_scan() found it, taken apart: by llhttp for the grammar, by rules
 * of our own for what llhttp leaves open (Host, lengths, codings, version, target). What is
 * accepted here has one reading. Pure.
 */
#ifndef L7_HTTP1_PARSE_H
#define L7_HTTP1_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "l7/headers.h"
#include "l7/http1_body.h"
#include "l7/reason.h"

struct field {
	struct slice name, value; /* value: trimmed */
	enum field_id id;
};

/* Slices point into the block. */
struct head {
	struct slice method, target; /* request; target: in origin form, or "*" */
	struct slice authority;	     /* request: of the target, else the Host field; may be empty */
	unsigned status;	     /* response */
	struct slice upgrade;	     /* the caller's: protocol that the message shall ask for */
	struct slice phrase;	     /* response: may be empty */
	struct field *fields;	     /* the caller's */
	unsigned count, cap;	     /* cap: set by the caller */
	bool allow_connect;	     /* the caller's: CONNECT is no error */
	bool is_early;	 /* the caller's: it came before the TLS handshake was done (RFC 8470) */
	uint64_t length; /* as Content-Length says */
	uint8_t minor;	 /* of HTTP/1.x */
	uint8_t body;	 /* enum body_kind: how the body is framed */
	bool has_length; /* Content-Length was there, with or without a body */
	bool persistent; /* the sender is willing to go on after this message */
	bool expects_continue;
	bool is_head;	     /* request: HEAD */
	bool is_connect;     /* request: CONNECT; target: host and port, as authority */
	bool is_idempotent;  /* request: by method (RFC 9110, 9.2.2) */
	bool has_options;    /* Connection names more than close and keep-alive */
	bool takes_trailers; /* request: TE names trailers */
	bool has_upgrade;    /* Connection and Upgrade name a protocol, other than h2c */
	bool is_h2;	     /* it came by HTTP/2; minor is 1 */
	bool is_named;	     /* the caller's: its X-Request-Id is one that we vouch for */
};

/* One that requests may have, of any version. */
bool http1_method_is_known(struct slice method);

/* h: cap and fields set; count lines are in the block (http1_scan.count), no more than cap. */
enum reason http1_parse_request(const char *block, size_t len, unsigned count, struct head *h);

/* request_is_head: the response is to a HEAD request. */
enum reason http1_parse_response(const char *block, size_t len, unsigned count,
				 bool request_is_head, struct head *h);

#endif
