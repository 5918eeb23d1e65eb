/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of DNS, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/answer.h"

struct packet {
	uint8_t bytes[1024];
	size_t len;
};

static void add(struct packet *p, const void *bytes, size_t len)
{
	memcpy(p->bytes + p->len, bytes, len);
	p->len += len;
}

static void add16(struct packet *p, unsigned n)
{
	uint8_t bytes[] = {(uint8_t)(n >> 8), (uint8_t)n};

	add(p, bytes, 2);
}

static void add32(struct packet *p, uint32_t n)
{
	add16(p, n >> 16);
	add16(p, n & 0xffff);
}

/* "web.test": labels by dots. */
static void add_name(struct packet *p, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		uint8_t n = (uint8_t)len;

		add(p, &n, 1);
		add(p, name, len);
		name += len + (name[len] == '.');
	}
	add(p, "", 1);
}

/* Asked for web.test; so many records follow in the answer, and in the section behind it. */
static void begin(struct packet *p, unsigned answers, unsigned authority)
{
	*p = (struct packet){.len = 0};
	add16(p, 1);
	add16(p, 0x8180);
	add16(p, 1);
	add16(p, answers);
	add16(p, authority);
	add16(p, 0);
	add_name(p, "web.test");
	add16(p, DNS_A);
	add16(p, DNS_CLASS_IN);
}

static void add_head(struct packet *p, const char *owner, enum dns_type type, uint32_t ttl,
		     unsigned size)
{
	if (owner)
		add_name(p, owner);
	else
		add16(p, 0xc00c); /* that of the question */
	add16(p, type);
	add16(p, DNS_CLASS_IN);
	add32(p, ttl);
	add16(p, size);
}

static void add_a(struct packet *p, const char *owner, uint32_t ttl, const char *address)
{
	struct addr a;

	assert_int_equal(addr_parse(address, &a), 0);
	add_head(p, owner, DNS_A, ttl, 4);
	add(p, &a.v4, 4);
}

struct seen {
	char text[512];
};

static int note(void *ctx, const struct dns_record *r)
{
	struct seen *s = ctx;
	size_t len = strlen(s->text);
	char addr[ADDR_STRLEN] = "";

	if (r->addr.family)
		addr_format(&r->addr, addr, sizeof(addr));
	(void)snprintf(s->text + len, sizeof(s->text) - len, "%s%s ", addr, r->target);
	if (r->port)
		(void)snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text),
			       "%u %u %u ", r->priority, r->weight, r->port);
	return 0;
}

static int read_it(const struct packet *p, enum dns_type type, struct seen *s, uint32_t *ttl)
{
	*s = (struct seen){""};
	*ttl = UINT32_MAX;
	return dns_answer_read(p->bytes, p->len, "WEB.test.", type, note, s, ttl);
}

static void test_addresses_of_the_name_alone(void **state)
{
	struct packet p;
	struct seen s;
	uint32_t ttl;

	(void)state;
	begin(&p, 4, 0);
	add_a(&p, NULL, 30, "10.0.0.1");
	add_a(&p, "other.test", 1, "10.0.0.2");
	add_a(&p, "web.test", 20, "10.0.0.3");
	add_head(&p, NULL, DNS_AAAA, 5, 16);
	add(&p, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), 0);
	assert_string_equal(s.text, "10.0.0.1 10.0.0.3 ");
	assert_int_equal(ttl, 20);
	assert_int_equal(read_it(&p, DNS_AAAA, &s, &ttl), 0);
	assert_string_equal(s.text, "2001:db8::1 ");
	assert_int_equal(read_it(&p, DNS_SRV, &s, &ttl), 0);
	assert_string_equal(s.text, "");
	assert_int_equal(ttl, UINT32_MAX);
}

static void test_aliases_in_any_order(void **state)
{
	struct packet p, name = {.len = 0};
	struct seen s;
	uint32_t ttl;

	(void)state;
	begin(&p, 3, 0);
	add_a(&p, "b.test", 40, "10.0.0.9");
	add_name(&name, "b.test");
	add_head(&p, "a.test", DNS_CNAME, 7, (unsigned)name.len);
	add(&p, name.bytes, name.len);
	name.len = 0;
	add_name(&name, "A.test");
	add_head(&p, NULL, DNS_CNAME, 9, (unsigned)name.len);
	add(&p, name.bytes, name.len);
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), 0);
	assert_string_equal(s.text, "10.0.0.9 ");
	assert_int_equal(ttl, 7);
}

static void test_services(void **state)
{
	struct packet p, name = {.len = 0};
	struct seen s;
	uint32_t ttl;

	(void)state;
	begin(&p, 2, 0);
	add_name(&name, "h1.test");
	add_head(&p, NULL, DNS_SRV, 0x80000001U, 6 + (unsigned)name.len);
	add16(&p, 10);
	add16(&p, 5);
	add16(&p, 8080);
	add(&p, name.bytes, name.len);
	add_head(&p, NULL, DNS_SRV, 3, 7);
	add16(&p, 0);
	add16(&p, 0);
	add16(&p, 0);
	add(&p, "", 1);
	assert_int_equal(read_it(&p, DNS_SRV, &s, &ttl), 0);
	assert_string_equal(s.text, "h1.test 10 5 8080  ");
	assert_int_equal(ttl, 0); /* more than there can be is none */
}

static void test_what_is_not_whole(void **state)
{
	struct packet p;
	struct seen s;
	uint32_t ttl;

	(void)state;
	begin(&p, 2, 0);
	add_a(&p, NULL, 30, "10.0.0.1");
	add_a(&p, "web.test", 30, "10.0.0.2");
	for (size_t len = 0; len < p.len; len++) {
		struct packet cut = p;

		cut.len = len;
		assert_int_equal(read_it(&cut, DNS_A, &s, &ttl), -EBADMSG);
	}
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), 0);
	begin(&p, 1, 0);
	add_head(&p, NULL, DNS_A, 1, 3);
	add(&p, "abc", 3);
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), -EBADMSG);
	begin(&p, 1, 0);
	add16(&p, 0xc000 + (unsigned)p.len); /* to itself */
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), -EBADMSG);
	begin(&p, 1, 0);
	add_head(&p, NULL, DNS_CNAME, 1, 2);
	add16(&p, 0xc00c); /* its own alias */
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), -EBADMSG);
	begin(&p, 1, 0);
	add(&p,
	    "\x03"
	    "a\\b\0",
	    5); /* what could be read as another name */
	assert_int_equal(read_it(&p, DNS_A, &s, &ttl), -EBADMSG);
}

static void test_how_long_nothing_is_good(void **state)
{
	struct packet p;
	uint32_t ttl = 0;

	(void)state;
	begin(&p, 0, 1);
	add_head(&p, "test", DNS_SOA, 60, 22);
	add(&p, "\0\0", 2);
	for (uint32_t i = 1; i <= 5; i++)
		add32(&p, i * 5);
	assert_true(dns_answer_negative(p.bytes, p.len, &ttl));
	assert_int_equal(ttl, 25);
	assert_false(dns_answer_negative(p.bytes, p.len - 1, &ttl));
	begin(&p, 0, 0);
	assert_false(dns_answer_negative(p.bytes, p.len, &ttl));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_of_the_name_alone),
		cmocka_unit_test(test_aliases_in_any_order),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_what_is_not_whole),
		cmocka_unit_test(test_how_long_nothing_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
