/* SPDX-License-Identifier: BSD-2-Clause */
/* What `shunt-decap check` says of a host: a sound one, and the same with one thing wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "loader/decap_check.c"
#include "loader/decap_check_addr.c"
#include "loader/decap_check_route.c"
#include "loader/decap_judge.c"

enum { LO, ETH0, IFACES };
enum { SVC4, SVC6, SERVICES };

/* loader/decap_ctl.c loads programs, and is not linked. */
const char *decap_how_name(enum decap_how how)
{
	return how == DECAP_TC ? "tc" : "xdp";
}

/* A backend with an address of each family on lo, and all as it should be. */
struct host {
	struct host_facts f;
	struct fact_iface ifaces[IFACES];
	struct fact_address addresses[3]; /* of eth0, then the services */
	struct fact_service services[SERVICES];
	struct fact_balancer balancer;
	struct decap_state state;
	struct addr state_services[SERVICES];
	int client_input[IFACES * SERVICES], balancer_input[IFACES];
};

static struct addr addr(const char *text)
{
	struct addr made;

	assert_int_equal(addr_parse(text, &made), 0);
	return made;
}

static void set_routes(struct host *h)
{
	for (int i = 0; i < SERVICES; i++) {
		struct fact_service *s = &h->services[i];

		s->ep.addr = h->state_services[i];
		s->here = (struct fact_route){.type = RTN_LOCAL, .ifname = "lo"};
		s->reply = (struct fact_route){.type = RTN_UNICAST, .ifname = "eth0"};
		snprintf(s->reply.entry, sizeof(s->reply.entry), "default via ROUTER dev eth0");
	}
}

static void set_up(struct host *h)
{
	*h = (struct host){
		.ifaces = {[LO] = {.name = "lo", .index = 1, .mtu = 65536, .up = true},
			   [ETH0] = {.name = "eth0",
				     .index = 2,
				     .mtu = 1600,
				     .up = true,
				     .arp = true,
				     .arp_ignore = 1,
				     .arp_announce = 2,
				     .lro = FACT_NO,
				     .checked = true}},
		.addresses = {{.addr = addr("10.9.0.2"), .len = 24, .ifindex = 2},
			      {.addr = addr("203.0.113.10"), .len = 32, .ifindex = 1},
			      {.addr = addr("2001:db8::10"), .len = 128, .ifindex = 1}},
		.balancer = {.addr = addr("172.16.0.0"), .len = 12},
		.state = {.ifname = "eth0",
			  .attached = true,
			  .service_count = SERVICES,
			  .gue_port = DECAP_GUE_PORT_DEFAULT},
		.state_services = {addr("203.0.113.10"), addr("2001:db8::10")},
	};
	set_routes(h);
	h->state.services = h->state_services;
	h->state.counters[DECAP_COUNTER(DECAP_KIND_IPIP, DECAP_DECAPSULATED)] = 7;
	h->ifaces[ETH0].decap = &h->state;
	h->f = (struct host_facts){
		.ifaces = h->ifaces,
		.iface_count = IFACES,
		.addresses = h->addresses,
		.address_count = 3,
		.services = h->services,
		.service_count = SERVICES,
		.balancers = &h->balancer,
		.balancer_count = 1,
		.client_input = h->client_input,
		.balancer_input = h->balancer_input,
		.outer_family = AF_INET,
		.firewall = FACT_NO,
		.pin_path = DECAP_PIN_PATH_DEFAULT,
	};
}

static int *client_input(struct host *h)
{
	return &h->client_input[facts_at(ETH0, SVC4, SERVICES)];
}

/* Exactly one finding is worse than ok, and it is this one. fix: the first; NULL: none. */
static void expect_only(const struct host *h, enum check_level level, enum check_subject subject,
			const char *what, const char *fix)
{
	const struct finding *bad = NULL;
	struct findings found;

	assert_int_equal(decap_check(&h->f, &found), 0);
	for (size_t i = 0; i < found.count; i++) {
		assert_non_null(found.list[i].what);
		if (found.list[i].level == CHECK_OK)
			continue;
		assert_null(bad);
		bad = &found.list[i];
	}
	assert_non_null(bad);
	assert_string_equal(check_level_name(bad->level), check_level_name(level));
	assert_string_equal(check_subject_name(bad->subject), check_subject_name(subject));
	assert_string_equal(bad->what, what);
	assert_non_null(bad->why);
	if (fix)
		assert_string_equal(bad->fix[0], fix);
	else
		assert_null(bad->fix[0]);
	assert_int_equal(findings_worst(&found), level);
	findings_deinit(&found);
}

