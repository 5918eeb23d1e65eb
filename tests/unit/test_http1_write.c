/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages written anew: what is dropped, what is added, and that it fits the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/http1_scan.h"
#include "l7/http1_write.h"

#define FIELD_MAX 32

static struct field fields[FIELD_MAX];

static struct head parse(const char *text, bool request)
{
	static const struct http1_limits limits = {1024, 4096, FIELD_MAX};
	struct head h = {.fields = fields, .cap = FIELD_MAX};
	struct http1_scan s = {0};
	int n = http1_scan(&s, text, strlen(text), &limits);
	enum reason r;

	assert_int_equal(n, strlen(text));
	r = request ? http1_parse_request(text, (size_t)n, s.count, &h)
		    : http1_parse_response(text, (size_t)n, s.count, false, &h);
	if (r != REASON_NONE)
		fail_msg("%s: %s", text, reason_text(r));
	return h;
}

/* In memory of exactly the size that was asked for. */
static void check_request(const char *text, const char *want)
{
	struct hop hop = {.client = SLICE("192.0.2.7"),
			  .proto = SLICE("http"),
			  .local = SLICE("203.0.113.1:80")};
	struct head h = parse(text, true);
	size_t bound = http1_request_bound(&h, &hop);
	char *out = malloc(bound);
	size_t n;

	assert_non_null(out);
	n = http1_write_request(out, &h, &hop);
	assert_true(n <= bound);
	if (n != strlen(want) || memcmp(out, want, n))
		fail_msg("wrote:\n%.*s\nnot:\n%s", (int)n, out, want);
	free(out);
}

/* The same from a peer that is trusted. */
static void check_trusted(const char *text, const char *client, const char *want)
{
	struct hop hop = {.client = {client, strlen(client)},
			  .proto = SLICE("http"),
			  .local = SLICE("203.0.113.1:80"),
			  .is_trusted = true};
	struct head h = parse(text, true);
	char *out = malloc(http1_request_bound(&h, &hop));
	size_t n;

	assert_non_null(out);
	n = http1_write_request(out, &h, &hop);
	if (n != strlen(want) || memcmp(out, want, n))
		fail_msg("wrote:\n%.*s\nnot:\n%s", (int)n, out, want);
	free(out);
}

static void check_response(const char *text, enum body_kind framing, enum persistence persistence,
			   const char *want)
{
	struct head h = parse(text, false);
	size_t bound = http1_response_bound(&h);
	char *out = malloc(bound);
	size_t n;

	assert_non_null(out);
	n = http1_write_response(out, &h, framing, persistence);
	assert_true(n <= bound);
	if (n != strlen(want) || memcmp(out, want, n))
		fail_msg("wrote:\n%.*s\nnot:\n%s", (int)n, out, want);
	free(out);
}

#define ADDED                                                                                      \
	"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"         \
	"Via: 1.1 shunt\r\n\r\n"

static void test_request(void **state)
{
	(void)state;
	check_request(
		"GET /x?y HTTP/1.1\r\nhost:a\r\nA:b\r\nCookie: c\r\nVia: 1.0 other\r\n\r\n",
		"GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\nCookie: c\r\nVia: 1.0 other\r\n" ADDED);
	check_request(
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\nExpect: 100-continue\r\n"
		"\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
		"7\r\n" ADDED);
	check_request("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n",
		      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" ADDED);
	check_request("GET http://a/b HTTP/1.1\r\nHost: A:80\r\n\r\n",
		      "GET /b HTTP/1.1\r\nHost: a\r\n" ADDED);
}

static void test_old_request_gets_a_host(void **state)
{
	(void)state;
	check_request("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: 203.0.113.1:80\r\nX-Forwarded-For: 192.0.2.7\r\n"
		      "X-Forwarded-Proto: http\r\nVia: 1.0 shunt\r\n\r\n");
}

static void test_hop_by_hop_fields_go(void **state)
{
	(void)state;
	check_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Foo, x-bar\r\n"
		      "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nTrailer: x\r\n"
		      "Upgrade: h2c\r\nHTTP2-Settings: x\r\nfoo: 1\r\nX-Bar: 2\r\nX-Baz: 3\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nX-Baz: 3\r\n" ADDED);
}

static void test_connection_cannot_take_away_end_to_end_fields(void **state)
{
	(void)state;
	check_request(
		"GET / HTTP/1.1\r\nConnection: host, cookie, authorization, content-length, "
		"x-forwarded-for\r\nConnection: via, cache-control\r\nHost: a\r\nCookie: c\r\n"
		"Authorization: d\r\nContent-Length: 0\r\nVia: e\r\nCache-Control: f\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\nAuthorization: d\r\nVia: e\r\n"
		"Cache-Control: f\r\nContent-Length: 0\r\n" ADDED);
}

static void test_what_a_client_says_of_forwarding_is_replaced(void **state)
{
	(void)state;
	check_request(
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n"
		"x-forwarded-proto: https\r\nX-Forwarded-Port: 1\r\nForwarded: for=x\r\n"
		"X-Real-IP: 1.1.1.1\r\nX_Forwarded_For: 1.1.1.1\r\nX-Forwarded_For: 1.1.1.1\r\n"
		"X_FORWARDED_ANYTHING_THAT_IS_LONG: 1\r\nContent_Length: 5\r\n"
		"Transfer_Encoding: chunked\r\nX_Other: kept\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX_Other: kept\r\n" ADDED);
}

