/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/packet: nanoseconds that the steering program takes for a packet, by case, beside those of
 * the floor (floor.bpf.c). README.md in this folder says how it is measured and why so.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/cases.h"
#include "bench/floor.skel.h"
#include "bench/frame.h"
#include "bench/report.h"
#include "bench/walk.h"
#include "bench/restore.skel.h"
#include "bench/world.h"

#define ROUNDS	      9
#define PACKETS	      1000000U /* a sample: some ten milliseconds */
#define QUICK_ROUNDS  1
#define QUICK_PACKETS 10000U
#define QUICK_FLOWS   65536U
#define QUICK_ENTRIES 4096U
#define MAX_PROGRAMS  16

/* Flows that are made at a time, at most: each test run makes the kernel patch itself, which takes
 * longer than some thousand packets. */
#define CHUNK 8192U

/* Knuth's multiplier and increment for 64 bits: the upper bits of the state have no pattern. */
#define RANDOM_MUL 6364136223846793005ULL
#define RANDOM_ADD 1442695040888963407ULL
/* Odd, so that 2^32 flows come without one coming twice. */
#define FRESH_STEP  (0x9e3779b1ULL << 32)
#define FRESH_SHIFT 32
#define STATE_BITS  64

struct options {
	unsigned rounds;
	uint32_t packets;
	uint32_t max_flows; /* cases with more are left out */
	uint32_t entries;   /* of tables of flows, unless a case needs more */
	const char *json;   /* NULL: none is written */
	const char *only;   /* NULL: all cases; else those with this in their name */
	const char *programs[MAX_PROGRAMS]; /* files; NULL: the one built in */
	unsigned program_count;
};

/* What is the same for all cases. */
struct bench {
	struct restore_bpf *restore;
	struct floor_bpf *floor;
	uint64_t fresh; /* where the walk over new flows stands: none may come again */
};

struct trial {
	struct world world;
	struct result *result;
};

static int failed(const char *what, int err)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
	return err;
}

/* The caches and counters of one processor, and no moving about. */
static int stay_on_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int bench_open(struct bench *b)
{
	__be32 addrs[8] = {};
	uint32_t index = 0;
	int err;

	*b = (struct bench){.restore = restore_bpf__open_and_load(),
			    .floor = floor_bpf__open_and_load()};
	if (!b->restore || !b->floor)
		return failed("loading the benchmark's own programs", -errno);
	memset(addrs, 1, sizeof(addrs));
	err = bpf_map__update_elem(b->floor->maps.fl_backend, &index, sizeof(index), addrs,
				   sizeof(addrs), BPF_ANY);
	return err ? failed("filling the floor's table", err) : 0;
}

static void bench_close(struct bench *b)
{
	restore_bpf__destroy(b->restore);
	floor_bpf__destroy(b->floor);
}

static void walk_frame(struct bench *b, const struct frame *frame, const struct bench_case *c)
{
	struct walk *walk = &b->restore->bss->walk;

	walk->frame_len = FRAME_LEN;
	walk->family = c->family;
	walk->rewritten = forward_rewrites(c->forward);
	memcpy(walk->head, frame->data, WALK_HEAD_LEN);
}

static void walk_steps(struct bench *b, uint64_t state, uint64_t mul, uint64_t add, uint32_t shift)
{
	struct walk *walk = &b->restore->bss->walk;

	walk->state = state;
	walk->mul = mul;
	walk->add = add;
	walk->shift = shift;
}

static uint32_t shift_of(uint32_t flows)
{
	return STATE_BITS - (uint32_t)__builtin_ctz(flows);
}

/* Flows first, first + 1, ... */
static void walk_in_order(struct bench *b, const struct bench_case *c, uint32_t first)
{
	uint64_t step = 1ULL << shift_of(c->flows);

	walk_steps(b, (first - 1ULL) * step, 1, step, shift_of(c->flows));
}

/* The walk that a case is measured with. */
static void walk_measured(struct bench *b, const struct bench_case *c)
{
	if (c->kind == FLOWS_FRESH)
		walk_steps(b, b->fresh, 1, FRESH_STEP, FRESH_SHIFT);
	else
		walk_steps(b, 1, RANDOM_MUL, RANDOM_ADD, shift_of(c->flows));
}

static double cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* cannot fail for the own thread */
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/*
 * Run a program over so many packets. Timed by the processor time of this thread: others that run
 * meanwhile are not in it, and it is finer than the kernel's own figure, whole nanoseconds.
 */
