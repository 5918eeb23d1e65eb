/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions: what each says of a request, what is refused and where, and the bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/expr.h"
#include "tests/unit/route_util.h"

static const struct request request = {
	.method = "POST",
	.scheme = "https",
	.host = "api.example.com",
	.path = "/api/v2/items",
	.query = "page=7&name=a%20b&neg=-3&same=a+b",
	.sni = "example.com",
	.source = "10.1.2.3",
	.fields = {{"X-Tenant", "A"},
		   {"x-tenant", "B"},
		   {"X-Count", "12"},
		   {"X-Empty", ""},
		   {"Cookie", "session=s1; canary=yes"}},
};

static const struct expr *compile(struct world *w, const char *text)
{
	const struct expr *e = NULL;
	int err = expr_compile(&w->scope, text_slice(text), &world_pos, &e);

	if (err)
		fail_msg("%s: %d, %s", text, err, world_message(w));
	assert_int_equal(w->diag.count, 0);
	return e;
}

/* What each expression is, as text. */
static void check_shown(struct world *w, const struct request *r, const char *const (*rows)[2],
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct expr *e = compile(w, rows[i][0]);
		struct route_input in = world_input(w, r);
		char buf[EXPR_SHOWN_MAX];
		struct slice got = expr_show(e, &in, buf);

		if (!slice_eq(got, text_slice(rows[i][1])))
			fail_msg("%s: \"%.*s\", not \"%s\"", rows[i][0], (int)got.len, got.ptr,
				 rows[i][1]);
	}
}

#define CHECK_SHOWN(w, r, rows) check_shown(w, r, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_values(void **state)
{
	static const char *const rows[][2] = {
		{"request.host", "api.example.com"},
		{"host", "api.example.com"},
		{"request.path", "/api/v2/items"},
		{"path", "/api/v2/items"},
		{"request.method", "POST"},
		{"method", "POST"},
		{"request.scheme", "https"},
		{"scheme", "https"},
		{"request.query", "page=7&name=a%20b&neg=-3&same=a+b"},
		{"sni", "example.com"},
		{"source.ip", "10.1.2.3"},
		{"header[\"x-tenant\"]", "A"},
		{"header['X-TENANT']", "A"},
		{"header [ \"x-none\" ]", ""},
		{"query[\"page\"]", "7"},
		{"query[\"name\"]", "a b"},
		{"query[\"none\"]", ""},
		{"cookie[\"canary\"]", "yes"},
		{"\"it's\"", "it's"},
		{"'say \"x\"'", "say \"x\""},
		{"\"q\\\"b\\\\d\\d\"", "q\"b\\d\\d"},
		{"\"\"", ""},
		{"0", "0"},
		{"9223372036854775807", "9223372036854775807"},
		{"true", "true"},
		{"false", "false"},
		{"((path))", "/api/v2/items"},
		{"hash(\"alice\")", "8463848786542415850"},
		{"hash(source.ip)", "5018172587245478571"},
		{"hash(7)", "1526005150029192260"},
		{"hash(\"alice\") % 100", "50"},
		{"hash(\"alice\") % 100 % 7", "1"},
		{"int(header[\"x-count\"], 0)", "12"},
		{"int(header[\"x-none\"], 5)", "5"},
		{"int(header[\"x-tenant\"], 5)", "5"},
		{"int(query[\"neg\"], 0)", "-3"},
		{"int(query[\"neg\"], 0) % 5", "2"},
		{"int(\"-9223372036854775808\", 0)", "-9223372036854775808"},
		{"int(\"-9223372036854775808\", 0) % 10", "2"},
		{"int(\"9223372036854775807\", 0)", "9223372036854775807"},
		{"int(\"9223372036854775808\", 1)", "1"},
		{"int(\"-9223372036854775809\", 1)", "1"},
		{"int(\"-\", 1)", "1"},
		{"int(\"1x\", 2)", "2"},
		{"int(\" 1\", 2)", "2"},
	};
	struct world w;

	(void)state;
	world_init(&w);
	CHECK_SHOWN(&w, &request, rows);
	world_deinit(&w);
}

