/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header of an HTTP/2 message: collected field by field as HPACK gives them, within limits, then
 * read by the very rules that HTTP/1 headers are read by (http1_rules.h), so that a message means the
 * same by whatever version it comes. And the way out: a block as http1_write.h makes it, taken apart
 * for frames. RFC 9113, 8. Pure, but for the memory of the fields.
 */
#ifndef L7_H2_HEAD_H
#define L7_H2_HEAD_H

#include "core/buf.h"
#include "l7/http1_parse.h"
#include "l7/http1_scan.h"

/* All zero: nothing came yet. Owns memory once something did. Holds several headers where interim
 * responses came faster than they are taken. */
struct h2_head {
	struct buf records; /* of each field two lengths, its name, its value; zeros end a header */
	unsigned count;	    /* kept: pseudo fields too */
	unsigned crumbs;    /* of them: Cookie */
	uint32_t size;	    /* bytes of all names and values, of those not kept too */
	enum reason reason; /* a limit was passed: no more are kept */
};

/* 0, or -ENOMEM. What is over a limit is not kept, and is no error here. */
int h2_head_add(struct h2_head *hh, struct buf_pool *pool, const struct http1_limits *limits,
		struct slice name, struct slice value);
int h2_head_end(struct h2_head *hh, struct buf_pool *pool);   /* all of one is here */
void h2_head_next(struct h2_head *hh, struct buf_pool *pool); /* the first one is done with */
void h2_head_release(struct h2_head *hh, struct buf_pool *pool);

/* So many of h->fields are needed at most by the two below, and one more for the caller. */
static inline unsigned h2_head_cap(const struct h2_head *hh)
{
	return hh->count + 3;
}

/* What it says; h: cap, fields and allow_connect set; its slices point into hh. has_body: the stream
 * has not ended. Several Cookie fields become one (8.2.3). An extended CONNECT (RFC 8441) reads like
 * an HTTP/1.1 request for an upgrade. */
enum reason h2_head_request(struct h2_head *hh, struct buf_pool *pool,
			    const struct http1_limits *limits, bool has_body, struct head *h);
enum reason h2_head_response(struct h2_head *hh, bool has_body, bool request_is_head,
			     struct head *h);

/* As an HTTP/1 trailer section, into out, which needs h2_section_bound() bytes. Returns the bytes. */
size_t h2_section_bound(const struct h2_head *hh);
size_t h2_head_section(const struct h2_head *hh, char *out);

/* A block of http1_write.h, or a trailer section, line by line; fields of the connection left out.
 * lower: room for as many bytes as block has, for names in lower case. */
struct h2_lines {
	struct slice rest;
	char *lower;
	bool is_upgrade; /* the block asks for another protocol: Upgrade is given, as it was written */
};

/* The start line, which must be the first one taken. */
struct slice h2_lines_start(struct h2_lines *l);

/* False: no more. Host and Upgrade are given like the others: the caller knows their pseudo fields. */
bool h2_lines_next(struct h2_lines *l, struct slice *ret_name, struct slice *ret_value);

#endif
