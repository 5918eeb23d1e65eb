/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes from strings, for the tests of route/. What a test writes wrongly ends it. */
#ifndef TESTS_ROUTE_RULES_H
#define TESTS_ROUTE_RULES_H

#include <ctype.h>

#include "route/table.h"
#include "tests/unit/route_util.h"

/* One route: lists are separated by blanks, tests are
 * "header NAME", "query NAME=VALUE", "cookie NAME^PREFIX", "header NAME$SUFFIX", "header NAME~REGEX",
 * "header !NAME". */
struct rule {
	const char *name, *hosts;
	enum path_kind kind;
	const char *path, *methods, *snis, *sources, *expr;
	const char *tests[4];
};

/* The next word of *rest; false: none. */
static inline bool next_word(const char **rest, struct slice *ret_word)
{
	const char *start;

	if (!*rest)
		return false;
	while (**rest == ' ')
		(*rest)++;
	start = *rest;
	while (**rest && **rest != ' ')
		(*rest)++;
	*ret_word = (struct slice){start, (size_t)(*rest - start)};
	return ret_word->len;
}

static inline size_t make_hosts(struct world *w, const char *text, const struct host_pattern **ret)
{
	struct host_pattern *list = arena_array(&w->mem.arena, 8, sizeof(*list));
	struct slice word;
	size_t n = 0;

	*ret = list;
	while (next_word(&text, &word))
		assert_int_equal(host_pattern_parse(&w->mem, word, &list[n++]), 0);
	return n;
}

static inline void make_sources(struct world *w, const char *text, struct route_prefixes *ret)
{
	struct route_prefix *list = arena_array(&w->mem.arena, 8, sizeof(*list));
	struct slice word;

	*ret = (struct route_prefixes){list, 0};
	while (next_word(&text, &word)) {
		char *copy = arena_alloc(&w->mem.arena, word.len + 1);
		unsigned len;

		memcpy(copy, word.ptr, word.len);
		assert_int_equal(addr_parse_prefix(copy, true, &list[ret->count].addr, &len), 0);
		list[ret->count++].len = (uint8_t)len;
	}
}

static inline void make_test(struct world *w, const char *text, struct route_test *t)
{
	static const char *const wheres[] = {"header ", "query ", "cookie "};
	static const char kinds[] = "=^$~";
	static const enum test_kind kind_of[] = {TEST_EXACT, TEST_PREFIX, TEST_SUFFIX, TEST_REGEX};
	struct regex_error error;
	const char *sign;

	for (size_t i = 0; i < 3; i++)
		if (!strncmp(text, wheres[i], strlen(wheres[i]))) {
			t->where = (enum route_part)(ROUTE_HEADER + i);
			text += strlen(wheres[i]);
		}
	t->kind = *text == '!' ? TEST_ABSENT : TEST_PRESENT;
	text += *text == '!';
	sign = strpbrk(text, kinds);
	t->name = (struct slice){text, sign ? (size_t)(sign - text) : strlen(text)};
	if (!sign)
		return;
	t->kind = kind_of[strchr(kinds, *sign) - kinds];
	t->value = text_slice(sign + 1);
	if (t->kind == TEST_REGEX)
		assert_int_equal(regex_compile(&w->mem, t->value, &t->regex, &error), 0);
}

static inline void make_match(struct world *w, const struct rule *r, struct route_match *m)
{
	struct slice *methods = arena_array(&w->mem.arena, 8, sizeof(*methods));
	struct route_test *tests = arena_array(&w->mem.arena, 4, sizeof(*tests));
	const char *rest = r->methods;

	m->host_count = make_hosts(w, r->hosts, &m->hosts);
	m->sni_count = make_hosts(w, r->snis, &m->snis);
	make_sources(w, r->sources, &m->sources);
	if (path_rule_compile(&w->scope, r->kind, text_slice(r->path), &world_pos, &m->path))
		fail_msg("%s: %s", r->path, world_message(w));
	m->methods = methods;
	while (next_word(&rest, &methods[m->method_count]))
		m->method_count++;
	m->tests = tests;
	while (m->test_count < 4 && r->tests[m->test_count]) {
		make_test(w, r->tests[m->test_count], &tests[m->test_count]);
		m->test_count++;
	}
	if (!r->expr)
		return;
	m->expr_text = text_slice(r->expr);
	if (expr_compile(&w->scope, m->expr_text, &world_pos, &m->expr))
		fail_msg("%s: %s", r->expr, world_message(w));
}

/* The names, if they have any, stand for routes. Lines count from 1. */
static inline struct route_table make_table(struct world *w, const struct rule *rules, size_t count)
{
	struct route *routes = arena_array(&w->mem.arena, count, sizeof(*routes));
	struct route_table t;

	for (size_t i = 0; i < count; i++) {
		routes[i].name = rules[i].name;
		routes[i].pos = (struct pos){"rules", (int)i + 1, 1};
		make_match(w, &rules[i], &routes[i].match);
	}
	assert_int_equal(route_table_build(&w->mem, routes, count, &t), 0);
	return t;
}

#endif
