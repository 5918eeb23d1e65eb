/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "loader/decap_judge.h"

static unsigned full_len(const struct addr *addr)
{
	return addr->family == AF_INET ? 32 : 128;
}

/* Would the interface answer ARP for an address that stands on it, or elsewhere on the host? As
 * arp_ignore() in the kernel's arp.c: what is not named here counts as 0 there. */
static bool answers_arp(const struct fact_iface *iface, const struct fact_address *at)
{
	switch (iface->arp_ignore) {
	case 1:
	case 2: return at && at->ifindex == iface->index;
	case 3: return !at || !at->scope_host;
	case 8: return false;
	default: return true;
	}
}

static const struct fact_address *find_address(const struct host_facts *f, const struct addr *addr)
{
	for (size_t i = 0; i < f->address_count; i++)
		if (!addr_cmp(&f->addresses[i].addr, addr))
			return &f->addresses[i];
	return NULL;
}

/* On a segment where others ask for addresses, and get an answer? */
static bool is_exposed(const struct host_facts *f, const struct fact_address *at)
{
	const struct fact_iface *iface = facts_iface_by_index(f, at->ifindex);

	if (!iface || !iface->arp)
		return false;
	return at->addr.family == AF_INET6 || answers_arp(iface, at);
}

static void check_place(struct judge *j, const struct fact_address *at)
{
	const struct fact_iface *iface = facts_iface_by_index(j->f, at->ifindex);
	struct addr_text addr = show_addr(&at->addr);
	unsigned full = full_len(&at->addr);

	if (at->dad_failed || at->tentative)
		judge_report(
			j,
			(struct finding){
				.level = at->dad_failed ? CHECK_FAIL : CHECK_WARN,
				.subject = CHECK_ABOUT_ADDRESS_STATE,
				.what = judge_text(
					j, "%s on %s %s", addr.s, iface ? iface->name : "?",
					at->dad_failed ? "is a duplicate" : "is tentative"),
				.why = at->dad_failed
					       ? "another host has it, so this one does not use it"
					       : "it is not used before no other host is found to "
						 "have it",
				.fix = {judge_text(
					j, "ip addr del %s/%u dev %s && ip addr add %s/%u dev lo",
					addr.s, at->len, iface ? iface->name : "?", addr.s, full)},
			});
	if (!is_exposed(j->f, at))
		return;
	judge_report(
		j, (struct finding){
			   .level = CHECK_FAIL,
			   .subject = CHECK_ABOUT_ADDRESS_PLACE,
			   .what = judge_text(j, "%s stands on %s", addr.s, iface->name),
			   .why = "the host tells the segment that the address is here: packets of "
				  "clients may come to it past the balancer",
			   .fix = {judge_text(
				   j, "ip addr del %s/%u dev %s && ip addr replace %s/%u dev lo",
				   addr.s, at->len, iface->name, addr.s, full)},
		   });
}

static void check_local(struct judge *j, const struct fact_service *s)
{
	const struct addr *addr = &s->ep.addr;
	const struct fact_address *at = find_address(j->f, addr);
	const struct fact_iface *iface = at ? facts_iface_by_index(j->f, at->ifindex) : NULL;

	if (service_is_local(s))
		judge_report_ok(j, CHECK_ABOUT_ADDRESS,
				judge_text(j, "%s is an address of this host", show_addr(addr).s));
	else if (iface && !iface->up)
		judge_report(j,
			     (struct finding){
				     .level = CHECK_FAIL,
				     .subject = CHECK_ABOUT_ADDRESS,
				     .what = judge_text(j, "%s stands on %s, which is down",
							show_addr(addr).s, iface->name),
				     .why = "the host does not take what is unpacked for it",
				     .fix = {judge_text(j, "ip link set dev %s up", iface->name)},
			     });
	else if (!at || !(at->tentative || at->dad_failed))
		judge_report(j, (struct finding){
					.level = CHECK_FAIL,
					.subject = CHECK_ABOUT_ADDRESS,
					.what = judge_text(j, "%s is not an address of this host",
							   show_addr(addr).s),
					.why = "the host does not take what is unpacked for it",
					.fix = {judge_text(j, "ip addr replace %s/%u dev lo",
							   show_addr(addr).s, full_len(addr))},
				});
}

static void check_listener(struct judge *j, const struct fact_service *s)
{
	char at[ENDPOINT_STRLEN];

	if (!s->ep.port)
		return;
	endpoint_format(&s->ep, at, sizeof(at));
	if (s->listening == FACT_YES)
		judge_report_ok(j, CHECK_ABOUT_LISTENER,
				judge_text(j, "a server listens at %s", at));
	else if (s->listening == FACT_NO)
		judge_report(
			j,
			(struct finding){
				.level = CHECK_FAIL,
				.subject = CHECK_ABOUT_LISTENER,
				.what = judge_text(j, "nothing listens at %s, by TCP or UDP", at),
				.why = "clients are refused",
				.fix = {judge_text(
					j,
					"start the server, at this address or at all of the "
					"host; ss -ltun 'sport = :%u' shows what listens",
					s->ep.port)},
			});
	else
		judge_report(
			j, (struct finding){.level = CHECK_NOTE,
					    .subject = CHECK_ABOUT_LISTENER,
					    .what = judge_text(
						    j, "not checked: is there a server at %s?", at),
					    .why = "the kernel does not list its sockets"});
}

