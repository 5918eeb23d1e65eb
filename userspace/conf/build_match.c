/* SPDX-License-Identifier: BSD-2-Clause */
/* From the conditions of a route as they are written to what requests are held against: see
 * route_draft.h. */
#include <ctype.h>
#include <errno.h>

#include "conf/prefix_list.h"
#include "conf/route_draft.h"
#include "conf/schema.h"

#define METHOD_MAX_LEN 32

void *route_build_alloc(struct route_build *b, size_t count, size_t size)
{
	void *p = arena_array(&b->set->mem.arena, count, size);

	b->dr->reader.out_of_memory |= !p;
	return p;
}

bool route_build_good(struct route_build *b, int err)
{
	if (err == -ENOMEM)
		b->dr->reader.out_of_memory = true;
	return !err;
}

bool route_build_text(struct route_build *b, const struct tree *node, const char *what,
		      struct slice *ret_text)
{
	if (node->kind != TREE_SCALAR || tree_is_null(node)) {
		diag_error(b->dr->reader.diag, &node->pos, "%sexpected %s, found %s",
			   b->dr->reader.object, what,
			   node->kind == TREE_SCALAR	? "nothing"
			   : node->kind == TREE_MAPPING ? "a mapping"
							: "a list");
		return false;
	}
	*ret_text = (struct slice){node->text, strlen(node->text)};
	return true;
}

static const struct keyword *key(const char *name)
{
	return section_keyword(&schema_route_match, name);
}

/* An empty list is a condition that was forgotten, not one that never holds. */
static void expect_one(struct route_build *b, const struct keyword *k, const struct tree *value,
		       size_t at)
{
	if (!at && value->kind != TREE_MAPPING)
		read_expected(&b->dr->reader, k, value, k->form);
}

static size_t build_hosts(struct route_build *b, const struct keyword *k, const struct tree *value,
			  const struct host_pattern **ret_patterns)
{
	struct host_pattern *list;
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!value)
		return 0;
	list = route_build_alloc(b, read_count(value), sizeof(*list));
	if (!list)
		return 0;
	while ((item = read_next_scalar(&b->dr->reader, k, value, &at))) {
		int err = host_pattern_parse(
			&b->set->mem, (struct slice){item->text, strlen(item->text)}, &list[count]);

		if (err == -EINVAL)
			read_expected(&b->dr->reader, k, item, k->form);
		count += route_build_good(b, err);
	}
	expect_one(b, k, value, at);
	*ret_patterns = list;
	return count;
}

