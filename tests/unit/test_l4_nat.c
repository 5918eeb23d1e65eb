/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of NAT backends, and the sweep over the tables of NAT, which here are in memory. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "l4/desired.h"
#include "l4/nat_share.h"
#include "l4/nat_sweep.h"
#include "loader/maps.h"
#include "tests/unit/conf_util.h"

#define NS_PER_S 1000000000ULL

/* ---- loader/maps_nat.h, as far as the sweep uses it ---- */

#define ENTRIES 16

struct fake_entry {
	bool used;
	union maps_nat_key key;
	union maps_nat_value value;
};

static struct fake_entry fake[MAPS_NAT_TABLES][ENTRIES];
static int fail_walk; /* -errno of every walk */
/* What happens to an entry between the walk and what follows from it. */
static void (*meanwhile)(void);

static struct fake_entry *fake_find(enum maps_nat_table table, const union maps_nat_key *key)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct fake_entry *e = &fake[table][i];

		if (e->used && memcmp(&e->key, key, sizeof(*key)) == 0)
			return e;
	}
	return NULL;
}

/* Two entries at a time, so that a pass takes several. */
int maps_nat_walk(struct loader *l, enum maps_nat_table table, struct maps_nat_cursor *cursor,
		  maps_nat_each each, void *ctx)
{
	uint32_t at = cursor->started ? cursor->at : 0;

	(void)l;
	if (fail_walk)
		return fail_walk;
	for (uint32_t end = at + 2; at < end; at++) {
		struct fake_entry e = fake[table][at];

		if (e.used && meanwhile)
			meanwhile();
		if (e.used)
			each(ctx, &e.key, &e.value);
	}
	*cursor = (struct maps_nat_cursor){.at = at, .started = true, .ended = at == ENTRIES};
	return 0;
}

int maps_nat_get(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key,
		 union maps_nat_value *ret_value)
{
	struct fake_entry *e = fake_find(table, key);

	(void)l;
	if (!e)
		return -ENOENT;
	*ret_value = e->value;
	return 0;
}

int maps_nat_delete(struct loader *l, enum maps_nat_table table, const union maps_nat_key *key)
{
	struct fake_entry *e = fake_find(table, key);

	(void)l;
	if (!e)
		return -ENOENT;
	e->used = false;
	return 0;
}

static struct shunt_nat_share shares[SHUNT_NAT_COMMON + 1];

struct shunt_nat_share *maps_nat_shares(struct loader *l)
{
	(void)l;
	return shares;
}

static struct fake_entry *fake_add(enum maps_nat_table table, const union maps_nat_key *key)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct fake_entry *e = &fake[table][i];

		if (e->used)
			continue;
		*e = (struct fake_entry){.used = true, .key = *key};
		return e;
	}
	fail_msg("the table is full");
	return NULL;
}

static unsigned fake_count(enum maps_nat_table table)
{
	unsigned count = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		count += fake[table][i].used;
	return count;
}

/* ---- a service with one backend of each family ---- */

#define BACKEND_ID(row) (1U << SHUNT_ID_INDEX_BITS | (row))

struct stage {
	struct tables t;
	struct nat_sweep sweep;
};

static const struct family {
	uint8_t version;
	const char *client, *service, *backend, *source;
	enum maps_nat_table flows, sources;
} families[2] = {
	{4, "198.51.100.7", "203.0.113.10", "10.0.0.1", "10.0.9.1", MAPS_NAT_FLOWS4,
	 MAPS_NAT_SOURCES4},
	{6, "2001:db8:c::7", "2001:db8::10", "fd00::1", "fd00:9::1", MAPS_NAT_FLOWS6,
	 MAPS_NAT_SOURCES6},
};

static void put_addr(const char *text, __be32 words[4])
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memset(words, 0, 16);
	memcpy(words, a.bytes, sizeof(a.bytes));
}

