/* SPDX-License-Identifier: BSD-2-Clause */
/* Templates: see template.h. */
#include "route/template.h"

#include <ctype.h>
#include <errno.h>

#include "route/expr_int.h"

enum escape {
	ESCAPE_NOTHING,
	ESCAPE_VALUE, /* all but what is unreserved in a URL */
	ESCAPE_HOST,  /* the same, and what a host may have is left */
};

struct piece {
	const struct expr *expr; /* NULL: capture or literal */
	struct slice literal;	 /* ptr is NULL: capture */
	unsigned capture;
	enum escape escape;
};

struct template
{
	enum template_use use;
	struct piece *pieces;
	size_t count;
	bool has_host; /* of a URL: it begins with a scheme */
};

struct compiler {
	const struct route_scope *scope;
	const struct pos *pos;
	struct slice text; /* a copy that stays */
	struct template *t;
	size_t path; /* of a URL with a host: where that is over */
};

#define refuse(c, at, ...)                                                                         \
	(route_error_at((c)->scope, (c)->pos, "template", (c)->text, at, __VA_ARGS__), -EINVAL)

/* ---- compile ------------------------------------------------------------------------------------ */

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Bytes at..end are themselves. */
static int add_literal(struct compiler *c, size_t at, size_t end)
{
	struct template *t = c->t;
	struct slice s = {c->text.ptr + at, end - at};

	for (size_t i = 0; i < s.len; i++) {
		if (is_control(s.ptr[i]))
			return refuse(c, at + i, "a control character");
		if (t->use == TEMPLATE_VALUE)
			continue;
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return refuse(c, at + i, "this byte is written as %%%02X",
				      (unsigned)(unsigned char)s.ptr[i]);
		if (s.ptr[i] == '#' || (s.ptr[i] == '?' && t->use == TEMPLATE_PATH))
			return refuse(c, at + i, "a path has no %c; as text: %%%02X", s.ptr[i],
				      s.ptr[i]);
	}
	t->pieces[t->count++] = (struct piece){.literal = s};
	return 0;
}

static int find_capture(const struct route_scope *scope, struct slice name, unsigned *ret_capture)
{
	unsigned number = 0;

	for (unsigned i = 1; i < scope->capture_count; i++)
		if (slice_eq(name,
			     (struct slice){scope->captures[i], strlen(scope->captures[i])})) {
			*ret_capture = i;
			return 0;
		}
	for (size_t i = 0; i < name.len; i++) {
		if (!isdigit((unsigned char)name.ptr[i]) || number > REGEX_GROUPS_MAX)
			return -ENOENT;
		number = number * 10 + (unsigned)(name.ptr[i] - '0');
	}
	if (number >= scope->capture_count)
		return -ENOENT;
	*ret_capture = number;
	return 0;
}

/* at: in the text. A request's path that follows the host begins with its own slash. */
static enum escape escape_for(struct compiler *c, const struct piece *p, size_t at)
{
	unsigned op = p->expr ? p->expr->op : OP_PATH; /* what a capture is of */

	if (c->t->use == TEMPLATE_VALUE)
		return ESCAPE_NOTHING;
	if (op == OP_HOST || op == OP_SNI || op == OP_SOURCE)
		return ESCAPE_HOST;
	if (p->expr && op == OP_PATH && at < c->path)
		c->path = at;
	if (at < c->path)
		return op == OP_SCHEME ? ESCAPE_NOTHING : ESCAPE_VALUE;
	if (op == OP_PATH || (op == OP_QUERY && c->t->use == TEMPLATE_URL))
		return ESCAPE_NOTHING; /* it has the right form already */
	return ESCAPE_VALUE;
}

static int unknown_name(struct compiler *c, struct slice name, size_t at)
{
	const char *dot = memchr(name.ptr, '.', name.len), *near;
	struct slice first = {name.ptr, dot ? (size_t)(dot - name.ptr) : name.len};

	if (isdigit((unsigned char)name.ptr[0]))
		return refuse(c, at, "there is no group %s", route_quote(name).s);
	if (expr_field_op(first) != OP_TEXT)
		return refuse(c, at, "a name is missing: ${%.*s.NAME}", (int)first.len, first.ptr);
	if (expr_closest(c->scope, name, &near))
		return -ENOMEM;
	if (near && !slice_eq(name, (struct slice){near, strlen(near)}))
		return refuse(c, at, "unknown name %s; did you mean \"%s\"?", route_quote(name).s,
			      near);
	return refuse(c, at, "unknown name %s", route_quote(name).s);
}

