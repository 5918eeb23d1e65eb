/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard from its words to its rows: what a document may say, what commands make of it, what
 * differs, and what the program reads. */
#include "tests/unit/conf_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "conf/diff.h"
#include "conf/edit_guard.h"
#include "l4/guard.h"

static struct runtime *rt;

static int make_runtime(void **state)
{
	(void)state;
	rt = runtime_new();
	return rt ? 0 : -1;
}

static int free_runtime(void **state)
{
	(void)state;
	runtime_free(rt);
	return 0;
}

/* A configuration without a fault: the guard of the node in lines 2 and on, those of two services
 * behind it. */
#define CONF(node, l4, http)                                                                       \
	"node: {interfaces: [eth0]}\n" node "pools:\n"                                             \
	"  web: {health: none, backends: [{name: a, address: 10.0.0.1}]}\n"                        \
	"  api: {health: none, backends: [{name: x, address: \"10.0.1.1:80\"}]}\n"                 \
	"services:\n"                                                                              \
	"  web: {listen: 10.9.0.1:80/tcp, mode: l4, pool: web" l4 "}\n"                            \
	"  api: {listen: 10.9.0.2:80/tcp, mode: http, pool: api" http "}\n"
#define NODE(lists) CONF("guard: {" lists "}\n", "", "")
#define L4(keys)    CONF("", ", guard: {" keys "}", "")
#define HTTP(keys)  CONF("", "", ", guard: {" keys "}")

struct row {
	const char *text;
	const char *message;
};

