/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges, prefixes, source routes and server ids, from configurations to tables that look at every
 * write with the eyes of packets: see fake_kernel.h and sync_util.h.
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

#define SERVICES  40
#define SLOTS_MAX 10010
#include "tests/unit/sync_util.h"

#define POOLS                                                                                      \
	"pools:\n" POOL("p", A) POOL("q", B) POOL("r", C) POOL("s", "{name: d, address: "          \
								    "10.0.0.4}")
#define L4(name, pool, listen, more)                                                               \
	"  " name ": {mode: l4, pool: " pool ", listen: [" listen "], ring_size: 251" more "}\n"
#define CONF(services) HEAD POOLS "services:\n" services L4("use", "p", "10.8.0.1:1/tcp", USE_ALL)
/* So that every pool is one of tunnels. */
#define USE_ALL                                                                                    \
	", source_routes: [{from: 192.0.2.1, pool: q}, {from: 192.0.2.2, pool: r}, {from: "        \
	"192.0.2.3, pool: s}]"

/* ---- packets ----------------------------------------------------------------------------------- */

struct sample {
	const char *to, *from;
	uint16_t port;
	const char *pool[2]; /* where it may go before, and after */
};

static struct sample samples[64];
static size_t sample_count;

static const char *go(const struct sample *s)
{
	struct fake_packet p = {.to = {.port = htons(s->port),
				       .proto = IPPROTO_TCP,
				       .family = strchr(s->to, ':') ? 6 : 4}};
	int af = p.to.family == 6 ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(af, s->to, p.to.addr), 1);
	assert_int_equal(inet_pton(af, s->from, p.source), 1);
	return find_pool_of(&p);
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Every packet goes where it went, or where it will go; one that is for no service before or after may
 * meet any state of the one that it is for meanwhile. */
static void check_samples(void)
{
	for (size_t i = 0; i < sample_count; i++) {
		const struct sample *s = &samples[i];
		const char *pool = go(s);

		if (s->pool[0] == NULL || s->pool[1] == NULL)
			continue;
		if (!is_same(pool, s->pool[0]) && !is_same(pool, s->pool[1]))
			fail_msg("%s -> %s:%u goes to %s, neither %s nor %s", s->from, s->to,
				 s->port, pool ? pool : "none", s->pool[0] ? s->pool[0] : "none",
				 s->pool[1] ? s->pool[1] : "none");
	}
}

static const char *pool_name(const char *name)
{
	static const char *const names[] = {"p", "q", "r", "s"};

	for (size_t i = 0; name != NULL && i < 4; i++) {
		if (strcmp(names[i], name) == 0)
			return names[i];
	}
	return NULL;
}

/* Where they go with a configuration that stands alone. */
static void note_pools(const char *text, int which)
{
	struct snapshot *snap = build(text);
	struct l4_report report;
	struct tables t;

	memset(&kernel, 0, sizeof(kernel));
	kernel.fail_after = -1;
	kernel.roomy = true;
	open_tables(&t);
	assert_int_equal(apply(&t, snap, &report, NULL), 0);
	check_in_step(&t, snap);
	for (size_t i = 0; i < sample_count; i++)
		samples[i].pool[which] = pool_name(go(&samples[i]));
	tables_deinit(&t);
	snapshot_unref(snap);
}

static void set_samples(const char *const *to, size_t to_count, const char *const *from,
			size_t from_count, const uint16_t *ports, size_t port_count)
{
	sample_count = 0;
	for (size_t i = 0; i < to_count * from_count * port_count; i++) {
		assert_true(sample_count < sizeof(samples) / sizeof(samples[0]));
		samples[sample_count++] = (struct sample){
			.to = to[i % to_count],
			.from = from[i / to_count % from_count],
			.port = ports[i / to_count / from_count],
		};
	}
}

