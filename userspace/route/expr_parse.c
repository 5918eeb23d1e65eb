/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an expression's words to its tree, by recursive descent; from loose to tight:
 *	any -> all ("||" all)*		all -> not ("&&" not)*		not -> "!" not | test
 *	test -> rest (sign rest | "in" set)?	rest -> value ("%" number)?
 *	value -> (literal | name | name[...] | name(...) | "(" any ")") ("." method "(" ... ")")*
 */
#include <errno.h>

#include "route/expr_int.h"

static const struct expr *parse_any(struct parser *p);

static bool advance(struct parser *p)
{
	int err = expr_lex(&p->lx, &p->now);

	if (err)
		p->err = err;
	else if (p->now.kind == TOKEN_BAD)
		(void)expr_fail(p, p->now.offset, "%s", p->now.error);
	return !p->err;
}

static bool at_sign(const struct parser *p, const char *sign)
{
	return p->now.kind == TOKEN_SIGN &&
	       slice_eq(p->now.text, (struct slice){sign, strlen(sign)});
}

static bool at_word(const struct parser *p, const char *word)
{
	return p->now.kind == TOKEN_NAME &&
	       slice_eq(p->now.text, (struct slice){word, strlen(word)});
}

static bool expect(struct parser *p, const char *sign, const char *where)
{
	if (at_sign(p, sign))
		return advance(p);
	(void)expr_fail(p, p->now.offset, "\"%s\" is missing %s", sign, where);
	return false;
}

static const struct expr *literal(struct parser *p, struct token t)
{
	struct expr *e;

	if (t.kind == TOKEN_TEXT) {
		e = expr_node(p, OP_TEXT, EXPR_TEXT, t.offset, NULL, 0);
		if (e)
			e->text = t.text;
		return e;
	}
	e = expr_node(p, t.kind == TOKEN_NUMBER ? OP_NUMBER : OP_TRUTH,
		      t.kind == TOKEN_NUMBER ? EXPR_NUMBER : EXPR_TRUTH, t.offset, NULL, 0);
	if (e)
		e->number = t.kind == TOKEN_NUMBER ? t.number : t.text.len == strlen("true");
	return e;
}

/* ["name"] behind header, query or cookie. */
static const struct expr *parse_field(struct parser *p, enum expr_op op)
{
	struct token name;

	if (!advance(p))
		return NULL;
	name = p->now;
	if (name.kind != TOKEN_TEXT)
		return expr_fail(p, name.offset, "a name in quotes is missing");
	if (!advance(p) || !expect(p, "]", "behind the name"))
		return NULL;
	return expr_field(p, op, name.text, name.offset);
}

static const struct expr *finish_function(struct parser *p, enum expr_op op, size_t at,
					  const struct expr **args, size_t count)
{
	struct expr *e;

	if (op == OP_HASH) {
		for (size_t i = 0; i < count; i++)
			if (args[i]->type == EXPR_TRUTH)
				return expr_fail(p, at, "hash takes texts, numbers and addresses");
		return expr_node(p, op, EXPR_NUMBER, at, args, count);
	}
	if (op == OP_INT) {
		if (count != 2 || args[0]->type != EXPR_TEXT || args[1]->op != OP_NUMBER)
			return expr_fail(p, at,
					 "int takes a text, and a number for where it is none");
		return expr_node(p, op, EXPR_NUMBER, at, args, count);
	}
	if (count != 1 ||
	    (args[0]->op != OP_HEADER && args[0]->op != OP_PARAMETER && args[0]->op != OP_COOKIE))
		return expr_fail(p, at, "has takes one header[...], query[...] or cookie[...]");
	e = expr_node(p, op, EXPR_TRUTH, at, args, count);
	return e;
}

/* Between "(" and ")": at least one. Returns how many; 0: failed. */
static size_t parse_args(struct parser *p, const struct expr **args)
{
	size_t count = 0;

	do {
		if (count == EXPR_ARGS_MAX) {
			(void)expr_fail(p, p->now.offset, "these are too many");
			return 0;
		}
		if (!advance(p))
			return 0;
		args[count] = parse_any(p);
		if (!args[count++])
			return 0;
	} while (at_sign(p, ","));
	return expect(p, ")", "behind the arguments") ? count : 0;
}

