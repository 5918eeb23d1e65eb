/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for paths: what fits and what is taken out of it, what is refused, which hide others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/path_rule.h"
#include "tests/unit/route_util.h"

static struct path_rule compile(struct world *w, enum path_kind kind, const char *text)
{
	struct path_rule r;

	if (path_rule_compile(&w->scope, kind, text_slice(text), &world_pos, &r))
		fail_msg("%s: %s", text, world_message(w));
	return r;
}

/* "name=value name=value" */
static void show_captures(const struct path_rule *r, const struct path_captures *c, char *buf,
			  size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 1; i < c->count; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s=%.*s", i > 1 ? " " : "",
					r->names[i], (int)c->values[i].len, c->values[i].ptr);
}

struct fit_row {
	enum path_kind kind;
	const char *rule, *path;
	const char *captures; /* NULL: does not fit */
};

static const struct fit_row fit_rows[] = {
	{PATH_ANY, "", "/a", ""},
	{PATH_ANY, "", "*", ""},
	{PATH_EXACT, "/a", "/a", ""},
	{PATH_EXACT, "/a", "/a/", NULL},
	{PATH_EXACT, "/a", "/A", NULL},
	{PATH_EXACT, "/", "/", ""},
	{PATH_EXACT, "/a%20b", "/a%20b", ""},
	{PATH_EXACT, "*", "*", ""},
	{PATH_EXACT, "*", "/", NULL},
	{PATH_PREFIX, "/", "/", ""},
	{PATH_PREFIX, "/", "/a", ""},
	{PATH_PREFIX, "/", "*", NULL},
	{PATH_PREFIX, "/", "", NULL},
	{PATH_PREFIX, "/v2", "/v2", ""},
	{PATH_PREFIX, "/v2", "/v2/", ""},
	{PATH_PREFIX, "/v2", "/v2/items", ""},
	{PATH_PREFIX, "/v2", "/v20", NULL},
	{PATH_PREFIX, "/v2", "/v2;x", NULL},
	{PATH_PREFIX, "/v2", "/v", NULL},
	{PATH_PREFIX, "/v2/", "/v2", ""},
	{PATH_PREFIX, "/v2/", "/v2/items", ""},
	{PATH_PREFIX, "/v2/", "/v20", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1/eu/subnets", "region=eu"},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1/eu/subnet", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1/eu/subnets/", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1//subnets", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1/a/b/subnets", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1", NULL},
	{PATH_TEMPLATE, "/vpc/v1/{region}/subnets", "/vpc/v1x/eu/subnets", NULL},
	{PATH_TEMPLATE, "/{a}", "/x", "a=x"},
	{PATH_TEMPLATE, "/{a}", "/", NULL},
	{PATH_TEMPLATE, "/{a}", "", NULL},
	{PATH_TEMPLATE, "/{a}", "*", NULL},
	{PATH_TEMPLATE, "/{a}/", "/x/", "a=x"},
	{PATH_TEMPLATE, "/{a}/", "/x", NULL},
	{PATH_TEMPLATE, "/{a}/{b}", "/x/y", "a=x b=y"},
	{PATH_TEMPLATE, "/{a}/k/{b}", "/x/k/y", "a=x b=y"},
	{PATH_TEMPLATE, "/{a}/k/{b}", "/x/l/y", NULL},
	{PATH_TEMPLATE, "/i/{id:int}", "/i/042", "id=042"},
	{PATH_TEMPLATE, "/i/{id:int}", "/i/-1", NULL},
	{PATH_TEMPLATE, "/i/{id:int}", "/i/4x", NULL},
	{PATH_TEMPLATE, "/i/{id:hex}", "/i/dEad09", "id=dEad09"},
	{PATH_TEMPLATE, "/i/{id:hex}", "/i/xyz", NULL},
	{PATH_TEMPLATE, "/i/{id:word}", "/i/a-b_9", "id=a-b_9"},
	{PATH_TEMPLATE, "/i/{id:word}", "/i/a.b", NULL},
	{PATH_TEMPLATE, "/i/{id:uuid}", "/i/01234567-89ab-cdef-0123-456789ABCDEF",
	 "id=01234567-89ab-cdef-0123-456789ABCDEF"},
	{PATH_TEMPLATE, "/i/{id:uuid}", "/i/01234567-89ab-cdef-0123-456789ABCDE", NULL},
	{PATH_TEMPLATE, "/i/{id:uuid}", "/i/01234567x89ab-cdef-0123-456789ABCDEF", NULL},
	{PATH_TEMPLATE, "/f/{rest:**}", "/f/a/b", "rest=a/b"},
	{PATH_TEMPLATE, "/f/{rest:**}", "/f/", "rest="},
	{PATH_TEMPLATE, "/f/{rest:**}", "/f", "rest="},
	{PATH_TEMPLATE, "/f/{rest:**}", "/fx", NULL},
	{PATH_TEMPLATE, "/{a}/{rest:**}", "/x/y/z", "a=x rest=y/z"},
	{PATH_TEMPLATE, "/{rest:**}", "/", "rest="},
	{PATH_REGEX, "/(?<kind>img|css)/(?<n>\\d+)", "/img/42", "kind=img n=42"},
	{PATH_REGEX, "/(img|css)/.*", "/css/x", "=css"},
	{PATH_REGEX, "/im\\K(g)", "/img", "=g"},
	{PATH_REGEX, "/img", "/img/", NULL},
	{PATH_REGEX, ".*\\.php", "/a/b.php", ""},
};

