/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration and the health of its backends to rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <errno.h>

#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "l4/desired.h"
#include "l4/extents.h"

#define CONF                                                                                       \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools:\n"                                                                                 \
	"  web:\n"                                                                                 \
	"    forward: ipip\n"                                                                      \
	"    health: none\n"                                                                       \
	"    backends:\n"                                                                          \
	"      - {name: c, address: 10.0.0.3, weight: 0}\n"                                        \
	"      - {name: a, address: 10.0.0.1, weight: 3}\n"                                        \
	"      - {name: b, address: \"2001:db8::2\"}\n"                                            \
	"      - {name: d, address: 10.0.0.4, state: drain}\n"                                     \
	"      - {name: e, address: 10.0.0.5, state: disabled}\n"                                  \
	"  api:\n"                                                                                 \
	"    backends: [{name: x, address: \"10.0.1.1:8080\"}]\n"                                  \
	"services:\n"                                                                              \
	"  web:\n"                                                                                 \
	"    listen: [\"203.0.113.10:80/tcp\", \"[2001:db8::10]:80/tcp\"]\n"                       \
	"    mode: l4\n"                                                                           \
	"    pool: web\n"                                                                          \
	"  api:\n"                                                                                 \
	"    listen: [\"203.0.113.20:80/tcp\"]\n"                                                  \
	"    mode: http\n"                                                                         \
	"    pool: api\n"                                                                          \
	"  any: {pool: api, mode: http, listen: [\"0.0.0.0:81/tcp\", \"[::]:82/tcp\"]}\n"

struct fixture {
	struct runtime *runtime;
	struct snapshot *snap;
	struct host host;
	struct desired want;
	struct diag diag;
};

static struct snapshot *build(struct runtime *rt, const char *text)
{
	struct diag d;
	struct tree *tree;
	struct snapshot *snap = NULL;

	diag_init(&d);
	tree = tree_parse("test", text, strlen(text), &d);
	if (tree != NULL)
		snap = conf_build(tree, rt, &d);
	diag_print(&d, stderr);
	diag_deinit(&d);
	tree_free(tree);
	assert_non_null(snap);
	return snap;
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.host = {.interface = "eth0", .mtu = 1500}};
	f.runtime = runtime_new();
	f.snap = build(f.runtime, CONF);
	assert_int_equal(addr_parse("192.0.2.1", &f.host.source[0]), 0);
	assert_int_equal(addr_parse("2001:db8::1", &f.host.source[1]), 0);
	diag_init(&f.diag);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	desired_deinit(&f->want);
	snapshot_unref(f->snap);
	runtime_free(f->runtime);
	diag_deinit(&f->diag);
	return 0;
}

static const struct desired_backend *find(const struct desired *want, const char *name)
{
	for (size_t i = 0; i < want->backend_count; i++) {
		if (strcmp(want->backends[i].name, name) == 0)
			return &want->backends[i];
	}
	fail_msg("no backend %s", name);
	return NULL;
}

static void test_backends(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	/* Those of the proxied pool have no row. */
	assert_int_equal(f->want.backend_count, 5);
	assert_int_equal(find(&f->want, "a")->row.state, SHUNT_BACKEND_UP);
	assert_int_equal(find(&f->want, "a")->weight, 3);
	assert_int_equal(find(&f->want, "a")->row.family, 4);
	assert_int_equal(find(&f->want, "a")->row.mtu, 1500);
	assert_int_equal(find(&f->want, "a")->row.dst[3], inet_addr("10.0.0.1"));
	assert_int_equal(find(&f->want, "a")->row.dst[0], 0);
	assert_int_equal(find(&f->want, "a")->row.src[3], inet_addr("192.0.2.1"));
	assert_int_equal(find(&f->want, "b")->row.family, 6);
	assert_int_equal(ntohl(find(&f->want, "b")->row.dst[0]), 0x20010db8);
	assert_int_equal(ntohl(find(&f->want, "b")->row.dst[3]), 2);
	assert_int_equal(ntohl(find(&f->want, "b")->row.src[3]), 1);
	assert_int_equal(find(&f->want, "c")->row.state, SHUNT_BACKEND_DRAINING);
	assert_int_equal(find(&f->want, "c")->weight, 0);
	assert_int_equal(find(&f->want, "d")->row.state, SHUNT_BACKEND_DRAINING);
	assert_int_equal(find(&f->want, "e")->row.state, SHUNT_BACKEND_DOWN);
}

