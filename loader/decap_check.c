/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/strbuf.h"
#include "loader/decap_judge.h"
#include "loader/decap_pin.h"

static bool names_address(const struct decap_state *state, const struct addr *addr)
{
	for (size_t i = 0; i < state->service_count; i++)
		if (!addr_cmp(&state->services[i], addr))
			return true;
	return false;
}

/* As it is attached there now, for all that is asked for; tc: by TC, which takes a detach. */
static char *attach_command(struct judge *j, const struct fact_iface *iface, bool tc)
{
	const char *pin_path = j->f->pin_path;
	bool own_path = strcmp(pin_path, DECAP_PIN_PATH_DEFAULT);
	const struct decap_state *state = iface->decap;
	struct strbuf b;
	char *command;

	strbuf_init(&b);
	if (tc)
		strbuf_printf(&b, "shunt-decap detach -i %s%s%s && ", iface->name,
			      own_path ? " --pin-path " : "", own_path ? pin_path : "");
	strbuf_printf(&b, "shunt-decap attach -i %s", iface->name);
	for (size_t i = 0; state && i < state->service_count; i++)
		strbuf_printf(&b, " --service %s", show_addr(&state->services[i]).s);
	for (size_t i = 0; i < j->f->service_count; i++)
		if (!state || !names_address(state, &j->f->services[i].ep.addr))
			strbuf_printf(&b, " --service %s", show_addr(&j->f->services[i].ep.addr).s);
	if (tc || (state && state->how == DECAP_TC))
		strbuf_add(&b, " --tc");
	else if (state && state->how == DECAP_XDP_GENERIC)
		strbuf_add(&b, " --mode generic");
	if (state && state->gue_port != DECAP_GUE_PORT_DEFAULT)
		strbuf_printf(&b, " --gue-port %u", state->gue_port);
	if (own_path)
		strbuf_printf(&b, " --pin-path %s", pin_path);
	command = b.failed ? NULL : strdup(b.text);
	j->out->out_of_memory |= !command;
	strbuf_deinit(&b);
	return command;
}

static void check_services(struct judge *j, const struct fact_iface *iface)
{
	for (size_t i = 0; i < j->f->service_count; i++) {
		const struct addr *addr = &j->f->services[i].ep.addr;

		if (names_address(iface->decap, addr))
			continue;
		judge_report(j, (struct finding){
					.level = CHECK_FAIL,
					.subject = CHECK_ABOUT_SERVICES,
					.what = judge_text(j, "%s is not among the services of %s",
							   show_addr(addr).s, iface->name),
					.why = "its packets stay packed, and nobody takes them",
					.fix = {attach_command(j, iface, false)},
				});
	}
}

static void check_program(struct judge *j, const struct fact_iface *iface)
{
	const struct decap_state *state = iface->decap;

	if (!state->attached)
		judge_report(j, (struct finding){
					.level = CHECK_FAIL,
					.subject = CHECK_ABOUT_ATTACHED,
					.what = judge_text(j, "the program was taken off %s",
							   iface->name),
					.why = "tunnel packets stay packed, and nobody takes them",
					.fix = {attach_command(j, iface, false)},
				});
	else if (state->how == DECAP_XDP_GENERIC)
		judge_report(j, (struct finding){
					.level = CHECK_WARN,
					.subject = CHECK_ABOUT_ATTACHED,
					.what = judge_text(
						j, "tunnel headers come off at %s in generic mode",
						iface->name),
					.why = "it copies packets; TC is as general and faster",
					.fix = {attach_command(j, iface, true)},
				});
	else
		judge_report_ok(j, CHECK_ABOUT_ATTACHED,
				judge_text(j, "tunnel headers come off at %s (%s)", iface->name,
					   decap_how_name(state->how)));
	if (state->attached)
		check_services(j, iface);
}

/* No program of ours there: a tunnel device of the kernel does as well. */
static void check_tunnel_device(struct judge *j, const struct fact_iface *iface)
{
	for (size_t i = 0; i < j->f->iface_count; i++) {
		const struct fact_iface *other = &j->f->ifaces[i];

		if (!other->up || !iface_is_tunnel(other))
			continue;
		judge_report_ok(j, CHECK_ABOUT_ATTACHED,
				judge_text(j, "tunnel headers come off at the tunnel device %s",
					   other->name));
		return;
	}
	judge_report(
		j, (struct finding){
			   .level = CHECK_FAIL,
			   .subject = CHECK_ABOUT_ATTACHED,
			   .what = judge_text(j, "nothing takes tunnel headers off at %s",
					      iface->name),
			   .why = "the host has neither the program there nor a tunnel device: it "
				  "drops what the balancer sends",
			   .fix = {attach_command(j, iface, false)},
		   });
}

static void check_iface(struct judge *j, const struct fact_iface *iface)
{
	if (!iface->up)
		judge_report(j,
			     (struct finding){
				     .level = CHECK_FAIL,
				     .subject = CHECK_ABOUT_LINK,
				     .what = judge_text(j, "%s is down", iface->name),
				     .why = "no packet comes in",
				     .fix = {judge_text(j, "ip link set dev %s up", iface->name)},
			     });
	if (iface->decap)
		check_program(j, iface);
	else
		check_tunnel_device(j, iface);
	if (iface->lro == FACT_YES)
		judge_report(
			j,
			(struct finding){
				.level = CHECK_WARN,
				.subject = CHECK_ABOUT_LRO,
				.what = judge_text(j, "LRO is on at %s", iface->name),
				.why = "the card may put tunnel packets together before they can "
				       "be unpacked",
				.fix = {judge_text(j, "ethtool -K %s lro off", iface->name)},
			});
}