static void test_fits(void **state)
{
	struct world w;
	char shown[256];

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(fit_rows) / sizeof(fit_rows[0]); i++) {
		const struct fit_row *row = &fit_rows[i];
		struct path_rule r = compile(&w, row->kind, row->rule);
		struct request request = {.path = row->path};
		struct route_input in = world_input(&w, &request);
		struct path_captures c = {.count = 7};
		bool fits = path_rule_fits(&r, in.path, w.room, &c);

		if (fits != (row->captures != NULL) ||
		    path_rule_fits(&r, in.path, w.room, NULL) != fits)
			fail_msg("%s on %s", row->rule, row->path);
		if (!fits) {
			assert_int_equal(c.count, 7); /* untouched */
			continue;
		}
		assert_true(slice_eq(c.values[0], in.path));
		assert_int_equal(c.count, r.name_count);
		show_captures(&r, &c, shown, sizeof(shown));
		assert_string_equal(shown, row->captures);
	}
	world_deinit(&w);
}

#define AT(column, text) "path, column " #column ": " text

static void test_what_is_refused(void **state)
{
	static const struct {
		enum path_kind kind;
		const char *text, *want;
	} rows[] = {
		{PATH_EXACT, "", AT(1, "a path has 1 to 1024 bytes")},
		{PATH_EXACT, "a", AT(1, "a path begins with \"/\"")},
		{PATH_PREFIX, "*", AT(1, "a path begins with \"/\"")},
		{PATH_EXACT, "/a?b", AT(3, "a path has no ?; as text: %3F")},
		{PATH_EXACT, "/a#b", AT(3, "a path has no #; as text: %23")},
		{PATH_EXACT, "/a b", AT(3, "this byte is written as %20")},
		{PATH_EXACT, "/\xc3\xa4", AT(2, "this byte is written as %C3")},
		{PATH_EXACT, "/a/../b", AT(4, "no path has a segment \"..\"")},
		{PATH_EXACT, "/a/.", AT(4, "no path has a segment \".\"")},
		{PATH_EXACT, "/a%2fb", AT(3, "escapes are in upper case: %2F")},
		{PATH_EXACT, "/a%2", AT(3, "two hexadecimal digits are missing behind %")},
		{PATH_EXACT, "/a%zz", AT(3, "two hexadecimal digits are missing behind %")},
		{PATH_PREFIX, "/{a}", AT(2, "{ and } are for templates; as text: %7B, %7D")},
		{PATH_TEMPLATE, "/a",
		 AT(1, "a template has a name in { }; without one it is an exact path")},
		{PATH_TEMPLATE, "/{a}x", AT(2, "a name in { } is a whole segment")},
		{PATH_TEMPLATE, "/x{a}", AT(2, "a name in { } is a whole segment")},
		{PATH_TEMPLATE, "/{a", AT(2, "a name in { } is a whole segment")},
		{PATH_TEMPLATE, "/{a}{b}", AT(2, "a name in { } is a whole segment")},
		{PATH_TEMPLATE, "/{}",
		 AT(3, "a name is of letters, digits and \"_\", a letter first, 32 at most")},
		{PATH_TEMPLATE, "/{a-b}",
		 AT(3, "a name is of letters, digits and \"_\", a letter first, 32 at most")},
		{PATH_TEMPLATE, "/{a}/{a}", AT(7, "the name a is there twice")},
		{PATH_TEMPLATE, "/{a:float}",
		 AT(2, "the type of a name is int, hex, uuid, word or **")},
		{PATH_TEMPLATE, "/{a:}", AT(2, "the type of a name is int, hex, uuid, word or **")},
		{PATH_TEMPLATE, "/{a:**}/b", AT(2, "only the last segment takes all that is left")},
		{PATH_TEMPLATE, "/{a}/../b", AT(6, "no path has a segment \"..\"")},
		{PATH_TEMPLATE, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}",
		 AT(63, "these are too many names (more than 15)")},
		{PATH_REGEX, "/(a", AT(4, "missing closing parenthesis")},
	};
	char big[PATH_RULE_LEN_MAX + 2];
	struct path_rule r;
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (path_rule_compile(&w.scope, rows[i].kind, text_slice(rows[i].text), &world_pos,
				      &r) != -EINVAL)
			fail_msg("%s is taken", rows[i].text);
		assert_string_equal(world_message(&w), rows[i].want);
		world_forget(&w);
	}
	memset(big, '/', sizeof(big) - 1);
	big[PATH_RULE_LEN_MAX + 1] = '\0';
	assert_int_equal(path_rule_compile(&w.scope, PATH_EXACT, text_slice(big), &world_pos, &r),
			 -EINVAL);
	world_deinit(&w);
}

