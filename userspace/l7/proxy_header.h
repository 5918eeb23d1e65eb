/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PROXY protocol headers, versions 1 and 2: what stands before the bytes of a connection and says
 * whose it is. Read strictly, one way only; written for backends. Pure.
 */
#ifndef L7_PROXY_HEADER_H
#define L7_PROXY_HEADER_H

#include "core/addr.h"
#include "core/slice.h"

/* A header that is longer, with what else it has to say, is not taken. */
#define PROXY_HEADER_MAX 8192U

/* Longest values that are read and written. */
#define PROXY_ALPN_MAX	    255U
#define PROXY_AUTHORITY_MAX 255U
#define PROXY_UNIQUE_ID_MAX 128U

struct proxy_header {
	bool has_endpoints; /* not so for LOCAL, UNKNOWN and addresses that are not of IP */
	struct endpoint source, destination;	 /* of one family */
	struct slice alpn, authority, unique_id; /* version 2; empty: not said */
};

enum proxy_header_status {
	PROXY_HEADER_MORE = 0,	   /* no more than the beginning of one is here */
	PROXY_HEADER_NONE = -1,	   /* something else stands there */
	PROXY_HEADER_INVALID = -2, /* begins as one does, and breaks the rules */
};

/* The length of the header at the front of bytes, more than 0; its slices point into bytes. Else
 * enum proxy_header_status, and ret_header is not written. */
int proxy_header_read(const char *bytes, size_t len, struct proxy_header *ret_header);

/* Fixed part, two IPv6 addresses with ports, the three values with what stands before each. */
#define PROXY_WRITE_MAX                                                                            \
	(16 + 36 + 3 * 3 + PROXY_ALPN_MAX + PROXY_AUTHORITY_MAX + PROXY_UNIQUE_ID_MAX)

/* Return the bytes written. Without endpoints: UNKNOWN (1), LOCAL (2). */
size_t proxy_header_write_v1(char out[PROXY_WRITE_MAX], const struct proxy_header *h);
size_t proxy_header_write_v2(char out[PROXY_WRITE_MAX], const struct proxy_header *h);

#endif
