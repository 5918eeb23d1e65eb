/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of the proxy's own, what is read from requests for them, and names of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "l7/answer.h"
#include "l7/l7_int.h"

static const char id[] = "0123-abc";

static struct answer named(enum reason reason)
{
	struct answer a = {.reason = reason, .id_len = sizeof(id) - 1};

	memcpy(a.id, id, sizeof(id) - 1);
	return a;
}

/* With a zero behind each part. */
static void say(struct answer *a, enum persistence persistence, char head[ANSWER_MAX],
		char body[ANSWER_MAX])
{
	struct l7 l7 = {.random = 1};
	char out[ANSWER_MAX];
	struct answer_text t = answer_write(&l7, a, persistence, out);

	memcpy(head, t.head.ptr, t.head.len);
	head[t.head.len] = 0;
	if (t.body.len)
		memcpy(body, t.body.ptr, t.body.len);
	body[t.body.len] = 0;
}

static void test_answers_fit_and_are_whole(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * REASON_COUNT; i++) {
		enum reason r = (enum reason)(i / 2);
		struct answer a = named(r);
		char head[ANSWER_MAX], body[ANSWER_MAX], *length;

		if (r == REASON_NONE)
			continue;
		a.wants_json = i % 2;
		say(&a, PERSIST_KEEP_ALIVE, head, body);
		assert_string_equal(head + strlen(head) - 4, "\r\n\r\n");
		assert_non_null(strstr(head, "\r\nX-Request-Id: 0123-abc\r\n"));
		assert_non_null(strstr(head, "\r\nConnection: keep-alive\r\n"));
		length = strstr(head, "\r\nContent-Length: ") + strlen("\r\nContent-Length: ");
		assert_int_equal(strtoul(length, NULL, 10), strlen(body));
		assert_non_null(strstr(body, reason_text(r)));
		a.is_head = true;
		say(&a, PERSIST_CLOSE, head, body);
		assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
		assert_string_equal(body, "");
	}
}

static void test_the_longest_answer_is_whole(void **state)
{
	char name[64], head[ANSWER_MAX], body[ANSWER_MAX];
	struct answer a = {.reason = REASON_LARGE_RESPONSE, .wants_json = true};

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	memset(a.id, 'i', sizeof(a.id));
	a.id_len = sizeof(a.id);
	a.facts = (struct answer_facts){name, name, name, 1000};
	say(&a, PERSIST_CLOSE, head, body);
	assert_string_equal(head + strlen(head) - 4, "\r\n\r\n");
	assert_string_equal(body + strlen(body) - 2, "}\n");
}

static void test_what_is_known_is_told(void **state)
{
	char head[ANSWER_MAX], body[ANSWER_MAX];
	struct answer a = named(REASON_CONNECT_FAILED);

	(void)state;
	a.wants_json = true;
	a.facts = (struct answer_facts){.route = "r", .pool = "p", .backend = "b", .attempts = 2};
	say(&a, PERSIST_DEFAULT, head, body);
	assert_string_equal(
		body, "{\"status\": 502, \"code\": \"CONNECT_FAILED\", \"reason\": \"no backend "
		      "could be connected to\", \"request_id\": \"0123-abc\", \"route\": \"r\", "
		      "\"pool\": \"p\", \"backend\": \"b\", \"attempts\": 2}\n");
	a.status = 418;
	say(&a, PERSIST_DEFAULT, head, body);
	assert_memory_equal(body, "{\"status\": 418,", sizeof("{\"status\": 418,") - 1);
}

static void test_grpc_has_its_status_in_the_header(void **state)
{
	char head[ANSWER_MAX], body[ANSWER_MAX];
	struct answer a = named(REASON_NO_BACKEND);

	(void)state;
	a.is_grpc = a.wants_json = true;
	say(&a, PERSIST_DEFAULT, head, body);
	assert_non_null(strstr(head, "\r\nGrpc-Status: 14\r\n"));
	assert_non_null(strstr(head, "\r\nX-Request-Id: 0123-abc\r\n"));
	assert_string_equal(body, "");
}

static void test_who_gets_json(void **state)
{
	static const struct {
		const char *accept;
		bool json;
	} cases[] = {
		{"*/*", false},
		{"application/json", true},
		{"Application/JSON;charset=x", true},
		{"text/html, application/json;q=0.9", false},
		{"text/html;q=0.8, application/json;q=0.9", true},
		{"text/html;q=0.85,application/json; q=0.9, */*", true},
		{"application/json;q=0", false},
		{"application/json;q=", true},
		{"application/jsonx", false},
		{"text/plain", false},
		{"", false},
		{",;q=1,", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct field f = {SLICE("accept"), slice_of(cases[i].accept), FIELD_OTHER};
		struct head h = {.fields = &f, .count = 1};
		struct answer a = {.reason = REASON_NO_BACKEND};
		char block[256];
		int n = snprintf(block, sizeof(block),
				 "GET / HTTP/1.1\r\nHost: a\r\nACCEPT: %s\r\n\r\n",
				 cases[i].accept);

		answer_read(&a, &h, false);
		assert_int_equal(a.wants_json, cases[i].json);
		a = (struct answer){0};
		answer_read_block(&a, (struct slice){block, (size_t)n}, false);
		assert_int_equal(a.wants_json, cases[i].json);
	}
}

static void test_a_name_is_taken_from_who_is_trusted(void **state)
{
	const struct slice block = SLICE("GET / HTTP/1.1\r\nx-request-id: a-1\r\n\r\n");
	const struct slice bad = SLICE("GET / HTTP/1.1\r\nx-request-id: a\"1\r\n\r\n");
	struct answer a = {0};

	(void)state;
	answer_read_block(&a, block, false);
	assert_int_equal(a.id_len, 0);
	answer_read_block(&a, bad, true);
	assert_int_equal(a.id_len, 0);
	answer_read_block(&a, block, true);
	assert_int_equal(a.id_len, 3);
	assert_memory_equal(a.id, "a-1", 3);
}

static void test_names(void **state)
{
	const uint64_t random[2] = {UINT64_MAX, 0x123456789abcdef0};
	char made[REQUEST_ID_MADE], longest[REQUEST_ID_MAX + 1];
	struct slice s = request_id_make(made, 0x0123456789ab, random);

	(void)state;
	assert_int_equal(s.len, REQUEST_ID_MADE);
	assert_memory_equal(made, "01234567-89ab-7fff-bfff-56789abcdef0", REQUEST_ID_MADE);
	assert_true(request_id_is_good(s));
	assert_false(request_id_is_good(SLICE("")));
	assert_false(request_id_is_good(SLICE("a b")));
	assert_false(request_id_is_good(SLICE("a\\b")));
	memset(longest, 'a', sizeof(longest));
	assert_true(request_id_is_good((struct slice){longest, REQUEST_ID_MAX}));
	assert_false(request_id_is_good((struct slice){longest, REQUEST_ID_MAX + 1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_fit_and_are_whole),
		cmocka_unit_test(test_the_longest_answer_is_whole),
		cmocka_unit_test(test_what_is_known_is_told),
		cmocka_unit_test(test_grpc_has_its_status_in_the_header),
		cmocka_unit_test(test_who_gets_json),
		cmocka_unit_test(test_a_name_is_taken_from_who_is_trusted),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
