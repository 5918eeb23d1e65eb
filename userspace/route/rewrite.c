/* SPDX-License-Identifier: BSD-2-Clause */
/* Other paths: see rewrite.h. */
#include "route/rewrite.h"

#include <errno.h>

/* Names of the expression's groups are what the template may name. */
static int compile_regex(const struct route_scope *scope, struct slice pattern, struct slice to,
			 const struct pos *pos, struct rewrite *r)
{
	struct route_scope inner = *scope;
	struct regex_error error;
	const char **names;
	int err = regex_compile(scope->mem, pattern, &r->regex, &error);

	if (err == -EINVAL)
		route_error_at(scope, pos, "regular expression", pattern, error.offset, "%s",
			       error.text);
	if (err)
		return err;
	inner.capture_count = regex_group_count(r->regex);
	names = arena_array(&scope->mem->arena, inner.capture_count, sizeof(char *));
	if (!names)
		return -ENOMEM;
	for (unsigned i = 0; i < inner.capture_count; i++)
		names[i] = regex_group_name(r->regex, i);
	inner.captures = names;
	return template_compile(&inner, TEMPLATE_PATH, to, pos, &r->to);
}

int rewrite_compile(const struct route_scope *scope, enum rewrite_kind kind,
		    const struct path_rule *rule, struct slice regex, struct slice to,
		    const struct pos *pos, struct rewrite *ret_rewrite)
{
	struct rewrite r = {.kind = kind, .prefix_len = rule->literal.len};
	int err;

	if (kind == REWRITE_PREFIX && rule->kind != PATH_PREFIX && rule->kind != PATH_EXACT) {
		diag_error(scope->diag, pos,
			   "%sonly a route by prefix or exact path has what a prefix could replace",
			   route_object(scope));
		return -EINVAL;
	}
	if (kind == REWRITE_REGEX)
		err = compile_regex(scope, regex, to, pos, &r);
	else
		err = template_compile(scope, TEMPLATE_PATH, to, pos, &r.to);
	if (!err)
		*ret_rewrite = r;
	return err;
}

/* "/" in front of "/rest" would be two of them. */
static int replace_prefix(const struct rewrite *r, const struct route_input *in,
			  const struct path_captures *captures, char *buf, size_t cap,
			  size_t *ret_len)
{
	struct slice rest = {in->path.ptr + r->prefix_len, in->path.len - r->prefix_len};
	size_t len = 0;
	int err = template_render(r->to, in, captures, buf, cap, &len);

	if (err)
		return err;
	if (rest.len && buf[len - 1] == '/')
		len--;
	if (cap - len < rest.len)
		return -EMSGSIZE;
	if (rest.len)
		memcpy(buf + len, rest.ptr, rest.len);
	*ret_len = len + rest.len;
	return template_path_is_good((struct slice){buf, len + rest.len}) ? 0 : -EILSEQ;
}

int rewrite_path(const struct rewrite *r, const struct route_input *in,
		 const struct path_captures *captures, char *buf, size_t cap, size_t *ret_len)
{
	struct path_captures groups = {.count = 0};

	if (r->kind == REWRITE_PREFIX)
		return replace_prefix(r, in, captures, buf, cap, ret_len);
	if (r->kind == REWRITE_TEMPLATE)
		return template_render(r->to, in, captures, buf, cap, ret_len);
	if (regex_match(r->regex, in->path, in->room, groups.values)) {
		groups.count = regex_group_count(r->regex);
		return template_render(r->to, in, &groups, buf, cap, ret_len);
	}
	if (cap < in->path.len)
		return -EMSGSIZE;
	if (in->path.len)
		memcpy(buf, in->path.ptr, in->path.len);
	*ret_len = in->path.len;
	return 0;
}