static void expect_sound(const struct host *h)
{
	struct findings found;

	assert_int_equal(decap_check(&h->f, &found), 0);
	for (size_t i = 0; i < found.count; i++)
		if (found.list[i].level != CHECK_OK)
			fail_msg("%s", found.list[i].what);
	assert_true(found.count > 0);
	assert_int_equal(findings_worst(&found), CHECK_OK);
	findings_deinit(&found);
}

/* The second remedy of the only finding about this. */
static void expect_second_fix(const struct host *h, enum check_subject subject, const char *fix)
{
	struct findings found;
	size_t seen = 0;

	assert_int_equal(decap_check(&h->f, &found), 0);
	for (size_t i = 0; i < found.count; i++) {
		if (found.list[i].subject != subject || found.list[i].level == CHECK_OK)
			continue;
		seen++;
		if (fix)
			assert_string_equal(found.list[i].fix[1], fix);
		else
			assert_null(found.list[i].fix[1]);
	}
	assert_int_equal(seen, 1);
	findings_deinit(&found);
}

static void test_sound(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	expect_sound(&h);
	h.f.service_count = 0;
	h.f.balancer_count = 0;
	expect_sound(&h);
}

static void test_program(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.ifaces[ETH0].decap = NULL;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ATTACHED,
		    "nothing takes tunnel headers off at eth0",
		    "shunt-decap attach -i eth0 --service 203.0.113.10 --service 2001:db8::10");
	snprintf(h.ifaces[LO].kind, sizeof(h.ifaces[LO].kind), "ipip");
	expect_sound(&h); /* a tunnel device does it */
	set_up(&h);
	h.state.attached = false;
	h.f.pin_path = "/sys/fs/bpf/x";
	h.state.how = DECAP_TC;
	h.state.gue_port = 0;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ATTACHED, "the program was taken off eth0",
		    "shunt-decap attach -i eth0 --service 203.0.113.10 --service 2001:db8::10 --tc "
		    "--gue-port 0 --pin-path /sys/fs/bpf/x");
	set_up(&h);
	h.state.how = DECAP_XDP_GENERIC;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_ATTACHED,
		    "tunnel headers come off at eth0 in generic mode",
		    "shunt-decap detach -i eth0 && shunt-decap attach -i eth0 --service "
		    "203.0.113.10 --service 2001:db8::10 --tc");
	set_up(&h);
	h.state.service_count = 1;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_SERVICES,
		    "2001:db8::10 is not among the services of eth0",
		    "shunt-decap attach -i eth0 --service 203.0.113.10 --service 2001:db8::10");
}

static void test_link(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.ifaces[ETH0].up = false;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_LINK, "eth0 is down", "ip link set dev eth0 up");
	set_up(&h);
	h.ifaces[ETH0].lro = FACT_YES;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_LRO, "LRO is on at eth0",
		    "ethtool -K eth0 lro off");
}

static void test_address(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.f.address_count = 2;
	h.services[SVC6].here = (struct fact_route){.type = RTN_UNICAST, .ifname = "eth0"};
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS,
		    "2001:db8::10 is not an address of this host",
		    "ip addr replace 2001:db8::10/128 dev lo");
	h.services[SVC6].here = (struct fact_route){.err = -ENETUNREACH};
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS,
		    "2001:db8::10 is not an address of this host",
		    "ip addr replace 2001:db8::10/128 dev lo");
	h.services[SVC6].here = (struct fact_route){.type = RTN_LOCAL};
	expect_sound(&h); /* a local route is enough */
	set_up(&h);
	h.services[SVC4].here = (struct fact_route){.type = RTN_UNICAST};
	h.ifaces[LO].up = false;
	h.f.service_count = 1;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS, "203.0.113.10 stands on lo, which is down",
		    "ip link set dev lo up");
}