static int run(struct bench *b, int prog_fd, const struct frame *frame, uint32_t packets,
	       uint32_t action, double *ret_ns)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = FRAME_LEN,
		    .repeat = (int)packets);
	uint32_t slot = 0;
	double start;
	int err = bpf_map__update_elem(b->restore->maps.target, &slot, sizeof(slot), &prog_fd,
				       sizeof(prog_fd), BPF_ANY);

	if (err)
		return failed("jumping into the program", err);
	start = cpu_ns();
	err = bpf_prog_test_run_opts(bpf_program__fd(b->restore->progs.restore), &opts);
	if (err)
		return failed("test run", err);
	*ret_ns = (cpu_ns() - start) / packets;
	if (opts.retval == action)
		return 0;
	fprintf(stderr, "bench: the program returned %u, not %u\n", opts.retval, action);
	return -EPROTO;
}

static int step(struct bench *b, const struct trial *t, enum packet_kind kind, uint32_t packets)
{
	const struct bench_case *c = t->result->what;
	struct frame frame;
	double ns;

	frame_build(kind, c->family, &frame);
	walk_frame(b, &frame, c);
	return run(b, t->world.prog_fd, &frame, packets,
		   c->verdict == SHUNT_VERDICT_TX ? XDP_TX : XDP_PASS, &ns);
}

/* Every flow sends the packets that make it an established one. */
static int establish(struct bench *b, const struct trial *t)
{
	const struct bench_case *c = t->result->what;
	enum packet_kind first = c->packet == PACKET_TCP_ACK ? PACKET_TCP_SYN : c->packet;
	uint32_t share = world_pending_share(), chunk = share < CHUNK ? share : CHUNK;
	int err = 0;

	if (chunk > c->flows)
		chunk = c->flows;
	for (uint32_t flow = 0; !err && flow < c->flows; flow += chunk) {
		walk_in_order(b, c, flow);
		err = step(b, t, first, chunk);
		walk_in_order(b, c, flow);
		if (!err)
			err = step(b, t, c->packet, chunk);
	}
	return err;
}