static const struct expr *parse_function(struct parser *p, enum expr_op op, size_t at)
{
	const struct expr *args[EXPR_ARGS_MAX];
	size_t count = parse_args(p, args);

	return count ? finish_function(p, op, at, args, count) : NULL;
}

/* request.host is one name. */
static const struct expr *parse_name(struct parser *p)
{
	struct token first = p->now;
	struct slice name = first.text;
	enum expr_op op;

	if (at_word(p, "true") || at_word(p, "false"))
		return advance(p) ? literal(p, first) : NULL;
	if (!advance(p))
		return NULL;
	op = expr_field_op(name);
	if (op != OP_TEXT && at_sign(p, "["))
		return parse_field(p, op);
	op = expr_function_op(name);
	if (op != OP_TEXT && at_sign(p, "("))
		return parse_function(p, op, first.offset);
	if ((slice_eq(name, SLICE("request")) || slice_eq(name, SLICE("source"))) &&
	    at_sign(p, ".")) {
		if (!advance(p))
			return NULL;
		if (p->now.kind != TOKEN_NAME)
			return expr_fail(p, p->now.offset, "a name is missing behind the dot");
		name.len = p->now.offset + p->now.text.len - first.offset;
		if (!advance(p))
			return NULL;
	}
	return expr_named(p, name, first.offset);
}

static const struct expr *parse_brackets(struct parser *p)
{
	const struct expr *e;

	if (++p->depth > EXPR_DEPTH_MAX)
		return expr_fail(p, p->now.offset,
				 "this is nested too deeply (more than %d levels)", EXPR_DEPTH_MAX);
	if (!advance(p))
		return NULL;
	e = parse_any(p);
	p->depth--;
	return e && expect(p, ")", "here") ? e : NULL;
}

/* .startsWith("x") behind e, which begins at `at`. */
static const struct expr *parse_method(struct parser *p, const struct expr *e, size_t at)
{
	struct token name, pattern;
	const struct expr *args[EXPR_ARGS_MAX];
	enum expr_op op;
	size_t count;

	if (!advance(p))
		return NULL;
	name = p->now;
	if (name.kind != TOKEN_NAME)
		return expr_fail(p, name.offset, "the name of a test is missing behind the dot");
	op = expr_method_op(name.text);
	if (op == OP_TEXT)
		return expr_unknown_method(p, name.text, name.offset);
	if (!expr_want(p, e, EXPR_TEXT, at, "what is tested") || !advance(p))
		return NULL;
	if (!at_sign(p, "("))
		return expr_fail(p, p->now.offset, "\"(\" is missing behind the test");
	if (op == OP_MATCHES) {
		if (!advance(p))
			return NULL;
		pattern = p->now;
		if (pattern.kind != TOKEN_TEXT)
			return expr_fail(p, pattern.offset,
					 "a regular expression in quotes is missing");
		if (!advance(p) || !expect(p, ")", "behind the regular expression"))
			return NULL;
		return expr_regex(p, e, &pattern, name.offset);
	}
	count = parse_args(p, args + 1);
	if (!count)
		return NULL;
	args[0] = e;
	if (count != 1)
		return expr_fail(p, name.offset, "the test takes one text");
	if (!expr_want(p, args[1], EXPR_TEXT, name.offset, "what it is tested for"))
		return NULL;
	return expr_node(p, op, EXPR_TRUTH, name.offset, args, 2);
}

