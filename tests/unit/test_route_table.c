/* SPDX-License-Identifier: BSD-2-Clause */
/* Route tables: the first that fits, which are hidden, what is told of each; and on random tables
 * and requests the index finds what a scan finds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/route_rules.h"

static const struct rule shop[] = {
	{.name = "admin",
	 .hosts = "shop.com",
	 .kind = PATH_PREFIX,
	 .path = "/admin",
	 .sources = "10.0.0.0/8"},
	{.name = "deny", .hosts = "shop.com", .kind = PATH_PREFIX, .path = "/admin"},
	{.name = "item",
	 .hosts = "shop.com *.shop.com",
	 .kind = PATH_TEMPLATE,
	 .path = "/items/{id:int}"},
	{.name = "items", .hosts = "shop.com", .kind = PATH_PREFIX, .path = "/items"},
	{.name = "php", .kind = PATH_REGEX, .path = ".*\\.php"},
	{.name = "beta", .hosts = "*.shop.com", .tests = {"cookie beta=yes"}},
	{.name = "deep", .hosts = "*.eu.shop.com"},
	{.name = "sub", .hosts = "*.shop.com"},
	{.name = "health", .kind = PATH_EXACT, .path = "/healthz"},
	{.name = "post", .methods = "POST"},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_first_match(void **state)
{
	static const struct {
		struct request request;
		const char *want; /* NULL: none */
	} rows[] = {
		{{.host = "shop.com", .path = "/admin/x", .source = "10.0.0.1"}, "admin"},
		{{.host = "shop.com", .path = "/admin/x", .source = "192.0.2.1"}, "deny"},
		{{.host = "shop.com", .path = "/administrator"}, NULL},
		{{.host = "shop.com", .path = "/items/42"}, "item"},
		{{.host = "shop.com", .path = "/items/x"}, "items"},
		{{.host = "shop.com", .path = "/items"}, "items"},
		{{.host = "a.shop.com", .path = "/items/42"}, "item"},
		{{.host = "a.shop.com", .path = "/items/x"}, "sub"},
		{{.host = "a.shop.com", .path = "/x.php"}, "php"},
		{{.host = "shop.com", .path = "/items/x.php"}, "items"},
		{{.host = "a.shop.com", .fields = {{"cookie", "beta=yes"}}}, "beta"},
		{{.host = "a.eu.shop.com"}, "deep"},
		{{.host = "eu.shop.com"}, "sub"},
		{{.host = ".shop.com"}, NULL},
		{{.host = "other.com", .path = "/healthz"}, "health"},
		{{.host = "", .path = "/healthz"}, "health"},
		{{.host = "other.com", .path = "/healthz/"}, NULL},
		{{.host = "a.shop.com", .path = "/healthz"}, "sub"},
		{{.host = "other.com", .method = "POST"}, "post"},
		{{.host = "other.com"}, NULL},
		{{.host = "", .path = ""}, NULL},
	};
	struct route_found found, scanned;
	struct route_table t;
	struct world w;

	(void)state;
	world_init(&w);
	t = make_table(&w, shop, COUNT(shop));
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct route_input in = world_input(&w, &rows[i].request);

		route_table_find(&t, &in, &found);
		route_table_scan(&t, &in, &scanned);
		assert_ptr_equal(found.route, scanned.route);
		if (!rows[i].want)
			assert_null(found.route);
		else if (!found.route || strcmp(found.route->name, rows[i].want) != 0)
			fail_msg("row %zu: %s, not %s", i, found.route ? found.route->name : "none",
				 rows[i].want);
	}
	world_deinit(&w);
}

static void test_captures_and_giving_up(void **state)
{
	static const struct rule rules[] = {
		{.name = "slow", .kind = PATH_REGEX, .path = "/(a+)+[bc]"},
		{.name = "id", .kind = PATH_TEMPLATE, .path = "/{kind}/{id:int}"},
		{.name = "rest", .kind = PATH_PREFIX, .path = "/"},
	};
	char path[256] = "/x/42";
	struct request r = {.path = path};
	struct route_found found;
	struct route_input in;
	struct route_table t;
	struct world w;

	(void)state;
	world_init(&w);
	t = make_table(&w, rules, COUNT(rules));
	in = world_input(&w, &r);
	route_table_find(&t, &in, &found);
	assert_string_equal(found.route->name, "id");
	assert_int_equal(found.captures.count, 3);
	assert_true(slice_eq(found.captures.values[0], SLICE("/x/42")));
	assert_true(slice_eq(found.captures.values[1], SLICE("x")));
	assert_true(slice_eq(found.captures.values[2], SLICE("42")));
	assert_false(found.gave_up);

	memset(path + 1, 'a', sizeof(path) - 2);
	in = world_input(&w, &r);
	route_table_find(&t, &in, &found);
	assert_string_equal(found.route->name, "rest");
	assert_int_equal(found.captures.count, 1);
	assert_true(found.gave_up);
	world_deinit(&w);
}

