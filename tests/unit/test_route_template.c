/* SPDX-License-Identifier: BSD-2-Clause */
/* Templates, rewrites and header edits: what comes out, what is refused, and that no request makes
 * anything out of them that the text did not mean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/expr.h"
#include "route/header_edit.h"
#include "route/hash.h"
#include "route/rewrite.h"
#include "route/split.h"
#include "tests/unit/route_util.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct request usual = {
	.host = "api.example.com",
	.path = "/vpc/eu/a%20b",
	.query = "q=1&r=x%2Fy&s=a%0d%0aSet-Cookie:b",
	.source = "10.1.2.3",
	.fields = {{"x-user", "joe & co"}, {"x-dots", ".."}, {"cookie", "c=7"}, {"x-cr", "a\rb"}},
};

/* As with the path rule /vpc/{region}/{name}. */
static const char *const capture_names[] = {"", "region", "name"};

struct bench {
	struct world w;
	struct route_variable variables[2];
	struct path_captures captures;
};

static void bench_init(struct bench *b)
{
	const char *const texts[] = {"header[\"x-user\"]", "hash(\"alice\") % 100"};

	world_init(&b->w);
	b->captures.count = 0;
	b->w.scope.captures = capture_names;
	b->w.scope.capture_count = 3;
	b->w.scope.variables = b->variables;
	b->variables[0].name = "tenant";
	b->variables[1].name = "share";
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(expr_compile(&b->w.scope, text_slice(texts[i]), &world_pos,
					      &b->variables[i].value),
				 0);
	b->w.scope.variable_count = 2;
}

static struct route_input request_of(struct bench *b, const struct request *r)
{
	struct route_input in = world_input(&b->w, r);

	b->captures.count = 3;
	b->captures.values[0] = in.path;
	b->captures.values[1] = SLICE("eu");
	b->captures.values[2] = SLICE("a%20b");
	return in;
}

/* In memory of just the size that is needed; and in less, where it must not fit. */
static void check_render(struct bench *b, const struct template *t, const struct route_input *in,
			 const char *text, const char *want)
{
	size_t need = want ? strlen(want) : 512, len = 0;
	char *buf = malloc(need + 1);
	int err;

	assert_non_null(buf);
	err = template_render(t, in, &b->captures, buf, need, &len);
	if (err != (want ? 0 : -EILSEQ))
		fail_msg("%s: %d", text, err);
	if (want && (len != need || memcmp(buf, want, need)))
		fail_msg("%s: \"%.*s\", not \"%s\"", text, (int)len, buf, want);
	for (size_t cap = 0; want && cap < need; cap++)
		assert_int_equal(template_render(t, in, &b->captures, buf, cap, &len), -EMSGSIZE);
	free(buf);
}

struct row {
	enum template_use use;
	const char *text, *want; /* NULL: nothing that may be used */
};