/* name: between the braces, from `at` on. */
static int add_name(struct compiler *c, struct slice name, size_t at)
{
	struct piece p = {0};
	int err;

	if (!name.len)
		return refuse(c, at, "a name is missing");
	if (find_capture(c->scope, name, &p.capture)) {
		err = expr_lookup(c->scope, name, &p.expr);
		if (err == -ENOENT)
			return unknown_name(c, name, at);
		if (err)
			return err;
	}
	p.escape = escape_for(c, &p, at);
	c->t->pieces[c->t->count++] = p;
	return 0;
}

static int compile(struct compiler *c)
{
	struct slice text = c->text;
	size_t at = 0;

	while (at < text.len) {
		const char *dollar = memchr(text.ptr + at, '$', text.len - at), *close;
		size_t end = dollar ? (size_t)(dollar - text.ptr) : text.len;
		int err = end > at ? add_literal(c, at, end) : 0;

		if (err || !dollar)
			return err;
		at = end;
		if (at + 1 < text.len && text.ptr[at + 1] == '$') {
			err = add_literal(c, at + 1, at + 2);
			at += 2;
		} else if (at + 1 < text.len && text.ptr[at + 1] == '{') {
			close = memchr(text.ptr + at, '}', text.len - at);
			if (!close)
				return refuse(c, at, "the } is missing");
			end = (size_t)(close - text.ptr);
			err = add_name(c, (struct slice){text.ptr + at + 2, end - at - 2}, at + 2);
			at = end + 1;
		} else {
			return refuse(c, at, "behind $ is {NAME}; a dollar sign is $$");
		}
		if (err)
			return err;
	}
	return 0;
}

static bool begins_with(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && !memcmp(s.ptr, text, len);
}

/* Each "$" begins a piece, and there may be a literal behind each. */
static size_t count_pieces(struct slice text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '$' ? 2 : 0;
	return count;
}

/* Where the host that begins at `at` is over: at a slash or "?" that is not in a name. */
static size_t find_path(struct slice text, size_t at)
{
	bool in_name = false;

	for (; at < text.len; at++) {
		char c = text.ptr[at];

		if (!in_name && (c == '/' || c == '?'))
			break;
		in_name = c == '{' || (in_name && c != '}');
	}
	return at;
}

/* The scheme is in the text or the request's own. */
static int check_start(struct compiler *c)
{
	static const char *const schemes[] = {"http://", "https://", "${request.scheme}://",
					      "${scheme}://"};
	struct slice text = c->text;

	if (c->t->use == TEMPLATE_VALUE || (begins_with(text, "/") && !begins_with(text, "//")))
		return 0;
	if (c->t->use == TEMPLATE_PATH)
		return refuse(c, 0, "a path begins with one \"/\"");
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (begins_with(text, schemes[i]) && text.len > strlen(schemes[i])) {
			c->path = find_path(text, strlen(schemes[i]));
			c->t->has_host = true;
			return 0;
		}
	return refuse(c, 0, "this begins with one \"/\", http://, https:// or ${scheme}://");
}

int template_compile(const struct route_scope *scope, enum template_use use, struct slice text,
		     const struct pos *pos, const struct template **ret_template)
{
	struct arena *arena = &scope->mem->arena;
	struct compiler c = {.scope = scope, .pos = pos};
	int err;

	c.text = route_mem_copy(scope->mem, text);
	c.t = arena_alloc(arena, sizeof(*c.t));
	if (!c.text.ptr || !c.t)
		return -ENOMEM;
	if (text.len > TEMPLATE_LEN_MAX)
		return refuse(&c, 0, "this is longer than %d bytes", TEMPLATE_LEN_MAX);
	c.t->use = use;
	c.t->pieces = arena_array(arena, count_pieces(text), sizeof(*c.t->pieces));
	if (!c.t->pieces)
		return -ENOMEM;
	err = check_start(&c);
	if (!err)
		err = compile(&c);
	if (!err)
		*ret_template = c.t;
	return err;
}