static void test_place(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.addresses[1].ifindex = 2;
	h.addresses[1].len = 24;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS_PLACE, "203.0.113.10 stands on eth0",
		    "ip addr del 203.0.113.10/24 dev eth0 && ip addr replace 203.0.113.10/32 dev "
		    "lo");
	h.ifaces[ETH0].arp_ignore = 8;
	expect_sound(&h);
	set_up(&h);
	h.addresses[1].ifindex = 2;
	h.ifaces[ETH0].arp = false; /* a dummy device, say */
	expect_sound(&h);
	set_up(&h);
	h.addresses[2].ifindex = 2;
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS_PLACE, "2001:db8::10 stands on eth0",
		    "ip addr del 2001:db8::10/128 dev eth0 && ip addr replace 2001:db8::10/128 dev "
		    "lo");
	set_up(&h);
	h.addresses[2].tentative = true;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_ADDRESS_STATE, "2001:db8::10 on lo is tentative",
		    "ip addr del 2001:db8::10/128 dev lo && ip addr add 2001:db8::10/128 dev lo");
	h.addresses[2].dad_failed = true;
	h.services[SVC6].here = (struct fact_route){.err = -ENETUNREACH};
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ADDRESS_STATE, "2001:db8::10 on lo is a duplicate",
		    "ip addr del 2001:db8::10/128 dev lo && ip addr add 2001:db8::10/128 dev lo");
}

static void test_listener(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.services[SVC4].ep.port = 80;
	h.services[SVC4].listening = FACT_YES;
	expect_sound(&h);
	h.services[SVC4].listening = FACT_UNKNOWN;
	expect_only(&h, CHECK_NOTE, CHECK_ABOUT_LISTENER,
		    "not checked: is there a server at 203.0.113.10:80?", NULL);
	h.services[SVC4].listening = FACT_NO;
	expect_only(
		&h, CHECK_FAIL, CHECK_ABOUT_LISTENER,
		"nothing listens at 203.0.113.10:80, by TCP or UDP",
		"start the server, at this address or at all of the host; ss -ltun 'sport = :80' "
		"shows what listens");
}

static void test_arp_ignore(void **state)
{
	static const int answers[] = {0, 3, 4, 7, 9};
	struct host h;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char what[96];

		set_up(&h);
		h.ifaces[ETH0].arp_ignore = answers[i];
		snprintf(what, sizeof(what), "eth0 (arp_ignore %d) answers ARP for 203.0.113.10",
			 answers[i]);
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ARP_IGNORE, what,
			    "sysctl -w net.ipv4.conf.all.arp_ignore=1 "
			    "net.ipv4.conf.eth0.arp_ignore=1");
	}
	h.ifaces[ETH0].arp_ignore = 3;
	h.addresses[1].scope_host = true;
	expect_sound(&h);
	h.ifaces[ETH0].arp_ignore = 2;
	expect_sound(&h);
	/* Nobody asks there: replies leave elsewhere, and the address is not of its net ... */
	set_up(&h);
	h.f.service_count = 1;
	h.ifaces[ETH0].arp_ignore = 0;
	h.ifaces[ETH0].checked = false;
	h.services[SVC4].reply.ifname[0] = 0;
	h.addresses[2].ifindex = 2; /* an IPv6 address is no net of an IPv4 one */
	expect_sound(&h);
	/* ... but here it is. */
	h.addresses[0].addr = addr("203.0.113.77");
	snprintf(h.ifaces[ETH0].name, sizeof(h.ifaces[ETH0].name), "eth0.5");
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ARP_IGNORE,
		    "eth0.5 (arp_ignore 0) answers ARP for 203.0.113.10",
		    "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0/5.arp_ignore=1");
}

static void test_arp_announce(void **state)
{
	struct host h;

	(void)state;
	for (int value = 0; value < 2; value++) {
		char what[96];

		set_up(&h);
		h.ifaces[ETH0].arp_announce = value;
		snprintf(what, sizeof(what),
			 "eth0 (arp_announce %d) may send ARP in the name of 203.0.113.10", value);
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ARP_ANNOUNCE, what,
			    "sysctl -w net.ipv4.conf.all.arp_announce=2");
	}
	/* Several services: one finding. */
	h.services[SVC6].ep.addr = addr("203.0.113.11");
	h.state_services[SVC6] = addr("203.0.113.11");
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_ARP_ANNOUNCE,
		    "eth0 (arp_announce 1) may send ARP in the name of 203.0.113.10 and 1 more",
		    "sysctl -w net.ipv4.conf.all.arp_announce=2");
}

