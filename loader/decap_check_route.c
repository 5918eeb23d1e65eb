/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "loader/decap_judge.h"

/* What clients can be expected to send at most: Ethernet's MTU. */
#define CLIENT_MTU 1500

/* Headers of IP and TCP without options, as MSS is reckoned. */
#define MSS_HEADERS4 40
#define MSS_HEADERS6 60

/* Every path carries this MSS (RFC 9293): a remedy that asks for less is none. */
#define MSS_LEAST 536

static bool has_route(const struct fact_service *s)
{
	return !s->reply.err && s->reply.type == RTN_UNICAST;
}

void check_reply_route(struct judge *j, const struct fact_service *s)
{
	const struct fact_route *reply = &s->reply;
	struct addr_text addr = show_addr(&s->ep.addr);

	if (!has_route(s))
		judge_report(
			j, (struct finding){
				   .level = CHECK_FAIL,
				   .subject = CHECK_ABOUT_REPLY_ROUTE,
				   .what = judge_text(j, "no route from %s to clients%s%s", addr.s,
						      reply->err ? ": " : "",
						      reply->err ? strerror(-reply->err) : ""),
				   .why = "this host answers clients itself",
				   .fix = {judge_text(j, "ip %sroute add default via ROUTER",
						      s->ep.addr.family == AF_INET6 ? "-6 " : "")},
			   });
	else
		judge_report_ok(
			j, CHECK_ABOUT_REPLY_ROUTE,
			judge_text(j, "answers from %s leave by %s", addr.s,
				   reply->ifname[0] ? reply->ifname : "several interfaces"));
}

/* Newer kernels say EINVAL for all that they refuse for its source. */
static bool is_refused(int err)
{
	return err == -EXDEV || err == -EINVAL;
}

static const char *filter_name(const struct fact_iface *iface)
{
	return iface->rp_filter == 1 ? "strict" : iface->rp_filter ? "loose" : "off";
}

/*
 * The filter in force is the greater of two, and 2 is loose: so one number opens what "all" has made
 * strict. Loose still wants some route back.
 */
static char *open_filter(struct judge *j, const struct fact_iface *iface, bool has_route)
{
	struct conf_text conf = show_conf(iface);

	if (has_route)
		return judge_text(j, "sysctl -w net.ipv4.conf.%s.rp_filter=2", conf.s);
	return judge_text(j, "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.%s.rp_filter=0",
			  conf.s);
}

static void report_refused(struct judge *j, const struct fact_iface *iface,
			   const struct fact_service *s)
{
	bool strict = iface->rp_filter == 1;

	if (!iface->rp_filter) {
		judge_report(
			j,
			(struct finding){
				.level = CHECK_FAIL,
				.subject = CHECK_ABOUT_RP_FILTER,
				.what = judge_text(j, "%s refuses packets from clients to %s",
						   iface->name, show_addr(&s->ep.addr).s),
				.why = "the filter is off: the client's address may be one of this "
				       "host's own",
				.fix = {judge_text(j, "shunt-decap check --client ADDRESS")},
			});
		return;
	}
	judge_report(j, (struct finding){
				.level = CHECK_FAIL,
				.subject = CHECK_ABOUT_RP_FILTER,
				.what = judge_text(
					j, "%s (rp_filter %d, %s) drops packets from clients to %s",
					iface->name, iface->rp_filter, filter_name(iface),
					show_addr(&s->ep.addr).s),
				.why = strict ? "the route back to clients does not leave by the "
						"interface that their packets come in by"
					      : "there is no route back to clients",
				.fix = {open_filter(j, iface, strict && has_route(s))},
			});
}

static void check_clients(struct judge *j, size_t at)
{
	const struct fact_iface *iface = &j->f->ifaces[at];
	bool any = false;

	for (size_t i = 0; i < j->f->service_count; i++) {
		const struct fact_service *s = &j->f->services[i];

		if (s->ep.addr.family != AF_INET || !service_is_local(s))
			continue;
		if (is_refused(j->f->client_input[facts_at(at, i, j->f->service_count)])) {
			report_refused(j, iface, s);
			return;
		}
		any = true;
	}
	if (!any)
		return;
	if (iface->rp_filter == 1)
		judge_report(
			j,
			(struct finding){
				.level = CHECK_WARN,
				.subject = CHECK_ABOUT_RP_FILTER,
				.what = judge_text(j,
						   "%s takes packets from clients, by a strict "
						   "rp_filter",
						   iface->name),
				.why = "as the routes are now; with another default route it drops "
				       "them all",
				.fix = {open_filter(j, iface, true)},
			});
	else
		judge_report_ok(j, CHECK_ABOUT_RP_FILTER,
				judge_text(j, "%s takes packets from clients (rp_filter %d, %s)",
					   iface->name, iface->rp_filter, filter_name(iface)));
}

