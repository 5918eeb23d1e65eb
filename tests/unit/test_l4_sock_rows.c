/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys the program for listening sockets gets for a snapshot, and that they lead where
 * listen_find_proxied() says. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/listen.h"
#include "l4/sock_rows.h"
#include "tests/unit/conf_util.h"

#define POOLS                                                                                      \
	"pools:\n"                                                                                 \
	"  p: {health: none, backends: [{name: b, address: \"198.51.100.1:80\"}]}\n"               \
	"  k: {forward: ipip, health: none, backends: [{name: b, address: 198.51.100.2}]}\n"
#define NODE	       "node: {interfaces: [eth0], workers: 1}\n"
#define HTTP(name, l)  "  " name ": {mode: http, pool: p, listen: [" l "]}\n"
#define STEER(name, l) "  " name ": {mode: l4, pool: k, listen: [" l "]}\n"
#define CONF(services) NODE POOLS "services:\n" services STEER("use", "192.0.2.1:1/udp")

/* Groups get rows from 1 on, in the order in which they are asked for. */
struct groups {
	char names[16][LISTEN_GROUP_STRLEN];
	uint32_t count;
	int err;
};

static int row_of(void *ctx, const char *group, uint32_t *ret_row)
{
	struct groups *g = ctx;
	uint32_t row = 1;

	if (g->err)
		return g->err;
	while (row <= g->count && strcmp(g->names[row - 1], group) != 0)
		row++;
	if (row > g->count) {
		assert_true(g->count < 16);
		memcpy(g->names[g->count++], group, strlen(group) + 1);
	}
	*ret_row = row;
	return 0;
}

struct world {
	struct runtime *rt;
	struct snapshot *snap;
	struct groups groups;
	struct sockets_row *rows;
	size_t count;
};

static void set_up(struct world *w, const char *text)
{
	*w = (struct world){.rt = runtime_new()};
	w->snap = build_good(w->rt, text);
	assert_int_equal(sock_rows_build(w->snap, row_of, &w->groups, &w->rows, &w->count), 0);
}

static void tear_down(struct world *w)
{
	free(w->rows);
	snapshot_unref(w->snap);
	runtime_free(w->rt);
}

/* ---- a search as the program makes it ---------------------------------------------------------- */

static const struct sockets_row *find(const struct world *w, const struct sockets_row *row)
{
	for (size_t i = 0; i < w->count; i++)
		if (!sockets_row_cmp(&w->rows[i], row))
			return &w->rows[i];
	return NULL;
}

/* "": left to the stack. NULL: nothing there has the port. */
static const char *in_ranges(const struct world *w, const struct sockets_row *row, uint16_t port)
{
	for (uint32_t i = 0; row && i < row->value.ranges.count; i++) {
		const struct sockets_range *r = &row->value.ranges.ranges[i];

		if (port >= r->lo && port <= r->hi)
			return r->row ? w->groups.names[r->row - 1] : "";
	}
	return NULL;
}

static const char *search(const struct world *w, const char *to)
{
	struct sockets_row key = {.table = SOCKETS_EXACT};
	const struct sockets_row *row;
	const char *found;
	struct endpoint ep;
	unsigned bits;

	assert_int_equal(endpoint_parse(to, &ep), 0);
	bits = ep.addr.family == AF_INET ? 32 : 128;
	key.key.exact.port = htons(ep.port);
	key.key.exact.family = ep.addr.family == AF_INET ? 4 : 6;
	memcpy(key.key.exact.addr, ep.addr.bytes, sizeof(key.key.exact.addr));
	row = find(w, &key);
	if (row)
		return row->value.row ? w->groups.names[row->value.row - 1] : "";
	key = (struct sockets_row){.table = SOCKETS_ADDRS};
	key.key.addr.family = ep.addr.family == AF_INET ? 4 : 6;
	memcpy(key.key.addr.addr, ep.addr.bytes, sizeof(key.key.addr.addr));
	found = in_ranges(w, find(w, &key), ep.port);
	for (unsigned len = bits; !found && len > 0; len--) {
		key = (struct sockets_row){.table = SOCKETS_PREFIXES};
		key.key.prefix.prefixlen = SOCKETS_FAMILY_BITS + len;
		key.key.prefix.family = ep.addr.family == AF_INET ? 4 : 6;
		memcpy(key.key.prefix.addr, ep.addr.bytes, len / 8);
		if (len % 8)
			((uint8_t *)key.key.prefix.addr)[len / 8] =
				ep.addr.bytes[len / 8] & (uint8_t)(0xff00 >> len % 8);
		row = find(w, &key);
		if (row) { /* the longest is the only one that is looked at */
			found = in_ranges(w, row, ep.port);
			break;
		}
	}
	return found ? found : "";
}

