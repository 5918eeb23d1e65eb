/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do connections keep their backend, whatever is done to the pool? Random traces of connections and
 * of changes, against the real tables and the real program; each packet's way is compared with its
 * connection's first one. A connection may lose its backend only where that died.
 *
 * Time passes by making all that the maps remember older. l4/l4.c is included for what it does by
 * the clock.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "l4/l4.c"
#include "tests/bpf/pkt_build.h"

#define VIP4	     "192.0.2.10"
#define VIP6	     "2001:db8::10"
#define RING	     "1009"
#define BACKENDS_MAX 120 /* names that a trace uses up */
#define TUPLES	     3000
#define CONNS_MAX    TUPLES
#define SECONDS	     1200
#define NEW_A_SECOND 5
#define FLOOD	     40 /* SYNs a second */
#define CHANGE_S     6
#define SWEEP_S	     20
#define RESTART_S    90
#define NOWHERE	     (-1)

enum condition { GONE, SERVING, DRAINED, DEAD };

struct conn {
	uint32_t end;
	uint16_t tuple;
	int backend;
	bool opened; /* past its SYN */
};

struct trace {
	const char *tracking;
	unsigned insert_rate;
	unsigned flood;
	uint64_t rng;
	uint32_t second;
	char pins[64];
	struct runtime *runtime;
	struct snapshot *snap;
	struct l4 *l4;
	int prog_fd;
	enum condition condition[BACKENDS_MAX];
	unsigned weight[BACKENDS_MAX];
	int count; /* backends that there have been */
	struct conn conns[CONNS_MAX];
	int conn_count;
	bool tuple_busy[TUPLES];
	/* What came of it. */
	unsigned connections, packets, changes, refused, excused, broken, moved_slots;
	uint64_t peak_entries, deleted, settled;
	bool told;
	bool lenient; /* connections may be broken, and then are where they are */
};

static uint32_t random_below(struct trace *t, uint32_t n)
{
	t->rng ^= t->rng << 13;
	t->rng ^= t->rng >> 7;
	t->rng ^= t->rng << 17;
	return (uint32_t)((t->rng >> 20) % n);
}

/* ---- the daemon ---- */

static struct snapshot *build(struct trace *t)
{
	static const char *const states[] = {[SERVING] = "up", [DRAINED] = "drain", [DEAD] = "up"};
	static char text[1 << 15];
	struct snapshot *snap = NULL;
	struct tree *tree;
	struct diag d;
	int n = snprintf(text, sizeof(text),
			 "node: {interfaces: [lo], xdp_mode: generic, pin_path: %s, "
			 "tunnel_source: [192.0.2.1, \"2001:db8::1\"], "
			 "hash_seed: \"00112233445566778899aabbccddeeff\",\n"
			 "  limits: {services: 16, backends: 256, ring_slots: 32768, flows: 16384, "
			 "pending: 16384}}\n"
			 "services:\n  web: {mode: l4, pool: web, listen: [\"" VIP4
			 ":80/tcp\", \"[" VIP6 "]:80/tcp\"], ring_size: " RING
			 ", tracking: %s, insert_rate: %u,\n"
			 "    idle: {established: 300s, syn: 60s, fin: 30s}}\n"
			 "pools:\n  web:\n    forward: ipip\n    health: {tcp: {port: 80}}\n"
			 "    backends:\n",
			 t->pins, t->tracking, t->insert_rate);

	for (int i = 0; i < t->count; i++) {
		if (t->condition[i] == GONE)
			continue;
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "      - {name: b%d, address: 10.0.0.%d, weight: %u, state: %s}\n", i,
			      i + 1, t->weight[i], states[t->condition[i]]);
		assert_true((size_t)n < sizeof(text));
	}
	diag_init(&d);
	tree = tree_parse("test", text, (size_t)n, &d);
	if (tree != NULL)
		snap = conf_build(tree, t->runtime, &d);
	if (snap == NULL)
		diag_print(&d, stderr);
	diag_deinit(&d);
	tree_free(tree);
	assert_non_null(snap);
	return snap;
}

