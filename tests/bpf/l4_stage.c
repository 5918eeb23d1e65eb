/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/l4_stage.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "l4/guard.h"
#include "l4/l4.h"
#include "loader/maps.h"

/* ---- a daemon without a loop -------------------------------------------------------------------- */

struct snapshot *stage_build_on(struct stage *s, const char *interfaces, const char *node,
				const char *rest)
{
	struct diag d;
	struct tree *tree;
	struct snapshot *snap = NULL;
	char text[4096];
	int n = snprintf(
		text, sizeof(text),
		"node: {interfaces: %s, xdp_mode: generic, pin_path: %s, limits: {services: "
		"16, backends: 16, ring_slots: 8192, flows: 1024, pending: 1024, nat: 1024, "
		"guard: %u}%s}\n%s",
		interfaces, s->pins, s->guard_entries, node, rest);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	diag_init(&d);
	tree = tree_parse("test", text, strlen(text), &d);
	if (tree != NULL)
		snap = conf_build(tree, s->runtime, &d);
	if (snap == NULL)
		diag_print(&d, stderr);
	diag_deinit(&d);
	tree_free(tree);
	assert_non_null(snap);
	return snap;
}

struct snapshot *stage_build(struct stage *s, const char *node, const char *rest)
{
	return stage_build_on(s, "[lo]", node, rest);
}

void stage_open(struct stage *s)
{
	struct diag d;

	diag_init(&d);
	if (l4_open(s->snap, &s->l4, &d) < 0) {
		diag_print(&d, stderr);
		(void)loader_purge(s->pins, &d); /* no teardown follows */
		fail();
	}
	diag_deinit(&d);
}

struct l4_report stage_apply(struct stage *s)
{
	struct l4_report report = {0};
	struct diag d;

	diag_init(&d);
	if (l4_check(s->l4, s->snap, &d) < 0 || l4_apply(s->l4, s->snap, &report, &d) < 0) {
		diag_print(&d, stderr);
		fail();
	}
	diag_deinit(&d);
	return report;
}

struct l4_report stage_change(struct stage *s, const char *rest)
{
	snapshot_unref(s->snap);
	s->snap = stage_build(s, SOURCE, rest);
	return stage_apply(s);
}

void stage_restart(struct stage *s, const char *node)
{
	struct snapshot *snap = stage_build(s, node, CONF(A ", " B));

	l4_close(s->l4);
	s->l4 = NULL;
	snapshot_unref(s->snap);
	s->snap = snap;
	stage_open(s);
}

static int setup(void **state, unsigned guard_entries)
{
	static struct stage s;
	static int serial;

	s = (struct stage){.runtime = runtime_new(), .guard_entries = guard_entries};
	snprintf(s.pins, sizeof(s.pins), "/sys/fs/bpf/shunt-%d-%d", (int)getpid(), serial++);
	s.snap = stage_build(&s, SOURCE, CONF(A ", " B));
	stage_open(&s);
	*state = &s;
	return 0;
}

int stage_setup(void **state)
{
	return setup(state, STAGE_LIST);
}

int stage_setup_long_lists(void **state)
{
	return setup(state, STAGE_LONG_LIST);
}

int stage_teardown(void **state)
{
	struct stage *s = *state;
	struct diag d;

	diag_init(&d);
	if (s->l4 != NULL)
		(void)loader_detach(l4_loader(s->l4), "lo", &d);
	l4_close(s->l4);
	snapshot_unref(s->snap);
	runtime_free(s->runtime);
	assert_int_equal(loader_purge(s->pins, &d), 0);
	diag_deinit(&d);
	return 0;
}

int stage_isolate(void)
{
	cpu_set_t one;

	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return -1;
	}
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
	loader_init_logging();
	return 0;
}

/* ---- packets ------------------------------------------------------------------------------------ */

uint32_t stage_run(struct stage *s, const struct pkt_spec *spec, struct frame *out)
{
	static struct frame in;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.data, .data_out = out->data,
		    .data_size_out = sizeof(out->data));
	char path[128];
	int fd;

	pkt_build(spec, &in);
	opts.data_size_in = (uint32_t)in.len;
	snprintf(path, sizeof(path), "%s/v%d/prog", s->pins, SHUNT_ABI_VERSION);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	close(fd);
	out->len = opts.data_size_out;
	return opts.retval;
}

int stage_send_from(struct stage *s, int family, const char *src, uint16_t sport, uint8_t flags)
{
	const struct pkt_spec spec = {
		.src = src,
		.dst = family == 4 ? VIP4 : VIP6,
		.sport = sport,
		.dport = 80,
		.proto = IPPROTO_TCP,
		.tcp_flags = flags,
	};
	static struct frame out;
	uint32_t action = stage_run(s, &spec, &out);

	if (action == XDP_PASS)
		return -1;
	if (action != XDP_TX)
		return 0;
	/* The outer header is IPv4, as the backends are. */
	assert_int_equal(pkt_get16(&out, 12), 0x0800);
	assert_memory_equal(out.data + 26, "\xc0\x00\x02\x01", 4);
	return out.data[33];
}

int stage_send(struct stage *s, int family, uint16_t sport, uint8_t flags)
{
	return stage_send_from(s, family, family == 4 ? CLIENT4 : CLIENT6, sport, flags);
}
