/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans carried out against tables that look, at every write, with the eyes of a packet
 * (fake_kernel.h).
 */
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

#include "tests/unit/sync_util.h"

#define TWO_BACKENDS                                                                               \
	HEAD "pools:\n" POOL("p", A ", " B) "services:\n" SERVICE(                                 \
		"web", "p", "\"192.0.2.10:80/tcp\", \"[2001:db8::10]:80/tcp\"", "251")
#define THREE_BACKENDS                                                                             \
	HEAD "pools:\n" POOL("p", A ", " B ", " C) "services:\n" SERVICE(                          \
		"web", "p", "\"192.0.2.10:80/tcp\", \"[2001:db8::10]:80/tcp\"", "251")
/* Everything differs: a listen address goes to another service, one is gone, one is new. */
#define OTHER                                                                                      \
	HEAD "pools:\n" POOL("p", A ", {name: b, address: 10.9.9.9}")                              \
		POOL("q", C) "services:\n" SERVICE(                                                \
			"dns", "q", "\"192.0.2.10:80/tcp\", \"192.0.2.11:53/udp\"", "257")         \
			SERVICE("web", "p", "\"192.0.2.12:80/tcp\"", "251")
/* One of the addresses is proxied now, by the service of that name. */
#define PROXIED                                                                                    \
	HEAD "pools:\n" POOL(                                                                      \
		"p", A) "  h: {health: none, backends: [{name: x, address: "                       \
			"\"127.0.0.1:8080\"}]}\n"                                                  \
			"services:\n"                                                              \
			"  web: {mode: http, pool: h, listen: [\"192.0.2.10:80/tcp\"]}\n" SERVICE( \
				"six", "p", "\"[2001:db8::10]:80/tcp\"", "251")
#define EMPTY HEAD

/* ---- tests ------------------------------------------------------------------------------------- */

