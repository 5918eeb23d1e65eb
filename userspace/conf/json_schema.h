/* SPDX-License-Identifier: BSD-2-Clause */
/* The language of the configuration as a JSON schema (2020-12), for editors and other checkers. It knows
 * keys, types, ranges and words; what a text has to look like, and what keys have to do with each other,
 * conf_build() alone knows. */
#ifndef CONF_JSON_SCHEMA_H
#define CONF_JSON_SCHEMA_H

struct strbuf;

void json_schema_write(struct strbuf *b);

#endif
