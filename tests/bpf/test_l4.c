/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * l4/ and loader/ on the kernel's own tables: a configuration is applied, and packets are put
 * through the pinned program to see what has become of it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l4/l4.h"
#include "loader/maps.h"
#include "tests/bpf/l4_stage.h"

#define CONNS	 200
#define DEADLINE 20000 /* ms */

/* How many of CONNS new connections each backend gets. */
static void spread(struct stage *s, int family, uint16_t first_port, unsigned ret_count[4])
{
	memset(ret_count, 0, 4 * sizeof(*ret_count));
	for (uint16_t i = 0; i < CONNS; i++) {
		int to = stage_send(s, family, (uint16_t)(first_port + i), F_SYN);

		assert_true(to >= -1 && to < 4);
		if (to >= 0)
			ret_count[to]++;
	}
}

/* A connection of that port to backend b (both packets that make it known). */
static uint16_t connect_to(struct stage *s, int backend)
{
	for (uint16_t port = 20000; port < 21000; port++) {
		if (stage_send(s, 4, port, F_SYN) == backend) {
			assert_int_equal(stage_send(s, 4, port, F_ACK), backend);
			return port;
		}
	}
	fail_msg("no connection to backend %d", backend);
	return 0;
}

static bool is_zero(struct l4_report r)
{
	static const struct l4_report zero;

	return memcmp(&r, &zero, sizeof(r)) == 0;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static uint32_t slots_in_use(struct stage *s)
{
	uint32_t slots[4] = {9, 9, 9, 9}, sum = 0;
	const struct service *web = snapshot_service(s->snap, "web");

	l4_ring_slots(s->l4, web->name, web->pool, slots);
	for (size_t i = 0; i < web->pool->backend_count; i++)
		sum += slots[i];
	return sum;
}

static void test_packets_reach_backends(void **state)
{
	struct stage *s = *state;
	struct shunt_svc_stats svc;
	struct shunt_be_stats stats[4] = {{.packets = 1}};
	uint64_t established, pending;
	unsigned count[4];

	assert_int_equal(stage_send(s, 4, 1000, F_SYN), -1);
	assert_int_equal(stage_apply(s).rings_built, 1);
	spread(s, 4, 1000, count);
	assert_int_equal(count[1] + count[2], CONNS);
	assert_true(count[1] > CONNS / 4 && count[2] > CONNS / 4);
	spread(s, 6, 1000, count);
	assert_int_equal(count[1] + count[2], CONNS);
	assert_int_equal(l4_service_stats(s->l4, "web", &svc), 0);
	assert_int_equal(svc.count[SHUNT_COUNT_PACKETS], 2 * CONNS);
	assert_int_equal(svc.count[SHUNT_COUNT_NEW_FLOWS], 2 * CONNS);
	assert_int_equal(l4_pool_stats(s->l4, snapshot_pool(s->snap, "web"), stats), 0);
	assert_int_equal(stats[0].packets + stats[1].packets, 2 * CONNS);
	assert_true(stats[0].packets > CONNS / 2 && stats[1].packets > CONNS / 2);
	assert_int_equal(l4_service_stats(s->l4, "", &svc), -ENOENT);
	assert_int_equal(slots_in_use(s), 1009);
	assert_int_equal(maps_flow_count(l4_loader(s->l4), &established, &pending), 0);
	assert_int_equal(established, 0);
	assert_int_equal(pending, 2 * CONNS);
}

static void test_nothing_changed_nothing_written(void **state)
{
	struct stage *s = *state;

	(void)stage_apply(s);
	assert_true(is_zero(stage_apply(s)));
	stage_restart(s, SOURCE);
	assert_true(loader_adopted(l4_loader(s->l4)));
	assert_false(loader_replaced(l4_loader(s->l4)));
	assert_true(is_zero(stage_apply(s)));
	assert_int_equal(slots_in_use(s), 1009);
}

static void test_connections_survive_restart_and_exchange(void **state)
{
	struct stage *s = *state;
	uint16_t to_a, to_b;

	(void)stage_apply(s);
	to_a = connect_to(s, 1);
	to_b = connect_to(s, 2);
	stage_restart(s, SOURCE);
	assert_int_equal(stage_send(s, 4, to_a, F_ACK), 1);
	/* Another seed is another program, over the same tables. */
	stage_restart(s, SOURCE ", hash_seed: \"00112233445566778899aabbccddeeff\"");
	assert_true(loader_replaced(l4_loader(s->l4)));
	assert_true(is_zero(stage_apply(s)));
	assert_int_equal(stage_send(s, 4, to_a, F_ACK), 1);
	assert_int_equal(stage_send(s, 4, to_b, F_ACK), 2);
}

static void test_draining_backend_keeps_its_connections(void **state)
{
	struct stage *s = *state;
	unsigned count[4];
	uint16_t to_b;

	(void)stage_apply(s);
	to_b = connect_to(s, 2);
	(void)stage_change(s, CONF(A ", {name: b, address: 10.0.0.2, state: drain}"));
	assert_int_equal(stage_send(s, 4, to_b, F_ACK), 2);
	spread(s, 4, 3000, count);
	assert_int_equal(count[1], CONNS);
	(void)stage_change(s, CONF(A ", {name: b, address: 10.0.0.2, state: disabled}"));
	assert_int_equal(stage_send(s, 4, to_b, F_ACK), 1);
}

static void test_removed_backend_is_freed_when_it_is_quiet(void **state)
{
	struct stage *s = *state;
	uint64_t deadline = clock_now_ms() + DEADLINE;
	unsigned count[4];
	uint16_t to_b;

	(void)stage_change(s, CONF_BRIEF(A ", " B));
	to_b = connect_to(s, 2);
	(void)stage_change(s, CONF_BRIEF(A ", " C));
	spread(s, 4, 3000, count);
	assert_int_equal(count[2], 0);
	assert_true(count[3] > 0);
	assert_int_equal(l4_tick(s->l4), 1);
	assert_int_equal(stage_send(s, 4, to_b, F_ACK), 2);
	assert_int_equal(l4_tick(s->l4), 1);
	while (l4_tick(s->l4) > 0 && clock_now_ms() < deadline)
		(void)poll(NULL, 0, 50);
	assert_int_equal(l4_tick(s->l4), 0);
	assert_int_not_equal(stage_send(s, 4, to_b, F_ACK), 2);
	assert_true(is_zero(stage_apply(s)));
}

#define NAT_CONF(backends)                                                                         \
	"pools:\n  dns: {forward: nat, health: none, source_nat: 10.0.0.9, backends: [" backends   \
	"]}\n"                                                                                     \
	"services:\n  dns: {mode: l4, pool: dns, listen: [\"" VIP4 ":53/udp\"], ring_size: " RING  \
	", idle: {udp: 1s}}\n"

/* A flow through NAT, and its backend's answers. */
static struct pkt_spec open_nat(struct stage *s)
{
	const struct pkt_spec there = {
		.src = CLIENT4, .dst = VIP4, .sport = 5000, .dport = 53, .proto = IPPROTO_UDP};
	struct pkt_spec back = {
		.src = "10.0.0.1", .dst = "10.0.0.9", .sport = 53, .proto = IPPROTO_UDP};
	static struct frame out;

	(void)stage_change(s, NAT_CONF(A));
	assert_int_equal(stage_run(s, &there, &out), XDP_TX);
	back.dport = pkt_get16(&out, pkt_l4(&out));
	return back;
}

/* What the daemon does now and then. Returns how many removed backends are left. */
static unsigned tick(struct stage *s)
{
	struct diag d;
	unsigned left;

	diag_init(&d);
	left = l4_tick(s->l4);
	l4_nat_tick(s->l4, &d);
	diag_deinit(&d);
	(void)poll(NULL, 0, 50);
	return left;
}

/* It lasts as long as either side sends, however short the idle time is. */
static void test_a_flow_that_never_rests(void **state)
{
	struct stage *s = *state;
	struct pkt_spec back = open_nat(s);
	uint64_t end = clock_now_ms() + 2500;
	static struct frame out;

	while (clock_now_ms() < end) {
		assert_int_equal(stage_run(s, &back, &out), XDP_TX);
		(void)tick(s);
	}
}

static void test_removed_backend_goes_on_sending(void **state)
{
	struct stage *s = *state;
	struct pkt_spec back = open_nat(s);
	uint64_t end = clock_now_ms() + 3500, deadline = end + DEADLINE;
	static struct frame out;

	(void)stage_change(s, NAT_CONF(B));
	while (clock_now_ms() < end) {
		assert_int_equal(stage_run(s, &back, &out), XDP_TX);
		(void)tick(s);
	}
	while (tick(s) > 0 && clock_now_ms() < deadline)
		;
	assert_int_equal(l4_tick(s->l4), 0);
	assert_int_equal(stage_run(s, &back, &out), XDP_PASS);
}

/* A daemon that dies between removal and the end of the connections is followed by one that ends
 * them in the same way. */
static void test_removed_backend_is_freed_after_a_restart(void **state)
{
	struct stage *s = *state;
	uint64_t deadline = clock_now_ms() + DEADLINE;
	struct shunt_backend row;

	(void)stage_apply(s);
	(void)stage_change(s, CONF_BRIEF(A ", " B ", " C));
	stage_restart(s, SOURCE);
	/* Not before it knows what the configuration names. */
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 3, &row), 0);
	assert_int_not_equal(row.id, 0);
	(void)l4_tick(s->l4);
	(void)stage_apply(s);
	while (l4_tick(s->l4) > 0 && clock_now_ms() < deadline)
		(void)poll(NULL, 0, 50);
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 3, &row), 0);
	assert_int_equal(row.id, 0);
	assert_int_equal(maps_backend_get(l4_loader(s->l4), 1, &row), 0);
	assert_int_not_equal(row.id, 0);
}