static void check_firewall(struct judge *j)
{
	if (j->f->firewall == FACT_NO)
		judge_report_ok(j, CHECK_ABOUT_FIREWALL,
				judge_text(j, "no packet filter looks at what comes in"));
	else
		judge_report(
			j,
			(struct finding){
				.level = CHECK_NOTE,
				.subject = CHECK_ABOUT_FIREWALL,
				.what = judge_text(j, "not checked: %s",
						   j->f->firewall == FACT_YES
							   ? "the host has packet filter rules"
							   : "packet filter rules cannot be read"),
				.why = "they must let clients through to the services; and where a "
				       "tunnel device takes the header off, protocols 4 and 41 or "
				       "GUE's port from the balancers",
				.fix = {judge_text(
					j, "nft list ruleset; iptables-save; ip6tables-save")},
			});
}

/* Packets with this result, of all kinds. */
static uint64_t packets(const struct decap_state *state, enum decap_result result)
{
	uint64_t sum = 0;

	for (int kind = 0; kind < DECAP_KIND_COUNT; kind++)
		sum += state->counters[DECAP_COUNTER(kind, result)];
	return sum;
}

static void check_unpacked(struct judge *j, const struct fact_iface *iface)
{
	uint64_t count = packets(iface->decap, DECAP_DECAPSULATED);

	if (count) {
		judge_report_ok(
			j, CHECK_ABOUT_COUNTERS,
			judge_text(j, "%s has unpacked %" PRIu64 " packets", iface->name, count));
		return;
	}
	judge_report(j,
		     (struct finding){
			     .level = CHECK_NOTE,
			     .subject = CHECK_ABOUT_COUNTERS,
			     .what = judge_text(j, "%s has unpacked no packet yet", iface->name),
			     .why = "if the balancer sends here, its packets are lost before "
				    "this host",
			     .fix = {judge_text(j,
						"tcpdump -ni %s 'ip proto 4 or ip proto 41 or "
						"ip6 proto 4 or ip6 proto 41 or udp port %u'",
						iface->name,
						iface->decap->gue_port ? iface->decap->gue_port
								       : DECAP_GUE_PORT_DEFAULT)},
		     });
}

static void check_bad_packets(struct judge *j, const struct fact_iface *iface)
{
	static const struct {
		enum decap_result result;
		const char *what, *why;
	} bad[] = {
		{DECAP_PASS_FRAGMENT, "tunnel packets came as fragments",
		 "they are not unpacked: see the MTU of the way from the balancer"},
		{DECAP_DROP_TRUNCATED, "tunnel packets were shorter than they say",
		 "something on the way cuts or spoils them"},
		{DECAP_DROP_FLAGS, "GUE packets had flags",
		 "these change what a packet means, and are not understood: the sender must "
		 "leave them out"},
		{DECAP_DROP_MERGED, "GUE packets had been put together",
		 "only one of them could be unpacked"},
		{DECAP_DROP_KERNEL, "packets could not be changed", "the kernel refused to"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t count = packets(iface->decap, bad[i].result);
		char *fix = NULL;

		if (!count)
			continue;
		if (bad[i].result == DECAP_DROP_MERGED)
			fix = judge_text(j,
					 "ethtool -K %s rx-udp-gro-forwarding off rx-gro-list off",
					 iface->name);
		judge_report(j,
			     (struct finding){.level = CHECK_WARN,
					      .subject = CHECK_ABOUT_COUNTERS,
					      .what = judge_text(j, "%s: %" PRIu64 " %s",
								 iface->name, count, bad[i].what),
					      .why = bad[i].why,
					      .fix = {fix}});
	}
}

static void check_counters(struct judge *j, const struct fact_iface *iface)
{
	check_unpacked(j, iface);
	check_bad_packets(j, iface);
}

static void check_all(struct judge *j)
{
	const struct host_facts *f = j->f;

	for (size_t i = 0; i < f->iface_count; i++)
		if (f->ifaces[i].checked)
			check_iface(j, &f->ifaces[i]);
	for (size_t i = 0; i < f->service_count; i++) {
		check_service_address(j, &f->services[i]);
		check_reply_route(j, &f->services[i]);
	}
	for (size_t i = 0; i < f->iface_count; i++)
		if (f->ifaces[i].up && f->ifaces[i].arp)
			check_arp(j, &f->ifaces[i]);
	for (size_t i = 0; i < f->iface_count; i++) {
		if (!f->ifaces[i].checked)
			continue;
		check_rp_filter(j, i);
		for (size_t s = 0; s < f->service_count; s++)
			check_mtu(j, &f->ifaces[i], &f->services[s]);
	}
	check_rp_drops(j);
	check_firewall(j);
	for (size_t i = 0; i < f->iface_count; i++)
		if (f->ifaces[i].checked && f->ifaces[i].decap)
			check_counters(j, &f->ifaces[i]);
}

int decap_check(const struct host_facts *f, struct findings *ret_findings)
{
	struct findings findings = {};
	struct judge j = {.f = f, .out = &findings};

	check_all(&j);
	if (findings.out_of_memory) {
		findings_deinit(&findings);
		return -ENOMEM;
	}
	*ret_findings = findings;
	return 0;
}