/* The outer packets, as balancers send them. */
static void check_balancers(struct judge *j, size_t at)
{
	const struct fact_iface *iface = &j->f->ifaces[at];
	bool off_before = iface->decap && iface->decap->attached;

	for (size_t i = 0; i < j->f->balancer_count; i++) {
		const struct fact_balancer *b = &j->f->balancers[i];
		int err = j->f->balancer_input[facts_at(at, i, j->f->balancer_count)];
		struct addr_text addr = show_addr(&b->addr);

		if (b->addr.family != AF_INET || iface_is_tunnel(iface))
			continue;
		if (off_before || !is_refused(err)) {
			judge_report_ok(j, CHECK_ABOUT_RP_FILTER_TUNNEL,
					judge_text(j, "%s takes tunnel packets from %s/%u%s",
						   iface->name, addr.s, b->len,
						   off_before
							   ? ": they are unpacked before rp_filter"
							   : ""));
			continue;
		}
		judge_report(
			j,
			(struct finding){
				.level = CHECK_FAIL,
				.subject = CHECK_ABOUT_RP_FILTER_TUNNEL,
				.what = judge_text(
					j, "%s (rp_filter %d, %s) drops tunnel packets from %s/%u",
					iface->name, iface->rp_filter, filter_name(iface), addr.s,
					b->len),
				.why = "no route leads back to where balancers send from by this "
				       "interface",
				.fix = {judge_text(j,
						   "sysctl -w net.ipv4.conf.all.rp_filter=0 "
						   "net.ipv4.conf.%s.rp_filter=0",
						   show_conf(iface).s)},
			});
	}
}

void check_rp_filter(struct judge *j, size_t iface)
{
	check_clients(j, iface);
	check_balancers(j, iface);
}

void check_rp_drops(struct judge *j)
{
	if (j->f->rp_drops)
		judge_report(
			j,
			(struct finding){
				.level = CHECK_WARN,
				.subject = CHECK_ABOUT_RP_DROPS,
				.what = judge_text(j, "rp_filter has dropped %" PRIu64 " packets",
						   j->f->rp_drops),
				.why = "since the host started, on any interface; while the number "
				       "grows, clients may be among them",
				.fix = {judge_text(j, "nstat -az TcpExtIPReversePathFilter")},
			});
}

/* ---- size */

static unsigned tunnel_overhead(const struct host_facts *f)
{
	unsigned ip = f->outer_family == AF_INET ? 20 : 40;

	return ip + (f->gue ? 8 : 0);
}

static char *route_command(struct judge *j, const struct fact_service *s, unsigned mss)
{
	const struct fact_route *r = &s->reply;
	const char *six = s->ep.addr.family == AF_INET6 ? "-6 " : "";

	if (!r->entry[0] || mss < MSS_LEAST)
		return NULL;
	if (!r->mtu)
		return judge_text(j, "ip %sroute change %s advmss %u", six, r->entry, mss);
	return judge_text(j, "ip %sroute change %s mtu %s%u advmss %u", six, r->entry,
			  r->mtu_locked ? "lock " : "", r->mtu, mss);
}

/*
 * A client sends segments as long as the MSS that this host announces, which follows from the way
 * back, but not longer than its own link takes. With the tunnel header, they come in here.
 */
void check_mtu(struct judge *j, const struct fact_iface *in, const struct fact_service *s)
{
	const struct fact_iface *out = facts_iface_by_name(j->f, s->reply.ifname);
	unsigned headers = s->ep.addr.family == AF_INET ? MSS_HEADERS4 : MSS_HEADERS6;
	unsigned overhead = tunnel_overhead(j->f), packet;
	const char *tunnel = j->f->gue ? "GUE" : "IP in IP";
	const char *family = j->f->outer_family == AF_INET ? "IPv4" : "IPv6";

	if (iface_is_tunnel(in))
		in = out;
	if (!in || !out)
		return;
	packet = s->reply.advmss ? s->reply.advmss + headers
		 : s->reply.mtu	 ? s->reply.mtu
				 : out->mtu;
	packet = packet < CLIENT_MTU ? packet : CLIENT_MTU;
	if (packet + overhead <= in->mtu) {
		judge_report_ok(
			j, CHECK_ABOUT_MTU,
			judge_text(j,
				   "clients' packets of %u bytes (%s) and %u for %s over %s fit "
				   "%s (MTU %u)",
				   packet, s->ep.addr.family == AF_INET ? "IPv4" : "IPv6", overhead,
				   tunnel, family, in->name, in->mtu));
		return;
	}
	judge_report(
		j,
		(struct finding){
			.level = CHECK_FAIL,
			.subject = CHECK_ABOUT_MTU,
			.what = judge_text(
				j,
				"clients' packets of %u bytes (%s) and %u for %s over %s "
				"do not fit %s (MTU %u)",
				packet, s->ep.addr.family == AF_INET ? "IPv4" : "IPv6", overhead,
				tunnel, family, in->name, in->mtu),
			.why = "connections open and then hang, as no full packet comes through "
			       "the tunnel; mend the whole way from the balancer, or the segment "
			       "size that this host announces",
			.fix = {judge_text(j, "ip link set dev %s mtu %u", in->name,
					   CLIENT_MTU + overhead),
				route_command(j, s, in->mtu - overhead - headers)},
		});
}