static void test_first_apply(void **state)
{
	struct snapshot *snap = build(TWO_BACKENDS);
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	assert_int_equal(report.services_set, 2);
	assert_int_equal(report.backends_set, 2);
	assert_int_equal(report.rings_built, 1);
	/* Ids: a row of its own, first generation, never 0. */
	assert_int_equal(kernel.backends[1].id, 1U << SHUNT_ID_INDEX_BITS | 1);
	assert_int_equal(kernel.backends[2].id, 1U << SHUNT_ID_INDEX_BITS | 2);
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_adoption_writes_nothing(void **state)
{
	struct snapshot *snap = build(TWO_BACKENDS);
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	tables_deinit(&t);
	open_tables(&t);
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_health_costs_little(void **state)
{
	struct snapshot *snap = build(THREE_BACKENDS);
	const struct backend *b = pool_backend(snapshot_pool(snap, "p"), "b");
	struct l4_report report;
	unsigned waits, writes;
	struct tables t;
	uint32_t id;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	id = kernel.backends[2].id;
	waits = kernel.waits;
	writes = kernel.writes;
	atomic_store(&b->rt->health, HEALTH_DOWN);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	assert_int_equal(report.backends_set, 1);
	assert_int_equal(report.rings_built, 1);
	assert_int_equal(report.services_set, 0);
	/* One store for both keys, and there is room that no packet looks at. */
	assert_int_equal(kernel.writes, writes + 2);
	assert_int_equal(kernel.waits, waits);
	assert_int_equal(kernel.backends[2].state, SHUNT_BACKEND_DOWN);
	check_in_step(&t, snap);
	/* Three times the ring are free at most: now and then there is a wait, once. */
	for (int i = 0; i < 12; i++) {
		atomic_store(&b->rt->health, i & 1 ? HEALTH_DOWN : HEALTH_UP);
		assert_int_equal(apply(&t, snap, &report, NULL), 0);
	}
	assert_true(kernel.waits > waits && kernel.waits <= waits + 4);
	atomic_store(&b->rt->health, HEALTH_UP);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	assert_int_equal(kernel.backends[2].id, id);
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_no_usable_backend(void **state)
{
	struct snapshot *snap = build(TWO_BACKENDS);
	const struct pool *p = snapshot_pool(snap, "p");
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	atomic_store(&pool_backend(p, "a")->rt->health, HEALTH_DOWN);
	atomic_store(&pool_backend(p, "b")->rt->health, HEALTH_DOWN);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	assert_int_equal(kernel.rings[0].ring.size, 0);
	assert_int_equal(report.rings_built, 0);
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_removed_backend_lingers_and_comes_back(void **state)
{
	struct snapshot *three = build(THREE_BACKENDS), *two = build(TWO_BACKENDS);
	struct l4_report report;
	struct tables t;
	uint32_t id;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	id = kernel.backends[3].id;
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(kernel.backends[3].id, id);
	assert_int_equal(kernel.backends[3].state, SHUNT_BACKEND_DRAINING);
	check_in_step(&t, two);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	assert_int_equal(kernel.backends[3].id, id);
	assert_int_equal(kernel.backends[3].state, SHUNT_BACKEND_UP);
	check_in_step(&t, three);
	tables_deinit(&t);
	snapshot_unref(three);
	snapshot_unref(two);
}

/* Another machine under the old name must not get the old one's flows. */
static void test_new_address_is_a_new_backend(void **state)
{
	struct snapshot *old = build(TWO_BACKENDS);
	struct snapshot *new = build(
		HEAD "pools:\n" POOL("p", A ", {name: b, address: 10.9.9.9}") "services:\n" SERVICE(
			"web", "p", "\"192.0.2.10:80/tcp\"", "251"));
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, old, &report, NULL), 0);
	assert_int_equal(apply(&t, new, &report, NULL), 0);
	assert_int_equal(kernel.backends[2].state, SHUNT_BACKEND_DRAINING);
	assert_int_equal(kernel.backends[3].dst[3], inet_addr("10.9.9.9"));
	assert_string_equal(kernel.be_meta[3].name, "b");
	check_in_step(&t, new);
	tables_deinit(&t);
	snapshot_unref(old);
	snapshot_unref(new);
}

static void test_reused_row_has_a_new_generation(void **state)
{
	struct snapshot *three = build(THREE_BACKENDS), *two = build(TWO_BACKENDS);
	struct l4_report report;
	struct tables t;
	uint32_t index = 3;

	(void)state;
	open_tables(&t);
	for (uint32_t generation = 1; generation <= 9; generation++) {
		uint32_t found = 0;

		assert_int_equal(apply(&t, three, &report, NULL), 0);
		for (uint32_t i = 3; i < BACKENDS; i++) {
			if (kernel.backends[i].id != 0)
				found = i;
		}
		/* Rows that were never used come first. */
		assert_int_equal(found, generation + 2);
		assert_int_equal(kernel.backends[found].id, 1U << SHUNT_ID_INDEX_BITS | found);
		assert_int_equal(apply(&t, two, &report, NULL), 0);
		assert_int_equal(sync_free_backends(NULL, &t, &found, 1), 0);
		assert_int_equal(kernel.backends[found].id, 0);
	}
	/* All have been used: the one that was freed longest ago, in its second generation. */
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	assert_int_equal(kernel.backends[3].id, 2U << SHUNT_ID_INDEX_BITS | 3);
	/* The last generation is followed by the first, not by 0. */
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	assert_int_equal(sync_free_backends(NULL, &t, &index, 1), 0);
	for (uint32_t i = 3; i < BACKENDS; i++)
		kernel.be_meta[i].id = UINT32_MAX << SHUNT_ID_INDEX_BITS | i;
	tables_deinit(&t);
	open_tables(&t);
	assert_int_equal(apply(&t, three, &report, NULL), 0);
	assert_int_equal(kernel.backends[3].id, 1U << SHUNT_ID_INDEX_BITS | 3);
	tables_deinit(&t);
	snapshot_unref(three);
	snapshot_unref(two);
}

static void test_backends_do_not_fit(void **state)
{
	struct snapshot *snap = build(HEAD "pools:\n" POOL(
		"p",
		A ", " B ", " C ", {name: d, address: 10.0.0.4}, "
		  "{name: e, address: 10.0.0.5}, {name: f, address: 10.0.0.6}, "
		  "{name: g, address: 10.0.0.7}, {name: h, address: 10.0.0.8}, "
		  "{name: i, address: 10.0.0.9}, {name: j, address: "
		  "10.0.0.10}, "
		  "{name: k, address: 10.0.0.11}, {name: l, address: "
		  "10.0.0.12}") "services:\n" SERVICE("web", "p", "\"192.0.2.10:80/tcp\"", "251"));
	struct l4_report report;
	char error[256] = "";
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, error), -ENOSPC);
	assert_non_null(strstr(error, "node.limits.backends"));
	assert_int_equal(kernel.writes, 0);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_services_do_not_fit(void **state)
{
	struct snapshot *snap = build(HEAD "pools:\n" POOL("p", A) "services:\n" SERVICE(
		"web", "p",
		"\"192.0.2.1:80/tcp\", \"192.0.2.2:80/tcp\", \"192.0.2.3:80/tcp\", "
		"\"192.0.2.4:80/tcp\", \"192.0.2.5:80/tcp\", \"192.0.2.6:80/tcp\", "
		"\"192.0.2.7:80/tcp\", \"192.0.2.8:80/tcp\", \"192.0.2.9:80/tcp\"",
		"251"));
	struct l4_report report;
	char error[256] = "";
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, error), -ENOSPC);
	assert_non_null(strstr(error, "node.limits.services"));
	assert_int_equal(kernel.writes, 0);
	tables_deinit(&t);
	snapshot_unref(snap);
}

