/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of HTTP/2 messages: how they are collected, read, and taken apart for frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/h2_head.h"
#include "l7/http1_write.h"

#define FIELD_MAX 8

static const struct http1_limits limits = {.line = 64, .bytes = 256, .count = FIELD_MAX};
static struct buf_pool pool;
static struct field fields[FIELD_MAX + 8];

/* Of "name value|name value": each in memory of its exact size, for the sanitizer. */
static void collect(struct h2_head *hh, const char *text)
{
	while (*text) {
		size_t name_len = strcspn(text, " "), value_len = strcspn(text + name_len, "|") - 1;
		char *name = malloc(name_len), *value = malloc(value_len + 1);

		assert_non_null(name);
		assert_non_null(value);
		memcpy(name, text, name_len);
		memcpy(value, text + name_len + 1, value_len);
		assert_int_equal(h2_head_add(hh, &pool, &limits, (struct slice){name, name_len},
					     (struct slice){value, value_len}),
				 0);
		free(name);
		free(value);
		text += name_len + 1 + value_len;
		text += *text == '|';
	}
	assert_int_equal(h2_head_end(hh, &pool), 0);
}

#define GET ":method GET|:scheme http|:path /|:authority a"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

struct request_row {
	const char *text;
	bool has_body;
	enum reason reason;
	const char *written; /* its request line and fields */
};