static const struct row rows[] = {
	{TEMPLATE_VALUE, "", ""},
	{TEMPLATE_VALUE, "plain text", "plain text"},
	{TEMPLATE_VALUE, "$$5 ${region}$$", "$5 eu$"},
	{TEMPLATE_VALUE, "${name} ${2} ${0}", "a%20b a%20b /vpc/eu/a%20b"},
	{TEMPLATE_VALUE, "<${header.x-user}>", "<joe & co>"},
	{TEMPLATE_VALUE, "<${header.X-None}>", "<>"},
	{TEMPLATE_VALUE, "${query.q}${cookie.c}", "17"},
	{TEMPLATE_VALUE, "${tenant}/${share}", "joe & co/50"},
	{TEMPLATE_VALUE, "${source.ip} ${request.method} ${host}", "10.1.2.3 GET api.example.com"},
	{TEMPLATE_VALUE, "${query.s}", NULL},
	{TEMPLATE_VALUE, "x${header.x-cr}", NULL},
	{TEMPLATE_PATH, "/v2/${region}/${name}", "/v2/eu/a%20b"},
	{TEMPLATE_PATH, "${", ""},
	{TEMPLATE_PATH, "/u/${header.x-user}", "/u/joe%20%26%20co"},
	{TEMPLATE_PATH, "/u/${tenant}/x", "/u/joe%20%26%20co/x"},
	{TEMPLATE_PATH, "/q/${query.r}", "/q/x%2Fy"},
	{TEMPLATE_PATH, "/q/${query.s}", "/q/a%0D%0ASet-Cookie%3Ab"},
	{TEMPLATE_PATH, "/q/${request.query}",
	 "/q/q%3D1%26r%3Dx%252Fy%26s%3Da%250d%250aSet-Cookie%3Ab"},
	{TEMPLATE_PATH, "/x${request.path}", "/x/vpc/eu/a%20b"},
	{TEMPLATE_PATH, "/${request.path}", NULL}, /* "//vpc" */
	{TEMPLATE_PATH, "/u/${header.x-dots}/x", NULL},
	{TEMPLATE_PATH, "/u/${header.x-dots}", NULL},
	{TEMPLATE_PATH, "/u/${header.x-dots}x", "/u/..x"},
	{TEMPLATE_PATH, "/u/.${header.x-none}", NULL},
	{TEMPLATE_URL, "/login?back=${request.path}&u=${tenant}",
	 "/login?back=/vpc/eu/a%20b&u=joe%20%26%20co"},
	{TEMPLATE_URL, "/${request.path}", NULL}, /* would name a host */
	{TEMPLATE_URL, "/${header.x-dots}/a", NULL},
	{TEMPLATE_URL, "/a?${header.x-dots}/", "/a?../"},
	{TEMPLATE_URL, "https://${host}${request.path}?${request.query}",
	 "https://api.example.com/vpc/eu/a%20b?q=1&r=x%2Fy&s=a%0d%0aSet-Cookie:b"},
	{TEMPLATE_URL, "${scheme}://www.example.com/${region}", "https://www.example.com/eu"},
	{TEMPLATE_URL, "https://${header.x-user}.example.com",
	 "https://joe%20%26%20co.example.com"},
	/* what a path has may name no host */
	{TEMPLATE_URL, "https://${0}.example.com/x", "https://%2Fvpc%2Feu%2Fa%2520b.example.com/x"},
	{TEMPLATE_URL, "https://${request.path}", NULL},
	{TEMPLATE_URL, "https://${header.x-none}${path}", NULL},
	{TEMPLATE_URL, "https://${header.x-none}?a", NULL},
	{TEMPLATE_URL, "https://x/${source.ip}", "https://x/10.1.2.3"},
};

static void test_render(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct template *t = NULL;
		struct route_input in = request_of(&b, &usual);
		int err = template_compile(&b.w.scope, rows[i].use, text_slice(rows[i].text),
					   &world_pos, &t);

		if (!strcmp(rows[i].text, "${")) { /* one that is not taken leaves nothing behind */
			assert_int_equal(err, -EINVAL);
			world_forget(&b.w);
			continue;
		}
		if (err)
			fail_msg("%s: %s", rows[i].text, world_message(&b.w));
		check_render(&b, t, &in, rows[i].text, rows[i].want);
	}
	world_deinit(&b.w);
}

/* Of a request without anything, and of captures that are none. */
static void test_render_without_values(void **state)
{
	static const struct request bare = {.path = "/"};
	struct route_input in;
	const struct template *t;
	struct bench b;

	(void)state;
	bench_init(&b);
	in = world_input(&b.w, &bare);
	assert_int_equal(template_compile(&b.w.scope, TEMPLATE_VALUE,
					  SLICE("[${region}${source.ip}${host}${sni}]"), &world_pos,
					  &t),
			 0);
	check_render(&b, t, &in, "nothing", "[]");
	world_deinit(&b.w);
}

#define AT(column, text) "template, column " #column ": " text

