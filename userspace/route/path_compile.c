/* SPDX-License-Identifier: BSD-2-Clause */
/* From the text of a rule for paths to what path_rule.c goes by: see path_rule.h. */
#include <ctype.h>
#include <errno.h>

#include "route/path_rule.h"

/* By enum path_part, as in a template. */
static const char *const part_names[] = {"", "", "int", "hex", "uuid", "word", "**"};

#define PART_COUNT (sizeof(part_names) / sizeof(part_names[0]))

struct compiler {
	const struct route_scope *scope;
	const struct pos *pos;
	struct slice text;
	struct path_rule *rule;
	const char **names;
};

#define refuse(c, at, ...)                                                                         \
	(route_error_at((c)->scope, (c)->pos, "path", (c)->text, at, __VA_ARGS__), -EINVAL)

static bool is_dot_segment(struct slice s)
{
	return slice_eq(s, SLICE(".")) || slice_eq(s, SLICE(".."));
}

/* Is s, which begins at `at`, what a segment of a path in its one form can be? Else the rule would
 * silently be for nothing. */
static int check_segment(struct compiler *c, struct slice s, size_t at)
{
	if (is_dot_segment(s))
		return refuse(c, at, "no path has a segment \"%.*s\"", (int)s.len, s.ptr);
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i], low = i + 2 < s.len ? s.ptr[i + 2] : '\0';
		char high = i + 1 < s.len ? s.ptr[i + 1] : '\0';

		if (ch == '{' || ch == '}')
			return refuse(c, at + i, "{ and } are for templates; as text: %%7B, %%7D");
		if (ch == '?' || ch == '#')
			return refuse(c, at + i, "a path has no %c; as text: %%%02X", ch, ch);
		if (ch <= ' ' || ch > '~')
			return refuse(c, at + i, "this byte is written as %%%02X",
				      (unsigned)(unsigned char)ch);
		if (ch != '%')
			continue;
		if (!isxdigit((unsigned char)high) || !isxdigit((unsigned char)low))
			return refuse(c, at + i, "two hexadecimal digits are missing behind %%");
		if (islower((unsigned char)high) || islower((unsigned char)low))
			return refuse(c, at + i, "escapes are in upper case: %%%c%c",
				      toupper((unsigned char)high), toupper((unsigned char)low));
	}
	return 0;
}

/* All segments of a text without names. */
static int check_plain(struct compiler *c)
{
	size_t start = 1;

	for (size_t i = 1; i <= c->text.len; i++) {
		struct slice s = {c->text.ptr + start, i - start};
		int err;

		if (i < c->text.len && c->text.ptr[i] != '/')
			continue;
		err = check_segment(c, s, start);
		if (err)
			return err;
		start = i + 1;
	}
	return 0;
}

static int find_part(struct slice type, enum path_part *ret_part)
{
	for (size_t i = PART_INT; i < PART_COUNT; i++)
		if (slice_eq(type, (struct slice){part_names[i], strlen(part_names[i])})) {
			*ret_part = (enum path_part)i;
			return 0;
		}
	return -EINVAL;
}

static int add_name(struct compiler *c, struct slice name, size_t at)
{
	struct path_rule *r = c->rule;
	struct slice copy;

	if (!route_name_is_good(name))
		return refuse(c, at,
			      "a name is of letters, digits and \"_\", a letter first, 32 at most");
	for (unsigned i = 1; i < r->name_count; i++)
		if (slice_eq(name, (struct slice){c->names[i], strlen(c->names[i])}))
			return refuse(c, at, "the name %s is there twice", c->names[i]);
	if (r->name_count == REGEX_GROUPS_MAX)
		return refuse(c, at, "these are too many names (more than %d)",
			      REGEX_GROUPS_MAX - 1);
	copy = route_mem_copy(c->scope->mem, name);
	if (!copy.ptr)
		return -ENOMEM;
	c->names[r->name_count++] = copy.ptr;
	return 0;
}

/* s: "{name}" or "{name:type}". */
static int compile_name(struct compiler *c, struct slice s, size_t at, enum path_part *ret_part)
{
	struct slice name = {s.ptr + 1, s.len - 2}, type = SLICE("");
	const char *colon = memchr(name.ptr, ':', name.len);

	*ret_part = PART_ANY;
	if (colon) {
		type = (struct slice){colon + 1, (size_t)(name.ptr + name.len - colon - 1)};
		name.len = (size_t)(colon - name.ptr);
		if (find_part(type, ret_part))
			return refuse(c, at, "the type of a name is int, hex, uuid, word or **");
	}
	return add_name(c, name, at + 1);
}

