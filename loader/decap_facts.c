/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_facts.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "loader/decap_netlink.h"

/* 0 where the file is not there or no number: as the kernel has it where nobody set it. */
static int read_sysctl(const char *conf, const char *name)
{
	char path[128], text[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", conf, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	return (int)strtol(text, NULL, 10);
}

static int effective_sysctl(const char *ifname, const char *name)
{
	int all = read_sysctl("all", name), own = read_sysctl(ifname, name);

	return all > own ? all : own;
}

static enum fact read_lro(const char *ifname)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq req = {.ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return FACT_UNKNOWN;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	err = ioctl(fd, SIOCETHTOOL, &req);
	close(fd);
	if (err)
		return FACT_UNKNOWN;
	return value.data & ETH_FLAG_LRO ? FACT_YES : FACT_NO;
}

/* The file has pairs of lines, "TcpExt: NAME NAME ..." and "TcpExt: NUMBER NUMBER ...". */
static uint64_t read_rp_drops(void)
{
	FILE *file = fopen("/proc/net/netstat", "re");
	char *names = NULL, *numbers = NULL;
	size_t names_size = 0, numbers_size = 0;
	uint64_t drops = 0;

	if (!file)
		return 0;
	while (getline(&names, &names_size, file) > 0 &&
	       getline(&numbers, &numbers_size, file) > 0) {
		char *name_at, *number_at;
		char *name = strtok_r(names, " \n", &name_at);
		char *number = strtok_r(numbers, " \n", &number_at);

		for (; name && number; name = strtok_r(NULL, " \n", &name_at),
				       number = strtok_r(NULL, " \n", &number_at))
			if (!strcmp(name, "IPReversePathFilter"))
				drops = strtoull(number, NULL, 10);
	}
	free(names);
	free(numbers);
	fclose(file);
	return drops;
}

/* iptables of the old kind names the tables that it has loaded. */
static bool has_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	bool has = file && fgetc(file) != EOF;

	if (file)
		fclose(file);
	return has;
}

static enum fact read_firewall(void)
{
	unsigned chains;

	if (netlink_input_chains(&chains))
		return FACT_UNKNOWN;
	return chains || has_lines("/proc/net/ip_tables_names") ||
			       has_lines("/proc/net/ip6_tables_names")
		       ? FACT_YES
		       : FACT_NO;
}

static struct fact_iface *find_iface(const struct host_facts *f, const char *name)
{
	for (size_t i = 0; i < f->iface_count; i++)
		if (!strcmp(f->ifaces[i].name, name))
			return &f->ifaces[i];
	return NULL;
}

static int gather_ifaces(struct host_facts *f)
{
	int err = netlink_links(&f->ifaces, &f->iface_count);

	if (!err)
		err = netlink_addresses(&f->addresses, &f->address_count);
	if (err)
		return err;
	for (size_t i = 0; i < f->iface_count; i++) {
		struct fact_iface *iface = &f->ifaces[i];

		iface->arp_ignore = effective_sysctl(iface->name, "arp_ignore");
		iface->arp_announce = effective_sysctl(iface->name, "arp_announce");
		iface->rp_filter = effective_sysctl(iface->name, "rp_filter");
		iface->lro = read_lro(iface->name);
		for (size_t s = 0; s < f->state_count; s++)
			if (!strcmp(f->states[s].ifname, iface->name))
				iface->decap = &f->states[s];
	}
	return 0;
}

static bool has_service(const struct host_facts *f, const struct endpoint *ep)
{
	for (size_t i = 0; i < f->service_count; i++)
		if (!endpoint_cmp(&f->services[i].ep, ep))
			return true;
	return false;
}

/* Those that were asked for, else all that the attached programs have. */
static int gather_services(const struct facts_question *q, struct host_facts *f, struct diag *d)
{
	size_t most = q->service_count;

	for (size_t i = 0; i < f->state_count; i++)
		most += f->states[i].service_count;
	f->services = calloc(most ? most : 1, sizeof(*f->services));
	if (!f->services)
		return -ENOMEM;
	for (size_t i = 0; i < q->service_count; i++)
		if (!has_service(f, &q->services[i]))
			f->services[f->service_count++].ep = q->services[i];
	for (size_t i = 0; !q->service_count && i < f->state_count; i++) {
		for (size_t s = 0; s < f->states[i].service_count; s++) {
			struct endpoint ep = {.addr = f->states[i].services[s]};

			if (!has_service(f, &ep))
				f->services[f->service_count++].ep = ep;
		}
	}
	if (f->service_count)
		return 0;
	diag_error(d, NULL, "no program is attached that would name the services: give --service");
	return -EDESTADDRREQ;
}

static int gather_service(const struct facts_question *q, struct fact_service *s)
{
	const struct addr *addr = &s->ep.addr;
	const struct addr *client = addr->family == AF_INET ? &q->client4 : &q->client6;
	bool listening;
	int err = netlink_route(addr, NULL, &s->here);

	/* The kernel finds no route from an address that the host does not have. */
	if (!err)
		err = netlink_route(client, s->here.type == RTN_LOCAL ? addr : NULL, &s->reply);
	if (err || !s->ep.port)
		return err;
	if (!netlink_listening(&s->ep, &listening))
		s->listening = listening ? FACT_YES : FACT_NO;
	return 0;
}