static void test_truths(void **state)
{
	static const char *const rows[][2] = {
		{"method == \"POST\"", "true"},
		{"method == \"post\"", "false"},
		{"method != \"GET\"", "true"},
		{"!(method == \"GET\")", "true"},
		{"!!true", "true"},
		{"true == false", "false"},
		{"true != false", "true"},
		{"\"a\" < \"b\"", "true"},
		{"\"a\" < \"a\"", "false"},
		{"\"a\" <= \"a\"", "true"},
		{"\"a\" < \"aa\"", "true"},
		{"\"b\" > \"aa\"", "true"},
		{"\"\" < \"a\"", "true"},
		{"\"a\" >= \"\"", "true"},
		{"1 < 2", "true"},
		{"10 < 9", "false"},
		{"2 >= 2", "true"},
		{"2 > 2", "false"},
		{"query[\"name\"] == query[\"same\"]", "true"},
		{"int(query[\"page\"], 0) == 7", "true"},
		/* from loose to tight */
		{"true || false && false", "true"},
		{"(true || false) && false", "false"},
		{"!false && true", "true"},
		{"false && false || true", "true"},
		{"hash(\"alice\") % 100 < 51 && hash(\"alice\") % 100 >= 50", "true"},
		{"true || true || false", "true"},
		{"true && true && false", "false"},
		{"path.startsWith(\"/api/\")", "true"},
		{"path.startsWith(\"/api/v2/items/\")", "false"},
		{"path.startsWith(\"\")", "true"},
		{"path.endsWith(\"items\")", "true"},
		{"path.endsWith(\"item\")", "false"},
		{"path.contains(\"/v2\")", "true"},
		{"path.contains(\"/v3\")", "false"},
		{"header[\"x-none\"].contains(\"\")", "true"},
		{"header[\"x-none\"].contains(\"a\")", "false"},
		{"path.matches(\"/api/v[0-9]+/.*\")", "true"},
		{"path.matches(\"/api\")", "false"},
		{"path.matches('/api/v\\d/items')", "true"},
		{"path.startsWith(header[\"x-none\"])", "true"},
		{"has(header[\"x-tenant\"])", "true"},
		{"has(header[\"x-empty\"])", "true"},
		{"has(header[\"x-none\"])", "false"},
		{"has(cookie[\"session\"]) && has(query[\"page\"])", "true"},
		{"has(cookie[\"page\"]) || has(query[\"session\"])", "false"},
		{"source.ip in 10.0.0.0/8", "true"},
		{"source.ip in 10.1.2.3", "true"},
		{"source.ip in 10.1.2.4", "false"},
		{"source.ip in 10.1.2.2/31", "true"},
		{"source.ip in 10.1.2.0/31", "false"},
		{"source.ip in 0.0.0.0/0", "true"},
		{"source.ip in ::/0", "false"},
		{"source.ip in [192.0.2.0/24, fd00::/8,10.0.0.0/8]", "true"},
		{"source.ip in [ 192.0.2.0/24 , ::1 ]", "false"},
		{"!(source.ip in [fe80::/10]) && true", "true"},
		{"method in [\"GET\", \"POST\"]", "true"},
		{"method in [\"GET\"]", "false"},
		{"int(header[\"x-count\"], 0) in [1, 12]", "true"},
		{"1 in [2,3]", "false"},
		{"method in[\"POST\"]&&true", "true"},
		{"\n true\t&&\n true ", "true"},
	};
	struct world w;

	(void)state;
	world_init(&w);
	CHECK_SHOWN(&w, &request, rows);
	world_deinit(&w);
}

