/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is usually wrong with a host or a configuration and is seen in no log: looked for when somebody
 * asks, on this host, in the daemon's network namespace. Main thread.
 */
#ifndef CONTROL_DOCTOR_H
#define CONTROL_DOCTOR_H

#include <jansson.h>

#include "control/commands.h"

/* X(name, "word"), from good to bad. */
#define DOCTOR_LEVELS(X) X(OK, "ok") X(WARNING, "warning") X(ERROR, "error")

enum doctor_level {
#define X(name, text) DOCTOR_##name,
	DOCTOR_LEVELS(X)
#undef X
};

/* What was looked at: X(name, "word"). */
#define DOCTOR_SUBJECTS(X)                                                                         \
	X(DAEMON, "daemon")                                                                        \
	X(CONFIG, "config")                                                                        \
	X(SOCKETS, "sockets")                                                                      \
	X(CERTIFICATE, "certificate")                                                              \
	X(POOL, "pool")                                                                            \
	X(TABLES, "tables")                                                                        \
	X(NEIGHBOUR, "neighbour")                                                                  \
	X(MTU, "mtu")                                                                              \
	X(INTERFACE, "interface")                                                                  \
	X(XDP, "xdp")                                                                              \
	X(QUEUES, "queues")                                                                        \
	X(VLAN, "vlan")                                                                            \
	X(OFFLOAD, "offload")                                                                      \
	X(RP_FILTER, "rp-filter")                                                                  \
	X(CLOCK, "clock")                                                                          \
	X(FILES, "files")                                                                          \
	X(MEMLOCK, "memlock")

enum doctor_subject {
#define X(name, text) DOCTOR_##name,
	DOCTOR_SUBJECTS(X)
#undef X
};

/* Findings so far. */
struct doctor {
	struct commands_env *env;
	const struct snapshot *snap;
	json_t *list;
	enum doctor_level worst;
	bool failed; /* out of memory */
};

/* For use within one expression: doctor_text("%s", ...).s */
struct doctor_text {
	char s[256];
};
struct doctor_text doctor_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* why it matters, and what to do: not of what is good. */
void doctor_ok(struct doctor *d, enum doctor_subject subject, const char *what);
void doctor_tell(struct doctor *d, enum doctor_level level, enum doctor_subject subject,
		 const char *what, const char *why, const char *fix);

/* The examinations: doctor_daemon.c, doctor_net.c, doctor_host.c. */
void doctor_daemon(struct doctor *d);
void doctor_net(struct doctor *d);
void doctor_host(struct doctor *d);

/* {"worst": WORD, "findings": [{"level", "subject", "what", "why", "fix"}]} */
json_t *doctor_json(struct commands_env *env);

#endif
