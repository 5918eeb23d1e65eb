/* SPDX-License-Identifier: BSD-2-Clause */
/* Header blocks: what is accepted, how it is read, and why the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/http1_parse.h"
#include "l7/http1_scan.h"

#define FIELD_MAX 8

static const struct http1_limits limits = {.line = 64, .bytes = 256, .count = FIELD_MAX};
static struct field fields[FIELD_MAX];

/* As connections do it: look at what is there whenever a byte comes, then parse. The block lies in
 * memory of its exact size, for the sanitizer. */
static enum reason read_block(const char *text, size_t len, bool request, bool is_head,
			      struct head *h)
{
	struct http1_scan s = {0};
	char *block = malloc(len ? len : 1);
	enum reason r = REASON_COUNT; /* not whole */

	assert_non_null(block);
	*h = (struct head){.fields = fields, .cap = FIELD_MAX};
	for (size_t n = 1; n <= len; n++) {
		int got;

		memcpy(block, text, n);
		got = http1_scan(&s, block, n, &limits);
		if (got < 0) {
			r = (enum reason) - got;
			break;
		}
		if (got > 0) {
			assert_int_equal(got, n);
			/* Slices are looked at by the caller: they must stay. */
			r = request ? http1_parse_request(text, n, s.count, h)
				    : http1_parse_response(text, n, s.count, is_head, h);
			break;
		}
	}
	free(block);
	return r;
}

/* All at once gives the same as byte by byte. */
static void check_at_once(const char *text, size_t len, enum reason want, bool request)
{
	struct http1_scan s = {0};
	struct head h = {.fields = fields, .cap = FIELD_MAX};
	int got = http1_scan(&s, text, len, &limits);
	enum reason r;

	if (got > 0)
		r = request ? http1_parse_request(text, (size_t)got, s.count, &h)
			    : http1_parse_response(text, (size_t)got, s.count, false, &h);
	else
		r = got < 0 ? (enum reason) - got : REASON_COUNT;
	assert_int_equal(r, want);
}

static struct head good(const char *text)
{
	struct head h;
	enum reason r = read_block(text, strlen(text), true, false, &h);

	if (r != REASON_NONE)
		fail_msg("%s: %s", text, r < REASON_COUNT ? reason_text(r) : "not whole");
	return h;
}

static struct head good_response(const char *text, bool is_head)
{
	struct head h;
	enum reason r = read_block(text, strlen(text), false, is_head, &h);

	if (r != REASON_NONE)
		fail_msg("%s: %s", text, r < REASON_COUNT ? reason_text(r) : "not whole");
	return h;
}

static void assert_slice(struct slice s, const char *want)
{
	if (!slice_eq(s, (struct slice){want, strlen(want)}))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.ptr, want);
}

struct refused {
	const char *text;
	enum reason reason;
	size_t len; /* where there is a zero in it */
};

#define GET		"GET / HTTP/1.1\r\nHost: a\r\n"
#define POST		"POST / HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE		"Connection: upgrade\r\nUpgrade: websocket\r\n"
#define X64		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define WITH_ZERO(text) (text), REASON_CONTROL_BYTE, sizeof(text) - 1