/* ---- render ------------------------------------------------------------------------------------- */

struct out {
	char *buf;
	size_t len, cap;
};

static bool put(struct out *o, const char *bytes, size_t len)
{
	if (o->cap - o->len < len)
		return false;
	if (len)
		memcpy(o->buf + o->len, bytes, len);
	o->len += len;
	return true;
}

static bool is_free(char c, enum escape escape)
{
	if (escape == ESCAPE_NOTHING || isalnum((unsigned char)c))
		return true;
	return c && strchr(escape == ESCAPE_HOST ? "-._~:[]" : "-._~", c);
}

static bool put_escaped(struct out *o, struct slice value, enum escape escape)
{
	static const char digits[] = "0123456789ABCDEF";

	if (escape == ESCAPE_NOTHING)
		return put(o, value.ptr, value.len);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		char three[] = {'%', digits[c >> 4], digits[c & 15]};
		bool free = is_free(value.ptr[i], escape);

		if (!put(o, free ? value.ptr + i : three, free ? 1 : sizeof(three)))
			return false;
	}
	return true;
}

static bool put_piece(struct out *o, const struct piece *p, const struct route_input *in,
		      const struct path_captures *captures)
{
	char buf[EXPR_SHOWN_MAX];

	if (p->literal.ptr)
		return put(o, p->literal.ptr, p->literal.len);
	if (p->expr)
		return put_escaped(o, expr_show(p->expr, in, buf), p->escape);
	if (p->capture >= captures->count)
		return true;
	return put_escaped(o, captures->values[p->capture], p->escape);
}

static bool is_visible(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return true;
}

static bool has_dot_segment(struct slice path)
{
	size_t start = 1;

	for (size_t i = 1; i <= path.len; i++) {
		struct slice s = {path.ptr + start, i - start};

		if (i < path.len && path.ptr[i] != '/')
			continue;
		if (slice_eq(s, SLICE(".")) || slice_eq(s, SLICE("..")))
			return true;
		start = i + 1;
	}
	return false;
}

/* Browsers take "/\\" for "//", which begins a host. */
static bool begins_as_path(struct slice s)
{
	return s.len && s.ptr[0] == '/' && (s.len == 1 || (s.ptr[1] != '/' && s.ptr[1] != '\\'));
}

bool template_path_is_good(struct slice path)
{
	return begins_as_path(path) && is_visible(path) && !memchr(path.ptr, '?', path.len) &&
	       !memchr(path.ptr, '#', path.len) && !has_dot_segment(path);
}

/* Browsers take "https:///host" for "https://host": what a path begins with must not become one. */
static bool has_good_host(struct slice url)
{
	const char *slashes = memmem(url.ptr, url.len, "://", 3);

	return slashes && slashes + 3 < url.ptr + url.len && !strchr("/\\?", slashes[3]);
}

static bool url_is_good(const struct template *t, struct slice url)
{
	const char *query = memchr(url.ptr, '?', url.len);
	struct slice path = {url.ptr, query ? (size_t)(query - url.ptr) : url.len};

	if (!is_visible(url) || memchr(url.ptr, '#', url.len))
		return false;
	return t->has_host ? has_good_host(url) : begins_as_path(url) && !has_dot_segment(path);
}

static bool is_good(const struct template *t, struct slice s)
{
	if (t->use == TEMPLATE_PATH)
		return template_path_is_good(s);
	if (t->use == TEMPLATE_URL)
		return url_is_good(t, s);
	for (size_t i = 0; i < s.len; i++)
		if (is_control(s.ptr[i]))
			return false;
	return true;
}

int template_render(const struct template *t, const struct route_input *in,
		    const struct path_captures *captures, char *buf, size_t cap, size_t *ret_len)
{
	struct out o = {.buf = buf, .cap = cap};

	for (size_t i = 0; i < t->count; i++)
		if (!put_piece(&o, &t->pieces[i], in, captures))
			return -EMSGSIZE;
	if (!is_good(t, (struct slice){buf, o.len}))
		return -EILSEQ;
	*ret_len = o.len;
	return 0;
}
