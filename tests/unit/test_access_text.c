/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of access logs: templates, escaping, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "conf/access_plan.h"
#include "conf/snapshot.h"
#include "core/arena.h"
#include "l7/access_text.h"

static const struct access_plan json_plan = {.is_json = true}, text_plan;
static const struct access_conf json = {.plan = &json_plan}, text = {.plan = &text_plan};
static char room[4096];

static const char *finish(const struct access_text *t)
{
	room[t->len] = '\0';
	return room;
}

static const char *value(const struct access_conf *conf, const char *bytes, size_t len)
{
	struct access_text t;

	access_text_init(&t, room, sizeof(room) - 1, conf);
	access_text_put(&t, (struct slice){bytes, len});
	return finish(&t);
}

static const char *query(const struct access_conf *conf, const char *bytes)
{
	struct access_text t;

	access_text_init(&t, room, sizeof(room) - 1, conf);
	access_text_put_query(&t, slice_of(bytes));
	return finish(&t);
}

static void test_values(void **state)
{
	(void)state;
	assert_string_equal(value(&json, "a b", 3), "\"a b\"");
	assert_string_equal(value(&json, "\"\\\n\0\x7f\xff", 6),
			    "\"\\u0022\\u005c\\u000a\\u0000\\u007f\\u00ff\"");
	assert_string_equal(value(&json, "", 0), "null");
	assert_string_equal(value(&text, "\"\\\n\0x\xff", 6), "\\x22\\x5c\\x0a\\x00x\\xff");
	assert_string_equal(value(&text, "", 0), "-");
}

static void test_queries(void **state)
{
	static const char *const none[] = {""};
	static const char *const mine[] = {"my"};
	struct access_conf conf = text;

	(void)state;
	assert_string_equal(query(&text, "a=1&token=x&b"), "a=1&token=[redacted]&b");
	assert_string_equal(query(&text, "TOKEN=x"), "TOKEN=[redacted]");
	assert_string_equal(query(&text, "%74o%6Ben=x"), "%74o%6Ben=[redacted]");
	assert_string_equal(query(&text, "token"), "token");
	assert_string_equal(query(&text, "token=&token=x=y&=&&"),
			    "token=[redacted]&token=[redacted]&=&&");
	assert_string_equal(query(&text, "a=token&xtoken=1&token%=2"), "a=token&xtoken=1&token%=2");
	assert_string_equal(query(&json, "token=\"&a=\""), "\"token=[redacted]&a=\\u0022\"");
	conf.redact = mine;
	conf.redact_count = 1;
	assert_string_equal(query(&conf, "token=1&my=2"), "token=1&my=[redacted]");
	conf.redact = none;
	conf.redact_count = 0;
	assert_string_equal(query(&conf, "token=1"), "token=1");
}

static void test_headers(void **state)
{
	struct access_text t;

	(void)state;
	access_text_init(&t, room, sizeof(room) - 1, &text);
	access_text_put_header(&t, SLICE("cookie"), SLICE("a"));
	access_text_put_header(&t, SLICE("cookie"), (struct slice){0});
	access_text_put_header(&t, SLICE("x"), SLICE("a"));
	access_text_put_header(&t, SLICE("api_key"), SLICE("a"));
	assert_string_equal(finish(&t), "[redacted]-a[redacted]");
}

static void test_no_room(void **state)
{
	struct access_text t;
	char few[4];

	(void)state;
	access_text_init(&t, few, sizeof(few), &json);
	access_text_put(&t, SLICE("abc"));
	assert_true(t.is_full && t.len <= sizeof(few));
}

static void test_templates(void **state)
{
	const struct access_plan *p;
	const char *problem;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	p = access_plan_template(&arena, "{{a}} {status}-{header.X-Y}{header.x-y}{time}", &problem);
	assert_non_null(p);
	assert_null(problem);
	assert_false(p->is_json);
	assert_int_equal(p->header_count, 1);
	assert_true(slice_eq(p->headers[0], SLICE("x-y")));
	assert_int_equal(p->pieces[p->count - 1].field, ACCESS_TIME);
	assert_int_equal(p->pieces[p->count - 2].kind, ACCESS_HEADER);
	for (const char *const *bad = (const char *const[]){"{", "}", "a{}", "{status", "{nothing}",
							    "{header.}", "{{}", NULL};
	     *bad; bad++) {
		assert_null(access_plan_template(&arena, *bad, &problem));
		assert_non_null(problem);
	}
	p = access_plan_template(&arena, "", &problem);
	assert_int_equal(p->count, 0);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	  cmocka_unit_test(test_queries),
		cmocka_unit_test(test_headers),	  cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
