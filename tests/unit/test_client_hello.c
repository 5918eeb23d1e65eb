/* SPDX-License-Identifier: BSD-2-Clause */
/* The ClientHello reader: the same answer however the message is cut, and one way to read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "l7/client_hello.h"

#define ROOM (CLIENT_HELLO_MAX * 6)

struct bytes {
	char data[ROOM];
	size_t len;
};

static void add(struct bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void add_number(struct bytes *b, size_t n, size_t width)
{
	for (size_t i = width; i-- > 0;) {
		char c = (char)(n >> 8 * i);

		add(b, &c, 1);
	}
}

static void add_vector(struct bytes *b, size_t width, const void *data, size_t len)
{
	add_number(b, len, width);
	add(b, data, len);
}

static void add_extension(struct bytes *b, unsigned type, const struct bytes *data)
{
	add_number(b, type, 2);
	add_vector(b, 2, data->data, data->len);
}

static void add_name(struct bytes *extensions, const char *name)
{
	struct bytes *list = calloc(1, sizeof(*list)), *data = calloc(1, sizeof(*data));

	assert_non_null(list);
	assert_non_null(data);
	add_number(list, 0, 1);
	add_vector(list, 2, name, strlen(name));
	add_vector(data, 2, list->data, list->len);
	add_extension(extensions, 0, data);
	free(list);
	free(data);
}

/* A message with these extensions; NULL: none at all. */
static struct bytes *make_message(const struct bytes *extensions)
{
	static const char random[32] = "randomrandomrandomrandom";
	struct bytes *body = calloc(1, sizeof(*body)), *m = calloc(1, sizeof(*m));

	assert_non_null(body);
	assert_non_null(m);
	add(body, "\3\3", 2);
	add(body, random, sizeof(random));
	add_vector(body, 1, random, sizeof(random));
	add_vector(body, 2, "\x13\1\x13\2", 4);
	add_vector(body, 1, "\0", 1);
	if (extensions)
		add_vector(body, 2, extensions->data, extensions->len);
	add_number(m, 1, 1);
	add_vector(m, 3, body->data, body->len);
	free(body);
	return m;
}

/* The message in records of so many bytes. */
static struct bytes *make_records(const struct bytes *message, size_t record)
{
	struct bytes *out = calloc(1, sizeof(*out));

	assert_non_null(out);
	for (size_t at = 0; at < message->len; at += record) {
		size_t n = message->len - at < record ? message->len - at : record;

		add(out, "\x16\3\1", 3);
		add_vector(out, 2, message->data + at, n);
	}
	return out;
}

/* Read with so many more bytes at each look. */
static enum tls_alert read_in_steps(const struct bytes *in, size_t step, struct client_hello *h,
				    char *scratch)
{
	struct client_hello_scan s = {0};
	enum tls_alert alert = TLS_ALERT_NONE;
	int whole = 0;

	for (size_t n = step; whole == 0; n += step) {
		whole = client_hello_scan(&s, in->data, n < in->len ? n : in->len, &alert);
		if (n >= in->len)
			break;
	}
	if (whole < 0)
		return alert;
	return whole ? client_hello_read(&s, in->data, scratch, h) : TLS_ALERT_INTERNAL_ERROR;
}

static enum tls_alert read_bytes(const struct bytes *in, struct client_hello *h)
{
	static char scratch[CLIENT_HELLO_MAX];
	enum tls_alert alert = read_in_steps(in, in->len, h, scratch), other;
	struct client_hello again;

	for (size_t step = 1; step < 20; step++) {
		other = read_in_steps(in, step, &again, scratch);
		assert_int_equal(other, alert);
		if (alert == TLS_ALERT_NONE)
			assert_string_equal(again.name, h->name);
	}
	return alert;
}

/* With these extensions, in one record. */
static enum tls_alert read_extensions(const struct bytes *extensions, struct client_hello *h)
{
	struct bytes *m = make_message(extensions), *in = make_records(m, m->len);
	enum tls_alert alert = read_bytes(in, h);

	free(m);
	free(in);
	return alert;
}