static void test_local_service_passes(void **state)
{
	struct stage *s = *state;

	(void)stage_change(s, "pools: {api: {health: none, backends: [{name: x, address: "
			      "\"127.0.0.1:8080\"}]}}\n"
			      "services: {api: {mode: http, pool: api, listen: [\"" VIP4
			      ":80/tcp\"]}}\n");
	assert_int_equal(stage_send(s, 4, 1000, F_SYN), -1);
	{
		uint64_t verdicts[SHUNT_VERDICT_COUNT];

		assert_int_equal(maps_verdicts(l4_loader(s->l4), verdicts), 0);
		assert_int_equal(verdicts[SHUNT_VERDICT_PASS_LOCAL], 1);
	}
}

static void test_one_user_at_a_time(void **state)
{
	struct stage *s = *state;
	struct l4 *other = NULL;
	char pid[32];
	struct diag d;

	diag_init(&d);
	assert_int_equal(l4_open(s->snap, &other, &d), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.items[0].text, pid));
	assert_int_equal(loader_purge(s->pins, &d), -EBUSY);
	diag_deinit(&d);
}

/* Their program would go on serving packets beside ours. */
static void test_tables_of_another_version(void **state)
{
	struct stage *s = *state;
	char dir[96], pin[128];
	struct l4 *other = NULL;
	struct diag d;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL);

	assert_true(fd >= 0);
	snprintf(dir, sizeof(dir), "%s/v999", s->pins);
	snprintf(pin, sizeof(pin), "%s/other", dir);
	l4_close(s->l4);
	s->l4 = NULL;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(bpf_obj_pin(fd, pin), 0);
	diag_init(&d);
	assert_int_equal(l4_open(s->snap, &other, &d), -EEXIST);
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.items[0].text, "v999"));
	diag_deinit(&d);
	assert_int_equal(unlink(pin), 0);
	/* A directory with nothing in it is in nobody's way. */
	stage_open(s);
	assert_int_equal(rmdir(dir), 0);
	close(fd);
}