/* Old and new addresses together are more than the table holds: the old ones go first. */
static void test_full_exchange_of_services(void **state)
{
	struct snapshot *first = build(HEAD "pools:\n" POOL("p", A) "services:\n" SERVICE(
		"web", "p",
		"\"192.0.2.1:80/tcp\", \"192.0.2.2:80/tcp\", \"192.0.2.3:80/tcp\", "
		"\"192.0.2.4:80/tcp\", \"192.0.2.5:80/tcp\"",
		"251"));
	struct snapshot *second = build(HEAD "pools:\n" POOL("p", A) "services:\n" SERVICE(
		"web", "p",
		"\"192.0.3.1:80/tcp\", \"192.0.3.2:80/tcp\", \"192.0.3.3:80/tcp\", "
		"\"192.0.3.4:80/tcp\", \"192.0.3.5:80/tcp\"",
		"251"));
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, first, &report, NULL), 0);
	assert_int_equal(apply(&t, second, &report, NULL), 0);
	assert_int_equal(report.services_deleted, 5);
	check_in_step(&t, second);
	tables_deinit(&t);
	snapshot_unref(first);
	snapshot_unref(second);
}

#define THREE_RINGS(backends)                                                                      \
	HEAD "pools:\n" POOL("p", backends) "services:\n" SERVICE("s1", "p",                       \
								  "\"192.0.2.1:80/tcp\"", "251")   \
		SERVICE("s2", "p", "\"192.0.2.2:80/tcp\"", "251")                                  \
			SERVICE("s3", "p", "\"192.0.2.3:80/tcp\"", "251")

/* Room for four rings: three are rebuilt one after another through the one gap. */
static void test_rings_through_a_narrow_gap(void **state)
{
	struct snapshot *before = build(THREE_RINGS(A)), *after = build(THREE_RINGS(A ", " B));
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, before, &report, NULL), 0);
	assert_int_equal(apply(&t, after, &report, NULL), 0);
	assert_int_equal(report.rings_built, 3);
	check_in_step(&t, after);
	tables_deinit(&t);
	snapshot_unref(before);
	snapshot_unref(after);
}