static struct bytes *extension(unsigned type, const void *data, size_t len)
{
	struct bytes *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	add_number(b, type, 2);
	add_vector(b, 2, data, len);
	return b;
}

static void test_name(void **state)
{
	struct bytes *extensions = extension(43, "\2\3\4", 3);
	struct client_hello h;

	(void)state;
	add_name(extensions, "WWW.Example-1.com");
	assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_NONE);
	assert_string_equal(h.name, "www.example-1.com");
	assert_int_equal(h.name_len, 17);
	assert_int_equal(h.alpn.len, 0);
	add_name(extensions, "again.example.com");
	assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_ILLEGAL_PARAMETER);
	free(extensions);
}

static void test_no_name(void **state)
{
	struct bytes *extensions = extension(43, "\2\3\4", 3);
	struct client_hello h;

	(void)state;
	assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_NONE);
	assert_string_equal(h.name, "");
	assert_int_equal(read_extensions(NULL, &h), TLS_ALERT_NONE);
	assert_string_equal(h.name, "");
	free(extensions);
}

static void test_alpn(void **state)
{
	struct bytes *extensions = extension(16, "\0\x0c\2h2\x08http/1.1", 14);
	struct bytes *m = make_message(extensions), *in = make_records(m, 7);
	struct client_hello_scan s = {0};
	static char scratch[CLIENT_HELLO_MAX];
	enum tls_alert alert;
	struct client_hello h;
	struct slice protocol;

	(void)state;
	assert_int_equal(client_hello_scan(&s, in->data, in->len, &alert), 1);
	assert_int_equal(client_hello_read(&s, in->data, scratch, &h), TLS_ALERT_NONE);
	assert_true(client_hello_next_alpn(&h.alpn, &protocol));
	assert_true(slice_eq(protocol, SLICE("h2")));
	assert_true(client_hello_next_alpn(&h.alpn, &protocol));
	assert_true(slice_eq(protocol, SLICE("http/1.1")));
	assert_false(client_hello_next_alpn(&h.alpn, &protocol));
	free(extensions);
	free(m);
	free(in);
}

static void test_split_over_records(void **state)
{
	struct bytes *extensions = extension(43, "\2\3\4", 3), *m;
	struct client_hello h;

	(void)state;
	add_name(extensions, "a.example.com");
	m = make_message(extensions);
	for (size_t record = 1; record <= m->len; record++) {
		struct bytes *in = make_records(m, record);

		assert_int_equal(read_bytes(in, &h), TLS_ALERT_NONE);
		assert_string_equal(h.name, "a.example.com");
		free(in);
	}
	free(extensions);
	free(m);
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = {".",	 "a.",	".a",	 "a..b", "a b",
					  "a/b", "*.a", "a\x80", "[::1]"};
	char lengthy[SERVER_NAME_MAX + 2];
	struct client_hello h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bytes *extensions = calloc(1, sizeof(*extensions));

		assert_non_null(extensions);
		add_name(extensions, bad[i]);
		assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_ILLEGAL_PARAMETER);
		free(extensions);
	}
	for (size_t len = 0; len < sizeof(lengthy); len++) {
		struct bytes *extensions = calloc(1, sizeof(*extensions));

		assert_non_null(extensions);
		memset(lengthy, 'a', len);
		lengthy[len] = 0;
		add_name(extensions, lengthy);
		assert_int_equal(read_extensions(extensions, &h), len >= 1 && len <= SERVER_NAME_MAX
									  ? TLS_ALERT_NONE
									  : TLS_ALERT_DECODE_ERROR);
		free(extensions);
	}
}