static void test_what_is_refused(void **state)
{
	static const struct row bad[] = {
		{TEMPLATE_VALUE, "a$", AT(2, "behind $ is {NAME}; a dollar sign is $$")},
		{TEMPLATE_VALUE, "a$b", AT(2, "behind $ is {NAME}; a dollar sign is $$")},
		{TEMPLATE_VALUE, "a${", AT(2, "the } is missing")},
		{TEMPLATE_VALUE, "a${b", AT(2, "the } is missing")},
		{TEMPLATE_VALUE, "${}", AT(3, "a name is missing")},
		{TEMPLATE_VALUE, "${regoin}",
		 AT(3, "unknown name \"regoin\"; did you mean \"region\"?")},
		{TEMPLATE_VALUE, "${tenat}",
		 AT(3, "unknown name \"tenat\"; did you mean \"tenant\"?")},
		{TEMPLATE_VALUE, "${nonsense}", AT(3, "unknown name \"nonsense\"")},
		{TEMPLATE_VALUE, "${header}", AT(3, "a name is missing: ${header.NAME}")},
		{TEMPLATE_VALUE, "${header.}", AT(3, "a name is missing: ${header.NAME}")},
		{TEMPLATE_VALUE, "${hash}", AT(3, "unknown name \"hash\"")},
		{TEMPLATE_VALUE, "${3}", AT(3, "there is no group \"3\"")},
		{TEMPLATE_VALUE, "${99999999999999999999}",
		 AT(3, "there is no group \"99999999999999999999\"")},
		{TEMPLATE_VALUE, "a\nb", "template, line 1, column 2: a control character"},
		{TEMPLATE_VALUE, "a\x7f", AT(2, "a control character")},
		{TEMPLATE_PATH, "", AT(1, "a path begins with one \"/\"")},
		{TEMPLATE_PATH, "a", AT(1, "a path begins with one \"/\"")},
		{TEMPLATE_PATH, "//a", AT(1, "a path begins with one \"/\"")},
		{TEMPLATE_PATH, "${region}", AT(1, "a path begins with one \"/\"")},
		{TEMPLATE_PATH, "https://a/", AT(1, "a path begins with one \"/\"")},
		{TEMPLATE_PATH, "/a?b", AT(3, "a path has no ?; as text: %3F")},
		{TEMPLATE_PATH, "/a#b", AT(3, "a path has no #; as text: %23")},
		{TEMPLATE_PATH, "/a b", AT(3, "this byte is written as %20")},
		{TEMPLATE_PATH, "/\xc3\xa4", AT(2, "this byte is written as %C3")},
		{TEMPLATE_URL, "//evil.com",
		 AT(1, "this begins with one \"/\", http://, https:// or "
		       "${scheme}://")},
		{TEMPLATE_URL, "https://",
		 AT(1, "this begins with one \"/\", http://, https:// or ${scheme}://")},
		{TEMPLATE_URL, "javascript:x",
		 AT(1, "this begins with one \"/\", http://, https:// or ${scheme}://")},
		{TEMPLATE_URL, "${host}/",
		 AT(1, "this begins with one \"/\", http://, https:// or ${scheme}://")},
		{TEMPLATE_URL, "/a#b", AT(3, "a path has no #; as text: %23")},
	};
	char big[TEMPLATE_LEN_MAX + 2];
	const struct template *t = NULL;
	struct bench b;

	(void)state;
	bench_init(&b);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (template_compile(&b.w.scope, bad[i].use, text_slice(bad[i].text), &world_pos,
				     &t) != -EINVAL)
			fail_msg("%s is taken", bad[i].text);
		assert_string_equal(world_message(&b.w), bad[i].want);
		assert_null(t);
		world_forget(&b.w);
	}
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(
		template_compile(&b.w.scope, TEMPLATE_VALUE, text_slice(big), &world_pos, &t),
		-EINVAL);
	world_deinit(&b.w);
}

/* ---- rewrites ----------------------------------------------------------------------------------- */

struct rewrite_row {
	enum path_kind rule_kind;
	const char *rule;
	enum rewrite_kind kind;
	const char *regex, *to, *path;
	const char *want; /* NULL: nothing that may be used */
};