static void check(const struct row *rows, size_t count, bool good)
{
	for (size_t i = 0; i < count; i++) {
		char text[2048];
		bool built;

		report(rows[i].text, text, sizeof(text), &built);
		assert_string_equal(text, rows[i].message);
		assert_int_equal(built, good);
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct row rows[] = {
		{NODE("block: [10.0.0.1/8]"),
		 "error: guard: block: prefix: expected an address or a prefix without "
		 "host "
		 "bits, such as 198.51.100.0/24, found \"10.0.0.1/8\"\n"},
		{NODE("block: 10.0.0.0/8"), "error: guard: block: expected a list of prefixes\n"},
		{NODE("block: [[10.0.0.0/8]]"), "error: guard: block: expected a mapping "
						"of keys to values, found a list\n"},
		{NODE("allow: [{note: x}]"),
		 "error: guard: allow: prefix is missing, expected an address or a prefix "
		 "without host bits, such as 198.51.100.0/24\n"},
		{NODE("block: [{prefix: 10.0.0.0/8, note: "
		      "\"0123456789 0123456789 0123456789 0123456789 01234\"}]"),
		 "error: guard: block: note: expected a text of 1 to 47 bytes on one line, "
		 "found \"0123456789 0123456789 0123456789 0123456789 01234\"\n"},
		{NODE("block: [10.0.0.0/8, 10.0.0.0/8]"),
		 "error: guard: 10.0.0.0/8 is listed twice, in line 2 too\n"},
		{NODE("block: [\"fd00::/8\"], allow: [{prefix: \"fd00::/8\"}]"),
		 "error: guard: fd00::/8 is listed twice, in line 2 too\n"},
		{NODE("deny: [10.0.0.0/8]"),
		 "error: guard: unknown key \"deny\"; known: block, allow\n"},
		{L4("new_flows: 0"), "error: service web: guard.new_flows: expected a number "
				     "from 1 to 10000000, found \"0\"\n"},
		{L4("burst: 10ms"), "error: service web: guard.burst: expected a duration from "
				    "20ms to 1m, found \"10ms\"\n"},
		{L4("bad_flags: reject"), "error: service web: guard.bad_flags: expected pass "
					  "or drop, found \"reject\"\n"},
		{L4("syn_cookies: auto"),
		 "error: service web: guard.syn_cookies: only proxied services can have them, the "
		 "backends of l4 services answer by themselves\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048], *message;
		bool built;

		report(rows[i].text, text, sizeof(text), &built);
		message = strstr(text, "error: "); /* where it is, test_conf_check.c looks at */
		assert_non_null(message);
		assert_string_equal(message, rows[i].message);
		assert_false(built);
	}
}

static void without_interfaces_it_has_no_effect(void **state)
{
	static const struct row rows[] = {
		{"guard: {block: [10.0.0.0/8]}\n"
		 "pools: {api: {health: none, backends: [{name: x, address: \"10.0.1.1:80\"}]}}\n"
		 "services: {api: {listen: 10.9.0.2:80/tcp, mode: http, pool: api}}\n",
		 "t:1:1: warning: guard has no effect without node.interfaces: nothing looks at "
		 "packets\n"},
		{"pools: {api: {health: none, backends: [{name: x, address: \"10.0.1.1:80\"}]}}\n"
		 "services: {api: {listen: 10.9.0.2:80/tcp, mode: http, pool: api,\n"
		 "  guard: {new_flows: 5}}}\n",
		 "t:3:3: warning: guard has no effect without node.interfaces: nothing looks at "
		 "packets\n"},
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(rows[0]), true);
}

static void lists_are_sorted(void **state)
{
	struct snapshot *s =
		build_good(rt, NODE("block: [10.0.0.0/8, {prefix: 10.0.0.0/16, note: n}],"
				    " allow: [\"2001:db8::1\", 9.9.9.9]"));
	char text[PREFIX_STRLEN];

	(void)state;
	assert_int_equal(s->guard.count, 4);
	assert_string_equal(prefix_format(&s->guard.entries[0].addr, s->guard.entries[0].len, text,
					  sizeof(text)),
			    "9.9.9.9/32");
	assert_true(s->guard.entries[0].allow);
	assert_int_equal(s->guard.entries[1].len, 8);
	assert_null(s->guard.entries[1].note);
	assert_int_equal(s->guard.entries[2].len, 16);
	assert_string_equal(s->guard.entries[2].note, "n");
	assert_false(s->guard.entries[2].allow);
	assert_int_equal(s->guard.entries[3].len, 128);
	snapshot_unref(s);
}

/* ---- rows ---- */

static const struct service *service(const struct snapshot *s, const char *name)
{
	return snapshot_service(s, name);
}

static void a_service_that_says_nothing_has_no_guard(void **state)
{
	struct snapshot *s = build_good(rt, CONF("", ", guard: {}", ", guard: {block_for: 1h}"));

	(void)state;
	assert_int_equal(guard_flags(service(s, "web")), 0);
	assert_int_equal(guard_flags(service(s, "api")), 0);
	snapshot_unref(s);
}

static void limits_become_a_row(void **state)
{
	struct snapshot *s = build_good(
		rt, CONF("",
			 ", guard: {new_flows: 1000, new_flows_per_source: 3, burst: 500ms, "
			 "packets_per_source: 7, block_for: 90s, source_prefix4: 24, "
			 "source_prefix6: 56, syn_payload: 1500, bad_flags: drop, abuse: block}",
			 ", guard: {syn_cookies: auto, syn_cookies_over: 50}"));
	struct shunt_svc_guard g;

	(void)state;
	assert_int_equal(guard_flags(service(s, "web")), SHUNT_GUARDS_LIMITS);
	guard_fill(service(s, "web"), 1500, &g);
	assert_int_equal(g.flow_ns, 1000000);
	assert_int_equal(g.source_flow_ns, 333333333);
	assert_int_equal(g.burst_ns, 500000000);
	assert_int_equal(g.block_ns, 90000000000);
	assert_int_equal(g.packets_per_source, 7);
	assert_int_equal(g.mask4, htonl(0xffffff00));
	assert_int_equal(g.mask6[0], 0xffffffff);
	assert_int_equal(g.mask6[1], htonl(0xffffff00));
	assert_int_equal(g.mask6[2] | g.mask6[3], 0);
	assert_int_equal(g.prefix_len4, 24);
	assert_int_equal(g.prefix_len6, 56);
	assert_int_equal(g.syn_payload, 1500);
	assert_int_equal(g.bad_flags, 1);
	assert_int_equal(g.block_abuse, 1);
	assert_int_equal(g.syn_cookies, SHUNT_SYN_COOKIES_OFF);

	assert_int_equal(guard_flags(service(s, "api")), SHUNT_GUARDS_COOKIES);
	guard_fill(service(s, "api"), 1500, &g);
	assert_int_equal(g.syn_cookies, SHUNT_SYN_COOKIES_AUTO);
	assert_int_equal(g.syn_cookies_over, 50);
	assert_int_equal(g.mss4, 1460);
	assert_int_equal(g.mss6, 1440);
	assert_int_equal(g.flow_ns | g.source_flow_ns | g.packets_per_source | g.syn_payload, 0);
	assert_int_equal(g.mask6[1], 0xffffffff);
	assert_int_equal(g.mask6[2], 0);
	snapshot_unref(s);
}

/* ---- differences ---- */

static void differ(const char *old_text, const char *new_text, const char *expected)
{
	static const char signs[] = {'+', '-', '~'};
	struct snapshot *old = build_good(rt, old_text), *new = build_good(rt, new_text);
	struct change_list list;
	char text[1024] = "";
	size_t at = 0;

	assert_int_equal(diff_snapshots(old, new, &list), 0);
	for (size_t i = 0; i < list.count && at < sizeof(text); i++) {
		const struct change *c = &list.items[i];

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%c %s %s %s %s\n",
				       signs[c->kind], c->object, c->field ? c->field : "",
				       c->old_text ? c->old_text : "",
				       c->new_text ? c->new_text : "");
	}
	assert_string_equal(text, expected);
	change_list_deinit(&list);
	snapshot_unref(old);
	snapshot_unref(new);
}

static void every_prefix_is_a_change(void **state)
{
	(void)state;
	differ(NODE("block: [10.0.0.0/8, 11.0.0.0/8]"),
	       NODE("allow: [11.0.0.0/8, 12.0.0.0/8], block: [{prefix: 10.0.0.0/8, note: n}]"),
	       "~ guard block 10.0.0.0/8 note default n\n"
	       "- guard block 11.0.0.0/8   \n"
	       "+ guard allow 11.0.0.0/8   \n"
	       "+ guard allow 12.0.0.0/8   \n");
	differ(NODE("block: [10.0.0.0/8]"), NODE("block: [{prefix: 10.0.0.0/8}]"), "");
	differ(L4("new_flows: 5"), L4("new_flows: 6, abuse: block"),
	       "~ service web guard.new_flows 5 6\n"
	       "~ service web guard.abuse drop block\n");
}

/* ---- edits ---- */

static struct guard_prefix entry(const char *prefix, bool allow, const char *note)
{
	struct guard_prefix p = {.allow = allow, .note = note};

	assert_int_equal(addr_parse_prefix(prefix, true, &p.addr, &p.len), 0);
	return p;
}

static void assert_guard(const struct tree *doc, const char *expected)
{
	char *text = tree_emit(tree_get(doc, "guard"));

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void add(struct tree *doc, const char *prefix, bool allow, const char *note, int expected,
		const char *message)
{
	struct guard_prefix p = entry(prefix, allow, note);
	struct diag d;

	diag_init(&d);
	assert_int_equal(edit_guard_add(doc, &p, &d), expected);
	assert_int_equal(d.count, message != NULL);
	if (message)
		assert_string_equal(d.items[0].text, message);
	diag_deinit(&d);
}

static void entries_are_added_and_removed(void **state)
{
	struct tree *doc = parse_good("guard:\nservices: {}\n");
	struct guard_prefix p = entry("10.0.0.0/8", false, NULL);
	struct diag d;

	(void)state;
	diag_init(&d);
	add(doc, "10.0.0.0/8", false, NULL, 0, NULL);
	add(doc, "fd00::/8", false, NULL, 0, NULL);
	add(doc, "10.1.0.0/16", true, "ours", 0, NULL);
	assert_guard(doc, "block:\n- 10.0.0.0/8\n- \"fd00::/8\"\n"
			  "allow:\n- {prefix: 10.1.0.0/16, note: ours}\n");
	add(doc, "10.0.0.0/8", true, NULL, -EEXIST,
	    "10.0.0.0/8 is in the list block of the configuration already");
	add(doc, "10.1.0.0/16", false, NULL, -EEXIST,
	    "10.1.0.0/16 is in the list allow of the configuration already");
	assert_int_equal(edit_guard_remove(doc, &p.addr, p.len, &d), 0);
	p = entry("10.1.0.0/16", true, NULL);
	assert_int_equal(edit_guard_remove(doc, &p.addr, p.len, &d), 0);
	assert_int_equal(d.count, 0);
	assert_int_equal(edit_guard_remove(doc, &p.addr, p.len, &d), -ENOENT);
	assert_string_equal(d.items[0].text, "10.1.0.0/16 is in no list of the guard");
	diag_deinit(&d);
	tree_free(doc);
}

static void a_document_that_is_none_is_left_alone(void **state)
{
	struct tree *doc = parse_good("guard: text\n");
	struct tree *list = parse_good("guard: {block: {a: b}}\n");

	(void)state;
	add(doc, "10.0.0.0/8", false, NULL, -EINVAL, "guard is no mapping");
	add(list, "10.0.0.0/8", false, NULL, -EINVAL, "block is no list");
	tree_free(doc);
	tree_free(list);
}

#define WITH_RUNTIME(test) cmocka_unit_test_setup_teardown(test, make_runtime, free_runtime)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RUNTIME(what_is_wrong_is_said),
		WITH_RUNTIME(without_interfaces_it_has_no_effect),
		WITH_RUNTIME(lists_are_sorted),
		WITH_RUNTIME(a_service_that_says_nothing_has_no_guard),
		WITH_RUNTIME(limits_become_a_row),
		WITH_RUNTIME(every_prefix_is_a_change),
		WITH_RUNTIME(entries_are_added_and_removed),
		WITH_RUNTIME(a_document_that_is_none_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
