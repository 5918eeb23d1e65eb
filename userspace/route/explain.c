/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a route is not the one, in words: see match.h, and route_table_explain() in table.h. */
#include "route/match.h"
#include "route/table.h"

#define SHOWN_MAX 60 /* bytes of one value */
#define ITEMS_MAX 5  /* of one list */

const char *route_part_name(enum route_part part)
{
	static const char *const names[] = {
		[ROUTE_HOST] = "host",	   [ROUTE_PATH] = "path",     [ROUTE_METHOD] = "method",
		[ROUTE_SNI] = "sni",	   [ROUTE_SOURCE] = "source", [ROUTE_HEADER] = "header",
		[ROUTE_QUERY] = "query",   [ROUTE_COOKIE] = "cookie", [ROUTE_EXPR] = "expr",
		[ROUTE_ALL] = "all parts",
	};

	return names[part];
}

/* What a client sent may hold anything. */
static void show(struct strbuf *b, struct slice s)
{
	strbuf_add(b, "\"");
	for (size_t i = 0; i < s.len && i < SHOWN_MAX; i++) {
		char c = s.ptr[i] >= ' ' && s.ptr[i] <= '~' ? s.ptr[i] : '?';

		strbuf_add_bytes(b, &c, 1);
	}
	strbuf_add(b, s.len > SHOWN_MAX ? "...\"" : "\"");
}

static void separate(struct strbuf *b, size_t i, size_t count)
{
	if (i)
		strbuf_add(b, i + 1 == count || i == ITEMS_MAX ? " or " : ", ");
}

static void list_hosts(struct strbuf *b, const struct host_pattern *patterns, size_t count)
{
	for (size_t i = 0; i < count && i <= ITEMS_MAX; i++) {
		separate(b, i, count);
		if (i == ITEMS_MAX)
			strbuf_printf(b, "one of %zu more", count - i);
		else
			strbuf_printf(b, "%s%.*s", patterns[i].is_suffix ? "*" : "",
				      (int)patterns[i].text.len, patterns[i].text.ptr);
	}
}

static void list_methods(struct strbuf *b, const struct route_match *m)
{
	for (size_t i = 0; i < m->method_count && i <= ITEMS_MAX; i++) {
		separate(b, i, m->method_count);
		if (i == ITEMS_MAX)
			strbuf_printf(b, "one of %zu more", m->method_count - i);
		else
			strbuf_add_bytes(b, m->methods[i].ptr, m->methods[i].len);
	}
}

static void list_prefixes(struct strbuf *b, const struct route_prefixes *p)
{
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < p->count && i <= ITEMS_MAX; i++) {
		separate(b, i, p->count);
		if (i == ITEMS_MAX)
			strbuf_printf(b, "one of %zu more", p->count - i);
		else
			strbuf_printf(b, "%s/%u",
				      addr_format(&p->items[i].addr, text, sizeof(text)),
				      p->items[i].len);
	}
}

static void explain_path(const struct path_rule *r, struct slice path, struct strbuf *b)
{
	static const char *const kinds[] = {
		[PATH_ANY] = "anything",
		[PATH_EXACT] = "",
		[PATH_PREFIX] = "below ",
		[PATH_TEMPLATE] = "of the form ",
		[PATH_REGEX] = "by the regular expression ",
	};

	strbuf_add(b, "path ");
	show(b, path);
	strbuf_printf(b, " is not %s", kinds[r->kind]);
	show(b, r->text);
}

static void explain_test(const struct route_test *t, const struct route_input *in, struct strbuf *b)
{
	static const char *const asked[] = {
		[TEST_PRESENT] = "",
		[TEST_ABSENT] = "",
		[TEST_EXACT] = "",
		[TEST_PREFIX] = "something that begins with ",
		[TEST_SUFFIX] = "something that ends with ",
		[TEST_REGEX] = "by the regular expression ",
	};
	struct slice value = SLICE("");
	bool found = t->where == ROUTE_HEADER  ? route_header(in, t->name, &value)
		     : t->where == ROUTE_QUERY ? route_parameter(in, t->name, &value)
					       : route_cookie(in, t->name, &value);

	strbuf_printf(b, "%s %.*s", route_part_name(t->where), (int)t->name.len, t->name.ptr);
	if (!found) {
		strbuf_add(b, " is not there");
		return;
	}
	strbuf_add(b, " is ");
	show(b, value);
	if (t->kind == TEST_ABSENT) {
		strbuf_add(b, ", and should not be there");
		return;
	}
	strbuf_printf(b, ", not %s", asked[t->kind]);
	show(b, t->value);
}

static void explain_source(const struct route_match *m, const struct route_input *in,
			   struct strbuf *b)
{
	char text[ADDR_STRLEN];

	strbuf_printf(b, "source %s is not in ",
		      in->source.family ? addr_format(&in->source, text, sizeof(text)) : "unknown");
	list_prefixes(b, &m->sources);
}

void route_match_explain(const struct route_match *m, const struct route_input *in,
			 enum route_part part, size_t test, struct strbuf *b)
{
	switch (part) {
	case ROUTE_HOST:
	case ROUTE_SNI:
		strbuf_printf(b, "%s ", route_part_name(part));
		show(b, part == ROUTE_HOST ? in->host : in->sni);
		strbuf_add(b, " is not ");
		if (part == ROUTE_HOST)
			list_hosts(b, m->hosts, m->host_count);
		else
			list_hosts(b, m->snis, m->sni_count);
		break;
	case ROUTE_PATH: explain_path(&m->path, in->path, b); break;
	case ROUTE_METHOD:
		strbuf_printf(b, "method %.*s is not ", (int)in->method.len, in->method.ptr);
		list_methods(b, m);
		break;
	case ROUTE_SOURCE: explain_source(m, in, b); break;
	case ROUTE_HEADER:
	case ROUTE_QUERY:
	case ROUTE_COOKIE: explain_test(&m->tests[test], in, b); break;
	case ROUTE_EXPR:
		strbuf_add(b, "the expression is false: ");
		strbuf_add_bytes(b, m->expr_text.ptr, m->expr_text.len);
		break;
	case ROUTE_ALL: strbuf_add(b, "all of it holds"); break;
	}
}

const struct route *route_table_explain(const struct route_table *t, const struct route_input *in,
					route_verdict_cb cb, void *ctx)
{
	for (size_t i = 0; i < t->count; i++) {
		struct route_verdict v = {.route = &t->routes[i]};

		v.fails = route_match_fails(&v.route->match, in, &v.test);
		cb(ctx, &v);
		if (v.fails == ROUTE_ALL)
			return v.route;
	}
	return NULL;
}
