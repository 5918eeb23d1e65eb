/* SPDX-License-Identifier: BSD-2-Clause */
/* What a name in an expression stands for. See expr_int.h. */
#include <ctype.h>
#include <errno.h>

#include "route/expr_int.h"

struct word {
	const char *text;
	enum expr_op op;
	enum expr_type type;
};

static const struct word names[] = {
	{"request.host", OP_HOST, EXPR_TEXT},	  {"host", OP_HOST, EXPR_TEXT},
	{"request.path", OP_PATH, EXPR_TEXT},	  {"path", OP_PATH, EXPR_TEXT},
	{"request.method", OP_METHOD, EXPR_TEXT}, {"method", OP_METHOD, EXPR_TEXT},
	{"request.scheme", OP_SCHEME, EXPR_TEXT}, {"scheme", OP_SCHEME, EXPR_TEXT},
	{"request.query", OP_QUERY, EXPR_TEXT},	  {"sni", OP_SNI, EXPR_TEXT},
	{"source.ip", OP_SOURCE, EXPR_ADDRESS},
};
static const struct word fields[] = {
	{"header", OP_HEADER, EXPR_TEXT},
	{"query", OP_PARAMETER, EXPR_TEXT},
	{"cookie", OP_COOKIE, EXPR_TEXT},
};
static const struct word functions[] = {
	{"hash", OP_HASH, EXPR_NUMBER},
	{"int", OP_INT, EXPR_NUMBER},
	{"has", OP_HAS, EXPR_TRUTH},
};
static const struct word methods[] = {
	{"startsWith", OP_STARTS, EXPR_TRUTH},
	{"endsWith", OP_ENDS, EXPR_TRUTH},
	{"contains", OP_CONTAINS, EXPR_TRUTH},
	{"matches", OP_MATCHES, EXPR_TRUTH},
};
static const char *const others[] = {"true", "false", "in", "request", "source"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool is_word(struct slice name, const char *word)
{
	return slice_eq(name, (struct slice){word, strlen(word)});
}

static const struct word *find(const struct word *words, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (is_word(name, words[i].text))
			return &words[i];
	return NULL;
}

static enum expr_op find_op(const struct word *words, size_t count, struct slice name)
{
	const struct word *w = find(words, count, name);

	return w ? w->op : OP_TEXT;
}

enum expr_op expr_field_op(struct slice name)
{
	return find_op(fields, COUNT(fields), name);
}

enum expr_op expr_function_op(struct slice name)
{
	return find_op(functions, COUNT(functions), name);
}

enum expr_op expr_method_op(struct slice name)
{
	return find_op(methods, COUNT(methods), name);
}

bool expr_is_reserved(struct slice name)
{
	for (size_t i = 0; i < COUNT(others); i++)
		if (is_word(name, others[i]))
			return true;
	return find(names, COUNT(names), name) || find(fields, COUNT(fields), name) ||
	       find(functions, COUNT(functions), name);
}

int expr_closest(const struct route_scope *scope, struct slice name, const char **ret_word)
{
	size_t count = 0;
	size_t most = COUNT(names) + COUNT(fields) + COUNT(functions) + scope->variable_count +
		      scope->capture_count;
	const char **words = arena_array(&scope->mem->arena, most, sizeof(char *));

	if (!words)
		return -ENOMEM;
	for (size_t i = 0; i < COUNT(names); i++)
		words[count++] = names[i].text;
	for (size_t i = 0; i < COUNT(fields); i++)
		words[count++] = fields[i].text;
	for (size_t i = 0; i < COUNT(functions); i++)
		words[count++] = functions[i].text;
	for (size_t i = 0; i < scope->variable_count; i++)
		words[count++] = scope->variables[i].name;
	for (unsigned i = 0; i < scope->capture_count; i++)
		words[count++] = scope->captures[i];
	*ret_word = route_closest(name, words, count);
	return 0;
}

static const struct expr *unknown_name(struct parser *p, struct slice name, size_t at)
{
	const char *near;

	p->err = expr_closest(p->scope, name, &near);
	if (p->err)
		return NULL;
	if (near)
		return expr_fail(p, at, "unknown name %s; did you mean \"%s\"?",
				 route_quote(name).s, near);
	return expr_fail(p, at, "unknown name %s", route_quote(name).s);
}

const struct expr *expr_unknown_method(struct parser *p, struct slice name, size_t at)
{
	const char *words[COUNT(methods)], *near;

	for (size_t i = 0; i < COUNT(methods); i++)
		words[i] = methods[i].text;
	near = route_closest(name, words, COUNT(methods));
	if (near)
		return expr_fail(p, at, "unknown test %s; did you mean \"%s\"?",
				 route_quote(name).s, near);
	return expr_fail(p, at,
			 "unknown test %s; there are startsWith, endsWith, contains, matches",
			 route_quote(name).s);
}

static const struct expr *find_variable(const struct route_scope *scope, struct slice name)
{
	for (size_t i = 0; i < scope->variable_count; i++)
		if (is_word(name, scope->variables[i].name))
			return scope->variables[i].value;
	return NULL;
}

const struct expr *expr_named(struct parser *p, struct slice name, size_t at)
{
	const struct word *w = find(names, COUNT(names), name);
	const struct expr *variable;

	if (w)
		return expr_node(p, w->op, w->type, at, NULL, 0);
	variable = find_variable(p->scope, name);
	if (variable)
		return variable;
	w = find(functions, COUNT(functions), name);
	if (w)
		return expr_fail(p, at, "%s is followed by its arguments: %s(...)", w->text,
				 w->text);
	w = find(fields, COUNT(fields), name);
	if (w)
		return expr_fail(p, at, "%s is followed by a name: %s[\"name\"]", w->text, w->text);
	return unknown_name(p, name, at);
}

const struct expr *expr_field(struct parser *p, enum expr_op op, struct slice name, size_t at)
{
	struct expr *e;
	char *lower;

	if (!name.len)
		return expr_fail(p, at, "the name is empty");
	e = expr_node(p, op, EXPR_TEXT, at, NULL, 0);
	if (!e || op != OP_HEADER) {
		if (e)
			e->text = name;
		return e;
	}
	lower = arena_alloc(&p->scope->mem->arena, name.len);
	if (!lower) {
		p->err = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (char)tolower((unsigned char)name.ptr[i]);
	e->text = (struct slice){lower, name.len};
	return e;
}

/* Nothing can be said here, as there is no text: it is known before that nothing is wrong. */
int expr_lookup(const struct route_scope *scope, struct slice name, const struct expr **ret_expr)
{
	struct parser p = {.scope = scope};
	const char *dot = memchr(name.ptr, '.', name.len);
	const struct word *w = find(names, COUNT(names), name);
	const struct expr *e = find_variable(scope, name);

	if (e) {
		*ret_expr = e;
		return 0;
	}
	if (w) {
		e = expr_node(&p, w->op, w->type, 0, NULL, 0);
	} else {
		size_t len = dot ? (size_t)(dot - name.ptr) : 0;

		w = find(fields, COUNT(fields), (struct slice){name.ptr, len});
		if (!w || len + 1 == name.len)
			return -ENOENT;
		name = route_mem_copy(scope->mem, (struct slice){dot + 1, name.len - len - 1});
		e = name.ptr ? expr_field(&p, w->op, name, 0) : NULL;
	}
	*ret_expr = e;
	return e ? 0 : -ENOMEM;
}
