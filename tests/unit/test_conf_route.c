/* SPDX-License-Identifier: BSD-2-Clause */
/* conf: routes of http services: read, built and checked. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/diff.h"
#include "conf/route_set.h"
#include "tests/unit/route_util.h"

#define POOLS                                                                                      \
	"pools:\n"                                                                                 \
	"  p: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}\n"                   \
	"  q: {health: none, backends: [{name: a, address: \"10.0.0.2:80\"}]}\n"
/* The routes begin in line 6; p is the service's pool. */
#define SERVICE(rest)                                                                              \
	POOLS "services:\n"                                                                        \
	      "  s: {listen: 10.9.0.1:80/tcp, mode: http, pool: p, " rest "}\n"
#define ROUTES(rest) SERVICE("routes: [\n" rest "]")

static const char whole[] = SERVICE(
	"variables: {tenant: 'header[\"x-tenant\"]', part: 'hash(tenant) % 100'}, routes: [\n"
	"{name: api, match: {host: [api.example.com, '*.api.example.com'], path: {prefix: /v2/}}, "
	" pool: q, timeout: 5s, rewrite: {prefix: /}},\n"
	"{match: {expr: 'tenant == \"A\" && part >= 0'}, split: [{pool: p, weight: 95}, {pool: q, "
	" weight: 5}], split_by: 'cookie[\"id\"]'},\n"
	"{name: net, match: {path: {template: '/vpc/{region}/nets/{id:int}'}, method: [GET, "
	"HEAD]}, "
	" pool: q, rewrite: {template: '/nets/${id}'}, "
	" request_headers: {set: {X-Region: '${region}'}, add: {x-a: '1'}, remove: [x-b, x-c]}, "
	" response_headers: {set: {x-id: '${id}'}}},\n"
	"{name: old, match: {path: {regex: '/old/(.*)'}, source: 10.0.0.0/8, sni: '*.x.com'}, "
	" redirect: {to: 'https://${host}/new/${1}', status: 308}},\n"
	"{name: gray, match: {header: {X-Gray: v3, x-on: {present: true}}, "
	" query: {q: {prefix: a}, r: {suffix: z}}, cookie: {c: {regex: '[0-9]+'}, "
	" d: {present: false}}}, pool: q, rewrite: {regex: '/(a)/(.*)', to: '/${2}'}},\n"
	"{name: gone, match: {path: {exact: /gone}}, respond: {status: 410, body: 'no more'}}]");

static const struct route *find(struct world *w, const struct snapshot *snap,
				const struct request *r, struct route_found *found,
				struct route_input *in)
{
	*in = world_input(w, r);
	route_table_find(&snap->services[0].routes->table, in, found);
	return found->route;
}

static void check_text(const struct template *t, const struct route_input *in,
		       const struct route_found *found, const char *want)
{
	char buf[128];
	size_t len = 0;

	assert_non_null(t);
	assert_int_equal(template_render(t, in, &found->captures, buf, sizeof(buf), &len), 0);
	assert_true(slice_eq((struct slice){buf, len}, text_slice(want)));
}

static void check_path(const struct rewrite *r, const struct route_input *in,
		       const struct route_found *found, const char *want)
{
	char buf[128];
	size_t len = 0;

	assert_non_null(r);
	assert_int_equal(rewrite_path(r, in, &found->captures, buf, sizeof(buf), &len), 0);
	assert_true(slice_eq((struct slice){buf, len}, text_slice(want)));
}

