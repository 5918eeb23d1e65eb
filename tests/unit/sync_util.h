/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configurations carried out against the tables of fake_kernel.h, cut short after each of their
 * writes, and taken up again by the same process and by a new one. For one test program.
 */
#ifndef TESTS_UNIT_SYNC_UTIL_H
#define TESTS_UNIT_SYNC_UTIL_H

#include <stdio.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "l4/adopt.h"
#include "l4/plan.h"
#include "l4/sync.h"
#include "tests/unit/fake_kernel.h"

/* ---- configurations ---------------------------------------------------------------------------- */

static struct runtime *runtime;

static struct snapshot *build(const char *text)
{
	struct diag d;
	struct tree *tree;
	struct snapshot *snap = NULL;

	diag_init(&d);
	tree = tree_parse("test", text, strlen(text), &d);
	if (tree != NULL)
		snap = conf_build(tree, runtime, &d);
	if (snap == NULL)
		diag_print(&d, stderr);
	diag_deinit(&d);
	tree_free(tree);
	assert_non_null(snap);
	return snap;
}

static void want(const struct snapshot *snap, struct desired *ret_want)
{
	struct host host = {.interface = "eth0", .mtu = 1500};
	struct diag d;

	diag_init(&d);
	assert_int_equal(addr_parse("192.0.2.1", &host.source[0]), 0);
	assert_int_equal(addr_parse("2001:db8::1", &host.source[1]), 0);
	assert_int_equal(desired_build(snap, &host, ret_want, &d), 0);
	diag_deinit(&d);
}

static int apply_desired(struct tables *t, const struct desired *w, struct l4_report *ret_report,
			 struct diag *d)
{
	struct plan plan;
	int err = adopt_rings(t, kernel.slots, w, d);

	*ret_report = (struct l4_report){0};
	if (err == 0)
		err = plan_build(t, w, &plan, d);
	if (err < 0)
		return err;
	err = sync_run(NULL, t, &plan, ret_report, d);
	plan_deinit(&plan);
	return err;
}

/* As l4_apply() does it; text of the first error in error, if not NULL. */
static int apply(struct tables *t, const struct snapshot *snap, struct l4_report *ret_report,
		 char error[256])
{
	struct desired w;
	struct diag d;
	int err;

	diag_init(&d);
	want(snap, &w);
	err = apply_desired(t, &w, ret_report, &d);
	if (error != NULL && d.count > 0)
		snprintf(error, 256, "%s", d.items[0].text);
	desired_deinit(&w);
	diag_deinit(&d);
	return err;
}

static void open_tables(struct tables *t)
{
	struct diag d;

	diag_init(&d);
	assert_int_equal(sync_read(NULL, t, &d), 0);
	diag_deinit(&d);
}

/* The slots of a service belong to whom the ring says, by name. */
static void check_ring(const struct shunt_service *record, const struct desired *w,
		       const struct desired_service *s)
{
	const struct shunt_ring *r = &kernel.rings[record->index].ring;
	struct ring_member members[BACKENDS];
	uint32_t owner[RING_SLOTS];
	size_t count = 0;

	for (size_t i = 0; i < s->backend_count; i++) {
		const struct desired_backend *b = &w->backends[s->first_backend + i];

		members[count++] = (struct ring_member){b->pool, b->name, b->weight};
	}
	assert_int_equal(r->size, s->ring_size);
	if (r->size == 0)
		return;
	assert_int_equal(ring_fill(members, count, owner, r->size), 0);
	for (uint32_t i = 0; i < r->size; i++) {
		uint32_t index = SHUNT_ID_INDEX(kernel.slots[r->base + i].backend);

		assert_string_equal(kernel.be_meta[index].name, members[owner[i]].name);
	}
}

/* What stands beside the records: no more than they need. */
static void check_entries(const struct desired *w)
{
	size_t addrs = 0, prefixes = 0, bits = 0;

	for (size_t i = 0; i < w->key_count; i++) {
		const struct shunt_vip_key *k = &w->keys[i].key;
		bool first = true;

		for (size_t j = 0; j < i; j++) {
			const struct shunt_vip_key *o = &w->keys[j].key;

			if (memcmp(o->addr, k->addr, sizeof(k->addr)) == 0 &&
			    o->family == k->family && o->prefix_len == k->prefix_len &&
			    (k->prefix_len != 0 || o->port_hi != 0))
				first = false;
		}
		prefixes += first && k->prefix_len != 0;
		addrs += first && k->prefix_len == 0 && k->port_hi != 0;
	}
	for (size_t i = 0; i < SHUNT_ADDR_BITS_WORDS; i++)
		bits += (size_t)__builtin_popcountll(kernel.gate.bits[i]);
	assert_int_equal(kernel.tables[MAPS_ADDRS].count, addrs);
	assert_int_equal(kernel.tables[MAPS_PREFIXES].count, prefixes);
	assert_int_equal(kernel.gate.ranges, addrs > 0);
	assert_int_equal(kernel.gate.prefixes, prefixes > 0);
	assert_true(prefixes > 0 ? bits == SHUNT_ADDR_BITS : bits <= w->key_count);
	assert_int_equal(kernel.tables[MAPS_ROUTES].count, w->route_count);
	assert_true(kernel.tables[MAPS_SERVER_IDS].count >= w->server_id_count);
}