void check_service_address(struct judge *j, const struct fact_service *s)
{
	check_local(j, s);
	for (size_t i = 0; i < j->f->address_count; i++)
		if (!addr_cmp(&j->f->addresses[i].addr, &s->ep.addr))
			check_place(j, &j->f->addresses[i]);
	check_listener(j, s);
}

/* ---- ARP */

/* Is an IPv4 address of the net of one of the host's? */
static bool in_prefix(const struct addr *addr, const struct fact_address *net)
{
	uint32_t differ = ntohl(addr->v4.s_addr) ^ ntohl(net->addr.v4.s_addr);

	if (net->addr.family != AF_INET || addr->family != AF_INET || net->len >= 32)
		return false;
	return !net->len || !(differ >> (32 - net->len));
}

/* Can somebody on the other side of this interface be expected to ask for the address? There where
 * packets come in or leave, and where the address belongs to the segment. */
static bool is_near(const struct host_facts *f, const struct fact_iface *iface,
		    const struct fact_service *s)
{
	if (iface->checked || !strcmp(s->reply.ifname, iface->name))
		return true;
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].ifindex == iface->index &&
		    in_prefix(&s->ep.addr, &f->addresses[i]))
			return true;
	return false;
}

/* IPv4 service addresses that stand elsewhere on the host, but could be heard of here: how many, and
 * the first of them. What stands on a segment itself is check_place()'s. */
static size_t addresses_near(const struct host_facts *f, const struct fact_iface *iface,
			     bool only_answered, const struct addr **ret_first)
{
	size_t count = 0;

	for (size_t i = 0; i < f->service_count; i++) {
		const struct fact_service *s = &f->services[i];
		const struct fact_address *at = find_address(f, &s->ep.addr);

		if (s->ep.addr.family != AF_INET || !service_is_local(s) ||
		    (at && is_exposed(f, at)) || !is_near(f, iface, s) ||
		    (only_answered && !answers_arp(iface, at)))
			continue;
		if (!count++)
			*ret_first = &s->ep.addr;
	}
	return count;
}

static char *and_more(struct judge *j, const char *before, const struct addr *first, size_t count)
{
	if (count == 1)
		return judge_text(j, "%s %s", before, show_addr(first).s);
	return judge_text(j, "%s %s and %zu more", before, show_addr(first).s, count - 1);
}

static void check_arp_ignore(struct judge *j, const struct fact_iface *iface)
{
	struct conf_text conf = show_conf(iface);
	const struct addr *first;
	size_t count = addresses_near(j->f, iface, true, &first);
	char before[96];

	if (!count) {
		if (addresses_near(j->f, iface, false, &first))
			judge_report_ok(
				j, CHECK_ABOUT_ARP_IGNORE,
				judge_text(
					j,
					"%s answers no ARP for service addresses (arp_ignore %d)",
					iface->name, iface->arp_ignore));
		return;
	}
	snprintf(before, sizeof(before), "%s (arp_ignore %d) answers ARP for", iface->name,
		 iface->arp_ignore);
	judge_report(
		j,
		(struct finding){
			.level = CHECK_FAIL,
			.subject = CHECK_ABOUT_ARP_IGNORE,
			.what = and_more(j, before, first, count),
			.why = "who asks the segment for the address may get this host instead of "
			       "the balancer",
			.fix = {judge_text(j,
					   "sysctl -w net.ipv4.conf.all.arp_ignore=1 "
					   "net.ipv4.conf.%s.arp_ignore=1",
					   conf.s)},
		});
}

static void check_arp_announce(struct judge *j, const struct fact_iface *iface)
{
	const struct addr *first;
	size_t count = addresses_near(j->f, iface, false, &first);
	char before[96];

	if (!count)
		return;
	if (iface->arp_announce >= 2) {
		judge_report_ok(
			j, CHECK_ABOUT_ARP_ANNOUNCE,
			judge_text(j, "%s sends no ARP with service addresses (arp_announce %d)",
				   iface->name, iface->arp_announce));
		return;
	}
	snprintf(before, sizeof(before), "%s (arp_announce %d) may send ARP in the name of",
		 iface->name, iface->arp_announce);
	judge_report(j,
		     (struct finding){
			     .level = CHECK_FAIL,
			     .subject = CHECK_ABOUT_ARP_ANNOUNCE,
			     .what = and_more(j, before, first, count),
			     .why = "neighbours learn from it that the address is here, and send "
				    "clients' packets past the balancer",
			     .fix = {judge_text(j, "sysctl -w net.ipv4.conf.all.arp_announce=2")},
		     });
}

void check_arp(struct judge *j, const struct fact_iface *iface)
{
	check_arp_ignore(j, iface);
	check_arp_announce(j, iface);
}
