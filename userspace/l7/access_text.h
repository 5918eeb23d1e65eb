/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text of an access log's line: values quoted as JSON, or escaped for a template's line, secrets left
 * out. Pure.
 */
#ifndef L7_ACCESS_TEXT_H
#define L7_ACCESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct access_conf;

struct access_text {
	const struct access_conf *conf;
	char *at; /* the caller's */
	size_t len, room;
	bool is_full; /* there was no room: what is there is no whole line */
};

/* A byte becomes as many at most. */
#define ACCESS_TEXT_GROWTH 6U

void access_text_init(struct access_text *t, char *room, size_t len,
		      const struct access_conf *conf);

void access_text_literal(struct access_text *t, struct slice text);
void access_text_number(struct access_text *t, uint64_t n);

/* An empty value is null, or "-". */
void access_text_put(struct access_text *t, struct slice value);

/* Values of parameters that are secrets are "[redacted]", in whatever way their names are spelled. */
void access_text_put_query(struct access_text *t, struct slice query);

/* name: in lower case. The same of header fields. */
void access_text_put_header(struct access_text *t, struct slice name, struct slice value);

#endif