static void test_rings_do_not_fit(void **state)
{
	struct snapshot *before = build(THREE_RINGS(A));
	struct snapshot *after =
		build(HEAD "pools:\n" POOL("p", A) "services:\n" SERVICE(
			"s1", "p", "\"192.0.2.1:80/tcp\"", "251")
			      SERVICE("s2", "p", "\"192.0.2.2:80/tcp\"", "251")
				      SERVICE("s3", "p", "\"192.0.2.3:80/tcp\"", "251")
					      SERVICE("s4", "p", "\"192.0.2.4:80/tcp\"", "263"));
	struct l4_report report;
	char error[256] = "";
	unsigned writes;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, before, &report, NULL), 0);
	writes = kernel.writes;
	assert_int_equal(apply(&t, after, &report, error), -ENOSPC);
	assert_non_null(strstr(error, "263 slots"));
	assert_non_null(strstr(error, "node.limits.ring_slots by 6 or more"));
	assert_int_equal(kernel.writes, writes);
	tables_deinit(&t);
	snapshot_unref(before);
	snapshot_unref(after);
}

static void test_down_survives_a_restart(void **state)
{
	static const char text[] =
		HEAD "pools:\n  p: {forward: ipip, health: {tcp: {port: 80}}, backends: [" A ", " B
		     "]}\n"
		     "services:\n" SERVICE("web", "p", "\"192.0.2.10:80/tcp\"", "251");
	struct snapshot *snap = build(text);
	const struct backend *b = pool_backend(snapshot_pool(snap, "p"), "b");
	struct l4_report report;
	struct tables t;

	(void)state;
	open_tables(&t);
	atomic_store(&b->rt->health, HEALTH_DOWN);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	tables_deinit(&t);
	atomic_store(&b->rt->health, HEALTH_UNKNOWN);
	open_tables(&t);
	adopt_health(&t, snap);
	assert_int_equal(atomic_load(&b->rt->health), HEALTH_DOWN);
	assert_int_equal(atomic_load(&pool_backend(snapshot_pool(snap, "p"), "a")->rt->health),
			 HEALTH_UNKNOWN);
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

/* Records and owners that no daemon wrote: nothing is trusted, and all is put right. */
static void test_nonsense_is_mended(void **state)
{
	struct snapshot *snap = build(TWO_BACKENDS);
	struct l4_report report;
	uint32_t stray = 2;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	tables_deinit(&t);
	kernel.service_count = 1;
	memset(&kernel.services[0].record, 0xee, sizeof(kernel.services[0].record));
	kernel.services[0].record.index = UINT32_MAX;
	kernel.rings[0].ring = (struct shunt_ring){RING_SLOTS - 1, UINT32_MAX};
	kernel.rings[5].ring = (struct shunt_ring){UINT32_MAX, 251};
	kernel.rings[6].ring = (struct shunt_ring){0, 251};
	memset(&kernel.svc_meta[3], 'x', sizeof(kernel.svc_meta[3]));
	memset(&kernel.be_meta[7], 'x', sizeof(kernel.be_meta[7]));
	kernel.be_meta[stray].id += 1U << SHUNT_ID_INDEX_BITS;
	kernel.nonsense = true;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	assert_string_equal(kernel.be_meta[3].name, "b");
	assert_int_equal(sync_free_backends(NULL, &t, &stray, 1), 0);
	kernel.nonsense = false;
	kernel.retired_count = 0;
	kernel.retired_ring_count = 0;
	check_in_step(&t, snap);
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void test_cut_short(void **state)
{
	(void)state;
	cut_short_everywhere(EMPTY, TWO_BACKENDS);
	cut_short_everywhere(TWO_BACKENDS, THREE_BACKENDS);
	cut_short_everywhere(THREE_BACKENDS, TWO_BACKENDS);
	cut_short_everywhere(TWO_BACKENDS, OTHER);
	cut_short_everywhere(OTHER, TWO_BACKENDS);
	cut_short_everywhere(OTHER, EMPTY);
	cut_short_everywhere(THREE_RINGS(A), THREE_RINGS(A ", " B));
	cut_short_everywhere(TWO_BACKENDS, PROXIED);
	cut_short_everywhere(PROXIED, TWO_BACKENDS);
}

static const char *pool_of_port(uint16_t port)
{
	return port == 81 ? "p" : "q";
}

#define TWO_POOLS(first, of_first, second, of_second, backends)                                    \
	HEAD "pools:\n" POOL("p", backends) POOL("q", C) "services:\n" SERVICE(                    \
		first, of_first, "\"192.0.2.1:81/tcp\", \"192.0.2.2:81/tcp\"", "251")              \
		SERVICE(second, of_second, "\"192.0.2.3:82/tcp\"", "251")

/* Services exchange names, or addresses and pools: which is the same. At no moment does a packet of
 * one go to the pool of the other, though each name keeps or gets what the other had. */
static void test_exchange_of_services(void **state)
{
	(void)state;
	kernel.pool_of = pool_of_port;
	cut_short_everywhere(TWO_POOLS("x", "p", "y", "q", A), TWO_POOLS("y", "p", "x", "q", A));
	cut_short_everywhere(TWO_POOLS("x", "p", "y", "q", A),
			     TWO_POOLS("y", "p", "x", "q", A ", " B));
	cut_short_everywhere(TWO_POOLS("x", "p", "y", "q", A), TWO_POOLS("y", "p", "z", "q", A));
}

/* An address goes to another service and nothing else changes: counters go on. */
static void test_address_moves(void **state)
{
	struct snapshot *before =
		build(HEAD "pools:\n" POOL("p", A) POOL("q", B) "services:\n" SERVICE(
			"x", "p", "\"192.0.2.1:80/tcp\", \"192.0.2.2:80/tcp\"", "251")
			      SERVICE("y", "q", "\"192.0.2.3:80/tcp\"", "251"));
	struct snapshot *after =
		build(HEAD "pools:\n" POOL("p", A) POOL("q", B) "services:\n" SERVICE(
			"x", "p", "\"192.0.2.1:80/tcp\"", "251") SERVICE("y", "q",
									 "\"192.0.2.2:80/tcp\", "
									 "\"192.0.2.3:80/tcp\"",
									 "251"));
	struct l4_report report;
	unsigned cleared;
	struct tables t;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, before, &report, NULL), 0);
	cleared = kernel.stats_cleared;
	assert_int_equal(apply(&t, after, &report, NULL), 0);
	assert_int_equal(report.services_set, 1);
	assert_int_equal(report.rings_built, 0);
	assert_int_equal(kernel.stats_cleared, cleared);
	check_in_step(&t, after);
	tables_deinit(&t);
	snapshot_unref(before);
	snapshot_unref(after);
}

