/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of an expression, and the words that its text is made of: for expr_*.c alone. */
#ifndef ROUTE_EXPR_INT_H
#define ROUTE_EXPR_INT_H

#include <errno.h>

#include "route/expr.h"
#include "route/prefixes.h"
#include "route/regex.h"

enum expr_op {
	OP_TEXT, /* literals */
	OP_NUMBER,
	OP_TRUTH,
	OP_METHOD, /* of the request */
	OP_SCHEME,
	OP_HOST,
	OP_PATH,
	OP_QUERY,
	OP_SNI,
	OP_SOURCE,
	OP_HEADER, /* by name */
	OP_PARAMETER,
	OP_COOKIE,
	OP_HAS, /* of one of these three */
	OP_OR,	/* of args[0] and args[1], from here on */
	OP_AND,
	OP_NOT,
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN_PREFIXES,
	OP_IN_LIST, /* args[0] among all others */
	OP_MOD,
	OP_STARTS,
	OP_ENDS,
	OP_CONTAINS,
	OP_MATCHES,
	OP_HASH, /* of all args */
	OP_INT,
};

struct expr {
	uint8_t op, type;
	uint16_t depth;
	uint32_t cost;
	uint32_t arg_count;
	const struct expr *const *args;
	union {
		struct slice text; /* literal, or name */
		int64_t number;	   /* literal; truth: 0 or 1 */
		struct route_prefixes prefixes;
		const struct regex *regex;
	};
};

enum token_kind {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_TEXT,
	TOKEN_NUMBER,
	TOKEN_SIGN, /* one or two characters */
	TOKEN_BAD,
};

struct token {
	enum token_kind kind;
	size_t offset; /* in the expression */
	struct slice
		text; /* name, sign; of a text literal: what it stands for, in memory of the scope's */
	int64_t number;
	const char *error; /* TOKEN_BAD: what is wrong */
};

struct lexer {
	struct route_mem *mem;
	struct slice text;
	size_t at;
};

/* The next token. 0, or -ENOMEM. */
int expr_lex(struct lexer *lx, struct token *ret_token);

/* What may be an address or a prefix, as a name: for the right of "in", where lx->at is at its start. */
struct slice expr_lex_address(struct lexer *lx, size_t *ret_offset);

/* One compilation. A function that fails has told why, or set err to -ENOMEM, and returns NULL. */
struct parser {
	const struct route_scope *scope;
	const struct pos *pos;
	struct lexer lx;
	struct token now;
	unsigned depth; /* of brackets and the like */
	int err;
};

#define EXPR_ARGS_MAX 64

/* expr_node.c: nodes, with the types of what they are made of held against what they may be. at: the
 * offset that an error speaks of. */
struct expr *expr_node(struct parser *p, enum expr_op op, enum expr_type type, size_t at,
		       const struct expr *const *args, size_t arg_count);
const struct expr *expr_compare(struct parser *p, struct token sign, const struct expr *left,
				const struct expr *right);
bool expr_want(struct parser *p, const struct expr *e, enum expr_type type, size_t at,
	       const char *what);
const struct expr *expr_regex(struct parser *p, const struct expr *text,
			      const struct token *pattern, size_t at);

/* expr_names.c: what a name stands for. */
const struct expr *expr_named(struct parser *p, struct slice name, size_t at);
const struct expr *expr_field(struct parser *p, enum expr_op op, struct slice name, size_t at);
enum expr_op expr_field_op(struct slice name);	  /* OP_TEXT: no field */
enum expr_op expr_function_op(struct slice name); /* OP_TEXT: no function */
enum expr_op expr_method_op(struct slice name);	  /* OP_TEXT: no method */
const struct expr *expr_unknown_method(struct parser *p, struct slice name, size_t at);

/* An error at that offset. NULL, so that it can be returned. */
#define expr_fail(p, at, ...)                                                                      \
	(route_error_at((p)->scope, (p)->pos, "expression", (p)->lx.text, at, __VA_ARGS__),        \
	 (p)->err = -EINVAL, NULL)

#endif