static void cut_with_samples(const char *from, const char *to)
{
	note_pools(from, 0);
	note_pools(to, 1);
	memset(&kernel, 0, sizeof(kernel));
	kernel.roomy = true;
	kernel.also = check_samples;
	cut_short_everywhere(from, to);
}

/* ---- tests ------------------------------------------------------------------------------------- */

#define EXACT	 CONF(L4("x", "p", "\"10.9.0.1:80/tcp\"", ""))
#define RANGE	 CONF(L4("x", "q", "\"10.9.0.1:80-90/tcp\"", ""))
#define BOTH	 CONF(L4("x", "p", "\"10.9.0.1:80/tcp\"", "") L4("y", "q", "\"10.9.0.1:any/tcp\"", ""))
#define PREFIX	 CONF(L4("x", "r", "\"10.9.0.0/24:80/tcp\"", ""))
#define NARROWER CONF(L4("x", "s", "\"10.9.0.0/28:any/tcp\"", ""))
#define ALL                                                                                        \
	CONF(L4("w", "s", "\"10.9.0.0/16:any/tcp\"", "")                                           \
		     L4("x", "r", "\"10.9.0.0/24:80/tcp\"", "")                                    \
			     L4("y", "q", "\"10.9.0.1:any/tcp\"", "")                              \
				     L4("z", "p", "\"10.9.0.1:80/tcp\"", ""))
/* The same keys, all of other services. */
#define TURNED                                                                                     \
	CONF(L4("w", "p", "\"10.9.0.0/16:any/tcp\"", "")                                           \
		     L4("x", "q", "\"10.9.0.0/24:80/tcp\"", "")                                    \
			     L4("y", "r", "\"10.9.0.1:any/tcp\"", "")                              \
				     L4("z", "s", "\"10.9.0.1:80/tcp\"", ""))
#define NONE CONF("")

static void test_ranges_and_prefixes(void **state)
{
	static const char *const to[] = {"10.9.0.1", "10.9.0.2", "10.9.0.77", "10.9.7.1"};
	static const char *const from[] = {"198.51.100.1"};
	static const uint16_t ports[] = {79, 80, 85, 90, 91};
	static const char *const configs[] = {EXACT,	RANGE, BOTH,   PREFIX,
					      NARROWER, ALL,   TURNED, NONE};
	enum { COUNT = sizeof(configs) / sizeof(configs[0]) };

	(void)state;
	set_samples(to, 4, from, 1, ports, 5);
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k < COUNT; k++) {
			if (i != k)
				cut_with_samples(configs[i], configs[k]);
		}
	}
}

/* What the lookup finds for whole configurations, by hand. */
static void test_precedence(void **state)
{
	static const struct sample rows[] = {
		{"10.9.0.1", "192.0.2.9", 80, {"p", NULL}},
		{"10.9.0.1", "192.0.2.9", 81, {"q", NULL}},
		{"10.9.0.2", "192.0.2.9", 80, {"r", NULL}},
		{"10.9.0.2", "192.0.2.9", 81, {"s", NULL}},
		{"10.9.1.2", "192.0.2.9", 80, {"s", NULL}},
		{"10.10.0.1", "192.0.2.9", 80, {NULL, NULL}},
	};

	(void)state;
	memcpy(samples, rows, sizeof(rows));
	sample_count = sizeof(rows) / sizeof(rows[0]);
	note_pools(ALL, 1);
	for (size_t i = 0; i < sample_count; i++)
		assert_true(is_same(samples[i].pool[0], samples[i].pool[1]));
}

#define ROUTED(pool, routes)                                                                       \
	CONF(L4("x", pool, "\"10.9.0.1:80/tcp\", \"10.9.0.2:80/tcp\"",                             \
		", source_routes: [" routes "]"))
#define TO(pool, prefix) "{from: " prefix ", pool: " pool "}"

