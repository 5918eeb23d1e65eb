/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of backends that were found, and what a build makes of them. */
#include "tests/unit/conf_util.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/edit.h"
#include "conf/found.h"

static const char proxied[] = "services:\n"
			      "  s: {listen: \"10.9.0.1:80/tcp\", mode: http, pool: p}\n"
			      "pools:\n"
			      "  p:\n"
			      "    backends: [{name: mine, address: \"10.0.0.2:80\"}]\n"
			      "    discover:\n"
			      "      dns: web.test\n"
			      "      port: 80\n"
			      "      overrides: [{name: 10.0.0.1, state: drain, weight: 9}]\n";
static const char steered[] = "node: {interfaces: [lo]}\n"
			      "services:\n"
			      "  s: {listen: \"10.9.0.1:80/tcp\", mode: l4, pool: p}\n"
			      "pools:\n"
			      "  p: {health: none, discover: {dns: _x._tcp.test}}\n";

static void add(struct found_set *set, const char *text, unsigned weight, unsigned priority)
{
	struct endpoint ep;
	int err;

	assert_int_equal(endpoint_parse(text, &ep), 0);
	assert_true(found_set_add(set, &ep, weight, priority, &err));
}

static struct found_set *new_set(const char *source)
{
	struct found_set *set = found_set_new(DISCOVER_DNS, source);

	assert_non_null(set);
	return set;
}

static void put(struct runtime *rt, struct found_set *set)
{
	struct found_set *former;

	found_set_finish(set);
	assert_int_equal(found_put(runtime_found(rt), "p", set, &former), 0);
	found_set_free(former);
}

/* "NAME ADDRESS WEIGHT ORIGIN STATE", a line each. */
static void assert_backends(struct runtime *rt, const char *text, const char *expected)
{
	struct snapshot *s = build_good(rt, text);
	const struct pool *p = &s->pools[0];
	char seen[1024] = "", address[ENDPOINT_STRLEN];
	size_t len = 0;

	for (size_t i = 0; i < p->backend_count; i++)
		len += (size_t)snprintf(
			seen + len, sizeof(seen) - len, "%s %s %u %s %s\n", p->backends[i].name,
			endpoint_format(&p->backends[i].ep, address, sizeof(address)),
			p->backends[i].weight, discover_kind_name(p->backends[i].origin),
			admin_state_name(p->backends[i].admin));
	assert_string_equal(seen, expected);
	snapshot_unref(s);
}

static void test_what_is_listed_goes_first(void **state)
{
	struct runtime *rt = runtime_new();
	struct found_set *set = new_set("web.test");

	(void)state;
	assert_backends(rt, proxied, "mine 10.0.0.2:80 1 config up\n");
	add(set, "10.0.0.1", 1, 0);
	add(set, "10.0.0.2", 5, 0); /* that is mine */
	add(set, "[2001:db8::1]:8080", 3, 0);
	add(set, "[::7]:1", 1, 0);
	put(rt, set);
	assert_backends(rt, proxied,
			"0--7_1 [::7]:1 1 dns up\n"
			"10.0.0.1 10.0.0.1:80 9 dns drain\n"
			"2001-db8--1_8080 [2001:db8::1]:8080 3 dns up\n"
			"mine 10.0.0.2:80 1 config up\n");
	runtime_free(rt);
}

static void test_an_earlier_process_speaks_of_its_own_source_alone(void **state)
{
	struct runtime *rt = runtime_new();
	struct found_set *set = new_set("other.test");

	(void)state;
	add(set, "10.0.0.3", 1, 0);
	set->restored = true;
	put(rt, set);
	assert_backends(rt, proxied, "mine 10.0.0.2:80 1 config up\n");
	set = new_set("web.test");
	add(set, "10.0.0.3", 1, 0);
	set->restored = true;
	put(rt, set);
	assert_backends(rt, proxied,
			"10.0.0.3 10.0.0.3:80 1 dns up\n"
			"mine 10.0.0.2:80 1 config up\n");
	runtime_free(rt);
}