static void test_health(void **state)
{
	struct fixture *f = *state;
	const struct pool *web = snapshot_pool(f->snap, "web");

	atomic_store(&pool_backend(web, "a")->rt->health, HEALTH_DOWN);
	atomic_store(&pool_backend(web, "d")->rt->health, HEALTH_DOWN);
	atomic_store(&pool_backend(web, "b")->rt->health, HEALTH_UP);
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(find(&f->want, "a")->row.state, SHUNT_BACKEND_DOWN);
	assert_int_equal(find(&f->want, "a")->weight, 0);
	assert_int_equal(find(&f->want, "d")->row.state, SHUNT_BACKEND_DOWN);
	assert_int_equal(find(&f->want, "b")->weight, 1);
	assert_int_equal(f->want.services[1].ring_size, 65537);
	atomic_store(&pool_backend(web, "b")->rt->health, HEALTH_DOWN);
	desired_deinit(&f->want);
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(f->want.services[1].ring_size, 0);
}

static void test_services(void **state)
{
	struct fixture *f = *state;
	const struct desired_service *api, *web;

	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(f->want.service_count, 2);
	api = &f->want.services[0];
	web = &f->want.services[1];
	assert_string_equal(api->name, "api");
	assert_int_equal(api->record.action, SHUNT_ACTION_LOCAL);
	assert_int_equal(api->ring_size, 0);
	assert_string_equal(web->name, "web");
	assert_int_equal(web->record.action, SHUNT_ACTION_STEER);
	assert_int_equal(web->record.tracking, SHUNT_TRACK_ON_CHANGE);
	assert_int_equal(web->slots, 65537);
	assert_int_equal(web->backend_count, 5);
	assert_string_equal(f->want.backends[web->first_backend].name, "a");
	assert_int_equal(web->record.mss, 0);
	assert_int_equal(web->record.idle_s[SHUNT_FLOW_SYN], 60 + 1);
	assert_int_equal(web->record.idle_s[SHUNT_FLOW_ESTABLISHED], 7440 + 1);
	/* TCP alone: the idle time of UDP does not count. */
	assert_int_equal(find(&f->want, "a")->linger_s, 7440);
}

static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct shunt_vip_key v4 = {.port = htons(80), .proto = IPPROTO_TCP, .family = 4};
	int found = 0;

	v4.addr[0] = inet_addr("203.0.113.10");
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(f->want.key_count, 3);
	for (size_t i = 0; i < f->want.key_count; i++) {
		if (i > 0)
			assert_true(vip_key_cmp(&f->want.keys[i - 1].key, &f->want.keys[i].key) <
				    0);
		if (vip_key_cmp(&f->want.keys[i].key, &v4) == 0) {
			assert_string_equal(f->want.services[f->want.keys[i].service].name, "web");
			found++;
		}
	}
	assert_int_equal(found, 1);
}

static void test_entropy(void **state)
{
	struct fixture *f = *state;

	f->host.entropy_bits[0] = 16;
	f->host.entropy_bits[1] = 32;
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(ntohl(find(&f->want, "a")->row.src_entropy), 0xffff);
	assert_int_equal(ntohl(find(&f->want, "b")->row.src_entropy), 0xffffffff);
	f->host.entropy_bits[0] = 0;
	desired_deinit(&f->want);
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	assert_int_equal(find(&f->want, "a")->row.src_entropy, 0);
}

static void test_no_source(void **state)
{
	struct fixture *f = *state;

	f->host.source[1] = (struct addr){0};
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), -EINVAL);
	assert_int_equal(f->diag.errors, 1);
	assert_non_null(strstr(f->diag.items[0].text, "IPv6"));
	assert_non_null(strstr(f->diag.items[0].text, "node.tunnel_source"));
}