static void test_bad_extensions(void **state)
{
	static const struct {
		unsigned type;
		const char *data;
		size_t len;
		enum tls_alert alert;
	} bad[] = {
		{0, "", 0, TLS_ALERT_DECODE_ERROR},
		{0, "\0\0", 2, TLS_ALERT_DECODE_ERROR},
		{0, "\0\4\0\0\2a", 6, TLS_ALERT_DECODE_ERROR},
		{0, "\0\4\0\0\1ab", 7, TLS_ALERT_DECODE_ERROR},
		{0, "\0\5\0\0\1ab", 7, TLS_ALERT_ILLEGAL_PARAMETER},
		{0, "\0\4\1\0\1a", 6, TLS_ALERT_ILLEGAL_PARAMETER},
		{0, "\0\x08\0\0\1a\0\0\1b", 10, TLS_ALERT_ILLEGAL_PARAMETER},
		{16, "\0\0", 2, TLS_ALERT_DECODE_ERROR},
		{16, "\0\1\0", 3, TLS_ALERT_DECODE_ERROR},
		{16, "\0\3\3h2", 5, TLS_ALERT_DECODE_ERROR},
		{16, "\0\3\2h2x", 6, TLS_ALERT_DECODE_ERROR},
	};
	struct client_hello h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bytes *extensions = extension(bad[i].type, bad[i].data, bad[i].len);

		if (read_extensions(extensions, &h) != bad[i].alert)
			fail_msg("number %zu", i);
		free(extensions);
	}
}

static void test_bad_records(void **state)
{
	struct bytes *m = make_message(NULL), *in = make_records(m, 60);
	struct client_hello h;

	(void)state;
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_NONE);
	in->data[0] = 23;
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_UNEXPECTED_MESSAGE);
	in->data[0] = 22;
	in->data[1] = 2;
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_PROTOCOL_VERSION);
	in->data[1] = 3;
	in->data[2] = 5;
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_PROTOCOL_VERSION);
	in->data[2] = 1;
	in->data[5] = 2; /* a ServerHello */
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_UNEXPECTED_MESSAGE);
	in->data[5] = 1;
	in->data[9] = 2; /* SSL 2 in a TLS message */
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_PROTOCOL_VERSION);
	in->data[9] = 3;
	in->data[3] = in->data[4] = 0; /* an empty record */
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_DECODE_ERROR);
	free(in);
	/* Something behind the message, in its record. */
	add(m, "x", 1);
	in = make_records(m, m->len);
	assert_int_equal(read_bytes(in, &h), TLS_ALERT_UNEXPECTED_MESSAGE);
	free(m);
	free(in);
}

/* Each length field of the message, and each byte of it, changed by one: never more than is here. */
static void test_mutations(void **state)
{
	struct bytes *extensions = extension(16, "\0\3\2h2", 5), *m, *in;
	static char scratch[CLIENT_HELLO_MAX];
	struct client_hello h;

	(void)state;
	add_name(extensions, "a.example.com");
	m = make_message(extensions);
	in = make_records(m, m->len);
	for (size_t i = 0; i < in->len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			in->data[i] ^= (char)(1 << bit);
			(void)read_in_steps(in, in->len, &h, scratch); /* under a sanitizer */
			in->data[i] ^= (char)(1 << bit);
		}
	}
	free(extensions);
	free(m);
	free(in);
}

static void test_limits(void **state)
{
	static char zeros[CLIENT_HELLO_MAX];
	struct bytes *extensions = extension(21, zeros, CLIENT_HELLO_MAX - 200), *m, *in;
	struct client_hello h;

	(void)state;
	assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_NONE);
	free(extensions);
	extensions = extension(21, zeros, CLIENT_HELLO_MAX - 20);
	assert_int_equal(read_extensions(extensions, &h), TLS_ALERT_DECODE_ERROR);
	free(extensions);
	/* It would fit, but not in so many records. */
	extensions = extension(21, zeros, CLIENT_HELLO_MAX / 3);
	m = make_message(extensions);
	in = make_records(m, 1);
	assert_int_equal(read_in_steps(in, 16, &h, zeros), TLS_ALERT_DECODE_ERROR);
	free(extensions);
	free(m);
	free(in);
}

static void test_alert(void **state)
{
	char out[TLS_ALERT_RECORD];

	(void)state;
	tls_alert_write(out, TLS_ALERT_UNRECOGNIZED_NAME);
	assert_memory_equal(out, "\x15\3\1\0\2\2\x70", sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),	    cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_alpn),	    cmocka_unit_test(test_split_over_records),
		cmocka_unit_test(test_bad_names),   cmocka_unit_test(test_bad_extensions),
		cmocka_unit_test(test_bad_records), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_alert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