static void test_an_empty_table_and_a_full_one(void **state)
{
	struct request r = {.host = "a.b.c"};
	struct route_found found;
	struct route_input in;
	struct route_table t;
	struct world w;

	(void)state;
	world_init(&w);
	t = make_table(&w, NULL, 0);
	in = world_input(&w, &r);
	route_table_find(&t, &in, &found);
	assert_null(found.route);
	assert_int_equal(route_table_build(&w.mem, NULL, ROUTES_MAX + 1, &t), -E2BIG);
	world_deinit(&w);
}

static void test_hidden_routes(void **state)
{
	static const struct {
		struct rule by, hidden;
		bool hides;
	} rows[] = {
		{{.hosts = "a.com"}, {.hosts = "a.com"}, true},
		{{.name = "x"}, {.hosts = "a.com"}, true},
		{{.hosts = "a.com"}, {.name = "x"}, false},
		{{.hosts = "*.a.com"}, {.hosts = "b.a.com"}, true},
		{{.hosts = "*.a.com"}, {.hosts = "*.b.a.com"}, true},
		{{.hosts = "*.a.com"}, {.hosts = "*.a.com"}, true},
		{{.hosts = "*.a.com"}, {.hosts = "a.com"}, false},
		{{.hosts = "b.com *.a.com"}, {.hosts = "x.a.com b.com"}, true},
		{{.hosts = "b.com *.a.com"}, {.hosts = "x.a.com c.com"}, false},
		{{.kind = PATH_PREFIX, .path = "/a"}, {.kind = PATH_PREFIX, .path = "/a/b"}, true},
		{{.kind = PATH_PREFIX, .path = "/a/b"}, {.kind = PATH_PREFIX, .path = "/a"}, false},
		{{.kind = PATH_PREFIX, .path = "/a"},
		 {.hosts = "a.com", .kind = PATH_EXACT, .path = "/a/x", .methods = "GET"},
		 true},
		{{.kind = PATH_REGEX, .path = "/a.*"}, {.kind = PATH_EXACT, .path = "/ab"}, true},
		{{.methods = "GET POST"}, {.methods = "POST"}, true},
		{{.methods = "POST"}, {.methods = "GET POST"}, false},
		{{.methods = "POST"}, {.name = "x"}, false},
		{{.sources = "10.0.0.0/8 fd00::/8"}, {.sources = "10.1.0.0/16"}, true},
		{{.sources = "10.1.0.0/16"}, {.sources = "10.0.0.0/8"}, false},
		{{.sources = "10.0.0.0/8"}, {.name = "x"}, false},
		{{.name = "x"}, {.sources = "10.0.0.0/8"}, true},
		{{.snis = "*.a.com"}, {.snis = "b.a.com"}, true},
		{{.snis = "*.a.com"}, {.name = "x"}, false},
		{{.tests = {"header x"}}, {.tests = {"header x=1"}}, true},
		{{.tests = {"header x^a"}}, {.tests = {"header x^ab"}}, true},
		{{.tests = {"header x^ab"}}, {.tests = {"header x^a"}}, false},
		{{.tests = {"header x$b"}}, {.tests = {"header x$ab"}}, true},
		{{.tests = {"header x~[0-9]"}}, {.tests = {"header x=1"}}, true},
		{{.tests = {"header x~[0-9]"}}, {.tests = {"header x=a"}}, false},
		{{.tests = {"header x~a+"}}, {.tests = {"header x~a+"}}, true},
		{{.tests = {"header x~a+"}}, {.tests = {"header x^a"}}, false},
		{{.tests = {"header !x"}}, {.tests = {"header !x"}}, true},
		{{.tests = {"header !x"}}, {.tests = {"header x"}}, false},
		{{.tests = {"header x"}}, {.tests = {"header !x"}}, false},
		{{.tests = {"header x=1"}}, {.tests = {"query x=1"}}, false},
		{{.tests = {"header x=1"}}, {.tests = {"header x=1", "query y"}}, true},
		{{.tests = {"header x=1", "query y"}}, {.tests = {"header x=1"}}, false},
		{{.expr = "path == \"/\""}, {.expr = "path == \"/\""}, true},
		{{.expr = "path == \"/\""}, {.expr = "path == \"/a\""}, false},
		{{.expr = "path == \"/\""}, {.name = "x"}, false},
		{{.name = "x"}, {.expr = "path == \"/\""}, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rule rules[] = {rows[i].by, rows[i].hidden};
		struct route_table t;
		struct world w;

		world_init(&w);
		t = make_table(&w, rules, 2);
		assert_null(route_table_shadow(&t, 0, w.room));
		if ((route_table_shadow(&t, 1, w.room) == &t.routes[0]) != rows[i].hides)
			fail_msg("row %zu", i);
		world_deinit(&w);
	}
}

static void test_what_is_said_of_hidden_routes(void **state)
{
	static const struct rule rules[] = {
		{.name = "api", .kind = PATH_PREFIX, .path = "/api"},
		{.hosts = "a.com"},
		{.name = "v2", .kind = PATH_PREFIX, .path = "/api/v2", .hosts = "b.com"},
		{.name = "a-get", .hosts = "a.com", .methods = "GET"},
	};
	struct route_table t;
	struct world w;

	(void)state;
	world_init(&w);
	t = make_table(&w, rules, COUNT(rules));
	route_table_warn(&t, w.room, &w.diag);
	assert_int_equal(w.diag.count, 2);
	assert_int_equal(w.diag.errors, 0);
	assert_int_equal(w.diag.items[0].pos.line, 3);
	assert_string_equal(
		w.diag.items[0].text,
		"route \"v2\" is never used: route \"api\" (line 1) takes all that it would");
	assert_string_equal(
		w.diag.items[1].text,
		"route \"a-get\" is never used: route number 2 (line 2) takes all that it would");
	world_deinit(&w);
}

static void add_verdict(void *ctx, const struct route_verdict *v)
{
	struct strbuf *b = ctx;

	strbuf_printf(b, "%s:%s ", v->route->name, route_part_name(v->fails));
}

static void test_explain(void **state)
{
	struct request r = {.host = "shop.com", .path = "/items/x", .source = "192.0.2.1"};
	struct route_input in;
	struct route_table t;
	struct strbuf b;
	struct world w;

	(void)state;
	world_init(&w);
	strbuf_init(&b);
	t = make_table(&w, shop, COUNT(shop));
	in = world_input(&w, &r);
	assert_string_equal(route_table_explain(&t, &in, add_verdict, &b)->name, "items");
	assert_string_equal(b.text, "admin:path deny:path item:path items:all parts ");
	strbuf_deinit(&b);
	r.host = "other.com";
	in = world_input(&w, &r);
	assert_null(route_table_explain(&t, &in, add_verdict, &b));
	assert_string_equal(b.text, "admin:host deny:host item:host items:host php:path beta:host "
				    "deep:host sub:host health:path post:method ");
	strbuf_deinit(&b);
	world_deinit(&w);
}

/* ---- at random ---------------------------------------------------------------------------------- */

static uint64_t seed;

static unsigned draw(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

#define PICK(list) list[draw(COUNT(list))]

/* Few and short ones, so that they meet. */
static const char *const hosts[] = {
	"a.com", "b.a.com", "c.b.a.com", "com",		  "x.com",	     "xa.com",
	"*.com", "*.a.com", "*.b.a.com", "a.com *.x.com", "b.a.com *.a.com", "*.x.com b.a.com"};
static const char *const paths[] = {"/",     "/a",     "/a/",	     "/a/b",   "/ab",
				    "/ab/c", "/a/b/c", "/b",	     "/b/1",   "/abc",
				    "/a//b", "/a%20",  "/a/b/c/d/e", "/a/1/b", "/a/b/c/1"};
static const char *const templates[] = {"/{x}",	      "/a/{x}",	     "/a/{x:int}/b", "/{x}/b",
					"/{r:**}",    "/a/{r:**}",   "/a/b/{x}/{y}", "/a/{x}/",
					"/{x}/{y}/c", "/ab/{x:word}"};
static const char *const regexes[] = {"/a.*", ".*b", "/(a|b)/(.*)", "[^1]*", "/a/?"};
static const char *const tests[] = {"header x",	  "header x=1", "header !x",  "header x^1",
				    "header x$2", "query q=1",	"cookie c",   "query !q",
				    "header x~.", "query q^1",	"cookie c=2", "header y"};
static const char *const exprs[] = {"path.startsWith(\"/a\")", "method == \"GET\"",
				    "hash(path) % 2 == 0", "!has(header[\"x\"])"};

static struct rule random_rule(void)
{
	struct rule r = {0};

	if (draw(3))
		r.hosts = PICK(hosts);
	r.kind = draw(5);
	r.path = r.kind == PATH_TEMPLATE ? PICK(templates)
		 : r.kind == PATH_REGEX	 ? PICK(regexes)
					 : PICK(paths);
	if (!draw(4))
		r.methods = draw(2) ? "GET" : "GET POST";
	if (!draw(5))
		r.sources = draw(2) ? "10.0.0.0/8" : "10.0.0.0/9 fd00::/8";
	if (!draw(6))
		r.snis = draw(2) ? "*.com" : "a.com";
	if (!draw(3))
		r.tests[0] = PICK(tests);
	if (r.tests[0] && draw(2) && r.tests[0][0] == 'h')
		r.tests[1] = tests[draw(2) ? 5 : 9]; /* by where, as is asked for */
	if (!draw(6))
		r.expr = PICK(exprs);
	return r;
}

static struct request random_request(void)
{
	static const char *const request_hosts[] = {"a.com",  "b.a.com", "c.b.a.com",	"com",
						    "x.com",  "xa.com",	 "y.x.com",	"",
						    ".a.com", "a.com.",	 "d.c.b.a.com", "org"};
	static const char *const sources[] = {"10.1.1.1", "10.200.1.1", "fd00::1", "192.0.2.1"};
	static const char *const more[] = {"*",	      "",	"/abc/d", "/a/x",
					   "/ab/x-y", "/b/x/c", "/a/7/b"};
	struct request r = {.host = PICK(request_hosts)};
	unsigned n = 0;

	r.path = draw(3) ? PICK(paths) : PICK(more);
	r.method = draw(2) ? "GET" : "POST";
	r.source = PICK(sources);
	r.sni = draw(2) ? "a.com" : "b.a.com";
	r.query = draw(2) ? "q=1" : draw(2) ? "q=%31%32" : NULL;
	if (draw(2)) {
		r.fields[n].name = "X";
		r.fields[n++].value = draw(2) ? "1" : "12";
	}
	if (draw(2)) {
		r.fields[n].name = "cookie";
		r.fields[n++].value = draw(2) ? "c=1" : "c=2";
	}
	return r;
}

static void check_found(const struct route_table *t, const struct route_input *in, bool *used)
{
	struct route_found found, scanned;

	route_table_find(t, in, &found);
	route_table_scan(t, in, &scanned);
	if (found.route != scanned.route)
		fail_msg("host %.*s path %.*s: the index finds %td, a scan %td", (int)in->host.len,
			 in->host.ptr, (int)in->path.len, in->path.ptr,
			 found.route ? found.route - t->routes : -1,
			 scanned.route ? scanned.route - t->routes : -1);
	assert_int_equal(found.captures.count, scanned.captures.count);
	for (unsigned i = 0; i < found.captures.count; i++)
		assert_true(slice_eq(found.captures.values[i], scanned.captures.values[i]));
	if (found.route)
		used[found.route - t->routes] = true;
}

#define RULES_MAX 60

static void one_random_table(unsigned requests)
{
	size_t count = draw(RULES_MAX) + 1;
	struct rule rules[RULES_MAX];
	bool used[RULES_MAX] = {false};
	struct route_table t;
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < count; i++)
		rules[i] = random_rule();
	t = make_table(&w, rules, count);
	for (unsigned i = 0; i < requests; i++) {
		struct request r = random_request();
		struct route_input in = world_input(&w, &r);

		check_found(&t, &in, used);
	}
	for (size_t i = 0; i < count; i++)
		if (used[i] && route_table_shadow(&t, i, w.room))
			fail_msg("route %zu is said to be hidden, and was found", i);
	world_deinit(&w);
}

static void test_the_index_finds_what_a_scan_finds(void **state)
{
	const char *text = getenv("SHUNT_TEST_SEED");
	uint64_t first = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;

	(void)state;
	printf("SHUNT_TEST_SEED=%llu\n", (unsigned long long)first);
	seed = first | 1;
	for (unsigned i = 0; i < 400; i++)
		one_random_table(200);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_first_match),
		cmocka_unit_test(test_captures_and_giving_up),
		cmocka_unit_test(test_an_empty_table_and_a_full_one),
		cmocka_unit_test(test_hidden_routes),
		cmocka_unit_test(test_what_is_said_of_hidden_routes),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_the_index_finds_what_a_scan_finds),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