static void test_reply_route(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.services[SVC6].reply = (struct fact_route){.err = -ENETUNREACH};
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_REPLY_ROUTE,
		    "no route from 2001:db8::10 to clients: Network is unreachable",
		    "ip -6 route add default via ROUTER");
	h.services[SVC6].reply = (struct fact_route){.type = RTN_BLACKHOLE};
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_REPLY_ROUTE,
		    "no route from 2001:db8::10 to clients", "ip -6 route add default via ROUTER");
}

static void test_rp_filter(void **state)
{
	static const int errors[] = {-EXDEV, -EINVAL}; /* older and newer kernels */
	struct host h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		set_up(&h);
		*client_input(&h) = errors[i];
		h.ifaces[ETH0].rp_filter = 1;
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_RP_FILTER,
			    "eth0 (rp_filter 1, strict) drops packets from clients to 203.0.113.10",
			    "sysctl -w net.ipv4.conf.eth0.rp_filter=2");
		h.ifaces[ETH0].rp_filter = 2;
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_RP_FILTER,
			    "eth0 (rp_filter 2, loose) drops packets from clients to 203.0.113.10",
			    "sysctl -w net.ipv4.conf.all.rp_filter=0 "
			    "net.ipv4.conf.eth0.rp_filter=0");
		h.ifaces[ETH0].rp_filter = 0;
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_RP_FILTER,
			    "eth0 refuses packets from clients to 203.0.113.10",
			    "shunt-decap check --client ADDRESS");
	}
	*client_input(&h) = 0;
	h.ifaces[ETH0].rp_filter = 1;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_RP_FILTER,
		    "eth0 takes packets from clients, by a strict rp_filter",
		    "sysctl -w net.ipv4.conf.eth0.rp_filter=2");
	h.ifaces[ETH0].rp_filter = 2;
	expect_sound(&h);
	h.f.rp_drops = 12;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_RP_DROPS, "rp_filter has dropped 12 packets",
		    "nstat -az TcpExtIPReversePathFilter");
}

static void test_rp_filter_tunnel(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.balancer_input[ETH0] = -EXDEV;
	expect_sound(&h); /* unpacked before the filter looks */
	h.ifaces[ETH0].decap = NULL;
	h.ifaces[ETH0].rp_filter = 2;
	snprintf(h.ifaces[LO].kind, sizeof(h.ifaces[LO].kind), "ipip");
	expect_only(&h, CHECK_FAIL, CHECK_ABOUT_RP_FILTER_TUNNEL,
		    "eth0 (rp_filter 2, loose) drops tunnel packets from 172.16.0.0/12",
		    "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0");
	h.balancer_input[ETH0] = 0;
	expect_sound(&h);
}

/* Whole packets, or a smaller segment size, and for which tunnel. */
static void test_mtu(void **state)
{
	static const struct {
		bool gue;
		uint8_t family;
		unsigned overhead;
		const char *name;
	} tunnels[] = {
		{false, AF_INET, 20, "20 for IP in IP over IPv4"},
		{true, AF_INET, 28, "28 for GUE over IPv4"},
		{false, AF_INET6, 40, "40 for IP in IP over IPv6"},
		{true, AF_INET6, 48, "48 for GUE over IPv6"},
	};
	struct host h;

	(void)state;
	for (int i = 0; i < 4 * SERVICES; i++) {
		int service = i & 1;
		unsigned overhead = tunnels[i / 2].overhead, headers = service ? 60 : 40;
		struct fact_service *s = &h.services[0];
		char what[128], fix[96], second[96];

		set_up(&h);
		h.f.service_count = 1;
		*s = h.services[service];
		h.f.gue = tunnels[i / 2].gue;
		h.f.outer_family = tunnels[i / 2].family;
		h.ifaces[ETH0].mtu = 1500 + overhead;
		expect_sound(&h);
		h.ifaces[ETH0].mtu--;
		snprintf(what, sizeof(what),
			 "clients' packets of 1500 bytes (%s) and %s do not fit eth0 (MTU %u)",
			 service ? "IPv6" : "IPv4", tunnels[i / 2].name, 1499 + overhead);
		snprintf(fix, sizeof(fix), "ip link set dev eth0 mtu %u", 1500 + overhead);
		expect_only(&h, CHECK_FAIL, CHECK_ABOUT_MTU, what, fix);
		h.ifaces[ETH0].mtu = 1500;
		snprintf(second, sizeof(second),
			 "ip %sroute change default via ROUTER dev eth0 advmss %u",
			 service ? "-6 " : "", 1500 - overhead - headers);
		expect_second_fix(&h, CHECK_ABOUT_MTU, second);
		s->reply.advmss = 1500 - overhead - headers + 1;
		expect_second_fix(&h, CHECK_ABOUT_MTU, second);
		s->reply.advmss--;
		expect_sound(&h);
		s->reply.advmss = 0;
		s->reply.mtu = 1500 - overhead; /* the kernel makes the MSS of it */
		expect_sound(&h);
	}
}