static void set_health(struct trace *t)
{
	const struct pool *pool = snapshot_pool(t->snap, "web");

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *b = &pool->backends[i];
		bool dead = t->condition[strtoul(b->name + 1, NULL, 10)] == DEAD;

		atomic_store(&b->rt->health, dead ? HEALTH_DOWN : HEALTH_UP);
	}
}

static void apply(struct trace *t)
{
	struct l4_report report;
	struct diag d;

	snapshot_unref(t->snap);
	t->snap = build(t);
	set_health(t);
	diag_init(&d);
	if (l4_apply(t->l4, t->snap, &report, &d) < 0) {
		diag_print(&d, stderr);
		fail();
	}
	diag_deinit(&d);
}

static void start(struct trace *t)
{
	char path[128];
	struct diag d;

	diag_init(&d);
	if (l4_open(t->snap, &t->l4, &d) < 0) {
		diag_print(&d, stderr);
		(void)loader_purge(t->pins, &d); /* close_trace() does not follow */
		fail();
	}
	diag_deinit(&d);
	snprintf(path, sizeof(path), "%s/v%d/prog", t->pins, SHUNT_ABI_VERSION);
	t->prog_fd = bpf_obj_get(path);
	assert_true(t->prog_fd >= 0);
	apply(t);
}

static void stop_daemon(struct trace *t)
{
	close(t->prog_fd);
	l4_close(t->l4);
	t->l4 = NULL;
}

/* The daemon is killed, and another one finds what it left. It writes nothing. */
static void restart_daemon(struct trace *t)
{
	struct shunt_ring before, after;

	assert_int_equal(maps_ring_get(t->l4->loader, 0, &before), 0);
	stop_daemon(t);
	start(t);
	assert_int_equal(maps_ring_get(t->l4->loader, 0, &after), 0);
	assert_int_equal(before.base, after.base);
	assert_int_equal(before.size, after.size);
}

static int pinned(const struct trace *t, const char *map)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/v%d/%s", t->pins, SHUNT_ABI_VERSION, map);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

/* ---- time ---- */

static void age_entries(struct trace *t, uint32_t ticks)
{
	static const char *const names[] = {SHUNT_MAP_PEND4, SHUNT_MAP_PEND6, SHUNT_MAP_FLOW4,
					    SHUNT_MAP_FLOW6};
	struct maps_flow_walk walk = {0};
	const struct maps_flow *flows;
	size_t count;
	uint64_t sum = 0;
	int fds[MAPS_FLOW_TABLE_COUNT];

	for (int i = 0; i < MAPS_FLOW_TABLE_COUNT; i++)
		fds[i] = pinned(t, names[i]);
	while (maps_flow_walk_next(t->l4->loader, &walk, &flows, &count) == 0) {
		for (size_t i = 0; i < count; i++) {
			struct shunt_flow flow = flows[i].flow;

			flow.seen_ticks -= ticks;
			assert_int_equal(bpf_map_update_elem(fds[flows[i].table], &flows[i].key6,
							     &flow, BPF_EXIST),
					 0);
		}
		sum += count;
	}
	maps_flow_walk_end(&walk);
	if (sum > t->peak_entries)
		t->peak_entries = sum;
	for (int i = 0; i < MAPS_FLOW_TABLE_COUNT; i++)
		close(fds[i]);
}

/* No row of the program's cache is older than some ticks of the clock. */
static void forget_cached(struct trace *t)
{
	int fd = pinned(t, SHUNT_MAP_FLOW_GENS);
	size_t size = SHUNT_FLOW_GENERATIONS * sizeof(uint64_t);
	uint64_t *generations = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(generations, MAP_FAILED);
	for (uint32_t i = 0; i < SHUNT_FLOW_GENERATIONS; i++)
		generations[i]++;
	munmap(generations, size);
	close(fd);
}