static void test_source_routes(void **state)
{
	static const char *const to[] = {"10.9.0.1", "10.9.0.2", "10.9.0.3"};
	static const char *const from[] = {"10.1.1.1", "10.1.2.1", "10.2.0.1", "198.51.100.1"};
	static const uint16_t ports[] = {80};
	static const char *const configs[] = {
		CONF(L4("x", "p", "\"10.9.0.1:80/tcp\", \"10.9.0.2:80/tcp\"", "")),
		CONF(L4("x", "q", "\"10.9.0.1:80/tcp\", \"10.9.0.2:80/tcp\"", "")),
		ROUTED("p", TO("q", "10.0.0.0/8")),
		ROUTED("q", TO("p", "10.0.0.0/8")),
		ROUTED("p", TO("q", "10.0.0.0/8") ", " TO("r", "10.1.0.0/16")),
		ROUTED("s", TO("r", "10.0.0.0/8") ", " TO("q", "10.1.1.0/24")),
		ROUTED("p",
		       TO("q", "10.1.1.1") ", " TO("r", "10.1.0.0/16") ", " TO("s", "0.0.0.0/0")),
		/* Another service of the name, and one of its addresses at another's. */
		CONF(L4("y", "r", "\"10.9.0.1:80/tcp\"",
			", source_routes: [" TO("s", "10.0.0.0/8") "]")
			     L4("x", "p", "\"10.9.0.2:80/tcp\", \"10.9.0.3:80/tcp\"",
				", source_routes: [" TO("q", "10.1.0.0/16") "]")),
		NONE,
	};
	enum { COUNT = sizeof(configs) / sizeof(configs[0]) };

	(void)state;
	set_samples(to, 3, from, 4, ports, 1);
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k < COUNT; k++) {
			if (i != k)
				cut_with_samples(configs[i], configs[k]);
		}
	}
}

static void test_longest_source_decides(void **state)
{
	static const struct sample rows[] = {
		{"10.9.0.1", "10.1.1.1", 80, {"q", NULL}},
		{"10.9.0.1", "10.1.1.2", 80, {"r", NULL}},
		{"10.9.0.1", "10.2.1.1", 80, {"s", NULL}},
		{"10.9.0.3", "10.2.1.1", 80, {NULL, NULL}},
	};

	(void)state;
	memcpy(samples, rows, sizeof(rows));
	sample_count = sizeof(rows) / sizeof(rows[0]);
	note_pools(ROUTED("p", TO("q", "10.1.1.1") ", " TO("r", "10.1.0.0/16") ", " TO(
				       "s", "0.0.0.0/0")),
		   1);
	for (size_t i = 0; i < sample_count; i++)
		assert_true(is_same(samples[i].pool[0], samples[i].pool[1]));
}

/* The table of bits was lost and is new: what stands is found again before the first plan. */
static void test_lost_bits(void **state)
{
	static const char *const configs[] = {EXACT, RANGE, PREFIX, ALL};

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		struct snapshot *snap = build(configs[i]);
		struct l4_report report;
		struct tables t;

		memset(&kernel, 0, sizeof(kernel));
		kernel.fail_after = -1;
		kernel.roomy = true;
		open_tables(&t);
		assert_int_equal(apply(&t, snap, &report, NULL), 0);
		tables_deinit(&t);
		memset(kernel.gate.bits, 0, sizeof(kernel.gate.bits));
		kernel.nonsense = true; /* until they are there */
		open_tables(&t);
		kernel.nonsense = false;
		check_packets();
		check_in_step(&t, snap);
		tables_deinit(&t);
		snapshot_unref(snap);
	}
}

/* As many ranges of one address as there can be, and then as many others: together too many. */
static void test_full_lists(void **state)
{
	static char texts[2][4096];

	(void)state;
	for (int which = 0; which < 2; which++) {
		char listen[1024] = "";
		size_t len = 0;

		for (unsigned i = 0; i < SHUNT_MAX_RANGES; i++)
			len += (size_t)snprintf(listen + len, sizeof(listen) - len,
						"%s\"10.9.0.1:%u-%u/tcp\"", i ? ", " : "",
						100 * i + (which ? 50U : 1U), 100 * i + 60);
		(void)snprintf(texts[which], sizeof(texts[which]), CONF(L4("x", "p", "%s", "")),
			       listen);
	}
	sample_count = 0;
	memset(&kernel, 0, sizeof(kernel));
	kernel.roomy = true;
	cut_short_everywhere(texts[0], texts[1]);
}

