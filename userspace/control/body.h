/* SPDX-License-Identifier: BSD-2-Clause */
/* What a command says in its request's body: an object, field by field. */
#ifndef CONTROL_BODY_H
#define CONTROL_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct request;

/* Takes a field; or, key NULL, is asked whether all that is needed was there. What is wrong, or NULL. */
typedef const char *(*body_field)(void *ctx, const char *key, const json_t *value);

/* False: it was answered what is wrong. */
bool body_take(struct request *rq, body_field field, void *ctx);

/* False: it is no text, an empty one, or one that does not fit. */
bool body_copy_text(const json_t *value, char *buf, size_t len);

#endif