static int compile_segment(struct compiler *c, struct slice s, size_t at, bool is_last)
{
	struct path_rule *r = c->rule;
	struct path_segment seg = {.part = PART_LITERAL, .text = s};
	bool has_name = s.len && (memchr(s.ptr, '{', s.len) || memchr(s.ptr, '}', s.len));
	int err;

	if (has_name && (s.ptr[0] != '{' || memchr(s.ptr, '}', s.len) != s.ptr + s.len - 1))
		return refuse(c, at, "a name in { } is a whole segment");
	err = has_name ? compile_name(c, s, at, &seg.part) : check_segment(c, s, at);
	if (err)
		return err;
	if (seg.part == PART_REST && !is_last)
		return refuse(c, at, "only the last segment takes all that is left");
	if (seg.part == PART_LITERAL && !r->segment_count)
		r->literal.len = at + s.len;
	else
		r->segments[r->segment_count++] = seg;
	return 0;
}

static int compile_template(struct compiler *c)
{
	struct path_rule *r = c->rule;
	size_t slashes = 0, start = 1;

	for (size_t i = 0; i < c->text.len; i++)
		slashes += c->text.ptr[i] == '/';
	r->segments = arena_array(&c->scope->mem->arena, slashes, sizeof(*r->segments));
	if (!r->segments)
		return -ENOMEM;
	r->literal = (struct slice){c->text.ptr, 0};
	for (size_t i = 1; i <= c->text.len; i++) {
		int err;

		if (i < c->text.len && c->text.ptr[i] != '/')
			continue;
		err = compile_segment(c, (struct slice){c->text.ptr + start, i - start}, start,
				      i == c->text.len);
		if (err)
			return err;
		start = i + 1;
	}
	if (r->name_count == 1)
		return refuse(c, 0,
			      "a template has a name in { }; without one it is an exact path");
	return 0;
}

static int compile_regex(struct compiler *c)
{
	struct regex_error error;
	int err = regex_compile(c->scope->mem, c->text, &c->rule->regex, &error);

	if (err == -EINVAL)
		return refuse(c, error.offset, "%s", error.text);
	if (err)
		return err;
	c->rule->name_count = regex_group_count(c->rule->regex);
	for (unsigned i = 0; i < c->rule->name_count; i++)
		c->names[i] = regex_group_name(c->rule->regex, i);
	return 0;
}

static int compile(struct compiler *c)
{
	struct path_rule *r = c->rule;
	int err;

	if (!c->text.len || c->text.len > PATH_RULE_LEN_MAX)
		return refuse(c, 0, "a path has 1 to %d bytes", PATH_RULE_LEN_MAX);
	if (r->kind == PATH_REGEX)
		return compile_regex(c);
	if (r->kind == PATH_EXACT && slice_eq(c->text, SLICE("*"))) { /* OPTIONS * */
		r->literal = c->text;
		return 0;
	}
	if (c->text.ptr[0] != '/')
		return refuse(c, 0, "a path begins with \"/\"");
	if (r->kind == PATH_TEMPLATE)
		return compile_template(c);
	err = check_plain(c);
	r->literal = c->text;
	if (r->kind == PATH_PREFIX && r->literal.ptr[r->literal.len - 1] == '/')
		r->literal.len--;
	return err;
}

int path_rule_compile(const struct route_scope *scope, enum path_kind kind, struct slice text,
		      const struct pos *pos, struct path_rule *ret_rule)
{
	struct path_rule rule = {.kind = kind, .name_count = 1};
	struct compiler c = {.scope = scope, .pos = pos, .rule = &rule};
	int err;

	c.names = arena_array(&scope->mem->arena, REGEX_GROUPS_MAX, sizeof(char *));
	c.text = route_mem_copy(scope->mem, text);
	if (!c.names || !c.text.ptr)
		return -ENOMEM;
	c.names[0] = "";
	rule.text = c.text;
	rule.names = c.names;
	err = kind == PATH_ANY ? 0 : compile(&c);
	if (!err)
		*ret_rule = rule;
	return err;
}