static int setup(void **state)
{
	static struct stage s;
	struct loader_sizes sizes = {.services = 4, .backends = 4, .ring_slots = 16};

	s = (struct stage){0};
	memset(fake, 0, sizeof(fake));
	memset(shares, 0, sizeof(shares));
	fail_walk = 0;
	meanwhile = NULL;
	assert_int_equal(tables_init(&s.t, &sizes), 0);
	for (uint32_t i = 0; i < 2; i++) {
		const struct family *f = &families[i];
		struct shunt_backend *row = &s.t.backends[i + 1].row;
		struct shunt_service svc = {.action = SHUNT_ACTION_STEER,
					    .idle_s = {10, 100, 20, 30}};
		struct shunt_vip_key vip = {
			.port = htons(80), .proto = IPPROTO_TCP, .family = f->version};
		struct addr a;

		assert_int_equal(addr_parse(f->backend, &a), 0);
		*row = (struct shunt_backend){.id = BACKEND_ID(i + 1),
					      .family = f->version,
					      .forward = SHUNT_FORWARD_NAT,
					      .port = htons(8080)};
		desired_row_addr(&a, row->dst);
		put_addr(f->service, vip.addr);
		assert_int_equal(keys_put(&s.t.keys, &vip, &svc), 0);
	}
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	nat_sweep_deinit(&s->sweep);
	tables_deinit(&s->t);
	return 0;
}

/* A flow of a client port, as old as said, with a source of the same port. */
static struct shunt_nat *add_flow(const struct family *f, uint16_t cport, uint8_t flow_state,
				  unsigned age_s)
{
	struct shunt_nat flow = {
		.seen_ns = clock_coarse_ns() - age_s * NS_PER_S,
		.client_port = htons(cport),
		.service_port = htons(80),
		.vip_port = htons(80),
		.backend = BACKEND_ID(f->version == 4 ? 1 : 2),
		.state = flow_state,
		.flags = SHUNT_NAT_SOURCE,
	};
	struct shunt_nat_source source = {.port = htons(cport), .backend = flow.backend};
	struct shunt_backend row = {.port = htons(8080), .family = f->version};
	union maps_nat_key client, reply;
	struct fake_entry *e;
	struct addr a;

	put_addr(f->client, flow.client);
	put_addr(f->service, flow.service);
	put_addr(f->source, source.addr);
	assert_int_equal(addr_parse(f->backend, &a), 0);
	desired_row_addr(&a, row.dst);
	client = nat_client_key(f->version, IPPROTO_TCP, &flow);
	reply = nat_reply_key(f->version, &client, &source, &row);
	fake_add(f->sources, &client)->value.source = source;
	e = fake_add(f->flows, &reply);
	e->value.flow = flow;
	return &e->value.flow;
}

static void sweep_whole(struct stage *s)
{
	do {
		assert_int_equal(nat_sweep_run(&s->sweep, NULL, &s->t, 0), 0);
	} while (s->sweep.table != 0 || s->sweep.cursor.started);
}

static void test_keys(void **state)
{
	struct shunt_nat *flow = add_flow(&families[0], 1234, SHUNT_FLOW_SYN, 0);
	union maps_nat_key *reply = &fake[MAPS_NAT_FLOWS4][0].key;

	(void)state;
	assert_int_equal(reply->v4.saddr, inet_addr("10.0.0.1"));
	assert_int_equal(reply->v4.daddr, inet_addr("10.0.9.1"));
	assert_int_equal(reply->v4.sport, htons(8080));
	assert_int_equal(reply->v4.dport, htons(1234));
	assert_int_equal(reply->v4.proto, IPPROTO_TCP);
	assert_int_equal(nat_client_key(4, IPPROTO_TCP, flow).v4.daddr, inet_addr("203.0.113.10"));
}

static void test_void_flows_go_in_pairs(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < 2; i++) {
		add_flow(&families[i], 1001, SHUNT_FLOW_SYN, 5);
		add_flow(&families[i], 1002, SHUNT_FLOW_SYN, 14);
		add_flow(&families[i], 1003, SHUNT_FLOW_ESTABLISHED, 95);
		add_flow(&families[i], 1004, SHUNT_FLOW_ESTABLISHED, 104);
		add_flow(&families[i], 1005, SHUNT_FLOW_FIN, 24);
	}
	sweep_whole(s);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fake_count(families[i].flows), 2);
		assert_int_equal(fake_count(families[i].sources), 2);
		assert_int_equal(s->sweep.use.flows[i], 2);
		assert_int_equal(s->sweep.use.sources[i].flows[0], 2);
		assert_int_equal(s->sweep.use.ports[i + 1][0], 2);
		assert_int_equal(s->sweep.use.live[i + 1], 2);
	}
	assert_int_equal(s->sweep.use.source_count, 2);
	assert_int_equal(s->sweep.removed, 6);
	assert_true(s->sweep.known);
}

