/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/build: from text to a snapshot: every key, every default. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "bpf/abi.h"

static struct runtime *rt;

static int make_runtime(void **state)
{
	(void)state;
	rt = runtime_new();
	return rt ? 0 : -1;
}

static int free_runtime(void **state)
{
	(void)state;
	runtime_free(rt);
	return 0;
}

static const struct endpoint *ep_of(const char *text)
{
	static struct endpoint ep;

	assert_int_equal(endpoint_parse(text, &ep), 0);
	return &ep;
}

static void defaults_of_an_http_service(void **state)
{
	struct snapshot *s = build_good(
		rt, "pools: {api: {backends: [{name: a, address: \"10.0.0.1:8080\"}]}}\n"
		    "services: {api: {listen: 10.9.0.1:80/tcp, mode: http, pool: api}}\n");
	const struct service *api = snapshot_service(s, "api");
	const struct pool *p = snapshot_pool(s, "api");
	const struct backend *b = pool_backend(p, "a");

	(void)state;
	assert_int_equal(s->generation, 0);
	assert_int_equal(s->node.interface_count, 0);
	assert_int_equal(s->node.xdp_mode, XDP_MODE_NATIVE);
	assert_string_equal(s->node.pin_path, "/sys/fs/bpf/shunt");
	assert_true(s->node.hash_seed[0] == 0 && s->node.hash_seed[1] == 0);
	assert_int_equal(s->node.tunnel_source[0].family, 0);
	assert_int_equal(s->node.limits.services, 1024);
	assert_int_equal(s->node.limits.backends, 16384);
	assert_int_equal(s->node.limits.ring_slots, 8388608);
	assert_int_equal(s->node.limits.flows, 2097152);
	assert_int_equal(s->node.limits.pending, 65536);
	assert_int_equal(s->node.limits.nat, 262144);
	assert_in_range(s->node.workers, 1, RUNTIME_MAX_WORKERS);
	assert_int_equal(s->node.drain_ms, 30000);
	assert_string_equal(s->admin.socket, "/run/shunt/control.sock");

	assert_non_null(api);
	assert_ptr_equal(api->pool, p);
	assert_int_equal(api->mode, SERVICE_HTTP);
	assert_int_equal(api->listen_count, 1);
	assert_int_equal(endpoint_cmp(&api->listens[0].ep, ep_of("10.9.0.1:80")), 0);
	assert_int_equal(api->listens[0].proto, IPPROTO_TCP);
	assert_int_equal(api->timeouts.request_header, 10000);
	assert_int_equal(api->timeouts.request_body, 30000);
	assert_int_equal(api->timeouts.idle, 60000);
	assert_int_equal(api->timeouts.response_header, 30000);
	assert_int_equal(api->timeouts.response_body, 30000);
	assert_int_equal(api->timeouts.write, 30000);
	assert_int_equal(api->limits.request_line, 8192);
	assert_int_equal(api->limits.header_bytes, 32768);
	assert_int_equal(api->limits.header_count, 100);
	assert_int_equal(api->limits.body, 0);
	assert_int_equal(api->limits.connections, 0);
	assert_non_null(api->rt);

	assert_int_equal(p->forward, FORWARD_PROXY);
	assert_int_equal(p->connect_ms, 3000);
	assert_int_equal(p->idle_ms, 60000);
	assert_int_equal(p->idle_max, 128);
	assert_int_equal(p->tunnel_mtu, 0);
	assert_int_equal(p->health.kind, HEALTH_TCP);
	assert_int_equal(p->health.port, 0); /* each backend's own */
	assert_int_equal(p->health.every_ms, 2000);
	assert_int_equal(p->health.timeout_ms, 1000);
	assert_int_equal(p->health.rise, 2);
	assert_int_equal(p->health.fall, 3);

	assert_ptr_equal(b->pool, p);
	assert_int_equal(b->weight, 1);
	assert_int_equal(b->admin, ADMIN_UP);
	assert_int_equal(endpoint_cmp(&b->ep, ep_of("10.0.0.1:8080")), 0);
	assert_non_null(b->rt);
	assert_true(backend_is_usable(b));
	assert_non_null(s->document);
	assert_null(snapshot_pool(s, "web"));
	assert_null(snapshot_service(s, "web"));
	assert_null(pool_backend(p, "b"));
	snapshot_unref(s);
}

