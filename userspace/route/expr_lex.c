/* SPDX-License-Identifier: BSD-2-Clause */
/* From an expression's text to its words: see expr_int.h. */
#include <ctype.h>
#include <errno.h>

#include "route/expr_int.h"

static char char_at(const struct lexer *lx, size_t at)
{
	return at < lx->text.len ? lx->text.ptr[at] : '\0';
}

static struct slice slice_from(const struct lexer *lx, size_t start)
{
	return (struct slice){lx->text.ptr + start, lx->at - start};
}

static void skip_blanks(struct lexer *lx)
{
	while (lx->at < lx->text.len && isspace((unsigned char)lx->text.ptr[lx->at]))
		lx->at++;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void lex_name(struct lexer *lx, struct token *t)
{
	size_t start = lx->at;

	while (is_name_char(char_at(lx, lx->at)))
		lx->at++;
	t->kind = TOKEN_NAME;
	t->text = slice_from(lx, start);
}

static void lex_number(struct lexer *lx, struct token *t)
{
	t->kind = TOKEN_NUMBER;
	while (isdigit((unsigned char)char_at(lx, lx->at))) {
		int digit = lx->text.ptr[lx->at] - '0';

		if (__builtin_mul_overflow(t->number, 10, &t->number) ||
		    __builtin_add_overflow(t->number, digit, &t->number)) {
			t->kind = TOKEN_BAD;
			t->error = "the number is too large";
			return;
		}
		lx->at++;
	}
	if (is_name_char(char_at(lx, lx->at))) {
		t->kind = TOKEN_BAD;
		t->error = "a number is of digits alone";
	}
}

/* A backslash is only special in front of a quote or a backslash, so that patterns need not double
 * theirs. */
static int lex_text(struct lexer *lx, struct token *t)
{
	char quote = lx->text.ptr[lx->at++], *out;
	size_t end = lx->at, len = 0;

	while (char_at(lx, end) != quote && end < lx->text.len)
		end += char_at(lx, end) == '\\' && end + 1 < lx->text.len ? 2 : 1;
	if (end >= lx->text.len) {
		t->kind = TOKEN_BAD;
		t->error = "the text has no closing quote";
		return 0;
	}
	out = arena_alloc(&lx->mem->arena, end - lx->at + 1);
	if (!out)
		return -ENOMEM;
	for (; lx->at < end; lx->at++) {
		char next = char_at(lx, lx->at + 1);

		if (lx->text.ptr[lx->at] == '\\' && (next == '"' || next == '\'' || next == '\\'))
			lx->at++;
		out[len++] = lx->text.ptr[lx->at];
	}
	lx->at++;
	t->kind = TOKEN_TEXT;
	t->text = (struct slice){out, len};
	return 0;
}

static void lex_sign(struct lexer *lx, struct token *t)
{
	static const char pairs[][3] = {"==", "!=", "<=", ">=", "&&", "||"};
	size_t start = lx->at;
	char c = lx->text.ptr[lx->at++];

	t->kind = TOKEN_SIGN;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (c == pairs[i][0] && char_at(lx, lx->at) == pairs[i][1]) {
			lx->at++;
			t->text = slice_from(lx, start);
			return;
		}
	t->text = slice_from(lx, start);
	if (c && strchr("()[],.<>!%", c))
		return;
	t->kind = TOKEN_BAD;
	t->error = c == '='   ? "equality is \"==\""
		   : c == '&' ? "and is \"&&\""
		   : c == '|' ? "or is \"||\""
			      : "this character means nothing here";
}

int expr_lex(struct lexer *lx, struct token *ret_token)
{
	char c;

	skip_blanks(lx);
	*ret_token = (struct token){.kind = TOKEN_END, .offset = lx->at};
	if (lx->at >= lx->text.len)
		return 0;
	c = lx->text.ptr[lx->at];
	if (c == '"' || c == '\'')
		return lex_text(lx, ret_token);
	if (isdigit((unsigned char)c))
		lex_number(lx, ret_token);
	else if (is_name_char(c))
		lex_name(lx, ret_token);
	else
		lex_sign(lx, ret_token);
	return 0;
}

struct slice expr_lex_address(struct lexer *lx, size_t *ret_offset)
{
	size_t start;

	skip_blanks(lx);
	start = lx->at;
	*ret_offset = start;
	while (isxdigit((unsigned char)char_at(lx, lx->at)) ||
	       (char_at(lx, lx->at) && strchr(".:/", char_at(lx, lx->at))))
		lx->at++;
	return slice_from(lx, start);
}