/* What the program has counted is set right by what there is. */
static void test_accounts_are_set_right(void **state)
{
	struct stage *s = *state;
	const uint32_t rows = s->t.sizes.services;

	for (size_t i = 0; i < 2; i++) {
		for (uint16_t n = 0; n < 3; n++)
			add_flow(&families[i], 1001 + n, SHUNT_FLOW_ESTABLISHED, 0);
		for (uint32_t row = 0; row < rows; row++)
			shares[row] = (struct shunt_nat_share){.own = {2, 3}, .flows = {9, 9}};
	}
	shares[SHUNT_NAT_COMMON].flows[0] = 77;
	sweep_whole(s);
	assert_int_equal(shares[0].flows[0], 3);
	assert_int_equal(shares[0].flows[1], 3);
	for (uint32_t row = 1; row < rows; row++)
		assert_int_equal(shares[row].flows[0] + shares[row].flows[1], 0);
	assert_int_equal(shares[SHUNT_NAT_COMMON].flows[0], 1);
	assert_int_equal(shares[SHUNT_NAT_COMMON].flows[1], 0);
	assert_int_equal(shares[0].own[0], 2);
}

/* Without its service or its backend there is nothing to keep. */
static void test_what_is_gone(void **state)
{
	struct stage *s = *state;
	struct shunt_nat *flow = add_flow(&families[0], 1001, SHUNT_FLOW_ESTABLISHED, 0);
	uint64_t now = clock_coarse_ns();

	assert_false(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
	assert_true(nat_flow_is_void(&s->t, 4, IPPROTO_UDP, flow, now));
	s->t.backends[1].row.state = SHUNT_BACKEND_DRAINING;
	assert_false(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
	s->t.backends[1].row.state = SHUNT_BACKEND_DOWN;
	assert_true(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
	s->t.backends[1].row.state = SHUNT_BACKEND_UP;
	s->t.backends[1].row.id += 1U << SHUNT_ID_INDEX_BITS;
	assert_true(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
	s->t.backends[1].row.id = BACKEND_ID(1);
	flow->state = 99;
	assert_true(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
	flow->state = SHUNT_FLOW_SYN;
	flow->seen_ns = now + NS_PER_S; /* stamped by another processor, just now */
	assert_false(nat_flow_is_void(&s->t, 4, IPPROTO_TCP, flow, now));
}

static void revive(void)
{
	for (size_t i = 0; i < ENTRIES; i++)
		fake[MAPS_NAT_FLOWS4][i].value.flow.seen_ns = clock_coarse_ns();
}

/* A packet came while the sweep looked. */
static void test_a_flow_that_comes_to_life(void **state)
{
	struct stage *s = *state;

	add_flow(&families[0], 1001, SHUNT_FLOW_SYN, 500);
	meanwhile = revive;
	sweep_whole(s);
	assert_int_equal(fake_count(MAPS_NAT_FLOWS4), 1);
	assert_int_equal(fake_count(MAPS_NAT_SOURCES4), 1);
}

static void test_sources_that_lead_nowhere(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < 2; i++) {
		add_flow(&families[i], 1001, SHUNT_FLOW_SYN, 0);
		add_flow(&families[i], 1002, SHUNT_FLOW_SYN, 0);
		fake[families[i].flows][1].used = false;
		add_flow(&families[i], 1003, SHUNT_FLOW_SYN, 0);
		fake[families[i].sources][2].value.source.backend += 1U << SHUNT_ID_INDEX_BITS;
	}
	sweep_whole(s);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(fake_count(families[i].sources), 1);
}

/* A source whose flow is another client's by now; that flow's own source stays. */
static void test_a_port_that_was_taken_over(void **state)
{
	struct stage *s = *state;
	struct shunt_nat *flow = add_flow(&families[0], 1001, SHUNT_FLOW_SYN, 0);
	struct shunt_nat_source source = fake[MAPS_NAT_SOURCES4][0].value.source;
	union maps_nat_key client;

	flow->client_port = htons(1002);
	client = nat_client_key(4, IPPROTO_TCP, flow);
	fake_add(MAPS_NAT_SOURCES4, &client)->value.source = source;
	sweep_whole(s);
	assert_int_equal(fake_count(MAPS_NAT_FLOWS4), 1);
	assert_int_equal(fake_count(MAPS_NAT_SOURCES4), 1);
	assert_non_null(fake_find(MAPS_NAT_SOURCES4, &client));
}

static void test_a_pass_that_fails_tells_nothing(void **state)
{
	struct stage *s = *state;

	add_flow(&families[0], 1001, SHUNT_FLOW_SYN, 0);
	sweep_whole(s);
	assert_int_equal(s->sweep.use.flows[0], 1);
	add_flow(&families[0], 1002, SHUNT_FLOW_SYN, 0);
	fail_walk = -EIO;
	assert_int_equal(nat_sweep_run(&s->sweep, NULL, &s->t, 0), -EIO);
	fail_walk = 0;
	while (s->sweep.table != 0 || s->sweep.cursor.started)
		assert_int_equal(nat_sweep_run(&s->sweep, NULL, &s->t, 0), 0);
	assert_int_equal(s->sweep.use.flows[0], 1); /* as before */
	sweep_whole(s);
	assert_int_equal(s->sweep.use.flows[0], 2);
}

/* ---- rows ---- */

#define CONF(source)                                                                               \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools: {web: {health: none, forward: nat, " source "backends: [{name: a, address: "       \
	"\"10.0.0.1:8080\"}, {name: b, address: 10.0.0.2}]}}\n"                                    \
	"services: {web: {mode: l4, pool: web, listen: 203.0.113.10:80/tcp}}\n"

static int build_rows(const char *text, bool own, struct desired *ret, struct diag *d)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, text);
	struct host host = {.interface = "eth0", .mtu = 1500};
	int err;

	if (own)
		assert_int_equal(addr_parse("192.0.2.1", &host.own[0]), 0);
	assert_int_equal(addr_parse("192.0.2.99", &host.source[0]), 0);
	err = desired_build(snap, &host, ret, d);
	snapshot_unref(snap);
	runtime_free(rt);
	return err;
}

/* One half in equal parts, the other for all. */
static void test_shares(void **state)
{
	static const char conf[] =
		"node: {interfaces: [eth0]}\n"
		"pools: {web: {health: none, forward: nat, backends: [{name: a, address: "
		"\"10.0.0.1:8080\"}]}, tun: {health: none, backends: [{name: t, address: "
		"10.0.0.9}]}}\n"
		"services: {one: {mode: l4, pool: web, listen: 203.0.113.10:80/tcp}, two: {mode: "
		"l4, "
		"pool: web, listen: 203.0.113.10:81/tcp}, three: {mode: l4, pool: tun, listen: "
		"203.0.113.10:82/tcp}}\n";
	struct desired want;
	struct diag d;

	(void)state;
	diag_init(&d);
	assert_int_equal(build_rows(conf, true, &want, &d), 0);
	memset(shares, 0, sizeof(shares));
	shares[5].flows[0] = 30;
	nat_share_divide(shares, &want, 100);
	assert_int_equal(shares[0].own[0], 25);
	assert_int_equal(shares[SHUNT_NAT_COMMON - 1].own[0], 25);
	assert_int_equal(shares[SHUNT_NAT_COMMON].own[0], 50);
	assert_int_equal(shares[SHUNT_NAT_COMMON].flows[0], 5);
	nat_share_divide(shares, &want, 2);
	assert_int_equal(shares[0].own[0], 1); /* never none: that would be any number */
	desired_deinit(&want);
	diag_deinit(&d);
}

static void test_rows(void **state)
{
	struct desired want;
	const struct shunt_backend *row;
	struct diag d;

	(void)state;
	diag_init(&d);
	assert_int_equal(build_rows(CONF(""), true, &want, &d), 0);
	row = &want.backends[0].row;
	assert_int_equal(row->forward, SHUNT_FORWARD_NAT);
	assert_int_equal(row->dst[3], inet_addr("10.0.0.1"));
	assert_int_equal(row->port, htons(8080));
	assert_int_equal(row->nat_port_count, 0);
	assert_int_equal(want.backends[1].row.port, 0);
	desired_deinit(&want);

	assert_int_equal(build_rows(CONF("source_nat: auto, "), true, &want, &d), 0);
	row = &want.backends[0].row;
	assert_int_equal(row->src[3], inet_addr("192.0.2.1")); /* not that of tunnels */
	assert_int_equal(row->src_entropy, 0);
	assert_int_equal(row->nat_port_low, 1024);
	assert_int_equal(row->nat_port_count, 31744);
	desired_deinit(&want);

	assert_int_equal(build_rows(CONF("source_nat: 10.9.9.0/28, source_ports: 2000-2000, "),
				    true, &want, &d),
			 0);
	row = &want.backends[0].row;
	assert_int_equal(row->src[3], inet_addr("10.9.9.0"));
	assert_int_equal(row->src_entropy, htonl(15));
	assert_int_equal(row->nat_port_low, 2000);
	assert_int_equal(row->nat_port_count, 1);
	desired_deinit(&want);

	assert_int_equal(d.count, 0);
	assert_int_equal(build_rows(CONF("source_nat: auto, "), false, &want, &d), -EINVAL);
	assert_int_equal(d.errors, 1);
	assert_string_equal(d.items[0].text,
			    "pool web: source_nat: auto needs an IPv4 address and eth0 has none: "
			    "say which is to be used");
	diag_deinit(&d);
}

/* 192.0.2.1 is the host's own. */
static void test_auto_and_what_listens_there(void **state)
{
#define AUTO(ports, listen)                                                                        \
	"node: {interfaces: [eth0]}\n"                                                             \
	"pools: {web: {health: none, forward: nat, source_nat: auto, " ports                       \
	"backends: [{name: a, address: 10.0.0.1}]}}\n"                                             \
	"services: {web: {mode: l4, pool: web, listen: \"" listen "\"}}\n"
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{AUTO("", "192.0.2.1:80/tcp"), true},
		{AUTO("", "192.0.2.1:2000/tcp"), true}, /* one port: not given out */
		{AUTO("", "192.0.2.1:100-900/tcp"), true},
		{AUTO("", "192.0.2.2:any/tcp"), true},
		{AUTO("", "192.0.2.1:any/tcp"), false},
		{AUTO("", "192.0.2.0/24:2000/tcp"), false},
		{AUTO("source_ports: 3000-4000, ", "192.0.2.0/24:2000/tcp"), true},
		{AUTO("source_ports: 3000-4000, ", "192.0.2.1:1000-3000/udp"), false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct runtime *rt = runtime_new();
		struct snapshot *snap = build_good(rt, rows[i].text);
		struct host host = {.interface = "eth0", .mtu = 1500};
		struct diag d;

		diag_init(&d);
		assert_int_equal(addr_parse("192.0.2.1", &host.own[0]), 0);
		assert_int_equal(desired_check_sources(snap, &host, &d),
				 rows[i].good ? 0 : -EINVAL);
		assert_int_equal(d.errors, !rows[i].good);
		if (i == 4)
			assert_string_equal(d.items[0].text,
					    "pool web: source_nat: auto is 192.0.2.1, and answers "
					    "to its source_ports would be for the service on "
					    "192.0.2.1:any/tcp: give another source_nat");
		diag_deinit(&d);
		snapshot_unref(snap);
		runtime_free(rt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test(test_auto_and_what_listens_there),
		cmocka_unit_test_setup_teardown(test_void_flows_go_in_pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_flow_that_comes_to_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sources_that_lead_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_port_that_was_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pass_that_fails_tells_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_accounts_are_set_right, setup, teardown),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
