/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of RFC 9110 and 9112 that llhttp leaves open, applied to a header block that was taken
 * apart: start lines, targets, Host, lengths and codings, persistence. Pure; for http1_parse.c.
 */
#ifndef L7_HTTP1_RULES_H
#define L7_HTTP1_RULES_H

#include "l7/http1_parse.h"

/* Fill method, target and minor, or status, phrase and minor. block: a whole header block. */
enum reason http1_split_request_line(const char *block, size_t len, struct head *h);
enum reason http1_split_status_line(const char *block, size_t len, struct head *h);

/* From the fields: everything else in h. */
enum reason http1_check_request(struct head *h);
enum reason http1_check_response(struct head *h, bool request_is_head);

#endif