static void check_backends(struct world *w, const struct snapshot *snap)
{
	static const struct request api = {.host = "x.api.example.com", .path = "/v2/items"};
	static const struct request tenant = {.fields = {{"X-Tenant", "A"}}};
	static const struct request net = {.path = "/vpc/eu/nets/42", .method = "HEAD"};
	const struct route_action *a;
	struct route_found found;
	struct route_input in;

	assert_string_equal(find(w, snap, &api, &found, &in)->name, "api");
	a = found.route->action;
	assert_int_equal(a->answer, ROUTE_TO_POOL);
	assert_int_equal(a->pool_count, 1);
	assert_string_equal(a->pools[0]->name, "q");
	assert_int_equal(a->timeout_ms, 5000);
	check_path(a->rewrite, &in, &found, "/items");

	assert_null(find(w, snap, &tenant, &found, &in)->name);
	a = found.route->action;
	assert_int_equal(a->pool_count, 2);
	assert_int_equal(a->weights[0], 95);
	assert_string_equal(a->pools[1]->name, "q");
	assert_int_equal(expr_type(a->split_by), EXPR_TEXT);
	assert_null(a->rewrite);
	assert_int_equal(a->timeout_ms, 0);

	assert_string_equal(find(w, snap, &net, &found, &in)->name, "net");
	a = found.route->action;
	check_path(a->rewrite, &in, &found, "/nets/42");
	assert_int_equal(a->request_edits.count, 4);
	assert_int_equal(a->request_edits.items[0].op, HEADER_REMOVE);
	assert_int_equal(a->request_edits.items[2].op, HEADER_SET);
	assert_true(slice_eq(a->request_edits.items[2].name, SLICE("x-region")));
	check_text(a->request_edits.items[2].value, &in, &found, "eu");
	assert_int_equal(a->request_edits.items[3].op, HEADER_ADD);
	check_text(a->response_edits.items[0].value, &in, &found, "42");
}

static void check_others(struct world *w, const struct snapshot *snap)
{
	static const struct request old = {
		.host = "h.com", .path = "/old/a/b", .source = "10.1.1.1", .sni = "a.x.com"};
	static const struct request gone = {.path = "/gone"}, other = {.path = "/old/a"};
	static const struct request gray = {
		.path = "/a/b",
		.query = "q=abc&r=yz",
		.fields = {{"x-gray", "v3"}, {"x-on", ""}, {"cookie", "c=12"}}};
	const struct route_action *a;
	struct route_found found;
	struct route_input in;

	assert_string_equal(find(w, snap, &old, &found, &in)->name, "old");
	a = found.route->action;
	assert_int_equal(a->answer, ROUTE_REDIRECT);
	assert_int_equal(a->status, 308);
	check_text(a->location, &in, &found, "https://h.com/new/a/b");

	assert_string_equal(find(w, snap, &gray, &found, &in)->name, "gray");
	a = found.route->action;
	check_path(a->rewrite, &in, &found, "/b");

	assert_string_equal(find(w, snap, &gone, &found, &in)->name, "gone");
	a = found.route->action;
	assert_int_equal(a->answer, ROUTE_RESPOND);
	assert_int_equal(a->status, 410);
	assert_true(slice_eq(a->body, SLICE("no more")));
	assert_string_equal(a->content_type, "text/plain");
	assert_null(find(w, snap, &other, &found, &in));
}

static void test_a_whole_service(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, whole);
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(snap->services[0].routes->table.count, 6);
	assert_int_equal(snap->services[0].routes->variable_count, 2);
	assert_true(service_has_pool(&snap->services[0], snapshot_pool(snap, "q")));
	check_backends(&w, snap);
	check_others(&w, snap);
	world_deinit(&w);
	snapshot_unref(snap);
	runtime_free(rt);
}

static void test_without_routes(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap =
		build_good(rt, "pools: {p: {health: none, backends: [{name: a, "
			       "address: \"10.0.0.1:80\"}]}}\n"
			       "services: {s: {listen: 10.9.0.1:80/tcp, mode: http, "
			       "pool: p}}\n");

	(void)state;
	assert_null(snap->services[0].routes);
	snapshot_unref(snap);
	runtime_free(rt);
}

/* A change of one letter is a change of the routes, and of nothing else. */
static void test_differences(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *a = build_good(rt, ROUTES("{match: {host: a.com}, pool: q}"));
	struct snapshot *b = build_good(rt, ROUTES("{match: {host: b.com}, pool: q}"));
	struct snapshot *same = build_good(rt, ROUTES("{match: {host: a.com}, pool: q}"));
	struct change_list list;

	(void)state;
	assert_int_equal(diff_snapshots(a, b, &list), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].field, "routes");
	assert_memory_equal(list.items[0].old_text, "1 (", 3);
	assert_false(list.items[0].restart);
	change_list_deinit(&list);
	assert_int_equal(diff_snapshots(a, same, &list), 0);
	assert_int_equal(list.count, 0);
	change_list_deinit(&list);
	snapshot_unref(a);
	snapshot_unref(b);
	snapshot_unref(same);
	runtime_free(rt);
}

struct row {
	const char *text, *want; /* all that is said; built all the same where it is a warning */
};