/* ---- server ids -------------------------------------------------------------------------------- */

#define ID_A "{name: a, address: 10.0.0.1, server_id: 1}"
#define ID_B "{name: b, address: 10.0.0.2, server_id: 2}"
#define ID_C "{name: c, address: 10.0.0.3, server_id: 2}"
#define QUIC(backends, more)                                                                       \
	HEAD "pools:\n" POOL("p", backends) "services:\n" L4("x", "p", "\"10.9.0.1:443/udp\"",     \
							     ", quic: {cid: lb" more "}")

static uint32_t backend_of_id(uint32_t service, const char *id, uint8_t len)
{
	struct maps_entry e = {0};
	const struct maps_entry *found;

	e.server_id.service = service;
	e.server_id.len = len;
	memcpy(e.server_id.id, id, len);
	found = find_entry(&kernel.tables[MAPS_SERVER_IDS], &e);
	return found != NULL ? found->backend : 0;
}

static uint32_t id_of_backend(const char *name)
{
	for (uint32_t i = 1; i < BACKENDS; i++) {
		if (strcmp(kernel.be_meta[i].name, name) == 0 && kernel.backends[i].id != 0)
			return kernel.backends[i].id;
	}
	return 0;
}

static void test_server_ids(void **state)
{
	struct snapshot *two = build(QUIC(ID_A ", " ID_B, "")), *one = build(QUIC(ID_A, ""));
	struct snapshot *taken = build(QUIC(ID_A ", " ID_C, ""));
	struct l4_report report;
	struct tables t;
	uint32_t b, index;

	(void)state;
	open_tables(&t);
	assert_int_equal(apply(&t, two, &report, NULL), 0);
	check_in_step(&t, two);
	b = id_of_backend("b");
	assert_int_equal(backend_of_id(0, "\0\1", 2), id_of_backend("a"));
	assert_int_equal(backend_of_id(0, "\0\2", 2), b);
	assert_int_equal(kernel.services[0].record.cid, SHUNT_CID_LB);
	/* A removed backend keeps its id with its flows, and loses it with its row. */
	assert_int_equal(apply(&t, one, &report, NULL), 0);
	check_in_step(&t, one);
	assert_int_equal(backend_of_id(0, "\0\2", 2), b);
	/* Not so where another one has it. */
	assert_int_equal(apply(&t, taken, &report, NULL), 0);
	check_in_step(&t, taken);
	assert_int_equal(backend_of_id(0, "\0\2", 2), id_of_backend("c"));
	assert_int_equal(apply(&t, one, &report, NULL), 0);
	index = SHUNT_ID_INDEX(id_of_backend("c"));
	assert_int_equal(sync_free_backends(NULL, &t, &index, 1), 0);
	assert_int_equal(backend_of_id(0, "\0\2", 2), 0);
	assert_int_equal(kernel.tables[MAPS_SERVER_IDS].count, 1);
	check_in_step(&t, one);
	tables_deinit(&t);
	/* Found again by another process. */
	open_tables(&t);
	check_in_step(&t, one);
	tables_deinit(&t);
	snapshot_unref(two);
	snapshot_unref(one);
	snapshot_unref(taken);
}

static void test_server_ids_cut_short(void **state)
{
	static const char *const configs[] = {
		QUIC(ID_A ", " ID_B, ""),
		QUIC(ID_A ", " ID_C, ""),
		QUIC(ID_A, ", server_id_length: 4"),
		QUIC(ID_B, ", config_id: 3"),
		HEAD "pools:\n" POOL("p", ID_A ", " ID_B) "services:\n" L4(
			"x", "p", "\"10.9.0.1:443/udp\"", ""),
		HEAD,
	};

	(void)state;
	sample_count = 0;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		for (size_t k = 0; k < sizeof(configs) / sizeof(configs[0]); k++) {
			if (i != k)
				cut_short_everywhere(configs[i], configs[k]);
		}
	}
}