static void defaults_of_an_l4_service(void **state)
{
	struct snapshot *s = build_good(
		rt, "node: {interfaces: [eth0]}\n"
		    "pools: {web: {health: {tcp: {}}, backends: [{name: a, address: 10.0.0.1},\n"
		    "  {name: b, address: \"10.0.0.2:80\"}]}}\n"
		    "services: {web: {listen: [10.9.0.1:80/tcp, 10.9.0.1:80/udp], mode: l4, pool: "
		    "web}}\n");
	const struct service *web = snapshot_service(s, "web");

	(void)state;
	assert_int_equal(web->mode, SERVICE_L4);
	assert_int_equal(web->tracking, TRACKING_AUTO);
	assert_int_equal(service_tracking(web, IPPROTO_TCP), TRACKING_ON_CHANGE);
	assert_int_equal(service_tracking(web, IPPROTO_UDP), TRACKING_ALWAYS);
	assert_int_equal(web->insert_rate, 0);
	assert_int_equal(web->ring_size, 65537);
	assert_int_equal(web->mss, 0);
	assert_int_equal(web->idle_s[SHUNT_FLOW_SYN], 60);
	assert_int_equal(web->idle_s[SHUNT_FLOW_ESTABLISHED], 7440);
	assert_int_equal(web->idle_s[SHUNT_FLOW_FIN], 120);
	assert_int_equal(web->idle_s[SHUNT_FLOW_UDP], 120);
	assert_int_equal(web->listens[1].proto, IPPROTO_UDP);
	assert_int_equal(web->pool->forward, FORWARD_IPIP);
	assert_int_equal(web->pool->health.port, 80);
	/* The service's port, written or not, is the same backend. */
	assert_int_equal(web->pool->backends[0].ep.port, 0);
	assert_int_equal(web->pool->backends[1].ep.port, 0);
	snapshot_unref(s);
}

static const char all_keys[] =
	"node:\n"
	"  interfaces: [eth0, eth1.100]\n"
	"  xdp_mode: generic\n"
	"  workers: 7\n"
	"  pin_path: /sys/fs/bpf/other\n"
	"  hash_seed: 0123456789abcdefFEDCBA9876543210\n"
	"  tunnel_source: [10.1.0.0/16, \"2001:db8:1::/64\"]\n"
	"  drain_timeout: 0s\n"
	"  fragments: drop\n"
	"  echo: off\n"
	"  icmp_rate: 5\n"
	"  limits: {services: 10, backends: 20, ring_slots: 200000, flows: 2048, pending: "
	"1024}\n"
	"admin: {socket: /tmp/s.sock}\n"
	"pools:\n"
	"  web:\n"
	"    forward: ipip\n"
	"    mtu: 1400\n"
	"    health: {http: {path: /h?x=1, port: 8080, host: \"a.example:81\", status: "
	"204}, "
	"every: 500ms, rise: 1, fall: 9}\n"
	"    backends:\n"
	"    - {name: b, address: 10.0.0.2, weight: 0, state: up}\n"
	"    - {name: a, address: \"2001:db8::1\", weight: 1000, state: drain}\n"
	"    - {name: c, address: 10.0.0.3, state: disabled}\n"
	"    - {name: d, address: 10.0.0.4}\n"
	"  api:\n"
	"    forward: proxy\n"
	"    connect_timeout: 1ms\n"
	"    idle_timeout: 2h\n"
	"    idle_connections: 0\n"
	"    health: none\n"
	"    backends: [{name: x, address: \"[2001:db8::9]:8080\"}]\n"
	"services:\n"
	"  web:\n"
	"    listen: [\"[2001:db8::10]:443/udp\"]\n"
	"    mode: l4\n"
	"    pool: web\n"
	"    tracking: never\n"
	"    ring_size: 251\n"
	"    insert_rate: 4000\n"
	"    mss: auto\n"
	"    idle: {syn: 1s, established: 1h, fin: 3s, udp: 4m}\n"
	"  api:\n"
	"    listen: [\"[::]:80/tcp\", 0.0.0.0:80/tcp]\n"
	"    mode: http\n"
	"    pool: api\n"
	"    timeouts: {request_header: 1s, request_body: 2s, idle: 3s, response_header: "
	"4s, "
	"response_body: 5s, write: 6s}\n"
	"    limits: {request_line: 1KiB, header_bytes: 2KiB, header_count: 3, body: 4MiB, "
	"connections: 5}\n";