static void test_a_bare_request(void **state)
{
	static const struct request bare = {.method = "", .scheme = "", .path = ""};
	static const char *const rows[][2] = {
		{"host", ""},
		{"path == \"\"", "true"},
		{"source.ip", ""},
		{"source.ip in 0.0.0.0/0", "false"},
		{"source.ip in ::/0", "false"},
		{"query[\"a\"].matches(\".+\")", "false"},
		{"host.matches(\"\")", "true"},
		{"host < \"a\"", "true"},
	};
	static const struct request six = {.source = "2001:db8::17"};
	static const char *const six_rows[][2] = {
		{"source.ip", "2001:db8::17"},
		{"source.ip in 2001:db8::/32", "true"},
		{"source.ip in 2001:db8::/124", "false"},
		{"source.ip in [::1, 2001:db8::17/128]", "true"},
		{"source.ip in 0.0.0.0/0", "false"},
	};
	struct world w;

	(void)state;
	world_init(&w);
	CHECK_SHOWN(&w, &bare, rows);
	CHECK_SHOWN(&w, &six, six_rows);
	world_deinit(&w);
}

static void test_variables(void **state)
{
	static const char *const rows[][2] = {
		{"tenant == \"A\" && path.startsWith(\"/api/v2\")", "true"},
		{"share < 100", "true"},
		{"inside", "true"},
		{"!inside || tenant in [\"B\"]", "false"},
		{"has(tenant)", "true"},
	};
	struct route_variable variables[3];
	struct world w;

	(void)state;
	world_init(&w);
	w.scope.variables = variables;
	variables[0] = (struct route_variable){"tenant", compile(&w, "header[\"x-tenant\"]")};
	w.scope.variable_count = 1;
	variables[1] = (struct route_variable){"share", compile(&w, "hash(tenant) % 100")};
	w.scope.variable_count = 2;
	variables[2] = (struct route_variable){"inside", compile(&w, "source.ip in 10.0.0.0/8")};
	w.scope.variable_count = 3;
	CHECK_SHOWN(&w, &request, rows);
	world_deinit(&w);
}

/* Text, and all that is said of it. */
static void check_refused(struct world *w, const char *text, const char *want)
{
	const struct expr *e = NULL;

	if (expr_compile(&w->scope, text_slice(text), &world_pos, &e) != -EINVAL)
		fail_msg("%s is taken", text);
	assert_null(e);
	if (strcmp(world_message(w), want) != 0)
		fail_msg("%s:\n  %s\nnot\n  %s", text, world_message(w), want);
	assert_int_equal(w->diag.items[0].pos.line, world_pos.line);
	world_forget(w);
}

#define AT(column, text) "expression, column " #column ": " text

