/* SPDX-License-Identifier: BSD-2-Clause */
/* Conditions of one route, each kind alone: what holds, what does not, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/route_rules.h"

struct row {
	struct rule rule;
	struct request request;
	const char *want; /* "" holds */
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct route_match m = {0};
		struct route_input in;
		enum route_part part;
		struct strbuf b;
		struct world w;
		size_t test = 99;

		world_init(&w);
		strbuf_init(&b);
		make_match(&w, &rows[i].rule, &m);
		in = world_input(&w, &rows[i].request);
		part = route_match_fails(&m, &in, &test);
		if (part != ROUTE_ALL)
			route_match_explain(&m, &in, part, test, &b);
		if (strcmp(b.text ? b.text : "", rows[i].want) != 0)
			fail_msg("row %zu: \"%s\", not \"%s\"", i, b.text ? b.text : "",
				 rows[i].want);
		if (part != ROUTE_HOST)
			assert_int_equal(route_match_rest(&m, &in), part == ROUTE_ALL);
		strbuf_deinit(&b);
		world_deinit(&w);
	}
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_plain_parts(void **state)
{
	static const struct row rows[] = {
		{{.name = "all"}, {.path = "/a"}, ""},
		{{.name = "all"}, {.method = "", .path = ""}, ""},
		{{.hosts = "a.com *.b.com"}, {.host = "a.com"}, ""},
		{{.hosts = "a.com *.b.com"}, {.host = "x.b.com"}, ""},
		{{.hosts = "a.com *.b.com"},
		 {.host = "b.com"},
		 "host \"b.com\" is not a.com or *.b.com"},
		{{.hosts = "a.com"}, {.host = ""}, "host \"\" is not a.com"},
		{{.hosts = "a b c d e f g"},
		 {.host = "x"},
		 "host \"x\" is not a, b, c, d, e or one of 2 more"},
		{{.kind = PATH_PREFIX, .path = "/a"}, {.path = "/a/b"}, ""},
		{{.kind = PATH_PREFIX, .path = "/a"},
		 {.path = "/b"},
		 "path \"/b\" is not below \"/a\""},
		{{.kind = PATH_EXACT, .path = "/a"}, {.path = "/b"}, "path \"/b\" is not \"/a\""},
		{{.kind = PATH_TEMPLATE, .path = "/{a:int}"},
		 {.path = "/b"},
		 "path \"/b\" is not of the form \"/{a:int}\""},
		{{.kind = PATH_REGEX, .path = "/x+"},
		 {.path = "/b"},
		 "path \"/b\" is not by the regular expression \"/x+\""},
		{{.methods = "GET HEAD"}, {.method = "HEAD"}, ""},
		{{.methods = "GET HEAD"}, {.method = "POST"}, "method POST is not GET or HEAD"},
		{{.methods = "GET"}, {.method = "get"}, "method get is not GET"},
		{{.snis = "a.com *.b.com"}, {.sni = "x.b.com"}, ""},
		{{.snis = "a.com *.b.com"},
		 {.sni = "c.com"},
		 "sni \"c.com\" is not a.com or *.b.com"},
		{{.snis = "a.com"}, {.sni = ""}, "sni \"\" is not a.com"},
		{{.sources = "10.0.0.0/8 2001:db8::/32"}, {.source = "10.9.9.9"}, ""},
		{{.sources = "10.0.0.0/8 2001:db8::/32"}, {.source = "2001:db8::9"}, ""},
		{{.sources = "10.0.0.0/8 2001:db8::/32"},
		 {.source = "192.0.2.1"},
		 "source 192.0.2.1 is not in 10.0.0.0/8 or 2001:db8::/32"},
		{{.sources = "10.1.2.128/25"},
		 {.source = "10.1.2.127"},
		 "source 10.1.2.127 is not in 10.1.2.128/25"},
		{{.sources = "::/0"}, {.source = NULL}, "source unknown is not in ::/0"},
		{{.expr = "path == \"/a\""}, {.path = "/a"}, ""},
		{{.expr = "path == \"/a\""},
		 {.path = "/b"},
		 "the expression is false: path == \"/a\""},
	};

	(void)state;
	CHECK(rows);
}

#define FIELDS .fields = {{"X-A", "one"}, {"X-A", "two"}, {"Cookie", "c=1; d=x"}}, .query = "q=v&r"