#define Q	    "pool: q"
#define SAYS(place) "t:6:" place ": error: service s: route 1: "

static const struct row rows[] = {
	{ROUTES("{match: {expr: 'pth == \"/\"'}, " Q "}"),
	 SAYS("16") "expression, column 1: unknown name \"pth\"; did you mean \"path\"?\n"},
	{ROUTES("{name: x, match: {expr: 'path'}, " Q "}"),
	 "t:6:25: error: service s: route x: the expression is text, not true or false\n"},
	{ROUTES("{match: {path: {prefix: v2}}, " Q "}"),
	 SAYS("25") "path, column 1: a path begins with \"/\"\n"},
	{ROUTES("{match: {path: {prefix: /a, exact: /b}}, " Q "}"),
	 SAYS("17") "match.path: there is exact already, expected one of them\n"},
	{ROUTES("{match: {path: {regex: '('}}, " Q "}"),
	 SAYS("24") "path, column 2: missing closing parenthesis\n"},
	{ROUTES("{match: {path: {glob: '*'}}, " Q "}"),
	 SAYS("17") "match.path: unknown key \"glob\"; known: exact, prefix, template, regex\n"},
	{ROUTES("{match: {hots: a}, " Q "}"),
	 SAYS("10") "match: unknown key \"hots\"; did you mean \"host\"?\n"},
	{ROUTES("{match: {host: 'a b'}, " Q "}"),
	 SAYS("16") "host: expected a host name, or a suffix such as *.example.com, found \"a "
		    "b\"\n"},
	{ROUTES("{match: {host: []}, " Q "}"),
	 SAYS("16") "host: expected a host name, or a suffix such as *.example.com, found an empty "
		    "list\n"},
	{ROUTES("{match: {method: get}, " Q "}"),
	 SAYS("18") "method: expected a method in upper case, such as GET, found \"get\"\n"},
	{ROUTES("{match: {source: 10.0.0.1/8}, " Q "}"),
	 SAYS("18") "source: expected an address or prefix without host bits, such as 10.0.0.0/8, "
		    "found \"10.0.0.1/8\"\n"},
	{ROUTES("{match: {header: {x: {glob: a}}}, " Q "}"),
	 SAYS("22") "match.header x: expected text, or one of exact, prefix, suffix, regex and "
		    "present\n"},
	{ROUTES("{match: {cookie: {x: {regex: '['}}}, " Q "}"),
	 SAYS("30") "regular expression, column 2: missing terminating ] for character class\n"},
	{ROUTES("{match: {host: a}}"),
	 SAYS("1") "expected one of pool, split, redirect and respond\n"},
	{ROUTES("{pool: q, respond: {status: 404}}"),
	 SAYS("1") "expected one of pool, split, redirect and respond\n"},
	{ROUTES("{pool: qq}"), SAYS("8") "pool \"qq\" is not there, add it to pools\n"},
	{ROUTES("{pool: q, pol: p}"), SAYS("11") "unknown key \"pol\"; did you mean \"pool\"?\n"},
	{ROUTES("{split: [{pool: q, weight: 0}]}"),
	 SAYS("9") "split: the weights are 1 to 4294967295 in all\n"},
	{ROUTES("{split: [{weight: 1}]}"),
	 SAYS("10") "split.pool is missing, expected the name of a pool\n"},
	{ROUTES("{pool: q, split_by: path}"), SAYS("21") "split_by is for split\n"},
	{ROUTES("{split: [{pool: q}], split_by: 'true'}"),
	 SAYS("32") "split_by is a text, a number or an address\n"},
	{ROUTES("{redirect: {to: '//x'}}"),
	 SAYS("17") "template, column 1: this begins with one \"/\", http://, https:// or "
		    "${scheme}://\n"},
	{ROUTES("{redirect: {to: /x, status: 304}}"),
	 SAYS("29") "redirect.status: expected 301, 302, 303, 307 or 308, found \"304\"\n"},
	{ROUTES("{pool: q, early_data: yes}"),
	 SAYS("23") "early_data: expected service, on or off, found \"yes\"\n"},
	{ROUTES("{pool: q, early_data: on}"),
	 "t:5:53: warning: service s: early_data: on has no effect in a service without tls\n"},
	{ROUTES("{redirect: {to: /x}, timeout: 1s}"),
	 SAYS("31") "timeout is for requests that a backend gets\n"},
	{ROUTES("{redirect: {to: /x}, fallback: q}"),
	 SAYS("32") "fallback is for requests that a backend gets\n"},
	{ROUTES("{pool: q, fallback: z}"), SAYS("21") "pool \"z\" is not there, add it to pools\n"},
	{ROUTES("{pool: q, fault: {delay_percent: 1}}"),
	 SAYS("18") "fault: expected delay or abort\n" SAYS("34") "delay_percent is for delay\n"},
	{ROUTES("{pool: q, fault: {delay: 1s, abort_percent: 1}}"),
	 SAYS("45") "abort_percent is for abort\n"},
	{ROUTES("{pool: q, fault: {abort: 200}}"),
	 SAYS("26") "fault.abort: expected a number from 400 to 599, found \"200\"\n"},
	{ROUTES("{pool: q, mirror: {percent: 1}}"),
	 SAYS("11") "mirror.pool is missing, expected the name of a pool\n"},
	{ROUTES("{pool: q, mirror: {pool: z}}"),
	 SAYS("26") "pool \"z\" is not there, add it to pools\n"},
	{ROUTES("{pool: q, limits: {}}"),
	 SAYS("11") "limits.body is missing, expected a size from 0 to 1TiB\n"},
	{ROUTES("{respond: {body: x}}"),
	 SAYS("2") "respond.status is missing, expected a number from 200 to 599\n"},
	{ROUTES("{respond: {status: 204, body: x}}"),
	 SAYS("1") "respond.body: a response with this status has none\n"},
	{ROUTES("{pool: q, rewrite: {prefix: /x}}"),
	 "t:6:29: error: service s: route 1: only a route by prefix or exact path has what a "
	 "prefix "
	 "could replace\n"},
	{ROUTES("{pool: q, rewrite: {regex: /x}}"),
	 SAYS("20") "rewrite: expected prefix, template, or regex and to\n"},
	{ROUTES("{pool: q, rewrite: {template: '/${id}'}}"),
	 SAYS("31") "template, column 4: unknown name \"id\"\n"},
	{ROUTES("{pool: q, request_headers: {set: {host: x}}}"),
	 SAYS("41") "host is not for rules: the proxy writes it\n"},
	{ROUTES("{pool: q, request_headers: {set: [a]}}"),
	 SAYS("34") "set: expected a mapping of names to templates\n"},
	{ROUTES("{name: a, match: {host: x}, pool: q},\n{name: a, pool: q}"),
	 "t:7:1: error: service s: route a is already there (t:6:1)\n"},
	{ROUTES("{pool: q},\n{match: {host: x}, pool: q}"),
	 "t:7:1: warning: route number 2 is never used: route number 1 (line 6) takes all that it "
	 "would\n"},
	{ROUTES("a"),
	 "t:6:1: error: service s: route 1: expected a mapping of keys to values, found "
	 "\"a\"\n"},
	{SERVICE("routes: {pool: q}"), "t:5:61: error: service s: routes: expected a list of "
				       "mappings {match: {...}, pool: NAME}, "
				       "found a mapping\n"},
	{SERVICE("variables: {path: method}, routes: [{pool: q}]"),
	 "t:5:65: error: service s: the name of a variable is of letters, digits and \"_\", a "
	 "letter "
	 "first, 32 at most, and is no word of expressions\n"},
	{SERVICE("variables: {a: b}, routes: [{pool: q}]"),
	 "t:5:68: error: service s: expression, column 1: unknown name \"b\"\n"},
};

static void test_what_is_said(void **state)
{
	char said[2048];
	unsigned bad = 0;
	bool built;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *warning;
		bool is_error = strstr(rows[i].want, "error");

		report(rows[i].text, said, sizeof(said), &built);
		/* Where q is not used because its route is wrong, that is said too. */
		warning = strstr(said, "t:3:");
		if (warning)
			memmove((char *)warning, strchr(warning, '\n') + 1,
				strlen(strchr(warning, '\n') + 1) + 1);
		if (strcmp(said, rows[i].want) != 0)
			print_error("row %zu:\n%snot\n%s", i, said, rows[i].want);
		bad += strcmp(said, rows[i].want) != 0 || built == is_error;
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_service),
		cmocka_unit_test(test_without_routes),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_what_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