static void test_what_is_refused(void **state)
{
	static const char *const rows[][2] = {
		{"", AT(1, "the expression ends where a value should be")},
		{"  ", AT(3, "the expression ends where a value should be")},
		{"true &&", AT(8, "the expression ends where a value should be")},
		{"&& true", AT(1, "a value should be here")},
		{"pathh == \"/\"", AT(1, "unknown name \"pathh\"; did you mean \"path\"?")},
		{"request.pth == \"/\"",
		 AT(1, "unknown name \"request.pth\"; did you mean \"request.path\"?")},
		{"true && tennant == \"A\"",
		 AT(9, "unknown name \"tennant\"; did you mean \"tenant\"?")},
		{"nonsense", AT(1, "unknown name \"nonsense\"")},
		{"headers[\"x\"]", AT(1, "unknown name \"headers\"; did you mean \"header\"?")},
		{"hsah(path)", AT(1, "unknown name \"hsah\"; did you mean \"hash\"?")},
		{"request", AT(1, "unknown name \"request\"")},
		{"request.", AT(9, "a name is missing behind the dot")},
		{"header", AT(1, "header is followed by a name: header[\"name\"]")},
		{"hash", AT(1, "hash is followed by its arguments: hash(...)")},
		{"header[x]", AT(8, "a name in quotes is missing")},
		{"header[\"\"]", AT(8, "the name is empty")},
		{"header[\"x\"", AT(11, "\"]\" is missing behind the name")},
		{"path.startswith(\"/\")",
		 AT(6, "unknown test \"startswith\"; did you mean \"startsWith\"?")},
		{"path.reverse()",
		 AT(6,
		    "unknown test \"reverse\"; there are startsWith, endsWith, contains, matches")},
		{"path.startsWith", AT(16, "\"(\" is missing behind the test")},
		{"path.startsWith()", AT(17, "a value should be here")},
		{"path.startsWith(\"a\", \"b\")", AT(6, "the test takes one text")},
		{"path.startsWith(1)", AT(6, "what it is tested for is a number, not text")},
		{"hash(path).startsWith(\"1\")", AT(1, "what is tested is a number, not text")},
		{"path.matches(host)", AT(14, "a regular expression in quotes is missing")},
		{"path.matches(\"a(b\")",
		 AT(14, "regular expression, column 4: missing closing parenthesis")},
		{"path == 1", AT(6, "text is compared with a number")},
		{"1 == path", AT(3, "a number is compared with text")},
		{"(1 == 2) == 1", AT(10, "true or false is compared with a number")},
		{"true < false", AT(6, "true and false have no order")},
		{"source.ip == \"10.0.0.1\"",
		 AT(11, "addresses are compared by \"in\": source.ip in 192.0.2.1")},
		{"path && true", AT(1, "this is text, not true or false")},
		{"true && path", AT(9, "this is text, not true or false")},
		{"true || 1", AT(9, "this is a number, not true or false")},
		{"!path", AT(1, "what is behind \"!\" is text, not true or false")},
		{"!method == \"GET\"", NULL},
		{"path % 2", AT(1, "what is divided is text, not a number")},
		{"1 % 0", AT(5, "a number above 0 is missing behind %")},
		{"1 % hash(path)", AT(5, "a number above 0 is missing behind %")},
		{"1 == 1 == true", AT(8, "an operator is missing here")},
		{"true true", AT(6, "an operator is missing here")},
		{"path in \"/a\"", AT(9, "a list in [ and ] is missing")},
		{"path in [1]", AT(10, "a text in quotes should be here")},
		{"1 in [\"a\"]", AT(7, "a number should be here")},
		{"path in []", AT(10, "a text in quotes should be here")},
		{"path in [\"a\"", AT(13, "\"]\" is missing behind the list")},
		{"true in [true]", AT(6, "true or false is in no list")},
		{"source.ip in [\"10.0.0.1\"]",
		 AT(15, "an address or a prefix is missing, like 10.0.0.0/8")},
		{"source.ip in", AT(13, "an address or a prefix is missing, like 10.0.0.0/8")},
		{"source.ip in 10.0.0.0/33",
		 AT(14, "an address or a prefix is missing, like 10.0.0.0/8")},
		{"source.ip in 10.0.0.1/8", AT(14, "10.0.0.1/8 has bits behind its length")},
		{"hash(true)", AT(1, "hash takes texts, numbers and addresses")},
		{"hash()", AT(6, "a value should be here")},
		{"hash(path", AT(10, "\")\" is missing behind the arguments")},
		{"int(path)", AT(1, "int takes a text, and a number for where it is none")},
		{"int(path, path)", AT(1, "int takes a text, and a number for where it is none")},
		{"has(path)", AT(1, "has takes one header[...], query[...] or cookie[...]")},
		{"path = \"/\"", AT(6, "equality is \"==\"")},
		{"true & true", AT(6, "and is \"&&\"")},
		{"true | true", AT(6, "or is \"||\"")},
		{"true ; true", AT(6, "this character means nothing here")},
		{"path == \"/a", AT(9, "the text has no closing quote")},
		{"path == \"/a\\\"", AT(9, "the text has no closing quote")},
		{"path == '", AT(9, "the text has no closing quote")},
		{"9223372036854775808", AT(1, "the number is too large")},
		{"1a", AT(1, "a number is of digits alone")},
		{"(true", AT(6, "\")\" is missing here")},
		{"true)", AT(5, "an operator is missing here")},
		{"\xc3\xa4", AT(1, "this character means nothing here")},
		{"true\n&& nonsense", "expression, line 2, column 4: unknown name \"nonsense\""},
	};
	struct route_variable tenant = {.name = "tenant"};
	struct world w;

	(void)state;
	world_init(&w);
	tenant.value = compile(&w, "header[\"x-tenant\"]");
	w.scope.variables = &tenant;
	w.scope.variable_count = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i][1])
			check_refused(&w, rows[i][0], rows[i][1]);
		else
			compile(&w, rows[i][0]);
	}
	world_deinit(&w);
}