static void check_all_of_node(const struct snapshot *s)
{
	assert_int_equal(s->node.interface_count, 2);
	assert_string_equal(s->node.interfaces[1], "eth1.100");
	assert_int_equal(s->node.xdp_mode, XDP_MODE_GENERIC);
	assert_int_equal(s->node.workers, 7);
	assert_string_equal(s->node.pin_path, "/sys/fs/bpf/other");
	assert_true(s->node.hash_seed[0] == 0x0123456789abcdefU);
	assert_true(s->node.hash_seed[1] == 0xfedcba9876543210U);
	assert_int_equal(s->node.tunnel_source_len[0], 16);
	assert_int_equal(s->node.tunnel_source_len[1], 64);
	assert_int_equal(s->node.tunnel_source[1].family, AF_INET6);
	assert_int_equal(s->node.drain_ms, 0);
	assert_int_equal(s->node.fragments, FRAGMENTS_DROP);
	assert_int_equal(s->node.echo, ECHO_OFF);
	assert_int_equal(s->node.icmp_rate, 5);
	assert_int_equal(s->node.limits.backends, 20);
	assert_string_equal(s->admin.socket, "/tmp/s.sock");
}

static void check_all_of_pools(const struct pool *web, const struct pool *api)
{
	assert_int_equal(web->tunnel_mtu, 1400);
	assert_int_equal(web->health.kind, HEALTH_HTTP);
	assert_string_equal(web->health.path, "/h?x=1");
	assert_string_equal(web->health.host, "a.example:81");
	assert_int_equal(web->health.port, 8080);
	assert_int_equal(web->health.status_count, 1);
	assert_int_equal(web->health.statuses[0].low, 204);
	assert_int_equal(web->health.statuses[0].high, 204);
	assert_int_equal(web->health.timeout_ms, 500); /* not longer than every */
	assert_int_equal(web->backend_count, 4);
	assert_string_equal(web->backends[0].name, "a");
	assert_int_equal(web->backends[0].admin, ADMIN_DRAIN);
	assert_int_equal(web->backends[0].weight, 1000);
	assert_false(backend_is_usable(&web->backends[0]));
	assert_false(backend_is_usable(&web->backends[1])); /* weight 0 */
	assert_false(backend_is_usable(&web->backends[2]));
	assert_true(backend_is_usable(&web->backends[3]));
	atomic_store(&web->backends[3].rt->health, HEALTH_DOWN);
	assert_false(backend_is_usable(&web->backends[3]));
	assert_int_equal(api->connect_ms, 1);
	assert_int_equal(api->idle_ms, 7200000);
	assert_int_equal(api->idle_max, 0);
	assert_int_equal(api->health.kind, HEALTH_NONE);
}

static void check_all_of_services(const struct service *l4, const struct service *http)
{
	assert_int_equal(l4->tracking, TRACKING_NEVER);
	assert_int_equal(l4->ring_size, 251);
	assert_int_equal(l4->insert_rate, 4000);
	assert_int_equal(l4->mss, SHUNT_MSS_AUTO);
	assert_int_equal(l4->idle_s[SHUNT_FLOW_ESTABLISHED], 3600);
	assert_int_equal(l4->idle_s[SHUNT_FLOW_UDP], 240);
	assert_int_equal(http->timeouts.request_header, 1000);
	assert_int_equal(http->timeouts.write, 6000);
	assert_int_equal(http->limits.request_line, 1024);
	assert_int_equal(http->limits.body, 4 << 20);
	assert_int_equal(http->limits.connections, 5);
}

static void everything_can_be_said(void **state)
{
	struct snapshot *s = build_good(rt, all_keys);

	(void)state;
	check_all_of_node(s);
	check_all_of_pools(snapshot_pool(s, "web"), snapshot_pool(s, "api"));
	check_all_of_services(snapshot_service(s, "web"), snapshot_service(s, "api"));
	snapshot_unref(s);
}

static void earlier_errors_are_not_its_own(void **state)
{
	struct tree *t = parse_good("services: {}");
	struct snapshot *s;
	struct diag d;

	(void)state;
	diag_init(&d);
	diag_error(&d, NULL, "of before");
	s = conf_build(t, rt, &d);
	assert_non_null(s);
	assert_int_equal(d.errors, 1);
	snapshot_unref(s);
	diag_deinit(&d);
	tree_free(t);
}

static void the_document_outlives_its_source(void **state)
{
	struct snapshot *s = build_good(rt, all_keys);
	char *text = tree_emit(s->document);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "workers: 7"));
	free(text);
	assert_ptr_equal(snapshot_ref(s), s);
	snapshot_unref(s);
	assert_non_null(snapshot_pool(s, "web"));
	snapshot_unref(s);
	snapshot_unref(NULL);
}

#define WITH_RUNTIME(test) cmocka_unit_test_setup_teardown(test, make_runtime, free_runtime)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RUNTIME(defaults_of_an_http_service),
		WITH_RUNTIME(defaults_of_an_l4_service),
		WITH_RUNTIME(everything_can_be_said),
		WITH_RUNTIME(earlier_errors_are_not_its_own),
		WITH_RUNTIME(the_document_outlives_its_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
