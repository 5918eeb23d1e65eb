/* SPDX-License-Identifier: BSD-2-Clause */
/* What expressions and templates may name besides the request, and where it is told what is wrong
 * with them. While rules are compiled; one thread. */
#ifndef ROUTE_SCOPE_H
#define ROUTE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/diag.h"
#include "core/slice.h"
#include "core/text.h"
#include "route/mem.h"

struct expr;

/* A value with a name of the service's own. */
struct route_variable {
	const char *name;
	const struct expr *value;
};

struct route_scope {
	struct route_mem *mem; /* where what is compiled lives */
	const struct route_variable *variables;
	size_t variable_count;
	const char *const *captures; /* of the rule's path, by their number; "": without a name */
	unsigned capture_count;
	struct diag *diag;
	const char *object; /* whose the rule is, for messages: "service web: "; NULL: nobody's */
};

static inline const char *route_object(const struct route_scope *scope)
{
	return scope->object ? scope->object : "";
}

/* May a variable or a capture be called so? Letters, digits and "_", a letter first, at most 32 bytes. */
bool route_name_is_good(struct slice name);

/* An error at byte `offset` of text. pos: where the text begins; it is of what, "expression"? */
void route_error_at(const struct route_scope *scope, const struct pos *pos, const char *what,
		    struct slice text, size_t offset, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Which of the words was meant by text? NULL: none that is near. words: count of them. */
const char *route_closest(struct slice text, const char *const *words, size_t count);

/* As text_quote(). */
struct text_quoted route_quote(struct slice text);

#endif
