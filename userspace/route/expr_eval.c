/* SPDX-License-Identifier: BSD-2-Clause */
/* What an expression says of a request: see expr.h. Recursion ends by EXPR_DEPTH_MAX. */
#include <inttypes.h>
#include <stdio.h>

#include "route/expr_int.h"
#include "route/hash.h"

static bool look_up(const struct expr *e, const struct route_input *in, struct slice *ret_value)
{
	if (e->op == OP_HEADER)
		return route_header(in, e->text, ret_value);
	if (e->op == OP_PARAMETER)
		return route_parameter(in, e->text, ret_value);
	return route_cookie(in, e->text, ret_value);
}

struct slice expr_text(const struct expr *e, const struct route_input *in)
{
	struct slice value;

	switch (e->op) {
	case OP_TEXT: return e->text;
	case OP_METHOD: return in->method;
	case OP_SCHEME: return in->scheme;
	case OP_HOST: return in->host;
	case OP_PATH: return in->path;
	case OP_QUERY: return in->query;
	case OP_SNI: return in->sni;
	default: return look_up(e, in, &value) ? value : SLICE("");
	}
}

static struct slice addr_bytes(const struct addr *addr)
{
	size_t len = addr->family == AF_INET ? 4 : addr->family == AF_INET6 ? 16 : 0;

	return (struct slice){(const char *)addr->bytes, len};
}

static uint64_t hash_number(uint64_t hash, int64_t number)
{
	char bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)((uint64_t)number >> 8 * i);
	return route_hash_add(hash, (struct slice){bytes, sizeof(bytes)});
}

static int64_t hash_of(const struct expr *e, const struct route_input *in)
{
	uint64_t hash = ROUTE_HASH_INIT;

	for (uint32_t i = 0; i < e->arg_count; i++) {
		const struct expr *arg = e->args[i];

		if (arg->type == EXPR_TEXT)
			hash = route_hash_add(hash, expr_text(arg, in));
		else if (arg->type == EXPR_NUMBER)
			hash = hash_number(hash, expr_number(arg, in));
		else
			hash = route_hash_add(hash, addr_bytes(&in->source));
	}
	return route_hash_end(hash);
}

static bool parse_number(struct slice s, int64_t *ret_number)
{
	bool negative = s.len && s.ptr[0] == '-';
	int64_t number = 0;

	if (s.len == negative)
		return false;
	for (size_t i = negative; i < s.len; i++) {
		int digit = s.ptr[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, digit, &number))
			return false;
	}
	if (!negative && number == INT64_MIN)
		return false;
	*ret_number = negative ? number : -number;
	return true;
}

int64_t expr_number(const struct expr *e, const struct route_input *in)
{
	int64_t number;

	switch (e->op) {
	case OP_NUMBER: return e->number;
	case OP_HASH: return hash_of(e, in);
	case OP_INT:
		if (parse_number(expr_text(e->args[0], in), &number))
			return number;
		return e->args[1]->number;
	default: /* OP_MOD */
		number = expr_number(e->args[0], in) % e->args[1]->number;
		return number < 0 ? number + e->args[1]->number : number;
	}
}

static int compare_texts(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int order(const struct expr *e, const struct route_input *in)
{
	const struct expr *left = e->args[0], *right = e->args[1];
	int64_t a, b;

	if (left->type == EXPR_TEXT) {
		struct slice text = expr_text(left, in);

		return compare_texts(text, expr_text(right, in));
	}
	if (left->type == EXPR_NUMBER) {
		a = expr_number(left, in);
		b = expr_number(right, in);
	} else {
		a = expr_truth(left, in);
		b = expr_truth(right, in);
	}
	return (a > b) - (a < b);
}

static bool is_in_list(const struct expr *e, const struct route_input *in)
{
	if (e->args[0]->type == EXPR_TEXT) {
		struct slice text = expr_text(e->args[0], in);

		for (uint32_t i = 1; i < e->arg_count; i++)
			if (slice_eq(text, e->args[i]->text))
				return true;
	} else {
		int64_t number = expr_number(e->args[0], in);

		for (uint32_t i = 1; i < e->arg_count; i++)
			if (number == e->args[i]->number)
				return true;
	}
	return false;
}

static bool test_texts(const struct expr *e, const struct route_input *in)
{
	struct slice text = expr_text(e->args[0], in), part = expr_text(e->args[1], in);

	if (!part.len || part.len > text.len)
		return !part.len;
	if (e->op == OP_STARTS)
		return !memcmp(text.ptr, part.ptr, part.len);
	if (e->op == OP_ENDS)
		return !memcmp(text.ptr + text.len - part.len, part.ptr, part.len);
	return memmem(text.ptr, text.len, part.ptr, part.len);
}

/* Of OP_AND, OP_OR: the first one that decides. */
static bool chain(const struct expr *e, const struct route_input *in, bool deciding)
{
	for (uint32_t i = 0; i < e->arg_count; i++)
		if (expr_truth(e->args[i], in) == deciding)
			return deciding;
	return !deciding;
}

bool expr_truth(const struct expr *e, const struct route_input *in)
{
	struct slice ignored;

	switch (e->op) {
	case OP_TRUTH: return e->number;
	case OP_HAS: return look_up(e->args[0], in, &ignored);
	case OP_OR: return chain(e, in, true);
	case OP_AND: return chain(e, in, false);
	case OP_NOT: return !expr_truth(e->args[0], in);
	case OP_EQ: return order(e, in) == 0;
	case OP_NE: return order(e, in) != 0;
	case OP_LT: return order(e, in) < 0;
	case OP_LE: return order(e, in) <= 0;
	case OP_GT: return order(e, in) > 0;
	case OP_GE: return order(e, in) >= 0;
	case OP_IN_PREFIXES: return route_prefixes_have(&e->prefixes, &in->source);
	case OP_IN_LIST: return is_in_list(e, in);
	case OP_MATCHES: return regex_match(e->regex, expr_text(e->args[0], in), in->room, NULL);
	default: return test_texts(e, in); /* OP_STARTS, OP_ENDS, OP_CONTAINS */
	}
}

struct slice expr_show(const struct expr *e, const struct route_input *in, char buf[EXPR_SHOWN_MAX])
{
	if (e->type == EXPR_TEXT)
		return expr_text(e, in);
	if (e->type == EXPR_TRUTH)
		return expr_truth(e, in) ? SLICE("true") : SLICE("false");
	if (e->type == EXPR_NUMBER)
		snprintf(buf, EXPR_SHOWN_MAX, "%" PRId64, expr_number(e, in));
	else if (in->source.family)
		addr_format(&in->source, buf, EXPR_SHOWN_MAX);
	else
		buf[0] = '\0';
	return (struct slice){buf, strlen(buf)};
}