/* So many seconds pass. */
static void age(struct trace *t, unsigned seconds)
{
	uint32_t ticks = SHUNT_TICKS(seconds * 1000000000ULL);
	struct shunt_stamp *stamps = maps_stamps(t->l4->loader);
	struct tables *tables = &t->l4->tables;

	for (uint32_t i = 0; i < tables->sizes.ring_slots; i++) {
		stamps[i].since_ticks -= stamps[i].since_ticks != 0 ? ticks : 0;
		stamps[i].old_ticks -= ticks;
	}
	for (uint32_t i = 1; i < tables->sizes.backends; i++)
		tables->backends[i].quiet_since_ms -= seconds * 1000ULL;
	age_entries(t, ticks);
	forget_cached(t);
}

/* What a service did not use of its entries in a second comes back. */
static void refill(struct trace *t)
{
	int fd = pinned(t, SHUNT_MAP_SVC_INSERTS), cpus = (int)maps_processors();
	struct shunt_insert *none = calloc((size_t)cpus, sizeof(*none));
	uint32_t row = 0;

	assert_non_null(none);
	assert_int_equal(bpf_map_update_elem(fd, &row, none, BPF_ANY), 0);
	free(none);
	close(fd);
}

static void sweep(struct trace *t)
{
	struct l4 *l4 = t->l4;

	assert_int_equal(sweep_begin(&l4->sweep, l4->loader, &l4->tables), 0);
	while (!sweep_step(&l4->sweep, l4->loader, &l4->tables, clock_coarse_ns(), 1))
		;
	t->deleted += l4->sweep.deleted;
	t->settled += l4->sweep.settled;
	(void)l4_tick(l4);
}

/* ---- packets ---- */

static int send_packet(struct trace *t, int family, const char *src, uint16_t sport, uint8_t flags)
{
	const struct pkt_spec spec = {
		.src = src,
		.dst = family == 4 ? VIP4 : VIP6,
		.sport = sport,
		.dport = 80,
		.proto = IPPROTO_TCP,
		.tcp_flags = flags,
	};
	static struct frame in, out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.data, .data_out = out.data,
		    .data_size_out = sizeof(out.data));

	pkt_build(&spec, &in);
	opts.data_size_in = (uint32_t)in.len;
	assert_int_equal(bpf_prog_test_run_opts(t->prog_fd, &opts), 0);
	t->packets++;
	if (opts.retval != XDP_TX)
		return NOWHERE;
	return out.data[ETH_LEN + 19] - 1; /* the last byte of the outer destination */
}

static int send_of(struct trace *t, uint16_t tuple, uint8_t flags)
{
	bool v6 = tuple % 3 == 0;

	return send_packet(t, v6 ? 6 : 4, v6 ? "2001:db8:1::1" : "198.51.100.1",
			   (uint16_t)(1024 + tuple), flags);
}

/* A packet of a connection goes where the connection is, unless it is told to follow the ring. */
static void follow(struct trace *t, struct conn *c, uint8_t flags)
{
	int to = send_of(t, c->tuple, flags);

	if (to == c->backend)
		return;
	if (t->lenient) {
		c->backend = to;
		return;
	}
	t->broken++;
	if (t->told)
		return;
	t->told = true;
	print_message("%s: second %u: a packet of tuple %u goes to %d instead of %d\n", t->tracking,
		      t->second, c->tuple, to, c->backend);
}

static void forget(struct trace *t, int i)
{
	t->tuple_busy[t->conns[i].tuple] = false;
	t->conns[i] = t->conns[--t->conn_count];
}

/* The ports are those of a connection that has ended, now and then. */
static void connect_one(struct trace *t)
{
	uint16_t tuple = (uint16_t)random_below(t, TUPLES);
	uint32_t life = 1 + random_below(t, 20);
	struct conn *c;
	int to;

	if (t->tuple_busy[tuple])
		return;
	if (random_below(t, 4) == 0)
		life += random_below(t, 900);
	to = send_of(t, tuple, F_SYN);
	if (to == NOWHERE) {
		t->refused++;
		return;
	}
	c = &t->conns[t->conn_count++];
	*c = (struct conn){.end = t->second + life, .tuple = tuple, .backend = to};
	t->tuple_busy[tuple] = true;
	t->connections++;
	if (random_below(t, 10) > 0) {
		follow(t, c, F_ACK);
		c->opened = true;
	}
}