static void test_bounds(void **state)
{
	char text[EXPR_LEN_MAX + 2];
	struct world w;
	size_t len;

	(void)state;
	world_init(&w);
	memset(text, ' ', sizeof(text));
	memcpy(text, "true", 4);
	text[EXPR_LEN_MAX] = '\0';
	compile(&w, text);
	text[EXPR_LEN_MAX] = ' ';
	text[EXPR_LEN_MAX + 1] = '\0';
	check_refused(&w, text, AT(1, "the expression is longer than 4096 bytes"));

	memset(text, '(', 2000);
	text[2000] = '\0';
	check_refused(&w, text, AT(33, "this is nested too deeply (more than 32 levels)"));
	memset(text, '!', 2000);
	check_refused(&w, text, AT(33, "this is nested too deeply (more than 32 levels)"));
	memset(text, '!', 31);
	memcpy(text + 31, "true", 5);
	compile(&w, text);
	for (len = 0; len < 34 * 4; len += 4)
		memcpy(text + len, "1 % ", 4);
	memcpy(text + len, "1", 2);
	check_refused(&w, text, AT(129, "this is nested too deeply (more than 32 levels)"));

	for (len = 0; len < 65 * 8; len += 8)
		memcpy(text + len, "true && ", 8);
	memcpy(text + 64 * 8 - 4, "\0", 1);
	compile(&w, text);
	memcpy(text + 64 * 8 - 4, " && true", 9);
	check_refused(&w, text, AT(510, "these are too many (more than 64)"));
	world_deinit(&w);
}

/* Each variable names the one before twice: the cost doubles, and is refused before it hurts. */
static void test_variables_cannot_hide_costs(void **state)
{
	struct route_variable variables[16] = {{"v0", NULL}};
	char names[16][8], text[64];
	struct world w;
	unsigned i;

	(void)state;
	world_init(&w);
	w.scope.variables = variables;
	variables[0].value = compile(&w, "path.matches(\".*\")");
	for (i = 1; i < 16; i++) {
		const struct expr *e = NULL;

		w.scope.variable_count = i;
		snprintf(text, sizeof(text), "v%u || v%u", i - 1, i - 1);
		if (expr_compile(&w.scope, text_slice(text), &world_pos, &e))
			break;
		snprintf(names[i], sizeof(names[i]), "v%u", i);
		variables[i] = (struct route_variable){names[i], e};
	}
	assert_in_range(i, 5, 7);
	assert_string_equal(world_message(&w), AT(7, "this costs too much (more than 4096 steps)"));
	world_deinit(&w);
}

static void test_reserved_names(void **state)
{
	(void)state;
	assert_true(expr_is_reserved(SLICE("path")));
	assert_true(expr_is_reserved(SLICE("header")));
	assert_true(expr_is_reserved(SLICE("hash")));
	assert_true(expr_is_reserved(SLICE("in")));
	assert_true(expr_is_reserved(SLICE("request")));
	assert_false(expr_is_reserved(SLICE("tenant")));
	assert_true(route_name_is_good(SLICE("tenant_2")));
	assert_false(route_name_is_good(SLICE("2tenant")));
	assert_false(route_name_is_good(SLICE("a-b")));
	assert_false(route_name_is_good(SLICE("")));
	assert_false(route_name_is_good(SLICE("abcdefghijklmnopqrstuvwxyz1234567")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_truths),
		cmocka_unit_test(test_a_bare_request),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_variables_cannot_hide_costs),
		cmocka_unit_test(test_reserved_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