static void test_covers(void **state)
{
	static const struct {
		enum path_kind outer_kind;
		const char *outer;
		enum path_kind inner_kind;
		const char *inner;
		bool covers;
	} rows[] = {
		{PATH_ANY, "", PATH_REGEX, "/a.*", true},
		{PATH_ANY, "", PATH_ANY, "", true},
		{PATH_PREFIX, "/", PATH_ANY, "", false}, /* "*" is a path too */
		{PATH_PREFIX, "/", PATH_REGEX, "/a.*", false},
		{PATH_PREFIX, "/", PATH_PREFIX, "/a", true},
		{PATH_PREFIX, "/", PATH_TEMPLATE, "/{a}", true},
		{PATH_PREFIX, "/a", PATH_PREFIX, "/a/", true},
		{PATH_PREFIX, "/a/", PATH_PREFIX, "/a", true},
		{PATH_PREFIX, "/a", PATH_PREFIX, "/a/b", true},
		{PATH_PREFIX, "/a", PATH_PREFIX, "/ab", false},
		{PATH_PREFIX, "/a/b", PATH_PREFIX, "/a", false},
		{PATH_PREFIX, "/a", PATH_EXACT, "/a", true},
		{PATH_PREFIX, "/a", PATH_EXACT, "/a/b", true},
		{PATH_PREFIX, "/a", PATH_EXACT, "/b", false},
		{PATH_PREFIX, "/a", PATH_TEMPLATE, "/a/{x}", true},
		{PATH_PREFIX, "/a/b", PATH_TEMPLATE, "/a/{x}", false},
		{PATH_EXACT, "/a", PATH_EXACT, "/a", true},
		{PATH_EXACT, "/a", PATH_PREFIX, "/a", false},
		{PATH_TEMPLATE, "/a/{x}", PATH_EXACT, "/a/b", true},
		{PATH_TEMPLATE, "/a/{x:int}", PATH_EXACT, "/a/b", false},
		{PATH_TEMPLATE, "/a/{x}", PATH_TEMPLATE, "/a/{x}", true},
		{PATH_TEMPLATE, "/a/{x}", PATH_TEMPLATE, "/a/{y:int}", false}, /* not seen */
		{PATH_REGEX, "/a.*", PATH_EXACT, "/abc", true},
		{PATH_REGEX, "/a.*", PATH_REGEX, "/a.*", true},
		{PATH_REGEX, "/a.*", PATH_PREFIX, "/a", false},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct path_rule outer = compile(&w, rows[i].outer_kind, rows[i].outer);
		struct path_rule inner = compile(&w, rows[i].inner_kind, rows[i].inner);

		if (path_rule_covers(&outer, &inner, w.room) != rows[i].covers)
			fail_msg("%s over %s", rows[i].outer, rows[i].inner);
	}
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