/* With a reset, without a word, or in order. */
static void end_one(struct trace *t, int i)
{
	static const uint8_t last[] = {F_RST, 0, F_FIN | F_ACK, F_FIN | F_ACK};
	uint8_t flags = last[random_below(t, 4)];

	if (flags != 0)
		follow(t, &t->conns[i], flags);
	if (flags & F_FIN)
		follow(t, &t->conns[i], F_ACK);
	forget(t, i);
}

static void live_one_second(struct trace *t)
{
	for (unsigned i = 0; i < t->flood + NEW_A_SECOND; i++) {
		char src[32];

		if (i % (t->flood / NEW_A_SECOND + 1) == 0) {
			connect_one(t);
			continue;
		}

		snprintf(src, sizeof(src), "203.0.113.%u", random_below(t, 256));
		(void)send_packet(t, 4, src, (uint16_t)random_below(t, 65536), F_SYN);
	}
	for (int i = t->conn_count - 1; i >= 0; i--) {
		struct conn *c = &t->conns[i];

		if (t->second >= c->end) {
			end_one(t, i);
		} else if (!c->opened || random_below(t, 20) == 0) {
			follow(t, c, F_ACK);
			c->opened = true;
		}
	}
}

/* ---- changes ---- */

/* Some backend in that condition, or NOWHERE. */
static int pick(struct trace *t, enum condition condition)
{
	int found[BACKENDS_MAX], n = 0;

	for (int i = 0; i < t->count; i++) {
		if (t->condition[i] == condition)
			found[n++] = i;
	}
	return n > 0 ? found[random_below(t, (uint32_t)n)] : NOWHERE;
}

static void set_condition(struct trace *t, int backend, enum condition condition)
{
	if (backend == NOWHERE)
		return;
	t->condition[backend] = condition;
	if (condition != DEAD)
		return;
	for (int i = t->conn_count - 1; i >= 0; i--) {
		if (t->conns[i].backend != backend)
			continue;
		t->excused++;
		forget(t, i);
	}
}

static void add(struct trace *t)
{
	if (t->count == BACKENDS_MAX)
		return;
	t->weight[t->count] = 1 + random_below(t, 3);
	t->condition[t->count++] = SERVING;
}

static void change(struct trace *t)
{
	int serving = 0, any = pick(t, SERVING);

	for (int i = 0; i < t->count; i++)
		serving += t->condition[i] == SERVING;
	switch (random_below(t, 12)) {
	case 0:
	case 1: add(t); break;
	case 2:
	case 3:
	case 4: set_condition(t, serving > 4 ? any : NOWHERE, DRAINED); break;
	case 5:
	case 6: set_condition(t, pick(t, DRAINED), SERVING); break;
	case 7: set_condition(t, any, DEAD); break;
	case 8: set_condition(t, pick(t, DEAD), SERVING); break;
	case 9: /* removed */
		set_condition(t, random_below(t, 2) ? pick(t, DRAINED) : any, GONE);
		break;
	case 10: t->weight[any == NOWHERE ? 0 : any] = 1 + random_below(t, 3); break;
	case 11: /* all of them, until the next change */
		for (int i = 0; i < t->count; i++) {
			if (t->condition[i] == SERVING)
				t->condition[i] = DRAINED;
		}
		serving = 3;
		break;
	}
	if (serving < 3)
		add(t);
	t->changes++;
	apply(t);
	t->moved_slots += t->l4->tables.services[0].moving;
}

static void open_trace(struct trace *t, uint64_t seed)
{
	static int serial;

	t->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	t->runtime = runtime_new();
	assert_non_null(t->runtime);
	snprintf(t->pins, sizeof(t->pins), "/sys/fs/bpf/shunt-%d-%d", (int)getpid(), serial++);
	for (int i = 0; i < 8; i++)
		add(t);
	t->snap = build(t);
	start(t);
}

static void close_trace(struct trace *t)
{
	struct diag d;

	stop_daemon(t);
	snapshot_unref(t->snap);
	runtime_free(t->runtime);
	diag_init(&d);
	assert_int_equal(loader_purge(t->pins, &d), 0);
	diag_deinit(&d);
}