/* The tables say what the snapshot says, and there is nothing left to write. */
static void check_in_step(struct tables *t, const struct snapshot *snap)
{
	struct l4_report report;
	unsigned writes = kernel.writes;
	struct desired w;

	want(snap, &w);
	assert_int_equal(kernel.service_count, w.key_count);
	for (size_t i = 0; i < w.key_count; i++) {
		const struct desired_service *s = &w.services[w.keys[i].service];
		const struct published *p = find_published(&w.keys[i].key);

		assert_non_null(p);
		assert_string_equal(kernel.svc_meta[p->record.index].name, s->name);
		assert_int_equal(p->record.action, s->record.action);
		check_ring(&p->record, &w, s);
	}
	check_entries(&w);
	/* Rows of nobody hold no slots. */
	for (uint32_t i = 0; i < SERVICES; i++) {
		if (kernel.svc_meta[i].name[0] == '\0')
			assert_int_equal(kernel.rings[i].ring.size, 0);
	}
	desired_deinit(&w);
	assert_int_equal(apply(t, snap, &report, NULL), 0);
	assert_int_equal(kernel.writes, writes);
	check_packets();
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.fail_after = -1;
	runtime = runtime_new();
	return runtime == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	runtime_free(runtime);
	return 0;
}

#define HEAD		     "node: {interfaces: [eth0]}\n"
#define POOL(name, backends) "  " name ": {forward: ipip, health: none, backends: [" backends "]}\n"
#define SERVICE(name, pool, listen, ring)                                                          \
	"  " name ": {mode: l4, pool: " pool ", listen: [" listen "], ring_size: " ring "}\n"
#define A "{name: a, address: 10.0.0.1}"
#define B "{name: b, address: 10.0.0.2}"
#define C "{name: c, address: 10.0.0.3}"

/* From one configuration to another, cut short after every number of writes there can be. */
static void cut_short_everywhere(const char *from, const char *to)
{
	struct snapshot *old = build(from), *new = build(to);
	const char *(*pool_of)(uint16_t) = kernel.pool_of;
	void (*also)(void) = kernel.also;
	bool roomy = kernel.roomy;
	int cut = 0, err;

	do {
		struct l4_report report;
		struct tables t;
		struct kernel at_cut;

		memset(&kernel, 0, sizeof(kernel));
		kernel.fail_after = -1;
		kernel.served = true;
		kernel.pool_of = pool_of;
		kernel.also = also;
		kernel.roomy = roomy;
		open_tables(&t);
		assert_int_equal(apply(&t, old, &report, NULL), 0);
		kernel.settled = true;
		kernel.fail_after = cut++;
		err = apply(&t, new, &report, NULL);
		check_packets();
		at_cut = kernel;
		/* The same process goes on. */
		kernel.fail_after = -1;
		assert_int_equal(apply(&t, new, &report, NULL), 0);
		check_in_step(&t, new);
		tables_deinit(&t);
		/* Another one takes over. */
		kernel = at_cut;
		kernel.fail_after = -1;
		open_tables(&t);
		assert_int_equal(apply(&t, new, &report, NULL), 0);
		check_in_step(&t, new);
		tables_deinit(&t);
		/* Another one, that is told to go back. */
		kernel = at_cut;
		kernel.fail_after = -1;
		open_tables(&t);
		assert_int_equal(apply(&t, old, &report, NULL), 0);
		check_in_step(&t, old);
		tables_deinit(&t);
	} while (err < 0);
	assert_true(cut > 1);
	snapshot_unref(old);
	snapshot_unref(new);
}

/* From one configuration to the next, most of them cut short after up to so many writes, with the same
 * process or another one after it. also_fine: how a change may fail besides. */
static __attribute__((unused)) void walk_at_random(int steps, int most_writes, int also_fine,
						   struct snapshot *(*next)(unsigned *seed))
{
	unsigned seed = 1;
	struct tables t;

	open_tables(&t);
	for (int step = 0; step < steps; step++) {
		struct snapshot *snap = next(&seed);
		struct l4_report report;
		char error[256] = "";
		int err;

		kernel.fail_after = rand_r(&seed) % 3 ? rand_r(&seed) % most_writes : -1;
		err = apply(&t, snap, &report, error);
		if (err != 0 && err != -EIO && err != also_fine)
			fail_msg("step %d: %d: %s", step, err, error);
		check_packets();
		kernel.fail_after = -1;
		if (rand_r(&seed) % 3 == 0) {
			tables_deinit(&t);
			open_tables(&t);
		}
		if (rand_r(&seed) % 2 || err == 0) {
			assert_int_equal(apply(&t, snap, &report, error), 0);
			check_in_step(&t, snap);
		}
		snapshot_unref(snap);
	}
	tables_deinit(&t);
}

#endif
