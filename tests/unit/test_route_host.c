/* SPDX-License-Identifier: BSD-2-Clause */
/* Host patterns: which are taken, what they fit, which make others needless. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/host.h"
#include "tests/unit/route_util.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
		bool is_suffix;
	} rows[] = {
		{"example.com", "example.com", false},
		{"Example.COM.", "example.com", false},
		{"localhost", "localhost", false},
		{"a_b-c.x", "a_b-c.x", false},
		{"192.0.2.1", "192.0.2.1", false},
		{"[2001:DB8::1]", "[2001:db8::1]", false},
		{"*.example.com", ".example.com", true},
		{"*.COM", ".com", true},
		{"", NULL, false},
		{".", NULL, false},
		{"*", NULL, false},
		{"*.", NULL, false},
		{"*..com", NULL, false},
		{"*.*.com", NULL, false},
		{"a.*.com", NULL, false},
		{"*a.com", NULL, false},
		{".example.com", NULL, false},
		{"example..com", NULL, false},
		{"example.com:80", NULL, false},
		{"exa mple.com", NULL, false},
		{"[2001:db8::1", NULL, false},
		{"[192.0.2.1]", NULL, false},
		{"*.[2001:db8::1]", NULL, false},
		{"[]", NULL, false},
		{"2001:db8::1", NULL, false},
		{"a123456789012345678901234567890123456789012345678901234567890123.com", NULL,
		 false},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct host_pattern p;
		int err = host_pattern_parse(&w.mem, text_slice(rows[i].text), &p);

		if (err != (rows[i].want ? 0 : -EINVAL))
			fail_msg("\"%s\": %d", rows[i].text, err);
		if (err)
			continue;
		assert_true(slice_eq(p.text, text_slice(rows[i].want)));
		assert_int_equal(p.is_suffix, rows[i].is_suffix);
	}
	world_deinit(&w);
}

static void test_fits(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool fits;
	} rows[] = {
		{"example.com", "example.com", true},
		{"example.com", "www.example.com", false},
		{"example.com", "", false},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", ".example.com", false},
		{"*.example.com", "badexample.com", false},
		{"*.example.com", "www.example.com.evil", false},
		{"*.example.com", "com", false},
		{"[2001:db8::1]", "[2001:db8::1]", true},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct host_pattern p;

		assert_int_equal(host_pattern_parse(&w.mem, text_slice(rows[i].pattern), &p), 0);
		if (host_pattern_fits(&p, text_slice(rows[i].host)) != rows[i].fits)
			fail_msg("%s on %s", rows[i].pattern, rows[i].host);
	}
	world_deinit(&w);
}

static void test_covers(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool covers;
	} rows[] = {
		{"a.com", "a.com", true},	 {"a.com", "b.com", false},
		{"*.a.com", "a.com", false},	 {"*.a.com", "b.a.com", true},
		{"*.a.com", "*.a.com", true},	 {"*.a.com", "*.b.a.com", true},
		{"*.b.a.com", "*.a.com", false}, {"*.a.com", "*.ba.com", false},
		{"b.a.com", "*.a.com", false},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct host_pattern outer, inner;

		assert_int_equal(host_pattern_parse(&w.mem, text_slice(rows[i].outer), &outer), 0);
		assert_int_equal(host_pattern_parse(&w.mem, text_slice(rows[i].inner), &inner), 0);
		if (host_pattern_covers(&outer, &inner) != rows[i].covers)
			fail_msg("%s over %s", rows[i].outer, rows[i].inner);
	}
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