static bool is_method(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		if (!isupper((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
	return len && len <= METHOD_MAX_LEN;
}

static size_t build_methods(struct route_build *b, const struct tree *value,
			    const struct slice **ret_methods)
{
	const struct keyword *k = key("method");
	const struct tree *item;
	size_t at = 0, count = 0;
	struct slice *list;

	if (!value)
		return 0;
	list = route_build_alloc(b, read_count(value), sizeof(*list));
	if (!list)
		return 0;
	while ((item = read_next_scalar(&b->dr->reader, k, value, &at))) {
		if (!is_method(item->text)) {
			read_expected(&b->dr->reader, k, item,
				      "a method in upper case, such as GET");
			continue;
		}
		list[count] = route_mem_copy(&b->set->mem,
					     (struct slice){item->text, strlen(item->text)});
		b->dr->reader.out_of_memory |= !list[count++].ptr;
	}
	expect_one(b, k, value, at);
	*ret_methods = list;
	return count;
}

static void build_sources(struct route_build *b, const struct tree *value,
			  struct route_prefixes *ret_prefixes)
{
	const struct keyword *k = key("source");
	struct source_prefix *read = NULL;
	struct route_prefix *list;
	size_t count = 0;

	if (!value)
		return;
	if (!prefix_list_read(&b->dr->reader, k, value, &read, &count))
		read_expected(&b->dr->reader, k, value, k->form);
	list = route_build_alloc(b, count, sizeof(*list));
	if (!list)
		return;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct route_prefix){read[i].addr, (uint8_t)read[i].len};
	*ret_prefixes = (struct route_prefixes){list, count};
}

static bool build_path(struct route_build *b, const struct path_draft *pd, struct path_rule *r)
{
	const struct tree *const nodes[] = {[PATH_EXACT] = pd->exact,
					    [PATH_PREFIX] = pd->prefix,
					    [PATH_TEMPLATE] = pd->template,
					    [PATH_REGEX] = pd->regex};
	enum path_kind kind = PATH_ANY;
	struct pos nowhere = {0};
	struct slice text = SLICE("");

	for (size_t i = PATH_EXACT; i <= PATH_REGEX; i++) {
		if (nodes[i] && kind != PATH_ANY) {
			diag_error(b->dr->reader.diag, &nodes[i]->key_pos,
				   "%smatch.path: there is %s already, expected one of them",
				   b->dr->reader.object, nodes[kind]->key);
			return false;
		}
		kind = nodes[i] ? (enum path_kind)i : kind;
	}
	if (kind != PATH_ANY && !route_build_text(b, nodes[kind], "a path", &text))
		return false;
	return route_build_good(
		b, path_rule_compile(&b->scope, kind, text,
				     kind == PATH_ANY ? &nowhere : &nodes[kind]->pos, r));
}

/* The value of {exact: TEXT} and the like. */
static bool build_test_kind(struct route_build *b, const struct tree *node, struct route_test *t,
			    const struct tree **ret_value)
{
	static const char *const words[] = {
		[TEST_EXACT] = "exact",
		[TEST_PREFIX] = "prefix",
		[TEST_SUFFIX] = "suffix",
		[TEST_REGEX] = "regex",
	};
	const struct tree *child =
		node->kind == TREE_MAPPING && node->count == 1 ? node->children[0] : NULL;

	for (size_t i = TEST_EXACT; child && i <= TEST_REGEX; i++)
		if (!strcmp(child->key, words[i])) {
			t->kind = (enum test_kind)i;
			*ret_value = child;
			return true;
		}
	if (child && !strcmp(child->key, "present") && child->kind == TREE_SCALAR &&
	    (!strcmp(child->text, "true") || !strcmp(child->text, "false"))) {
		t->kind = child->text[0] == 't' ? TEST_PRESENT : TEST_ABSENT;
		*ret_value = child;
		return true;
	}
	diag_error(
		b->dr->reader.diag, &node->pos,
		"%smatch.%s %s: expected text, or one of exact, prefix, suffix, regex and present",
		b->dr->reader.object, route_part_name(t->where), node->key);
	return false;
}

static bool build_test(struct route_build *b, const struct tree *node, struct route_test *t)
{
	const struct tree *value = node;
	struct regex_error error;
	struct slice text;
	int err;

	t->kind = TEST_EXACT;
	if (node->kind != TREE_SCALAR && !build_test_kind(b, node, t, &value))
		return false;
	t->name = route_mem_copy(&b->set->mem, (struct slice){node->key, strlen(node->key)});
	if (!t->name.ptr)
		return route_build_good(b, -ENOMEM);
	for (char *c = (char *)t->name.ptr; t->where == ROUTE_HEADER && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (t->kind == TEST_PRESENT || t->kind == TEST_ABSENT)
		return true;
	if (!route_build_text(b, value, "text", &text))
		return false;
	t->value = route_mem_copy(&b->set->mem, text);
	if (!t->value.ptr)
		return route_build_good(b, -ENOMEM);
	if (t->kind != TEST_REGEX)
		return true;
	err = regex_compile(&b->set->mem, t->value, &t->regex, &error);
	if (err == -EINVAL)
		route_error_at(&b->scope, &value->pos, "regular expression", t->value, error.offset,
			       "%s", error.text);
	return route_build_good(b, err);
}

static bool build_tests(struct route_build *b, const struct match_draft *md, struct route_match *m)
{
	const struct tree *const maps[] = {md->headers, md->parameters, md->cookies};
	static const char *const names[] = {"header", "query", "cookie"};
	struct route_test *list;
	size_t count = 0;
	bool good = true;

	for (size_t i = 0; i < 3; i++)
		count += maps[i] ? maps[i]->count : 0;
	list = route_build_alloc(b, count, sizeof(*list));
	if (!list)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (maps[i] && (maps[i]->kind != TREE_MAPPING || !maps[i]->count)) {
			read_expected(&b->dr->reader, key(names[i]), maps[i], key(names[i])->form);
			good = false;
			continue;
		}
		for (size_t k = 0; maps[i] && k < maps[i]->count; k++) {
			list[m->test_count].where = (enum route_part)(ROUTE_HEADER + i);
			good = build_test(b, maps[i]->children[k], &list[m->test_count]) && good;
			m->test_count++;
		}
	}
	m->tests = list;
	return good;
}

static bool build_expr(struct route_build *b, const struct tree *node, struct route_match *m)
{
	struct slice text;

	if (!node)
		return true;
	if (!route_build_text(b, node, "an expression", &text))
		return false;
	m->expr_text = route_mem_copy(&b->set->mem, text);
	if (!m->expr_text.ptr)
		return route_build_good(b, -ENOMEM);
	if (!route_build_good(b, expr_compile(&b->scope, m->expr_text, &node->pos, &m->expr)))
		return false;
	if (expr_type(m->expr) == EXPR_TRUTH)
		return true;
	diag_error(b->dr->reader.diag, &node->pos, "%sthe expression is %s, not true or false",
		   b->dr->reader.object, expr_type_name(expr_type(m->expr)));
	return false;
}

bool route_build_match(struct route_build *b, const struct match_draft *md, struct route_match *m)
{
	size_t errors = b->dr->reader.diag->errors;
	bool good;

	m->host_count = build_hosts(b, key("host"), md->hosts, &m->hosts);
	m->sni_count = build_hosts(b, key("sni"), md->snis, &m->snis);
	m->method_count = build_methods(b, md->methods, &m->methods);
	build_sources(b, md->sources, &m->sources);
	good = build_path(b, &md->path, &m->path);
	good = build_tests(b, md, m) && good;
	good = build_expr(b, md->expr, m) && good;
	b->scope.captures = m->path.names;
	b->scope.capture_count = m->path.name_count;
	return good && !b->dr->reader.out_of_memory && b->dr->reader.diag->errors == errors;
}