static int check_counts(const struct trial *t, const struct world_counts *before, uint32_t packets)
{
	const struct bench_case *c = t->result->what;
	struct world_counts now;
	uint64_t new_flows;
	int err = world_counts(&t->world, &now);

	if (err)
		return err;
	new_flows = now.new_flows - before->new_flows;
	if (now.verdict[c->verdict] - before->verdict[c->verdict] == packets &&
	    new_flows == (c->new_flows ? packets : 0))
		return 0;
	fprintf(stderr, "bench: %s did not measure what it should: of %u packets %llu new flows",
		c->name, packets, (unsigned long long)new_flows);
#define X(name, text)                                                                              \
	fprintf(stderr, ", " text " %llu",                                                         \
		(unsigned long long)(now.verdict[SHUNT_VERDICT_##name] -                           \
				     before->verdict[SHUNT_VERDICT_##name]));
	SHUNT_VERDICTS(X)
#undef X
	fputc('\n', stderr);
	return -EPROTO;
}

/* The restoring alone, the floor and the case, one right after the other. */
static int sample(struct bench *b, struct trial *t, uint32_t packets)
{
	const struct bench_case *c = t->result->what;
	const struct bpf_program *floor =
		c->family == 4 ? b->floor->progs.floor4 : b->floor->progs.floor6;
	struct result *r = t->result;
	unsigned round = r->rounds;
	double restore_ns = 0, floor_ns = 0, ns = 0;
	struct world_counts before;
	struct frame frame;
	int err;

	frame_build(PACKET_TCP_ACK, c->family, &frame);
	walk_frame(b, &frame, c);
	walk_measured(b, c);
	err = run(b, bpf_program__fd(b->restore->progs.nothing), &frame, packets, XDP_PASS,
		  &restore_ns);
	if (!err)
		err = run(b, bpf_program__fd(floor), &frame, packets, XDP_TX, &floor_ns);
	/* Untimed, so that the tables are in the caches as they are in a long run, and the stamps
	 * of the flows as new. */
	if (!err && c->kind == FLOWS_ESTABLISHED) {
		walk_in_order(b, c, 0);
		err = step(b, t, c->packet, c->flows);
	}
	if (!err)
		err = world_counts(&t->world, &before);
	if (err)
		return err;

	frame_build(c->packet, c->family, &frame);
	walk_frame(b, &frame, c);
	walk_measured(b, c);
	err = run(b, t->world.prog_fd, &frame, packets,
		  c->verdict == SHUNT_VERDICT_TX ? XDP_TX : XDP_PASS, &ns);
	if (!err)
		err = check_counts(t, &before, packets);
	if (c->kind == FLOWS_FRESH)
		b->fresh = b->restore->bss->walk.state;
	r->restore_ns[round] = restore_ns;
	r->floor_ns[round] = floor_ns - restore_ns;
	r->ns[round] = ns - restore_ns;
	r->ratio[round] = r->ns[round] / r->floor_ns[round];
	r->packets = packets;
	r->rounds++;
	return err;
}

/* What has to be there before the clock runs. */
static int prepare(const struct options *o, struct bench *b, struct trial *t)
{
	const struct bench_case *c = t->result->what;
	const char *file = *t->result->program ? t->result->program : NULL;
	int err = world_open(&t->world, c, file, o->entries);

	if (!err && c->kind == FLOWS_ESTABLISHED)
		err = establish(b, t);
	return err;
}

static int measure(const struct options *o, struct bench *b, struct trial *trials, unsigned count)
{
	int err = 0;

	for (unsigned i = 0; !err && i < count; i++)
		err = prepare(o, b, &trials[i]);
	for (unsigned round = 0; !err && round < o->rounds; round++)
		for (unsigned i = 0; !err && i < count; i++)
			err = sample(b, &trials[i], o->packets);
	for (unsigned i = 0; i < count; i++)
		world_close(&trials[i].world);
	return err;
}

static unsigned choose(const struct options *o, struct trial *trials, struct result *results)
{
	unsigned count = 0;

	for (unsigned i = 0; i < bench_case_count; i++) {
		if (bench_cases[i].flows > o->max_flows ||
		    (o->only && !strstr(bench_cases[i].name, o->only)))
			continue;
		for (unsigned p = 0; p < o->program_count; p++, count++) {
			results[count].what = &bench_cases[i];
			results[count].program = o->programs[p] ? o->programs[p] : "";
			trials[count].result = &results[count];
		}
	}
	return count;
}

static int usage(FILE *out)
{
	fputs("usage: packet [--quick] [--rounds N] [--packets N] [--only TEXT] [--json FILE]\n"
	      "              [--program FILE]...\n"
	      "  --quick          few packets, one round: does it run, are the verdicts right?\n"
	      "  --only TEXT      cases with TEXT in their name\n"
	      "  --program FILE   another build of steer_xdp.bpf.o; several are measured in turn,\n"
	      "                   \"-\" is the one built in\n",
	      out);
	return out == stdout ? 0 : 2;
}

static int parse_number(const char *text, unsigned long max, unsigned long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoul(text, &end, 10);
	return errno || *end || end == text || !*ret_number || *ret_number > max ? -EINVAL : 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"quick", no_argument, NULL, 'q'},
		{"rounds", required_argument, NULL, 'r'},
		{"packets", required_argument, NULL, 'n'},
		{"only", required_argument, NULL, 'o'},
		{"json", required_argument, NULL, 'j'},
		{"program", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	unsigned long number = 0;
	int c;

	*o = (struct options){.rounds = ROUNDS,
			      .packets = PACKETS,
			      .max_flows = UINT32_MAX,
			      .entries = WORLD_FLOWS};
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout);
		if (c == 'q') {
			o->rounds = QUICK_ROUNDS;
			o->packets = QUICK_PACKETS;
			o->max_flows = QUICK_FLOWS;
			o->entries = QUICK_ENTRIES;
		} else if (c == 'r' && !parse_number(optarg, MAX_ROUNDS, &number)) {
			o->rounds = (unsigned)number;
		} else if (c == 'n' && !parse_number(optarg, INT32_MAX, &number)) {
			o->packets = (uint32_t)number;
		} else if (c == 'o') {
			o->only = optarg;
		} else if (c == 'j') {
			o->json = optarg;
		} else if (c == 'p' && o->program_count < MAX_PROGRAMS) {
			o->programs[o->program_count++] = strcmp(optarg, "-") ? optarg : NULL;
		} else {
			return usage(stderr);
		}
	}
	if (optind < argc)
		return usage(stderr);
	if (!o->program_count)
		o->program_count = 1;
	return -1;
}

int main(int argc, char **argv)
{
	struct trial *trials = NULL;
	struct result *results = NULL;
	struct bench bench = {};
	struct options o;
	unsigned count;
	int status = parse_options(argc, argv, &o), err;

	if (status >= 0)
		return status;
	trials = calloc((size_t)bench_case_count * o.program_count, sizeof(*trials));
	results = calloc((size_t)bench_case_count * o.program_count, sizeof(*results));
	if (!trials || !results) {
		err = failed("memory", -ENOMEM);
		goto out;
	}
	count = choose(&o, trials, results);
	err = stay_on_cpu();
	if (!err)
		err = bench_open(&bench);
	if (!err)
		err = measure(&o, &bench, trials, count);
	if (err)
		goto out;
	report_table(stdout, results, count);
	if (o.json) {
		err = report_json(o.json, results, count);
		if (err)
			(void)failed(o.json, err);
	}
out:
	bench_close(&bench);
	free(trials);
	free(results);
	return err ? 1 : 0;
}