static const struct expr *parse_value(struct parser *p)
{
	struct token first = p->now;
	const struct expr *e = NULL;

	if (first.kind == TOKEN_TEXT || first.kind == TOKEN_NUMBER)
		e = advance(p) ? literal(p, first) : NULL;
	else if (first.kind == TOKEN_NAME)
		e = parse_name(p);
	else if (at_sign(p, "("))
		e = parse_brackets(p);
	else if (first.kind == TOKEN_END)
		return expr_fail(p, first.offset, "the expression ends where a value should be");
	else
		return expr_fail(p, first.offset, "a value should be here");
	while (e && at_sign(p, "."))
		e = parse_method(p, e, first.offset);
	return e;
}

static const struct expr *parse_rest(struct parser *p)
{
	size_t at = p->now.offset;
	const struct expr *args[2] = {parse_value(p)};

	while (args[0] && at_sign(p, "%")) {
		struct token number;

		if (!expr_want(p, args[0], EXPR_NUMBER, at, "what is divided") || !advance(p))
			return NULL;
		number = p->now;
		if (number.kind != TOKEN_NUMBER || !number.number)
			return expr_fail(p, number.offset, "a number above 0 is missing behind %%");
		if (!advance(p))
			return NULL;
		args[1] = literal(p, number);
		if (!args[1])
			return NULL;
		args[0] = expr_node(p, OP_MOD, EXPR_NUMBER, number.offset, args, 2);
	}
	return args[0];
}

/* Addresses are not words of the language: they are read straight from the text. */
static bool read_prefix(struct parser *p, struct route_prefix *ret_prefix)
{
	char text[ADDR_STRLEN + 8];
	size_t offset;
	struct slice word = expr_lex_address(&p->lx, &offset);
	unsigned len;

	memcpy(text, word.ptr, word.len < sizeof(text) ? word.len : 0);
	text[word.len < sizeof(text) ? word.len : 0] = '\0';
	if (addr_parse_prefix(text, false, &ret_prefix->addr, &len)) {
		(void)expr_fail(p, offset, "an address or a prefix is missing, like 10.0.0.0/8");
		return false;
	}
	if (addr_parse_prefix(text, true, &ret_prefix->addr, &len)) {
		(void)expr_fail(p, offset, "%s has bits behind its length", text);
		return false;
	}
	ret_prefix->len = (uint8_t)len;
	return advance(p);
}

/* Now at "in". */
static const struct expr *parse_prefixes(struct parser *p, const struct expr *addr, size_t at)
{
	struct route_prefix found[EXPR_ARGS_MAX], *copy;
	struct lexer before = p->lx;
	struct expr *e;
	size_t count = 0;
	bool is_list;

	/* What is behind "in" may be no word at all: look only whether it is a bracket. */
	if (expr_lex(&p->lx, &p->now)) {
		p->err = -ENOMEM;
		return NULL;
	}
	is_list = at_sign(p, "[");
	if (!is_list)
		p->lx = before;
	do {
		if (count == EXPR_ARGS_MAX)
			return expr_fail(p, p->now.offset, "these are too many");
		if (!read_prefix(p, &found[count++]))
			return NULL;
	} while (is_list && at_sign(p, ","));
	if (is_list && !expect(p, "]", "behind the list"))
		return NULL;
	e = expr_node(p, OP_IN_PREFIXES, EXPR_TRUTH, at, &addr, 1);
	copy = arena_array(&p->scope->mem->arena, count, sizeof(*copy));
	if (!e || !copy) {
		p->err = p->err ? p->err : -ENOMEM;
		return NULL;
	}
	memcpy(copy, found, count * sizeof(*copy));
	e->prefixes = (struct route_prefixes){copy, count};
	return e;
}

