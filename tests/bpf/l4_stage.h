/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * l4/ and loader/ as the daemon uses them, on tables of the test's own, without a loop; and packets put
 * through the pinned program. Everything here fails the test where it does not work. One thread.
 */
#ifndef TESTS_BPF_L4_STAGE_H
#define TESTS_BPF_L4_STAGE_H

#include <stdint.h>

#include "conf/runtime.h"
#include "conf/snapshot.h"
#include "l4/l4.h"
#include "tests/bpf/pkt_build.h"

#define RING	"1009"
#define VIP4	"192.0.2.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.1"
#define CLIENT6 "2001:db8:1::1"

struct stage {
	char pins[64];
	unsigned guard_entries; /* limits.guard */
	struct runtime *runtime;
	struct snapshot *snap; /* in force */
	struct l4 *l4;
};

#define SOURCE ", tunnel_source: [192.0.2.1, \"2001:db8::1\"]"

#define A "{name: a, address: 10.0.0.1}"
#define B "{name: b, address: 10.0.0.2}"
#define C "{name: c, address: 10.0.0.3}"
/* Flows are remembered for longer than a slow machine takes to load a program; or so shortly that a
 * test can wait for it. */
#define CONF(backends)	     CONF_IDLE(backends, "10m")
#define CONF_BRIEF(backends) CONF_IDLE(backends, "1s")
#define CONF_IDLE(backends, idle)                                                                  \
	"pools:\n  web: {forward: ipip, health: none, backends: [" backends "]}\n"                 \
	"services:\n  web: {mode: l4, pool: web, listen: [\"" VIP4 ":80/tcp\", \"[" VIP6           \
	"]:80/tcp\"], ring_size: " RING                                                            \
	", tracking: always, insert_rate: 1000000, idle: {established: " idle ", syn: " idle       \
	", fin: " idle "}}\n"

/* A network namespace with a loopback interface alone, and one processor, so that LRU lists are not
 * split. Before all tests. 0, or -1. */
int stage_isolate(void);

/* For cmocka: *state is a struct stage on which CONF(A ", " B) was opened and not applied. Long lists:
 * limits.guard is STAGE_LONG_LIST instead of STAGE_LIST. */
#define STAGE_LIST	16
#define STAGE_LONG_LIST 16384
int stage_setup(void **state);
int stage_setup_long_lists(void **state);
int stage_teardown(void **state);

/* A snapshot; node: more keys of it, each after a comma. */
struct snapshot *stage_build_on(struct stage *s, const char *interfaces, const char *node,
				const char *rest);
struct snapshot *stage_build(struct stage *s, const char *node, const char *rest);

void stage_open(struct stage *s);
struct l4_report stage_apply(struct stage *s);

/* Another configuration takes effect. */
struct l4_report stage_change(struct stage *s, const char *rest);

/* The daemon ends, however it does, and another one starts. */
void stage_restart(struct stage *s, const char *node);

/* The XDP action. */
uint32_t stage_run(struct stage *s, const struct pkt_spec *spec, struct frame *out);

/* Last byte of the outer destination: the number of the backend; 0: dropped; -1: passed. */
int stage_send_from(struct stage *s, int family, const char *src, uint16_t sport, uint8_t flags);
int stage_send(struct stage *s, int family, uint16_t sport, uint8_t flags);

#endif