static void test_mtu_of_routes(void **state)
{
	struct host h;

	(void)state;
	set_up(&h);
	h.f.service_count = 1;
	h.ifaces[ETH0].mtu = 1500;
	h.services[SVC4].reply.mtu = 1490;
	h.services[SVC4].reply.mtu_locked = true;
	expect_second_fix(&h, CHECK_ABOUT_MTU,
			  "ip route change default via ROUTER dev eth0 mtu lock 1490 advmss 1440");
	h.services[SVC4].reply.entry[0] = 0; /* several next hops, say */
	expect_second_fix(&h, CHECK_ABOUT_MTU, NULL);
	/* Clients' own links take no more than Ethernet's 1500 bytes. */
	set_up(&h);
	h.ifaces[ETH0].mtu = 9000;
	expect_sound(&h);
	/* A tunnel device: what counts is the interface below. */
	set_up(&h);
	snprintf(h.ifaces[LO].kind, sizeof(h.ifaces[LO].kind), "ipip");
	h.ifaces[LO].mtu = 1480;
	h.ifaces[LO].checked = true;
	expect_sound(&h);
}

static void test_rest(void **state)
{
	static const enum fact unclear[] = {FACT_UNKNOWN, FACT_YES};
	struct host h;

	(void)state;
	for (int i = 0; i < 2; i++) {
		set_up(&h);
		h.f.firewall = unclear[i];
		expect_only(&h, CHECK_NOTE, CHECK_ABOUT_FIREWALL,
			    i ? "not checked: the host has packet filter rules"
			      : "not checked: packet filter rules cannot be read",
			    "nft list ruleset; iptables-save; ip6tables-save");
	}
	set_up(&h);
	h.state.counters[DECAP_COUNTER(DECAP_KIND_IPIP, DECAP_DECAPSULATED)] = 0;
	expect_only(&h, CHECK_NOTE, CHECK_ABOUT_COUNTERS, "eth0 has unpacked no packet yet",
		    "tcpdump -ni eth0 'ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41 or "
		    "udp port 6080'");
	set_up(&h);
	h.state.counters[DECAP_COUNTER(DECAP_KIND_GUE, DECAP_DROP_MERGED)] = 5;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_COUNTERS,
		    "eth0: 5 GUE packets had been put together",
		    "ethtool -K eth0 rx-udp-gro-forwarding off rx-gro-list off");
	set_up(&h);
	h.state.counters[DECAP_COUNTER(DECAP_KIND_IPIP, DECAP_PASS_FRAGMENT)] = 1;
	h.state.counters[DECAP_COUNTER(DECAP_KIND_GUE, DECAP_PASS_FRAGMENT)] = 2;
	expect_only(&h, CHECK_WARN, CHECK_ABOUT_COUNTERS,
		    "eth0: 3 tunnel packets came as fragments", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_arp_ignore),
		cmocka_unit_test(test_arp_announce),
		cmocka_unit_test(test_reply_route),
		cmocka_unit_test(test_rp_filter),
		cmocka_unit_test(test_rp_filter_tunnel),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_mtu_of_routes),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