static void test_tunnels_need_a_source(void **state)
{
	struct stage *s = *state;
	struct l4_report report;
	struct diag d;

	snapshot_unref(s->snap);
	s->snap = stage_build(s, "", CONF(A ", " B)); /* lo has no global address */
	diag_init(&d);
	assert_int_equal(l4_check(s->l4, s->snap, &d), -EINVAL);
	assert_non_null(strstr(d.items[0].text, "node.tunnel_source"));
	assert_int_equal(l4_apply(s->l4, s->snap, &report, &d), -EINVAL);
	diag_deinit(&d);
}

static void test_attach(void **state)
{
	struct stage *s = *state;
	struct attachment *list;
	struct snapshot *none;
	size_t count;
	struct diag d;

	diag_init(&d);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(loader_attachments(l4_loader(s->l4), &list, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(list[0].ifname, "lo");
	assert_int_equal(list[0].mode, ATTACH_GENERIC);
	free(list);
	/* One that is not there: said, and the other is left, since it is not listed any more. */
	none = stage_build(s, SOURCE, CONF(A));
	((const char **)none->node.interfaces)[0] = "nix0";
	assert_int_equal(l4_attach(s->l4, none, &d), -ENODEV);
	assert_non_null(strstr(d.items[0].text, "nix0 does not exist"));
	assert_int_equal(loader_attachments(l4_loader(s->l4), &list, &count), 0);
	assert_int_equal(count, 0);
	free(list);
	snapshot_unref(none);
	diag_deinit(&d);
}

/* A backend that dies leaves its rings, and commands are obeyed, while an interface is away. */
static void test_change_without_an_interface(void **state)
{
	struct stage *s = *state;
	struct l4_report report;
	unsigned count[4];
	struct diag d;

	diag_init(&d);
	(void)stage_apply(s);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(system("ip link add away type veth && ip link set away up"), 0);
	snapshot_unref(s->snap);
	s->snap = stage_build_on(s, "[lo, away]", SOURCE, CONF(A ", " B));
	(void)stage_apply(s);
	assert_int_equal(l4_attach(s->l4, s->snap, &d), 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	assert_int_equal(system("ip link del away"), 0);
	assert_int_equal(d.count, 0);

	snapshot_unref(s->snap);
	s->snap = stage_build_on(s, "[lo, away]", SOURCE, CONF(A ", " C));
	assert_int_equal(l4_check(s->l4, s->snap, &d), 0);
	assert_int_equal(d.count, 1);
	assert_non_null(strstr(d.items[0].text, "away does not exist"));
	assert_int_equal(l4_apply(s->l4, s->snap, &report, &d), 0);
	spread(s, 4, 3000, count);
	assert_int_equal(count[2], 0);
	assert_true(count[3] > 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);

	/* Back again, as another device. */
	assert_int_equal(system("ip link add away type veth && ip link set away up"), 0);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 1);
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	assert_int_equal(loader_detach(l4_loader(s->l4), "away", &d), 0);
	/* What somebody took off is left off. */
	assert_int_equal(l4_follow_interfaces(s->l4, s->snap, &d), 0);
	diag_deinit(&d);
}

static void test_wait_for_packets(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(maps_wait_for_packets(), 0);
}

static void test_sizes_and_memory(void **state)
{
	struct stage *s = *state;
	struct loader_sizes sizes;

	maps_sizes(l4_loader(s->l4), &sizes);
	assert_int_equal(sizes.services, 16);
	assert_int_equal(sizes.backends, 16);
	assert_int_equal(sizes.ring_slots, 8192);
	assert_int_equal(sizes.flows, 1024);
	assert_true(maps_memory(l4_loader(s->l4)) > 8192 * sizeof(struct shunt_slot));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		T(test_packets_reach_backends),
		T(test_nothing_changed_nothing_written),
		T(test_connections_survive_restart_and_exchange),
		T(test_draining_backend_keeps_its_connections),
		T(test_removed_backend_is_freed_when_it_is_quiet),
		T(test_a_flow_that_never_rests),
		T(test_removed_backend_goes_on_sending),
		T(test_removed_backend_is_freed_after_a_restart),
		T(test_local_service_passes),
		T(test_one_user_at_a_time),
		T(test_tables_of_another_version),
		T(test_tunnels_need_a_source),
		T(test_attach),
		T(test_change_without_an_interface),
		T(test_wait_for_packets),
		T(test_sizes_and_memory),
	};

	if (stage_isolate() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
