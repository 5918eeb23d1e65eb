/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of an expression: its nodes, their types, depth and cost. See expr_int.h. */
#include <errno.h>

#include "route/expr_int.h"

const char *expr_type_name(enum expr_type type)
{
	static const char *const names[] = {
		[EXPR_TEXT] = "text",
		[EXPR_NUMBER] = "a number",
		[EXPR_TRUTH] = "true or false",
		[EXPR_ADDRESS] = "an address",
	};

	return names[type];
}

enum expr_type expr_type(const struct expr *e)
{
	return e->type;
}

static unsigned own_cost(enum expr_op op)
{
	switch (op) {
	case OP_HEADER:
	case OP_PARAMETER:
	case OP_COOKIE:
	case OP_HAS: return EXPR_COST_LOOKUP;
	case OP_MATCHES: return EXPR_COST_REGEX;
	default: return 1;
	}
}

struct expr *expr_node(struct parser *p, enum expr_op op, enum expr_type type, size_t at,
		       const struct expr *const *args, size_t arg_count)
{
	struct arena *arena = &p->scope->mem->arena;
	struct expr *e = arena_alloc(arena, sizeof(*e));
	const struct expr **copy = arena_array(arena, arg_count, sizeof(struct expr *));
	unsigned depth = 0;

	if (!e || !copy) {
		p->err = -ENOMEM;
		return NULL;
	}
	*e = (struct expr){.op = op, .type = type, .cost = own_cost(op), .args = copy};
	e->arg_count = (uint32_t)arg_count;
	for (size_t i = 0; i < arg_count; i++) {
		copy[i] = args[i];
		e->cost += args[i]->cost;
		depth = args[i]->depth > depth ? args[i]->depth : depth;
	}
	e->depth = (uint16_t)(depth + 1);
	if (e->depth > EXPR_DEPTH_MAX)
		return expr_fail(p, at, "this is nested too deeply (more than %d levels)",
				 EXPR_DEPTH_MAX);
	if (e->cost > EXPR_COST_MAX)
		return expr_fail(p, at, "this costs too much (more than %d steps)", EXPR_COST_MAX);
	return e;
}

bool expr_want(struct parser *p, const struct expr *e, enum expr_type type, size_t at,
	       const char *what)
{
	if (e->type == type)
		return true;
	(void)expr_fail(p, at, "%s is %s, not %s", what, expr_type_name(e->type),
			expr_type_name(type));
	return false;
}

static enum expr_op compare_op(struct slice sign)
{
	bool with_equal = sign.len == 2;

	switch (sign.ptr[0]) {
	case '=': return OP_EQ;
	case '!': return OP_NE;
	case '<': return with_equal ? OP_LE : OP_LT;
	default: return with_equal ? OP_GE : OP_GT;
	}
}

const struct expr *expr_compare(struct parser *p, struct token sign, const struct expr *left,
				const struct expr *right)
{
	const struct expr *args[] = {left, right};
	enum expr_op op = compare_op(sign.text);

	if (left->type == EXPR_ADDRESS || right->type == EXPR_ADDRESS)
		return expr_fail(p, sign.offset,
				 "addresses are compared by \"in\": source.ip in 192.0.2.1");
	if (left->type != right->type)
		return expr_fail(p, sign.offset, "%s is compared with %s",
				 expr_type_name(left->type), expr_type_name(right->type));
	if (left->type == EXPR_TRUTH && op != OP_EQ && op != OP_NE)
		return expr_fail(p, sign.offset, "true and false have no order");
	return expr_node(p, op, EXPR_TRUTH, sign.offset, args, 2);
}

const struct expr *expr_regex(struct parser *p, const struct expr *text,
			      const struct token *pattern, size_t at)
{
	struct expr *e = expr_node(p, OP_MATCHES, EXPR_TRUTH, at, &text, 1);
	struct regex_error error;
	int err;

	if (!e)
		return NULL;
	err = regex_compile(p->scope->mem, pattern->text, &e->regex, &error);
	if (err == -EINVAL)
		return expr_fail(p, pattern->offset, "regular expression, column %zu: %s",
				 error.offset + 1, error.text);
	if (err)
		p->err = err;
	return err ? NULL : e;
}
