/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions over a request: typed, compiled once to a tree, evaluated without allocation and with
 * a bound on what one may cost.
 *
 *	tenant == "A" && path.startsWith("/api/v2") || source.ip in [10.0.0.0/8, fd00::/8]
 *
 * Types are text, number (63 bits and a sign), truth and address; nothing is converted by itself.
 *
 *	request.host  request.path  request.method  request.scheme  request.query  sni	text
 *	host  path  method  scheme		the same, shorter
 *	header["x"]  query["x"]  cookie["x"]	text; "" where there is none; the first of several
 *	source.ip				address
 *	NAME					a variable of the service's
 *	"text"  'text'  42  true  false		a backslash only before a quote or a backslash is special
 *	!a  a && b  a || b  (a)			truth
 *	a == b  a != b				of one type, address excepted
 *	a < b  a <= b  a > b  a >= b		numbers, or texts byte by byte
 *	a in ["x", "y"]  a in [1, 2]		one of these
 *	source.ip in 10.0.0.0/8, in [...]	in one of these prefixes
 *	a % 100					the remainder by a number above 0; never negative
 *	a.startsWith(b)  .endsWith(b)  .contains(b)	of texts
 *	a.matches("[a-z]+")			the whole text, by a regular expression
 *	hash(a, ...)				number: route/hash.h; of texts, numbers and addresses
 *	int(a, 0)				the number that a text is in digits, else the second
 *	has(header["x"])			is it there at all?
 */
#ifndef ROUTE_EXPR_H
#define ROUTE_EXPR_H

#include <stdbool.h>
#include <stdint.h>

#include "route/input.h"
#include "route/scope.h"

#define EXPR_LEN_MAX   4096
#define EXPR_DEPTH_MAX 32
/* In steps: a node is one, a look at header fields or a query EXPR_COST_LOOKUP, a regular expression
 * EXPR_COST_REGEX. What a variable costs counts wherever it is named. */
#define EXPR_COST_MAX	 4096
#define EXPR_COST_LOOKUP 8
#define EXPR_COST_REGEX	 64

struct expr;

enum expr_type { EXPR_TEXT, EXPR_NUMBER, EXPR_TRUTH, EXPR_ADDRESS };

/* pos: where text begins in its file. 0, -EINVAL (the diag says why), -ENOMEM. The result lives as
 * long as scope->mem. */
int expr_compile(const struct route_scope *scope, struct slice text, const struct pos *pos,
		 const struct expr **ret_expr);

enum expr_type expr_type(const struct expr *e);
const char *expr_type_name(enum expr_type type);

/* e: of the type that the function is about. */
bool expr_truth(const struct expr *e, const struct route_input *in);
int64_t expr_number(const struct expr *e, const struct route_input *in);
struct slice expr_text(const struct expr *e, const struct route_input *in);

/* Of any type, as text; buf: for what is not text. */
#define EXPR_SHOWN_MAX 64
struct slice expr_show(const struct expr *e, const struct route_input *in,
		       char buf[EXPR_SHOWN_MAX]);

/* What a name of a template stands for: a variable, a name of the language, header.x, query.x or
 * cookie.x. 0, -ENOENT, -ENOMEM. */
int expr_lookup(const struct route_scope *scope, struct slice name, const struct expr **ret_expr);

/* The name that was probably meant, captures among them; NULL: none. 0, -ENOMEM. */
int expr_closest(const struct route_scope *scope, struct slice name, const char **ret_word);

/* May a variable be called so? Not where the language has the word. */
bool expr_is_reserved(struct slice name);

#endif