static const struct request_row requests[] = {
	{GET, false, REASON_NONE, "GET / HTTP/1.1\r\nHost: a\r\n"},
	{GET "|a b|c ", false, REASON_NONE, "GET / HTTP/1.1\r\nHost: a\r\na: b\r\nc: \r\n"},
	{GET "|cookie a|b c|cookie d|cookie e", false, REASON_NONE,
	 "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\ncookie: a; d; e\r\n"},
	{GET "|cookie a", false, REASON_NONE, "GET / HTTP/1.1\r\nHost: a\r\ncookie: a\r\n"},
	{GET "|host a", false, REASON_NONE, "GET / HTTP/1.1\r\nHost: a\r\n"},
	{":method GET|:scheme http|:path /|host b", false, REASON_NONE,
	 "GET / HTTP/1.1\r\nHost: b\r\n"},
	{":method POST|:scheme http|:path /|:authority a", true, REASON_NONE,
	 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"},
	{":method POST|:scheme http|:path /|:authority a", false, REASON_NONE,
	 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"},
	{":method POST|:scheme http|:path /|:authority a|content-length 7", true, REASON_NONE,
	 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n"},
	{":method OPTIONS|:scheme http|:path *|:authority a", false, REASON_NONE,
	 "OPTIONS * HTTP/1.1\r\nHost: a\r\n"},
	{":method CONNECT|:authority a:443", true, REASON_NONE,
	 "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n"},
	{":method CONNECT|:authority a", true, REASON_TARGET, NULL},
	{":method CONNECT|:authority a:443|:path /", true, REASON_TARGET, NULL},
	{":method CONNECT|:protocol x|:scheme http|:path /|:authority a|content-length 0", true,
	 REASON_UPGRADE_BODY, NULL},
	{GET "|host b", false, REASON_HOST_DIFFERS, NULL},
	{":method GET|:scheme http|:path /", false, REASON_HOST_MISSING, NULL},
	{":method G T|:scheme http|:path /|:authority a", false, REASON_START_LINE, NULL},
	{":scheme http|:path /|:authority a", false, REASON_START_LINE, NULL},
	{":method GET|:scheme ftp|:path /|:authority a", false, REASON_TARGET, NULL},
	{":method GET|:scheme http|:path |:authority a", false, REASON_TARGET, NULL},
	{":method GET|:scheme http|:path a|:authority a", false, REASON_TARGET, NULL},
	{":method GET|:scheme http|:path *|:authority a", false, REASON_TARGET, NULL},
	{":method GET|:scheme http|:path http://a/|:authority a", false, REASON_TARGET, NULL},
	{":method GET|:scheme http|:path /#a|:authority a", false, REASON_FRAGMENT, NULL},
	{":method GET|:scheme http|:path /" X64 "|:authority a", false, REASON_LINE_LONG, NULL},
	{":method GET|:scheme http|:path /|:authority u@a", false, REASON_HOST_BAD, NULL},
	{":method GET|:scheme http|:path /|:authority a,b", false, REASON_HOST_BAD, NULL},
	{GET "|transfer-encoding chunked|content-length 3", true, REASON_LENGTH_AND_CODING, NULL},
	{GET "|a " X64 "|b " X64 "|c " X64 "|d " X64, false, REASON_HEADER_LARGE, NULL},
	{GET "|a b|a b|a b|a b|a b", false, REASON_HEADER_COUNT, NULL},
};

static void check_request(const struct request_row *row)
{
	static const struct hop hop = {.client = {"c", 1}, .proto = {"http", 4}};
	struct h2_head hh = {0};
	struct head h = {.fields = fields, .allow_connect = true};
	char *out, *forwarded;
	enum reason r;
	size_t n, bound;

	collect(&hh, row->text);
	h.cap = h2_head_cap(&hh);
	assert_true(h.cap <= sizeof(fields) / sizeof(fields[0]));
	r = h2_head_request(&hh, &pool, &limits, row->has_body, &h);
	if (r != row->reason)
		fail_msg("%s: %s", row->text, reason_text(r));
	assert_true(h.count <= h.cap);
	if (r == REASON_NONE) {
		bound = http1_request_bound(http1_block_size(&h), &h, &hop);
		out = malloc(bound);
		assert_non_null(out);
		n = http1_write_request(out, &h, &hop);
		assert_true(n <= bound);
		forwarded = memmem(out, n, "X-Forwarded-For", 15);
		assert_non_null(forwarded);
		*forwarded = 0;
		assert_string_equal(out, row->written);
		free(out);
	}
	h2_head_release(&hh, &pool);
	assert_int_equal(pool.in_use, 0);
}

static void reads_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		check_request(&requests[i]);
}

static void reads_an_extended_connect_as_an_upgrade(void **state)
{
	struct h2_head hh = {0};
	struct head h = {.fields = fields};

	(void)state;
	collect(&hh, ":method CONNECT|:protocol websocket|:scheme http|:path /x|:authority a");
	h.cap = h2_head_cap(&hh);
	assert_int_equal(h2_head_request(&hh, &pool, &limits, true, &h), REASON_NONE);
	assert_true(slice_eq(h.method, SLICE("GET")) && slice_eq(h.target, SLICE("/x")));
	assert_true(h.has_upgrade && !h.is_connect);
	assert_int_equal(h.body, BODY_NONE);
	assert_true(slice_eq(h.fields[h.count - 1].value, SLICE("websocket")));
	assert_true(h.count < h.cap); /* there is room for a key */
	h2_head_release(&hh, &pool);
}

static void keeps_several_apart(void **state)
{
	struct h2_head hh = {0};
	struct head h = {.fields = fields, .cap = FIELD_MAX};

	(void)state;
	collect(&hh, ":status 103|link a");
	collect(&hh, ":status 200|content-length 3");
	assert_int_equal(h2_head_response(&hh, true, false, &h), REASON_NONE);
	assert_int_equal(h.status, 103);
	h2_head_next(&hh, &pool);
	assert_int_equal(h2_head_response(&hh, true, false, &h), REASON_NONE);
	assert_int_equal(h.status, 200);
	assert_true(h.has_length && h.length == 3 && h.body == BODY_EOF);
	h2_head_next(&hh, &pool);
	assert_int_equal(pool.in_use, 0);
}

static void writes_a_trailer_section(void **state)
{
	struct h2_head hh = {0};
	char *out;
	size_t n;

	(void)state;
	collect(&hh, "a b|c |d efg");
	out = malloc(h2_section_bound(&hh));
	assert_non_null(out);
	n = h2_head_section(&hh, out);
	assert_int_equal(n, h2_section_bound(&hh));
	assert_memory_equal(out, "a: b\r\nc: \r\nd: efg\r\n\r\n", n);
	free(out);
	h2_head_release(&hh, &pool);
}

/* The lines of a block, as "name=value;", without those of the connection. */
static void takes_blocks_apart(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: x\r\n"
				   "Transfer-Encoding: chunked\r\nKeep-Alive: 1\r\nX-A:  b c \r\n"
				   "Upgrade: x\r\nEmpty:\r\n\r\n";
	size_t len = sizeof(text) - 1, n = 0;
	char *block = malloc(len), *lower = malloc(len), got[sizeof(text)];
	struct h2_lines l = {.rest = {block, len}, .lower = lower};
	struct slice name, value;

	(void)state;
	assert_non_null(block);
	assert_non_null(lower);
	memcpy(block, text, len);
	assert_true(slice_eq(h2_lines_start(&l), SLICE("HTTP/1.1 200 OK")));
	while (h2_lines_next(&l, &name, &value))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s=%.*s;", (int)name.len,
				      name.ptr, (int)value.len, value.ptr);
	assert_string_equal(got, "content-length=3;x-a=b c;empty=;");
	free(block);
	free(lower);
}

static int set_up(void **state)
{
	(void)state;
	buf_pool_init(&pool, 0, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_pool_deinit(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_requests),
		cmocka_unit_test(reads_an_extended_connect_as_an_upgrade),
		cmocka_unit_test(keeps_several_apart),
		cmocka_unit_test(writes_a_trailer_section),
		cmocka_unit_test(takes_blocks_apart),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