/* Any configuration of a few services: names, modes, pools and addresses in all combinations. */
static struct snapshot *build_random(unsigned *seed)
{
	static const char *const names[] = {"x", "y", "z"};
	static const char *const modes[] = {"mode: l4, pool: p, ring_size: 251",
					    "mode: l4, pool: q, ring_size: 251",
					    "mode: http, pool: h"};
	static const char *const backends[] = {A, A ", " B, B};
	char text[2048];
	size_t len;
	int n = snprintf(text, sizeof(text),
			 HEAD "pools:\n" POOL("p", "%s")
				 POOL("q", C) "  h: {health: none, backends: [{name: x, address: "
					      "\"127.0.0.1:8080\"}]}\nservices:\n",
			 backends[rand_r(seed) % 3]);
	unsigned port = 80;

	assert_true(n > 0);
	len = (size_t)n;
	/* Addresses go to services in turns that start anywhere: some are in nobody's. */
	for (int i = 0; i < 3; i++) {
		int count = rand_r(seed) % 3;

		port += (unsigned)rand_r(seed) % 2;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "  %s: {%s, listen: [",
					names[i], modes[rand_r(seed) % 3]);
		for (int k = 0; k <= count; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s\"192.0.2.1:%u/tcp\"", k > 0 ? ", " : "",
						port++);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "]}\n");
		if (port >= 85)
			break; /* as many keys as the table has at most */
	}
	return build(text);
}

/* From one to the next, cut short anywhere, with the same process or another one after it. */
static void test_random_walk(void **state)
{
	(void)state;
	kernel.served = true;
	kernel.roomy =
		true; /* for what several changes that were cut short leave, and a whole new set */
	walk_at_random(1000, 40, 0, build_random);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adoption_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health_costs_little, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_usable_backend, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_backend_lingers_and_comes_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_new_address_is_a_new_backend, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reused_row_has_a_new_generation, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_backends_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_services_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_exchange_of_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_through_a_narrow_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense_is_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exchange_of_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_walk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