static const struct rewrite_row rewrites[] = {
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/new", "/old/x", "/new/x"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/new", "/old", "/new"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/new/", "/old/x", "/new/x"},
	{PATH_PREFIX, "/old/", REWRITE_PREFIX, "", "/new", "/old/x", "/new/x"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/", "/old/x/y", "/x/y"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/", "/old", "/"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/", "/old/", "/"},
	{PATH_PREFIX, "/", REWRITE_PREFIX, "", "/api", "/x", "/api/x"},
	{PATH_PREFIX, "/", REWRITE_PREFIX, "", "/api", "/", "/api/"},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/", "/old//evil.com", NULL},
	{PATH_PREFIX, "/old", REWRITE_PREFIX, "", "/t-${header.x-user}", "/old/x", "/t-a%2Fb/x"},
	{PATH_EXACT, "/old", REWRITE_PREFIX, "", "/new", "/old", "/new"},
	{PATH_TEMPLATE, "/{a}/{b}", REWRITE_TEMPLATE, "", "/${b}/${a}", "/x/y", "/y/x"},
	{PATH_TEMPLATE, "/f/{r:**}", REWRITE_TEMPLATE, "", "/g/${r}", "/f/x/y/", "/g/x/y/"},
	{PATH_REGEX, "/(a+)/(?<n>\\d+)", REWRITE_TEMPLATE, "", "/${n}/${1}", "/aa/7", "/7/aa"},
	{PATH_ANY, "", REWRITE_TEMPLATE, "", "/one", "/x/y", "/one"},
	{PATH_PREFIX, "/", REWRITE_REGEX, "/(.*)\\.php", "/${1}", "/a/b.php", "/a/b"},
	{PATH_PREFIX, "/", REWRITE_REGEX, "/(.*)\\.php", "/${1}", "/a/b.html", "/a/b.html"},
	{PATH_PREFIX, "/", REWRITE_REGEX, "/v(?<v>\\d)/(?<r>.*)", "/${r}/${v}", "/v2/x", "/x/2"},
	{PATH_PREFIX, "/", REWRITE_REGEX, "/x(.*)", "/${1}", "/x/evil.com", NULL},
	{PATH_PREFIX, "/", REWRITE_REGEX, "/x(.*)", "/a/${1}", "/x../b", NULL},
};

static void one_rewrite(struct world *w, const struct rewrite_row *row)
{
	struct request request = {.path = row->path, .fields = {{"x-user", "a/b"}}};
	struct path_captures captures;
	struct route_input in;
	struct path_rule rule;
	struct rewrite r;
	char *buf = malloc(row->want ? strlen(row->want) + 1 : 64);
	size_t cap = row->want ? strlen(row->want) : 64, len = 0;
	int err;

	assert_non_null(buf);
	w->scope.capture_count = 0;
	assert_int_equal(path_rule_compile(&w->scope, row->rule_kind, text_slice(row->rule),
					   &world_pos, &rule),
			 0);
	w->scope.captures = rule.names;
	w->scope.capture_count = rule.name_count;
	if (rewrite_compile(&w->scope, row->kind, &rule, text_slice(row->regex),
			    text_slice(row->to), &world_pos, &r))
		fail_msg("%s: %s", row->to, world_message(w));
	in = world_input(w, &request);
	assert_true(path_rule_fits(&rule, in.path, w->room, &captures));
	/* A prefix's end may be taken off again, so that one byte more is needed on the way. */
	err = rewrite_path(&r, &in, &captures, buf, cap + (row->want && cap < 64), &len);
	if (err != (row->want ? 0 : -EILSEQ))
		fail_msg("%s to %s: %d", row->path, row->to, err);
	if (row->want && (len != cap || memcmp(buf, row->want, len)))
		fail_msg("%s to %s: \"%.*s\", not \"%s\"", row->path, row->to, (int)len, buf,
			 row->want);
	if (row->want)
		assert_int_equal(rewrite_path(&r, &in, &captures, buf, cap - 1, &len), -EMSGSIZE);
	free(buf);
}

static void test_rewrite(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < COUNT(rewrites); i++)
		one_rewrite(&w, &rewrites[i]);
	world_deinit(&w);
}