static void test_tests(void **state)
{
	static const struct row rows[] = {
		{{.tests = {"header x-a"}}, {FIELDS}, ""},
		{{.tests = {"header x-b"}}, {FIELDS}, "header x-b is not there"},
		{{.tests = {"header !x-b"}}, {FIELDS}, ""},
		{{.tests = {"header !x-a"}},
		 {FIELDS},
		 "header x-a is \"one\", and should not be there"},
		{{.tests = {"header x-a=one"}}, {FIELDS}, ""},
		{{.tests = {"header x-a=two"}}, {FIELDS}, ""}, /* any line */
		{{.tests = {"header x-a=ONE"}}, {FIELDS}, "header x-a is \"one\", not \"ONE\""},
		{{.tests = {"header x-a="}}, {FIELDS}, "header x-a is \"one\", not \"\""},
		{{.tests = {"header x-a^tw"}}, {FIELDS}, ""},
		{{.tests = {"header x-a^x"}},
		 {FIELDS},
		 "header x-a is \"one\", not something that begins with \"x\""},
		{{.tests = {"header x-a^onetwo"}},
		 {FIELDS},
		 "header x-a is \"one\", not something that begins with \"onetwo\""},
		{{.tests = {"header x-a$ne"}}, {FIELDS}, ""},
		{{.tests = {"header x-a$x"}},
		 {FIELDS},
		 "header x-a is \"one\", not something that ends with \"x\""},
		{{.tests = {"header x-a^"}}, {FIELDS}, ""},
		{{.tests = {"header x-a~t.o"}}, {FIELDS}, ""},
		{{.tests = {"header x-a~t"}},
		 {FIELDS},
		 "header x-a is \"one\", not by the regular expression \"t\""},
		{{.tests = {"query q=v", "query r", "query !s"}}, {FIELDS}, ""},
		{{.tests = {"query q=w"}}, {FIELDS}, "query q is \"v\", not \"w\""},
		{{.tests = {"query !r"}}, {FIELDS}, "query r is \"\", and should not be there"},
		{{.tests = {"query q"}}, {.query = ""}, "query q is not there"},
		{{.tests = {"query q=a b"}}, {.query = "q=a%20b"}, ""},
		{{.tests = {"query q=admin"}}, {.query = "q=%61dmin"}, ""},
		{{.tests = {"cookie c=1", "cookie d~[xyz]"}}, {FIELDS}, ""},
		{{.tests = {"cookie c=2"}}, {FIELDS}, "cookie c is \"1\", not \"2\""},
		{{.tests = {"cookie e"}}, {FIELDS}, "cookie e is not there"},
		{{.tests = {"header x-a", "query q", "cookie e"}},
		 {FIELDS},
		 "cookie e is not there"},
	};

	(void)state;
	CHECK(rows);
}

static void test_the_first_part_that_fails(void **state)
{
	static const struct rule rule = {
		.hosts = "a.com",
		.kind = PATH_EXACT,
		.path = "/a",
		.methods = "GET",
		.sources = "10.0.0.0/8",
		.tests = {"header x"},
		.expr = "false",
	};
	static const struct row rows[] = {
		{rule, {.path = "/b"}, "host \"\" is not a.com"},
		{rule, {.host = "a.com", .path = "/b"}, "path \"/b\" is not \"/a\""},
		{rule, {.host = "a.com", .path = "/a", .method = "PUT"}, "method PUT is not GET"},
		{rule, {.host = "a.com", .path = "/a"}, "source unknown is not in 10.0.0.0/8"},
		{rule,
		 {.host = "a.com", .path = "/a", .source = "10.0.0.1"},
		 "header x is not there"},
		{rule,
		 {.host = "a.com", .path = "/a", .source = "10.0.0.1", .fields = {{"x", ""}}},
		 "the expression is false: false"},
	};

	(void)state;
	CHECK(rows);
}

static void test_what_a_client_sent_is_shown_harmlessly(void **state)
{
	static const struct row rows[] = {
		{{.tests = {"header x=a"}},
		 {.fields = {{"x", "\x1b[2J\x80"}}},
		 "header x is \"?[2J?\", not \"a\""},
		{{.tests = {"header x=a"}},
		 {.fields = {{"x",
			      "0123456789012345678901234567890123456789012345678901234567890"}}},
		 "header x is \"012345678901234567890123456789012345678901234567890123456789...\", "
		 "not \"a\""},
	};

	(void)state;
	CHECK(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_parts),
		cmocka_unit_test(test_tests),
		cmocka_unit_test(test_the_first_part_that_fails),
		cmocka_unit_test(test_what_a_client_sent_is_shown_harmlessly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