static const struct refused refused_requests[] = {
	/* line ends and control bytes */
	{"GET / HTTP/1.1\nHost: a\n\n", REASON_BARE_LF, 0},
	{"GET / HTTP/1.1\r\nHost: a\n\r\n", REASON_BARE_LF, 0},
	{"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_BARE_LF, 0},
	{GET "A: b\rTransfer-Encoding: chunked\r\n\r\n", REASON_BARE_CR, 0},
	{GET "A: b\r\r\n\r\n", REASON_BARE_CR, 0},
	{"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", REASON_BARE_CR, 0},
	{WITH_ZERO(GET "A: b\0c\r\n\r\n")},
	{GET "A: b\x01\r\n\r\n", REASON_CONTROL_BYTE, 0},
	{GET "A: bbbbbbbbbbbbbbbbbbbbbb\x7f\r\n\r\n", REASON_CONTROL_BYTE, 0},
	{GET "A: b\x0b\r\n\r\n", REASON_CONTROL_BYTE, 0},
	/* field lines */
	{GET "A: b\r\n c\r\n\r\n", REASON_OBS_FOLD, 0},
	{GET "A: b\r\n\tc\r\n\r\n", REASON_OBS_FOLD, 0},
	{"GET / HTTP/1.1\r\n Host: a\r\n\r\n", REASON_OBS_FOLD, 0},
	{GET "A b\r\n\r\n", REASON_NO_COLON, 0},
	{GET ": b\r\n\r\n", REASON_FIELD_NAME, 0},
	{GET "A : b\r\n\r\n", REASON_FIELD_NAME, 0},
	{GET "A\t: b\r\n\r\n", REASON_FIELD_NAME, 0},
	{GET "A(b: c\r\n\r\n", REASON_FIELD_NAME, 0},
	{GET "A\xc3\xa4: c\r\n\r\n", REASON_FIELD_NAME, 0},
	/* request line */
	{"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET /\r\n\r\n", REASON_START_LINE, 0},
	{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{" GET / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET / b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET / http/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET / HTTP/1.10\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_START_LINE, 0},
	{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", REASON_VERSION, 0},
	{"GET / HTTP/1.2\r\nHost: a\r\n\r\n", REASON_VERSION, 0},
	{"GET / HTTP/0.9\r\nHost: a\r\n\r\n", REASON_VERSION, 0},
	{"PRI * HTTP/2.0\r\n\r\n", REASON_VERSION, 0},
	{"GET /" X64 " HTTP/1.1\r\nHost: a\r\n\r\n", REASON_LINE_LONG, 0},
	{"GET /" X64 X64, REASON_LINE_LONG, 0},
	{"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_METHOD_UNKNOWN, 0},
	{"get / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_METHOD_UNKNOWN, 0},
	{"DESCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_METHOD_UNKNOWN, 0},
	{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", REASON_METHOD_CONNECT, 0},
	/* target */
	{"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_FRAGMENT, 0},
	{"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
	{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
	{"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
	{"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
	/* Host */
	{"GET / HTTP/1.1\r\n\r\n", REASON_HOST_MISSING, 0},
	{"GET http://a/ HTTP/1.1\r\n\r\n", REASON_HOST_MISSING, 0},
	{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", REASON_HOST_DIFFERS, 0},
	{"GET http://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_HOST_DIFFERS, 0},
	{"GET https://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", REASON_HOST_DIFFERS, 0},
	{"GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n", REASON_HOST_DIFFERS, 0},
	{GET "Host: a\r\n\r\n", REASON_HOST_TWICE, 0},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", REASON_HOST_BAD, 0},
	{"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", REASON_HOST_BAD, 0},
	/* framing */
	{POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: 1, 1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: +1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: -1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: 0x1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length:\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: 9223372036854775808\r\n\r\n", REASON_LENGTH_BAD, 0},
	{POST "Content-Length: 18446744073709551616\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Transfer-Encoding: gzip\r\n\r\n", REASON_CODING_UNKNOWN, 0},
	{POST "Transfer-Encoding: identity\r\n\r\n", REASON_CODING_UNKNOWN, 0},
	{POST "Transfer-Encoding: xchunked\r\n\r\n", REASON_CODING_UNKNOWN, 0},
	{POST "Transfer-Encoding: gzip, chunked\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Transfer-Encoding: ,chunked\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Transfer-Encoding: chunked,\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Transfer-Encoding: \"chunked\"\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Transfer-Encoding: chunked\xa0\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Transfer-Encoding:\r\n\r\n", REASON_CODING_BAD, 0},
	{"GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", REASON_BODY_OLD, 0},
	{"GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", REASON_NONE, 0},
	{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_CODING_OLD, 0},
	{GET "Connection: a b\r\n\r\n", REASON_CONNECTION_BAD, 0},
	{POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	 REASON_HEADER_SYNTAX, 0},
	{POST "Transfer-Encoding: chunked, identity\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Transfer-Encoding: \r\nContent-Length: 1\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Transfer-Encoding: chunked;a=b\r\n\r\n", REASON_CODING_BAD, 0},
	{POST "Content-Length: 1_0\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{POST "Content-Length: 1 0\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	/* other protocols */
	{GET UPGRADE "Content-Length: 1\r\n\r\n", REASON_UPGRADE_BODY, 0},
	{GET UPGRADE "Content-Length: 0\r\n\r\n", REASON_UPGRADE_BODY, 0},
	{GET UPGRADE "Transfer-Encoding: chunked\r\n\r\n", REASON_UPGRADE_BODY, 0},
	{GET "Expect: 100-continue, more\r\n\r\n", REASON_EXPECTATION, 0},
	{GET "Expect: \r\n\r\n", REASON_EXPECTATION, 0},
	/* sizes */
	{GET "A: b\r\nB: b\r\nC: b\r\nD: b\r\nE: b\r\nF: b\r\nG: b\r\nH: b\r\n\r\n",
	 REASON_HEADER_COUNT, 0},
	{GET "A: " X64 X64 X64 X64 "\r\n\r\n", REASON_HEADER_LARGE, 0},
	{GET "A: " X64 X64 X64 X64, REASON_HEADER_LARGE, 0},
	/* more is needed */
	{"", REASON_COUNT, 0},
	{"GET / HTTP/1.1\r\nHost: a\r\n", REASON_COUNT, 0},
	{"GET / HTTP/1.1\r\nHost: a\r\n\r", REASON_COUNT, 0},
};

static void check_refused(const struct refused *list, size_t count, bool request)
{
	for (size_t i = 0; i < count; i++) {
		const struct refused *c = &list[i];
		size_t len = c->len ? c->len : strlen(c->text);
		struct head h;
		enum reason r = read_block(c->text, len, request, false, &h);

		if (r != c->reason)
			fail_msg("%s: %s, not %s", c->text,
				 r < REASON_COUNT ? reason_text(r) : "not whole",
				 c->reason < REASON_COUNT ? reason_text(c->reason) : "not whole");
		if (len)
			check_at_once(c->text, len, c->reason, request);
	}
}

static void test_refused_requests(void **state)
{
	(void)state;
	check_refused(refused_requests, sizeof(refused_requests) / sizeof(refused_requests[0]),
		      true);
}

static void test_plain_request(void **state)
{
	struct head h = good("GET /a/b?c=d%23 HTTP/1.1\r\nhOST:example.org:8080\r\nA:  b c \t\r\n"
			     "Empty:\r\n\r\n");

	(void)state;
	assert_slice(h.method, "GET");
	assert_slice(h.target, "/a/b?c=d%23");
	assert_slice(h.authority, "example.org:8080");
	assert_int_equal(h.count, 3);
	assert_slice(h.fields[1].name, "A");
	assert_slice(h.fields[1].value, "b c");
	assert_slice(h.fields[2].value, "");
	assert_int_equal(h.minor, 1);
	assert_int_equal(h.body, BODY_NONE);
	assert_false(h.has_length);
	assert_true(h.persistent);
	assert_true(h.is_idempotent);
	assert_false(h.is_head);
}

static void test_values_may_hold_tabs_and_high_bytes(void **state)
{
	struct head h = good(GET "A: b\tc \xc3\xa4\r\n\r\n");

	(void)state;
	assert_slice(h.fields[1].value, "b\tc \xc3\xa4");
}

/* Each byte at each place of lines of each length: words of the machine must not hide one. */
static void test_control_bytes_anywhere(void **state)
{
	const struct http1_limits roomy = {64, 256, 8};
	char block[64] = "GET / HTTP/1.1\r\nA:";
	const size_t from = strlen(block);

	(void)state;
	for (size_t len = 1; len <= 20; len++) {
		memset(block + from, 'v', len);
		memcpy(block + from + len, "\r\n\r\n", 4);
		for (size_t at = 0; at < len; at++) {
			for (int c = 0; c < 256; c++) {
				bool fine = c == '\t' || (c >= 0x20 && c != 0x7f);
				struct http1_scan s = {0};
				int got;

				block[from + at] = (char)c;
				got = http1_scan(&s, block, from + len + 4, &roomy);
				if (fine ? got != (int)(from + len + 4) : got >= 0)
					fail_msg("byte %d at %zu of %zu: %d", c, at, len, got);
			}
			block[from + at] = 'v';
		}
	}
}

static void test_absolute_target_and_host_agree(void **state)
{
	struct head h = good("GET http://b.example/x?y HTTP/1.1\r\nHost: B.example:80\r\n\r\n");

	(void)state;
	assert_slice(h.authority, "b.example");
	assert_slice(h.target, "/x?y");
	h = good("GET https://b:443/ HTTP/1.1\r\nHost: b\r\n\r\n");
	assert_slice(h.authority, "b:443");
	h = good("GET http://b/ HTTP/1.0\r\n\r\n");
	assert_slice(h.authority, "b");
	h = good("GET HTTP://b HTTP/1.1\r\nHost: b:\r\n\r\n");
	assert_slice(h.target, "/");
	assert_slice(h.authority, "b");
	h = good("OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n");
	assert_slice(h.target, "*");
	h = good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_slice(h.target, "*");
}

static void test_hosts(void **state)
{
	static const char *const hosts[] = {
		"a",	    "a.",	    "a:80", "a:", "192.0.2.1:8080", "[2001:db8::1]",
		"[::1]:80", "A_b-c.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char text[128];
		struct head h;

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		h = good(text);
		assert_slice(h.authority, hosts[i]);
	}
}

static void test_bodies(void **state)
{
	struct head h = good(POST "Content-Length: 12\r\n\r\n");

	(void)state;
	assert_int_equal(h.body, BODY_LENGTH);
	assert_int_equal(h.length, 12);
	assert_false(h.is_idempotent);
	h = good(POST "Content-Length: 0\r\n\r\n");
	assert_int_equal(h.body, BODY_NONE);
	assert_true(h.has_length);
	h = good(POST "Content-Length: 9223372036854775807\r\n\r\n");
	assert_int_equal(h.length, INT64_MAX);
	h = good(POST "Transfer-Encoding: CHUNKED \r\n\r\n");
	assert_int_equal(h.body, BODY_CHUNKED);
	h = good(POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
	assert_true(h.expects_continue);
	h = good("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	assert_false(h.expects_continue);
}

static void test_persistence(void **state)
{
	static const struct {
		const char *text;
		bool persistent, options;
	} cases[] = {
		{GET "\r\n", true, false},
		{GET "Connection: close\r\n\r\n", false, false},
		{GET "Connection: keep-alive, CLOSE\r\n\r\n", false, false},
		{GET "Connection: foo\r\nConnection: close\r\n\r\n", false, true},
		{GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", true, true},
		{"GET / HTTP/1.0\r\n\r\n", false, false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct head h = good(cases[i].text);

		assert_int_equal(h.persistent, cases[i].persistent);
		assert_int_equal(h.has_options, cases[i].options);
	}
}

static void test_upgrades(void **state)
{
	static const struct {
		const char *text;
		bool has_upgrade;
	} cases[] = {
		{GET UPGRADE "\r\n", true},
		{GET "Connection: keep-alive, UPGRADE\r\nUpgrade: h2c, x/1\r\n\r\n", true},
		{GET "Connection: upgrade\r\n\r\n", false},
		{GET "Upgrade: websocket\r\n\r\n", false},
		{GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
		{POST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n", false},
		{"GET / HTTP/1.0\r\n" UPGRADE "\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(good(cases[i].text).has_upgrade, cases[i].has_upgrade);
}

/* As good(), where CONNECT is allowed. */
static enum reason connect_reason(const char *text, struct head *h)
{
	struct http1_scan s = {0};
	int n = http1_scan(&s, text, strlen(text), &limits);

	assert_int_equal(n, strlen(text));
	*h = (struct head){.fields = fields, .cap = FIELD_MAX, .allow_connect = true};
	return http1_parse_request(text, (size_t)n, s.count, h);
}

static void test_connect(void **state)
{
	static const struct refused bad[] = {
		{"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
		{"CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n", REASON_TARGET, 0},
		{"CONNECT [::1] HTTP/1.1\r\nHost: [::1]\r\n\r\n", REASON_TARGET, 0},
		{"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", REASON_TARGET, 0},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:2\r\n\r\n", REASON_HOST_DIFFERS, 0},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n",
		 REASON_UPGRADE_BODY, 0},
	};
	struct head h;

	(void)state;
	assert_int_equal(connect_reason("CONNECT a:443 HTTP/1.1\r\nHost: A:443\r\n\r\n", &h),
			 REASON_NONE);
	assert_true(h.is_connect);
	assert_slice(h.target, "a:443");
	assert_slice(h.authority, "a:443");
	assert_int_equal(connect_reason("CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", &h),
			 REASON_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		enum reason r = connect_reason(bad[i].text, &h);

		if (r != bad[i].reason && r != REASON_HEADER_SYNTAX)
			fail_msg("%s: %s", bad[i].text, reason_text(r));
	}
	assert_int_equal(connect_reason(GET "\r\n", &h), REASON_NONE);
	assert_false(h.is_connect);
}

static const struct refused refused_responses[] = {
	{"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", REASON_BARE_CR, 0},
	{WITH_ZERO("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n")},
	{"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", REASON_FIELD_NAME, 0},
	{"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", REASON_OBS_FOLD, 0},
	{"HTTP/1.1 200 OK\r\n: b\r\n\r\n", REASON_FIELD_NAME, 0},
	{"HTTP/1.1 200 OK\r\nA\r\n\r\n", REASON_NO_COLON, 0},
	{"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", REASON_HEADER_SYNTAX, 0},
	{"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", REASON_LENGTH_BAD, 0},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", REASON_CODING_BAD, 0},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n", REASON_CODING_BAD, 0},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", REASON_CODING_BAD, 0},
	{"HTTP/1.1 204 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	 REASON_HEADER_SYNTAX, 0},
	{"HTTP/1.1 103 Early\r\nContent-Length: 1\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/0.9 200 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.2 200 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 20 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 2000 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 2x0 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 099 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/2.0 200 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"ICY 200 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1  200 OK\r\n\r\n", REASON_BAD_RESPONSE, 0},
	{"HTTP/1.1 200 OK\nA: b\n\n", REASON_BARE_LF, 0},
	{"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", REASON_OBS_FOLD, 0},
	{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", REASON_HEADER_SYNTAX,
	 0},
	{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	 REASON_HEADER_SYNTAX, 0},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", REASON_CODING_UNKNOWN, 0},
	{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_CODING_OLD, 0},
};

static void test_refused_responses(void **state)
{
	(void)state;
	check_refused(refused_responses, sizeof(refused_responses) / sizeof(refused_responses[0]),
		      false);
}

static void test_responses(void **state)
{
	struct head h = good_response("HTTP/1.1 200 OK then\r\nContent-Length: 5\r\n\r\n", false);

	(void)state;
	assert_int_equal(h.status, 200);
	assert_slice(h.phrase, "OK then");
	assert_int_equal(h.body, BODY_LENGTH);
	assert_true(h.persistent);
	h = good_response("HTTP/1.1 204\r\n\r\n", false);
	assert_slice(h.phrase, "");
	h = good_response("HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", false);
	assert_int_equal(h.status, 999);
	assert_int_equal(h.body, BODY_NONE);
}

static void test_response_bodies(void **state)
{
	static const struct {
		const char *text;
		bool is_head;
		enum body_kind body;
		bool has_length, persistent;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", false, BODY_EOF, false, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", false, BODY_LENGTH, true, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, BODY_CHUNKED,
		 false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, BODY_NONE, true, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, BODY_NONE, false,
		 true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, BODY_NONE, true,
		 true},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, BODY_NONE, false,
		 true},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", false, BODY_NONE, false,
		 false},
		{"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, BODY_NONE,
		 false, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", false, BODY_NONE, false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false,
		 BODY_NONE, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct head h = good_response(cases[i].text, cases[i].is_head);

		if (h.body != cases[i].body || h.has_length != cases[i].has_length ||
		    h.persistent != cases[i].persistent)
			fail_msg("%s", cases[i].text);
	}
}

static void test_every_reason_has_words(void **state)
{
	(void)state;
	for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		assert_true(reason_status((enum reason)r) >= 400);
		assert_true(*reason_text((enum reason)r));
		assert_true(*status_phrase(reason_status((enum reason)r)));
	}
	assert_string_equal(status_phrase(299), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_plain_request),
		cmocka_unit_test(test_values_may_hold_tabs_and_high_bytes),
		cmocka_unit_test(test_control_bytes_anywhere),
		cmocka_unit_test(test_absolute_target_and_host_agree),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_persistence),
		cmocka_unit_test(test_upgrades),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_refused_responses),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_response_bodies),
		cmocka_unit_test(test_every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