static const struct expr *parse_in(struct parser *p, const struct expr *left)
{
	const struct expr *args[EXPR_ARGS_MAX + 1] = {left};
	size_t at = p->now.offset, count = 1;

	if (left->type == EXPR_ADDRESS)
		return parse_prefixes(p, left, at);
	if (left->type == EXPR_TRUTH)
		return expr_fail(p, at, "true or false is in no list");
	if (!advance(p))
		return NULL;
	if (!at_sign(p, "["))
		return expr_fail(p, p->now.offset, "a list in [ and ] is missing");
	do {
		if (count > EXPR_ARGS_MAX)
			return expr_fail(p, p->now.offset, "these are too many");
		if (!advance(p))
			return NULL;
		if (p->now.kind != (left->type == EXPR_TEXT ? TOKEN_TEXT : TOKEN_NUMBER))
			return expr_fail(p, p->now.offset, "%s should be here",
					 left->type == EXPR_TEXT ? "a text in quotes" : "a number");
		args[count] = literal(p, p->now);
		if (!args[count++] || !advance(p))
			return NULL;
	} while (at_sign(p, ","));
	if (!expect(p, "]", "behind the list"))
		return NULL;
	return expr_node(p, OP_IN_LIST, EXPR_TRUTH, at, args, count);
}

static const struct expr *parse_test(struct parser *p)
{
	const struct expr *left = parse_rest(p), *right;
	struct token sign = p->now;

	if (!left)
		return NULL;
	if (at_word(p, "in"))
		return parse_in(p, left);
	if (!at_sign(p, "==") && !at_sign(p, "!=") && !at_sign(p, "<") && !at_sign(p, "<=") &&
	    !at_sign(p, ">") && !at_sign(p, ">="))
		return left;
	if (!advance(p))
		return NULL;
	right = parse_rest(p);
	return right ? expr_compare(p, sign, left, right) : NULL;
}

static const struct expr *parse_not(struct parser *p)
{
	size_t at = p->now.offset;
	const struct expr *e;

	if (!at_sign(p, "!"))
		return parse_test(p);
	if (++p->depth > EXPR_DEPTH_MAX)
		return expr_fail(p, at, "this is nested too deeply (more than %d levels)",
				 EXPR_DEPTH_MAX);
	if (!advance(p))
		return NULL;
	e = parse_not(p);
	p->depth--;
	if (!e || !expr_want(p, e, EXPR_TRUTH, at, "what is behind \"!\""))
		return NULL;
	return expr_node(p, OP_NOT, EXPR_TRUTH, at, &e, 1);
}

/* One or more of what `part` reads with the sign between them: a node of all. */
static const struct expr *parse_chain(struct parser *p, const char *sign, enum expr_op op,
				      const struct expr *(*part)(struct parser *))
{
	const struct expr *args[EXPR_ARGS_MAX];
	size_t at = p->now.offset, count = 1;

	args[0] = part(p);
	if (!args[0] || !at_sign(p, sign))
		return args[0];
	if (!expr_want(p, args[0], EXPR_TRUTH, at, "this"))
		return NULL;
	while (at_sign(p, sign)) {
		if (count == EXPR_ARGS_MAX)
			return expr_fail(p, p->now.offset, "these are too many (more than %d)",
					 EXPR_ARGS_MAX);
		if (!advance(p))
			return NULL;
		at = p->now.offset;
		args[count] = part(p);
		if (!args[count] || !expr_want(p, args[count], EXPR_TRUTH, at, "this"))
			return NULL;
		count++;
	}
	return expr_node(p, op, EXPR_TRUTH, at, args, count);
}

static const struct expr *parse_all(struct parser *p)
{
	return parse_chain(p, "&&", OP_AND, parse_not);
}

static const struct expr *parse_any(struct parser *p)
{
	return parse_chain(p, "||", OP_OR, parse_all);
}

int expr_compile(const struct route_scope *scope, struct slice text, const struct pos *pos,
		 const struct expr **ret_expr)
{
	struct parser p = {.scope = scope, .pos = pos, .lx = {.mem = scope->mem, .text = text}};
	const struct expr *e;

	if (text.len > EXPR_LEN_MAX) {
		(void)expr_fail(&p, 0, "the expression is longer than %d bytes", EXPR_LEN_MAX);
		return -EINVAL;
	}
	if (!advance(&p))
		return p.err;
	e = parse_any(&p);
	if (e && p.now.kind != TOKEN_END)
		e = expr_fail(&p, p.now.offset, "an operator is missing here");
	if (!e)
		return p.err;
	*ret_expr = e;
	return 0;
}