/* Its packets keep the service's port, and go to those that come first. */
static void test_the_kernel_knows_no_ports_and_priorities(void **state)
{
	struct runtime *rt = runtime_new();
	struct found_set *set = new_set("_x._tcp.test");

	(void)state;
	assert_backends(rt, steered, "");
	add(set, "10.0.0.1:81", 1, 1);
	add(set, "10.0.0.1:80", 2, 1);
	add(set, "10.0.0.2:80", 3, 2);
	add(set, "10.0.0.3:80", 4, 1);
	put(rt, set);
	assert_backends(rt, steered,
			"10.0.0.1_80 10.0.0.1 2 dns up\n"
			"10.0.0.3_80 10.0.0.3 4 dns up\n");
	runtime_free(rt);
}

static void test_sets_are_the_same_by_what_they_say(void **state)
{
	struct found_set *a = new_set("x"), *b = new_set("y");
	char *text;

	(void)state;
	assert_true(found_set_equal(NULL, a));
	add(a, "10.0.0.1:80", 1, 0);
	add(a, "10.0.0.1:80", 7, 3); /* the same again comes later */
	add(b, "10.0.0.1:80", 1, 0);
	found_set_finish(a);
	found_set_finish(b);
	assert_true(found_set_equal(a, b));
	add(b, "10.0.0.2:80", 1, 0);
	found_set_finish(b);
	assert_false(found_set_equal(a, b));
	assert_null(found_set_get(a, "10.0.0.2_80"));
	assert_int_equal(found_set_get(b, "10.0.0.2_80")->weight, 1);
	text = found_set_text(a);
	assert_string_equal(text,
			    "- {name: \"10.0.0.1_80\", address: \"10.0.0.1:80\", weight: 1}\n");
	free(text);
	found_set_free(a);
	found_set_free(b);
}

static void test_what_people_said_is_kept_as_long_as_it_says_something(void **state)
{
	struct tree *doc = parse_good("pools: {p: {discover: {dns: x}}}\n");
	struct diag d;
	char *text;

	(void)state;
	diag_init(&d);
	assert_int_equal(edit_found_state(doc, "p", "a", ADMIN_DRAIN, ADMIN_UP, &d), 0);
	assert_int_equal(edit_found_weight(doc, "p", "a", 3, 1, &d), 0);
	assert_int_equal(edit_found_weight(doc, "p", "b", 0, 1, &d), 0);
	text = tree_emit(tree_get(tree_get(tree_get(doc, "pools"), "p"), "discover"));
	assert_string_equal(text, "dns: x\noverrides:\n- {name: a, state: drain, weight: 3}\n"
				  "- {name: b, weight: 0}\n");
	free(text);
	assert_int_equal(edit_found_state(doc, "p", "a", ADMIN_UP, ADMIN_UP, &d), 0);
	assert_int_equal(edit_found_weight(doc, "p", "a", 1, 1, &d), 0);
	assert_int_equal(edit_found_weight(doc, "p", "b", 1, 1, &d), 0);
	text = tree_emit(tree_get(tree_get(tree_get(doc, "pools"), "p"), "discover"));
	assert_string_equal(text, "dns: x\n");
	free(text);
	assert_int_equal(edit_found_state(doc, "q", "a", ADMIN_UP, ADMIN_UP, &d), -ENOENT);
	assert_int_equal(d.errors, 1);
	diag_deinit(&d);
	tree_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_listed_goes_first),
		cmocka_unit_test(test_an_earlier_process_speaks_of_its_own_source_alone),
		cmocka_unit_test(test_the_kernel_knows_no_ports_and_priorities),
		cmocka_unit_test(test_sets_are_the_same_by_what_they_say),
		cmocka_unit_test(test_what_people_said_is_kept_as_long_as_it_says_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