static void test_what_a_trusted_proxy_says_is_added_to(void **state)
{
	(void)state;
	check_trusted("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nB: c\r\n"
		      "x-forwarded-proto: https\r\nX-Forwarded-For: 2.2.2.2\r\n"
		      "X-Forwarded-For:\r\nX-Real-IP: 1.1.1.1\r\nX_Forwarded_For: 3.3.3.3\r\n"
		      "Forwarded: for=1.1.1.1\r\nX-Forwarded-Host: h\r\n\r\n",
		      "2001:db8::7",
		      "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nx-forwarded-proto: https\r\n"
		      "X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Host: h\r\n"
		      "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 2001:db8::7\r\n"
		      "Forwarded: for=\"[2001:db8::7]\";proto=http\r\nVia: 1.1 shunt\r\n\r\n");
	check_trusted("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "192.0.2.7",
		      "GET / HTTP/1.1\r\nHost: a\r\n" ADDED);
	check_trusted("GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=x\r\n\r\n", "192.0.2.7",
		      "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=x\r\nX-Forwarded-For: "
		      "192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
		      "Forwarded: for=192.0.2.7;proto=http\r\nVia: 1.1 shunt\r\n\r\n");
	/* What a client says of its certificate may have come through a proxy that does not know it. */
	check_trusted("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Subject: CN=x\r\n\r\n",
		      "192.0.2.7", "GET / HTTP/1.1\r\nHost: a\r\n" ADDED);
}

static void test_options_of_the_connection(void **state)
{
	(void)state;
	check_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, x\r\nTE: gzip, trailers\r\n"
		      "X: y\r\n\r\n",
		      "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n" ADDED);
	check_request(
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n"
		"\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n" ADDED);
	check_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTrailer: X\r\n\r\n",
		      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" ADDED);
}

static void test_response(void **state)
{
	(void)state;
	check_response(
		"HTTP/1.1 200 OK\r\nServer:x\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n"
		"Content-Length: 3\r\nKeep-Alive: 3\r\nUpgrade: h2c\r\nSet-Cookie: c\r\n\r\n",
		BODY_LENGTH, PERSIST_DEFAULT,
		"HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: c\r\nContent-Length: 3\r\n\r\n");
	check_response("HTTP/1.0 404 No\r\n\r\n", BODY_CHUNKED, PERSIST_DEFAULT,
		       "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n");
	check_response("HTTP/1.0 404 No\r\n\r\n", BODY_EOF, PERSIST_CLOSE,
		       "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n");
	check_response("HTTP/1.1 204 \r\nContent-Length: 3\r\n\r\n", BODY_NONE, PERSIST_KEEP_ALIVE,
		       "HTTP/1.1 204 \r\nConnection: keep-alive\r\n\r\n");
	check_response("HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\n", BODY_NONE, PERSIST_DEFAULT,
		       "HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\n");
	check_response("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", BODY_NONE, PERSIST_CLOSE,
		       "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n");
}

/* Field lines without a space grow by one byte each. */
static void test_bounds_hold_for_the_shortest_lines(void **state)
{
	char in[512] = "HTTP/1.1 200 \r\n";

	(void)state;
	for (int i = 0; i < FIELD_MAX; i++)
		strncat(in, "a:\r\n", sizeof(in) - strlen(in) - 1);
	strncat(in, "\r\n", sizeof(in) - strlen(in) - 1);
	for (int times = 0; times < 2; times++) {
		struct head h = parse(in, false);
		char out[1024];
		size_t n = http1_write_response(out, &h, BODY_EOF, PERSIST_KEEP_ALIVE);

		assert_true(n <= http1_response_bound(&h));
	}
}

static void test_chunk_frames(void **state)
{
	static const struct {
		size_t len;
		const char *want;
	} cases[] = {
		{1, "1\r\n"},
		{15, "f\r\n"},
		{16, "10\r\n"},
		{65536, "10000\r\n"},
		{SIZE_MAX, "ffffffffffffffff\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[HTTP1_FRAME_MAX];
		size_t n = http1_write_chunk(out, cases[i].len);

		assert_int_equal(n, strlen(cases[i].want));
		assert_memory_equal(out, cases[i].want, n);
	}
	assert_true(slice_eq(http1_chunk_end(true, false), SLICE("\r\n")));
	assert_true(slice_eq(http1_chunk_end(true, true), SLICE("\r\n0\r\n\r\n")));
	assert_true(slice_eq(http1_chunk_end(false, true), SLICE("0\r\n\r\n")));
	assert_int_equal(http1_chunk_end(false, false).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_old_request_gets_a_host),
		cmocka_unit_test(test_hop_by_hop_fields_go),
		cmocka_unit_test(test_connection_cannot_take_away_end_to_end_fields),
		cmocka_unit_test(test_what_a_client_says_of_forwarding_is_replaced),
		cmocka_unit_test(test_what_a_trusted_proxy_says_is_added_to),
		cmocka_unit_test(test_options_of_the_connection),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_bounds_hold_for_the_shortest_lines),
		cmocka_unit_test(test_chunk_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