static void run_seconds(struct trace *t, uint32_t seconds)
{
	for (uint32_t end = t->second + seconds; t->second < end;) {
		t->second++;
		refill(t);
		live_one_second(t);
		if (t->second % CHANGE_S == 0)
			change(t);
		if (t->second % SWEEP_S == 0) {
			age(t, SWEEP_S);
			sweep(t);
		}
		if (t->second % RESTART_S == 0)
			restart_daemon(t);
	}
}

static void run(struct trace *t, uint64_t seed)
{
	open_trace(t, seed);
	run_seconds(t, SECONDS);
	print_message("%s%s seed %llu: %u connections, %u packets, %u changes: %u broken, %u died "
		      "with their backend, %u refused; at most %llu entries, %llu deleted, %llu "
		      "slots settled\n",
		      t->tracking, t->flood ? " in a flood" : "", (unsigned long long)seed,
		      t->connections, t->packets, t->changes, t->broken, t->excused, t->refused,
		      (unsigned long long)t->peak_entries, (unsigned long long)t->deleted,
		      (unsigned long long)t->settled);
	close_trace(t);
}

static struct trace trace;

static void check_none_broken(const char *tracking, unsigned insert_rate, unsigned flood,
			      uint64_t seeds)
{
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		trace = (struct trace){
			.tracking = tracking, .insert_rate = insert_rate, .flood = flood};
		run(&trace, seed);
		assert_int_equal(trace.broken, 0);
		assert_true(trace.connections > 4000);
		assert_true(trace.excused > 0);
	}
}

static void test_on_change(void **state)
{
	(void)state;
	check_none_broken("on-change", 1000000, 0, 3);
	/* Entries are few, slots come to rest, and what nobody needs is deleted. */
	assert_true(trace.peak_entries < trace.connections / 4);
	assert_true(trace.settled > 0 && trace.deleted > 0);
}

/* More new flows than may have entries: they go where they will be looked for. */
static void test_on_change_in_a_flood(void **state)
{
	(void)state;
	check_none_broken("on-change", 40, FLOOD, 1);
	check_none_broken("on-change", 1000000, FLOOD, 1);
}

static void test_always(void **state)
{
	(void)state;
	check_none_broken("always", 1000000, 0, 1);
	check_none_broken("always", 1000000, FLOOD, 1);
}

/* The same trace can break connections. */
static void test_never(void **state)
{
	(void)state;
	trace = (struct trace){.tracking = "never", .insert_rate = 1};
	run(&trace, 1);
	assert_true(trace.broken > 100);
	assert_int_equal(trace.peak_entries, 0);
}

/* From one to the next, under live connections. Those that are told to follow the ring do, and are
 * then kept where they are. */
static void test_switching(void **state)
{
	static const char *const modes[] = {"on-change", "always",    "on-change", "always",
					    "never",	 "on-change", "never",	   "always"};

	(void)state;
	trace = (struct trace){.tracking = modes[0], .insert_rate = 1000000};
	open_trace(&trace, 1);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		bool never = strcmp(modes[i], "never") == 0;

		for (int k = 0; trace.lenient && k < trace.conn_count; k++)
			follow(&trace, &trace.conns[k], F_ACK);
		for (int k = trace.conn_count - 1; trace.lenient && k >= 0; k--) {
			if (trace.conns[k].backend == NOWHERE)
				forget(&trace, k);
		}
		trace.tracking = modes[i];
		trace.lenient = never;
		apply(&trace);
		if (never)
			assert_int_equal(trace.l4->tables.services[0].moving, 0);
		run_seconds(&trace, never ? 60 : 240);
		print_message("%s: %d connections, %u slots moving, %u broken\n", modes[i],
			      trace.conn_count, trace.l4->tables.services[0].moving, trace.broken);
		assert_int_equal(trace.broken, 0);
		assert_true(trace.conn_count > 50);
	}
	close_trace(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_change), cmocka_unit_test(test_on_change_in_a_flood),
		cmocka_unit_test(test_always),	  cmocka_unit_test(test_never),
		cmocka_unit_test(test_switching),
	};
	cpu_set_t one;

	/* A loopback interface of our own; and one processor, so that LRU lists are not split. */
	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	loader_init_logging();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