static int check_iface(struct host_facts *f, const char *name, struct diag *d)
{
	struct fact_iface *iface = find_iface(f, name);

	if (!iface) {
		diag_error(d, NULL, "there is no interface %s", name);
		return -ENODEV;
	}
	iface->checked = true;
	return 0;
}

/* Which interfaces do packets come in by? Those named, those with a program, those to the clients. */
static int choose_ifaces(const struct facts_question *q, struct host_facts *f, struct diag *d)
{
	bool any = q->ifname_count;

	for (size_t i = 0; i < q->ifname_count; i++) {
		int err = check_iface(f, q->ifnames[i], d);

		if (err)
			return err;
	}
	if (any)
		return 0;
	for (size_t i = 0; i < f->iface_count; i++) {
		f->ifaces[i].checked = f->ifaces[i].decap;
		any |= f->ifaces[i].checked;
	}
	for (size_t i = 0; !any && i < f->service_count; i++)
		if (f->services[i].reply.ifname[0])
			any = !check_iface(f, f->services[i].reply.ifname, d);
	if (any)
		return 0;
	diag_error(d, NULL,
		   "no program is attached, and no route to clients says by which "
		   "interface packets come in: give --interface");
	return -EDESTADDRREQ;
}

/* An IPv4 address of the interface, which outer packets would be sent to. */
static const struct addr *own_address(const struct host_facts *f, const struct fact_iface *iface)
{
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].ifindex == iface->index &&
		    f->addresses[i].addr.family == AF_INET)
			return &f->addresses[i].addr;
	return NULL;
}

static int gather_inputs_of(const struct facts_question *q, struct host_facts *f, size_t at)
{
	const struct fact_iface *iface = &f->ifaces[at];
	const struct addr *own = own_address(f, iface);
	int err = 0;

	for (size_t i = 0; !err && i < f->service_count; i++)
		if (f->services[i].ep.addr.family == AF_INET)
			err = netlink_input(&q->client4, &f->services[i].ep.addr, iface->index,
					    &f->client_input[facts_at(at, i, f->service_count)]);
	for (size_t i = 0; !err && own && i < f->balancer_count; i++) {
		struct fact_balancer first = f->balancers[i];

		if (first.addr.family != AF_INET)
			continue;
		if (first.len < 31) /* the address of the net itself is nobody's */
			first.addr.bytes[3] |= 1;
		err = netlink_input(&first.addr, own, iface->index,
				    &f->balancer_input[facts_at(at, i, f->balancer_count)]);
	}
	return err;
}

static int gather_inputs(const struct facts_question *q, struct host_facts *f)
{
	int err = 0;

	f->client_input = calloc(f->iface_count * f->service_count, sizeof(int));
	f->balancer_input = calloc(f->iface_count * f->balancer_count + 1, sizeof(int));
	f->balancers = calloc(q->balancer_count + 1, sizeof(*f->balancers));
	if (!f->client_input || !f->balancer_input || !f->balancers)
		return -ENOMEM;
	for (size_t i = 0; i < q->balancer_count; i++)
		f->balancers[i] = q->balancers[i];
	for (size_t i = 0; !err && i < f->iface_count; i++)
		if (f->ifaces[i].checked)
			err = gather_inputs_of(q, f, i);
	return err;
}

/* What was said, else what came, else what is most likely: IP in IP, over IPv4 where there is. */
static void guess_tunnel(const struct facts_question *q, struct host_facts *f)
{
	bool seen = false;

	for (size_t i = 0; i < f->state_count; i++)
		seen |= f->states[i].counters[DECAP_COUNTER(DECAP_KIND_GUE, DECAP_DECAPSULATED)] >
			0;
	f->gue = q->gue == FACT_YES || (q->gue == FACT_UNKNOWN && seen);
	f->outer_family = AF_INET6;
	if (q->balancer_count) {
		f->outer_family = q->balancers[0].addr.family;
		return;
	}
	for (size_t i = 0; i < f->iface_count; i++)
		if (f->ifaces[i].checked && own_address(f, &f->ifaces[i]))
			f->outer_family = AF_INET;
}

static int gather(const struct facts_question *q, struct host_facts *f, struct diag *d)
{
	int err = decap_list(q->pin_path, &f->states, &f->state_count, d);

	if (!err)
		err = gather_ifaces(f);
	if (!err)
		err = gather_services(q, f, d);
	for (size_t i = 0; !err && i < f->service_count; i++)
		err = gather_service(q, &f->services[i]);
	if (!err)
		err = choose_ifaces(q, f, d);
	f->balancer_count = q->balancer_count;
	if (!err)
		err = gather_inputs(q, f);
	if (err)
		return err;
	guess_tunnel(q, f);
	f->firewall = read_firewall();
	f->rp_drops = read_rp_drops();
	f->pin_path = q->pin_path;
	return 0;
}

int decap_facts_gather(const struct facts_question *q, struct host_facts *ret_facts, struct diag *d)
{
	struct host_facts facts = {};
	int err = gather(q, &facts, d);

	if (err) {
		if (!d->errors)
			diag_error(d, NULL, "cannot ask the kernel: %s", strerror(-err));
		decap_facts_deinit(&facts);
		return err;
	}
	*ret_facts = facts;
	return 0;
}

void decap_facts_deinit(struct host_facts *f)
{
	free(f->ifaces);
	free(f->addresses);
	free(f->services);
	free(f->balancers);
	free(f->client_input);
	free(f->balancer_input);
	decap_states_free(f->states, f->state_count);
	*f = (struct host_facts){};
}