static void test_rewrites_that_are_refused(void **state)
{
	static const struct {
		enum path_kind rule_kind;
		const char *rule;
		enum rewrite_kind kind;
		const char *regex, *to, *want;
	} bad[] = {
		{PATH_TEMPLATE, "/{a}", REWRITE_PREFIX, "", "/x",
		 "only a route by prefix or exact path has what a prefix could replace"},
		{PATH_PREFIX, "/a", REWRITE_PREFIX, "", "x", AT(1, "a path begins with one \"/\"")},
		{PATH_TEMPLATE, "/{a}", REWRITE_TEMPLATE, "", "/${b}", AT(4, "unknown name \"b\"")},
		{PATH_PREFIX, "/", REWRITE_REGEX, "/(a", "/x",
		 "regular expression, column 4: missing closing parenthesis"},
		{PATH_PREFIX, "/", REWRITE_REGEX, "/(a)", "/${2}",
		 AT(4, "there is no group \"2\"")},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct path_rule rule;
		struct rewrite r;

		assert_int_equal(path_rule_compile(&w.scope, bad[i].rule_kind,
						   text_slice(bad[i].rule), &world_pos, &rule),
				 0);
		w.scope.captures = rule.names;
		w.scope.capture_count = rule.name_count;
		assert_int_equal(rewrite_compile(&w.scope, bad[i].kind, &rule,
						 text_slice(bad[i].regex), text_slice(bad[i].to),
						 &world_pos, &r),
				 -EINVAL);
		assert_string_equal(world_message(&w), bad[i].want);
		world_forget(&w);
	}
	world_deinit(&w);
}

/* ---- header fields and shares ------------------------------------------------------------------- */

static void test_header_edits(void **state)
{
	static const struct {
		enum header_op op;
		const char *name, *value, *want; /* NULL: taken */
	} edits[] = {
		{HEADER_SET, "X-Region", "${region}", NULL},
		{HEADER_ADD, "x-a", "", NULL},
		{HEADER_REMOVE, "Server", "", NULL},
		{HEADER_SET, "", "a", "\"\" is no name of a header field"},
		{HEADER_SET, "a b", "a", "\"a b\" is no name of a header field"},
		{HEADER_SET, "a:", "a", "\"a:\" is no name of a header field"},
		{HEADER_REMOVE, "a\r\nb", "", "\"a??b\" is no name of a header field"},
		{HEADER_SET, "Content-Length", "1",
		 "content-length is not for rules: the proxy writes it"},
		{HEADER_REMOVE, "Transfer-Encoding", "",
		 "transfer-encoding is not for rules: the proxy writes it"},
		{HEADER_SET, "Host", "x", "host is not for rules: the proxy writes it"},
		{HEADER_SET, "x", "a\r\nb", "template, line 1, column 2: a control character"},
	};
	struct bench b;

	(void)state;
	bench_init(&b);
	for (size_t i = 0; i < COUNT(edits); i++) {
		struct header_edit e;
		int err = header_edit_compile(&b.w.scope, edits[i].op, text_slice(edits[i].name),
					      text_slice(edits[i].value), &world_pos, &e);

		assert_int_equal(err, edits[i].want ? -EINVAL : 0);
		assert_string_equal(world_message(&b.w), edits[i].want ? edits[i].want : "");
		world_forget(&b.w);
		if (err)
			continue;
		assert_int_equal(e.op, edits[i].op);
		assert_true(slice_eq_nocase(e.name, text_slice(edits[i].name)));
		assert_true(e.name.ptr[0] >= 'a');
		assert_int_equal(!e.value, e.op == HEADER_REMOVE);
	}
	world_deinit(&b.w);
}

static void test_split(void **state)
{
	static const unsigned weights[] = {95, 0, 5}, after[] = {90, 0, 10}, one[] = {3};
	unsigned got[3] = {0}, moved = 0;

	(void)state;
	assert_int_equal(split_pick(one, 1, 0), 0);
	assert_int_equal(split_pick(one, 1, INT64_MAX), 0);
	assert_int_equal(split_pick(weights, 3, 0), 0);
	assert_int_equal(split_pick(weights, 3, INT64_MAX), 2);
	for (unsigned i = 0; i < 100000; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "user-%u", i);
		struct slice s = {name, (size_t)len};
		int64_t point = route_hash_end(route_hash_add(ROUTE_HASH_INIT, s));
		size_t share = split_pick(weights, 3, point);

		got[share]++;
		moved += share != split_pick(after, 3, point);
	}
	assert_int_equal(got[1], 0);
	assert_in_range(got[2], 5000 - 350, 5000 + 350); /* five standard deviations */
	assert_in_range(moved, 5000 - 350, 5000 + 350);	 /* no more than must */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render),
		cmocka_unit_test(test_render_without_values),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_rewrites_that_are_refused),
		cmocka_unit_test(test_header_edits),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