static void expect(const struct world *w, const char *to, const char *group)
{
	const struct service *s;
	struct endpoint ep;

	assert_string_equal(search(w, to), group);
	assert_int_equal(endpoint_parse(to, &ep), 0);
	s = listen_find_proxied(w->snap, &ep);
	if (*group && strchr(group, '/')) {
		assert_non_null(s);
		assert_int_equal(strncmp(s->name, group, strlen(s->name)), 0);
	}
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void what_is_more_exact_goes_first(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, CONF(HTTP("any", "203.0.0.0/16:any/tcp, \"[2001:db8::/32]:any/tcp\"")
				HTTP("net", "203.0.113.0/24:80/tcp, 203.0.113.0/24:8000-8999/tcp")
					HTTP("half", "203.0.113.128/25:8000-8099/tcp")
						HTTP("addr", "203.0.113.200:8010-8019/tcp, "
							     "203.0.113.200:8000-8900/tcp")
							HTTP("one", "203.0.113.200:8015/tcp")));
	assert_true(sock_rows_needed(w.snap));
	expect(&w, "203.0.113.200:8015", "203.0.113.200:8015");
	expect(&w, "203.0.113.200:8014", "addr/4");
	expect(&w, "203.0.113.200:8900", "addr/4");
	expect(&w, "203.0.113.200:8901", "net/4");
	expect(&w, "203.0.113.201:8099", "half/4");
	expect(&w, "203.0.113.201:8100", "net/4");
	expect(&w, "203.0.113.201:80", "net/4");
	expect(&w, "203.0.113.1:8000", "net/4");
	expect(&w, "203.0.113.1:81", "any/4");
	expect(&w, "203.0.112.1:8000", "any/4");
	expect(&w, "[2001:db8:1::1]:5", "any/6");
	expect(&w, "203.1.113.1:80", "");
	expect(&w, "[2001:db9::1]:5", "");
	tear_down(&w);
}

static void one_port_alone_needs_no_program(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, CONF(HTTP("web", "203.0.113.1:80/tcp, 0.0.0.0:81/tcp")
				STEER("l4", "203.0.113.0/24:any/udp, 203.0.113.0/24:1-9/tcp")));
	assert_false(sock_rows_needed(w.snap));
	assert_int_equal(w.count, 1); /* a listener on every address has no key */
	expect(&w, "203.0.113.1:80", "203.0.113.1:80");
	tear_down(&w);
}

static void steered_services_amid_proxied_ones_are_the_stacks(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, CONF(HTTP("any", "203.0.113.0/24:1000-1999/tcp")
				STEER("a", "203.0.113.1:1500/tcp, 203.0.113.2:1500/udp")
					STEER("b", "203.0.113.64/26:1990-2010/tcp") STEER(
						"c", "203.0.113.3:80/tcp, 203.0.112.0/23:5/tcp")));
	expect(&w, "203.0.113.1:1500", "");
	expect(&w, "203.0.113.1:1501", "any/4");
	expect(&w, "203.0.113.2:1500", "any/4");
	expect(&w, "203.0.113.70:1990", "");
	expect(&w, "203.0.113.70:1989", "any/4");
	assert_int_equal(w.count, 3); /* any, a, b */
	tear_down(&w);
}

static void a_group_that_is_missing_is_told(void **state)
{
	struct groups groups = {.err = -ENOENT};
	struct runtime *rt = runtime_new();
	struct snapshot *s = build_good(rt, CONF(HTTP("a", "203.0.113.0/24:80/tcp")));
	struct sockets_row *rows;
	size_t count;

	(void)state;
	assert_int_equal(sock_rows_build(s, row_of, &groups, &rows, &count), -ENOENT);
	snapshot_unref(s);
	runtime_free(rt);
}

static void wildcards_come_last(void **state)
{
	struct endpoint ep;
	struct world w;

	(void)state;
	set_up(&w, CONF(HTTP("all", "0.0.0.0:80/tcp") HTTP("net", "203.0.113.0/24:any/tcp")));
	assert_int_equal(endpoint_parse("203.0.113.5:80", &ep), 0);
	assert_string_equal(listen_find_proxied(w.snap, &ep)->name, "net");
	assert_int_equal(endpoint_parse("203.0.114.5:80", &ep), 0);
	assert_string_equal(listen_find_proxied(w.snap, &ep)->name, "all");
	assert_int_equal(endpoint_parse("203.0.114.5:81", &ep), 0);
	assert_null(listen_find_proxied(w.snap, &ep));
	tear_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_more_exact_goes_first),
		cmocka_unit_test(one_port_alone_needs_no_program),
		cmocka_unit_test(steered_services_amid_proxied_ones_are_the_stacks),
		cmocka_unit_test(a_group_that_is_missing_is_told),
		cmocka_unit_test(wildcards_come_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
