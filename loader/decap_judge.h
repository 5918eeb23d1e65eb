/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of decap_check share: how a finding is made, and how facts are found. Internal to
 * them. */
#ifndef LOADER_DECAP_JUDGE_H
#define LOADER_DECAP_JUDGE_H

#include "loader/decap_check.h"

struct judge {
	const struct host_facts *f;
	struct findings *out;
};

/* malloc'ed, or NULL, which decap_check() tells in the end. */
char *judge_text(struct judge *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Takes over the texts. What holds for several services is said once. */
void judge_report(struct judge *j, struct finding finding);
void judge_report_ok(struct judge *j, enum check_subject subject, char *what);

/* For use within one expression: show_addr(a).s */
struct addr_text {
	char s[ADDR_STRLEN];
};
struct addr_text show_addr(const struct addr *addr);

/* An interface as a part of a sysctl's name: there, '.' and '/' change places. */
struct conf_text {
	char s[IF_NAMESIZE];
};
struct conf_text show_conf(const struct fact_iface *iface);

/* Does the host take packets for it? */
bool service_is_local(const struct fact_service *s);

/* NULL: there is none. */
const struct fact_iface *facts_iface_by_index(const struct host_facts *f, unsigned index);
const struct fact_iface *facts_iface_by_name(const struct host_facts *f, const char *name);

/* One of the kernel's own IP in IP devices? */
bool iface_is_tunnel(const struct fact_iface *iface);

/* decap_check_addr.c: service addresses, servers, ARP. */
void check_service_address(struct judge *j, const struct fact_service *s);
void check_arp(struct judge *j, const struct fact_iface *iface);

/* decap_check_route.c: ways back, filters by source, size. iface: its index in the facts. */
void check_reply_route(struct judge *j, const struct fact_service *s);
void check_rp_filter(struct judge *j, size_t iface);
void check_rp_drops(struct judge *j);
void check_mtu(struct judge *j, const struct fact_iface *in, const struct fact_service *s);

#endif