/* Five ways in one pool, whose service is one. */
#define MIXED                                                                                      \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools:\n"                                                                                 \
	"  web:\n"                                                                                 \
	"    forward: gue\n"                                                                       \
	"    gue_port: 6081\n"                                                                     \
	"    next_hop: fib\n"                                                                      \
	"    mtu: 1400\n"                                                                          \
	"    health: none\n"                                                                       \
	"    backends:\n"                                                                          \
	"      - {name: a, address: 10.0.0.1}\n"                                                   \
	"      - {name: b, address: 10.0.0.2, forward: ipip}\n"                                    \
	"      - {name: c, address: \"2001:db8::3\", forward: l2}\n"                               \
	"      - {name: d, address: 127.0.0.1, forward: local}\n"                                  \
	"services: {web: {listen: 203.0.113.10:80/tcp, mode: l4, pool: web}}\n"

static void test_forwarding(void **state)
{
	struct fixture *f = *state;
	const struct shunt_backend *row;

	snapshot_unref(f->snap);
	f->snap = build(f->runtime, MIXED);
	f->host.source[1] = (struct addr){0}; /* there is no tunnel over IPv6 */
	assert_int_equal(desired_build(f->snap, &f->host, &f->want, &f->diag), 0);
	row = &find(&f->want, "a")->row;
	assert_int_equal(row->forward, SHUNT_FORWARD_GUE);
	assert_int_equal(row->next_hop, SHUNT_NEXT_HOP_FIB);
	assert_int_equal(ntohs(row->port), 6081);
	assert_int_equal(row->mtu, 1400);
	row = &find(&f->want, "b")->row;
	assert_int_equal(row->forward, SHUNT_FORWARD_IPIP);
	assert_int_equal(row->next_hop, SHUNT_NEXT_HOP_FIB);
	assert_int_equal(row->port, 0);
	assert_int_equal(row->src[3], inet_addr("192.0.2.1"));
	row = &find(&f->want, "c")->row;
	assert_int_equal(row->forward, SHUNT_FORWARD_L2);
	assert_int_equal(row->next_hop, SHUNT_NEXT_HOP_FIB);
	assert_int_equal(row->family, 6);
	assert_int_equal(ntohl(row->dst[3]), 3);
	row = &find(&f->want, "d")->row;
	assert_int_equal(row->forward, SHUNT_FORWARD_LOCAL);
	assert_int_equal(row->next_hop, SHUNT_NEXT_HOP_REFLECT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(f->want.backends[i].weight, 1);
}

static void test_extents(void **state)
{
	struct extents e;
	uint32_t base, room, longest;

	(void)state;
	extents_init(&e, 100);
	assert_int_equal(extents_alloc(&e, 30, &base), 0);
	assert_int_equal(base, 0);
	assert_int_equal(extents_take(&e, 50, 20), 0);
	assert_int_equal(extents_take(&e, 50, 20), 0); /* the same again */
	assert_int_equal(extents_take(&e, 60, 15), 0); /* overlaps */
	assert_int_equal(extents_take(&e, 500, 1), 0); /* outside */
	extents_room(&e, &room, &longest);
	assert_int_equal(room, 45);
	assert_int_equal(longest, 25);
	assert_int_equal(extents_alloc(&e, 26, &base), -ENOSPC);
	assert_int_equal(extents_alloc(&e, 25, &base), 0);
	assert_int_equal(base, 75);
	assert_int_equal(extents_alloc(&e, 20, &base), 0);
	assert_int_equal(base, 30);
	assert_int_equal(extents_alloc(&e, 1, &base), -ENOSPC);
	extents_clear(&e);
	assert_int_equal(extents_alloc(&e, 100, &base), 0);
	assert_int_equal(base, 0);
	extents_deinit(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entropy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forwarding, setup, teardown),
		cmocka_unit_test(test_extents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