/* What the record says of the rest. */
static void test_records(void **state)
{
	struct snapshot *snap = build(HEAD POOLS "services:\n" L4(
		"x", "p", "\"10.9.0.1:443/udp\"",
		", affinity: source-destination, quic: {cid: offset, offset: 3, server_id_length: "
		"4, "
		"cid_length: 9, mask: 0xff00}, source_routes: [" TO("q", "10.0.0.0/8") "]")
					      L4("u", "r", "10.8.0.1:1/tcp",
						 ", source_routes: [" TO("s", "10.0.0.0/8") "]"));
	const struct shunt_service *r;
	struct desired w;

	(void)state;
	want(snap, &w);
	assert_int_equal(w.service_count, 4);
	assert_string_equal(w.services[2].name, "u@s");
	assert_string_equal(w.services[3].name, "x@q");
	r = &w.services[1].record;
	assert_int_equal(r->affinity, SHUNT_AFFINITY_PAIR);
	assert_int_equal(r->routed, 1);
	assert_int_equal(r->cid, SHUNT_CID_OFFSET);
	assert_int_equal(r->cid_len, 9);
	assert_int_equal(r->cid_offset, 3);
	assert_int_equal(r->server_id_len, 4);
	assert_memory_equal(r->server_id_mask, "\0\0\xff\0\0\0\0\0", 8);
	desired_deinit(&w);
	snapshot_unref(snap);
}

/* ---- anything ---------------------------------------------------------------------------------- */

/* A few services with keys of every kind, some of which lie in others, and routes. */
static struct snapshot *build_random(unsigned *seed)
{
	static const char *const addrs[] = {"10.9.0.1",	   "10.9.0.2",	  "10.9.0.0/24",
					    "10.9.0.0/28", "10.9.0.0/16", "10.8.0.0/13"};
	static const char *const ports[] = {"80", "81", "80-90", "85-95", "any", "1-100"};
	static const char *const pools[] = {"p", "q", "r", "s"};
	static const char *const sources[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24",
					      "0.0.0.0/0"};
	bool used[6][6] = {{false}};
	char text[8192];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", HEAD POOLS "services:\n");

	for (int i = 0; i < 3; i++) {
		int count = 1 + rand_r(seed) % 4, routes = rand_r(seed) % 4;
		const char *comma = "";

		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"  x%d: {mode: l4, ring_size: 251, pool: %s, listen: "
					"[\"10.7.0.%d:1/tcp\"",
					i, pools[rand_r(seed) % 4], i);
		for (int k = 0; k < count; k++) {
			int a = rand_r(seed) % 6, p = rand_r(seed) % 6;

			if (used[a][p])
				continue;
			used[a][p] = true;
			len += (size_t)snprintf(text + len, sizeof(text) - len, ", \"%s:%s/tcp\"",
						addrs[a], ports[p]);
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "], source_routes: [");
		for (int k = 0; k < routes; k++) {
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s{from: %s, pool: %s}", comma, sources[k],
						pools[rand_r(seed) % 4]);
			comma = ", ";
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "]}\n");
	}
	(void)snprintf(text + len, sizeof(text) - len, "%s",
		       L4("use", "p", "10.6.0.1:1/tcp", USE_ALL));
	return build(text);
}

/* From one to the next, cut short anywhere, with the same process or another one after it. */
static void test_random_walk(void **state)
{
	(void)state;
	kernel.served = true;
	kernel.roomy = true;
	walk_at_random(400, 60, -ENOSPC, build_random);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_precedence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ranges_and_prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_source_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_ids_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_walk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
