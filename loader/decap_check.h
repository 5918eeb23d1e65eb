/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a backend host, why that matters and how it is mended. Pure: facts in, findings
 * out. Any thread.
 */
#ifndef LOADER_DECAP_CHECK_H
#define LOADER_DECAP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/decap_facts.h"

/* From WARN on somebody should do something, FAIL: connections break. NOTE: could not be judged, or
 * good to know. X(NAME, "name") */
#define CHECK_LEVELS(X) X(OK, "ok") X(NOTE, "note") X(WARN, "warn") X(FAIL, "fail")

enum check_level {
#define X(name, text) CHECK_##name,
	CHECK_LEVELS(X)
#undef X
};

/* What a finding is about: X(NAME, "name") */
#define CHECK_SUBJECTS(X)                                                                          \
	X(LINK, "link")		/* the interface is down */                                        \
	X(ATTACHED, "attached") /* what takes the tunnel header off */                             \
	X(SERVICES, "services") /* the addresses that it does that for */                          \
	X(LRO, "lro")                                                                              \
	X(ADDRESS, "address")		  /* the service address is the host's */                  \
	X(ADDRESS_PLACE, "address-place") /* where nobody asks for it */                           \
	X(ADDRESS_STATE, "address-state") /* duplicate address detection */                        \
	X(LISTENER, "listener")                                                                    \
	X(ARP_IGNORE, "arp-ignore")                                                                \
	X(ARP_ANNOUNCE, "arp-announce")                                                            \
	X(REPLY_ROUTE, "reply-route")		/* from the service address to clients */          \
	X(RP_FILTER, "rp-filter")		/* of packets from clients */                      \
	X(RP_FILTER_TUNNEL, "rp-filter-tunnel") /* of those that balancers send */                 \
	X(RP_DROPS, "rp-drops")                                                                    \
	X(MTU, "mtu")                                                                              \
	X(FIREWALL, "firewall")                                                                    \
	X(COUNTERS, "counters") /* of the attached programs */

enum check_subject {
#define X(name, text) CHECK_ABOUT_##name,
	CHECK_SUBJECTS(X)
#undef X
};

#define CHECK_FIXES 2

struct finding {
	enum check_level level;
	enum check_subject subject;
	char *what;		/* owned */
	const char *why;	/* NULL: nothing is wrong */
	char *fix[CHECK_FIXES]; /* owned; commands of which one is enough, or NULL */
};

struct findings {
	struct finding *list; /* owned; in the order in which a packet meets them */
	size_t count;
	bool out_of_memory; /* something is missing */
};

const char *check_level_name(enum check_level level);
const char *check_subject_name(enum check_subject subject);

/* 0, or -ENOMEM. */
int decap_check(const struct host_facts *f, struct findings *ret_findings);
void findings_deinit(struct findings *f);

/* The worst level of them. */
enum check_level findings_worst(const struct findings *f);

#endif
