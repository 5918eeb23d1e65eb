/* SPDX-License-Identifier: BSD-2-Clause */
/* shunt-decap: the command. Options, verbs and exit codes; the work is in decap_ctl. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/diag.h"
#include "core/log.h"
#include "loader/decap_check.h"
#include "loader/decap_ctl.h"
#include "loader/decap_facts.h"
#include "loader/decap_pin.h"
#include "loader/decap_print.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static const char usage_text[] =
	"Usage: shunt-decap attach -i IFACE --service ADDRESS [--service ADDRESS]...\n"
	"                          [--gue-port PORT] [--mode native|generic] [--tc]\n"
	"       shunt-decap detach -i IFACE\n"
	"       shunt-decap status [-o table|json]\n"
	"       shunt-decap check [-i IFACE]... [--service ADDRESS[:PORT]]... [-o table|json]\n"
	"                         [--balancer ADDRESS[/LEN]]... [--client ADDRESS]...\n"
	"                         [--tunnel ipip|gue]\n"
	"On a backend host, take the tunnel header off the packets that a Shunt balancer sends, "
	"so\n"
	"that the host needs no tunnel device; and find out what else the host lacks.\n"
	"\n"
	"attach puts a program on the interface and returns; the program stays until detach or a\n"
	"restart of the host. IPv4 or IPv6 in IPv4 or IPv6, by IP in IP or GUE, is unpacked where "
	"the\n"
	"inner destination is one of the addresses; all else passes untouched. Attach again to "
	"change\n"
	"addresses and port in place.\n"
	"\n"
	"check says of everything that direct server return depends on whether it is right, why "
	"it\n"
	"matters and by which command it is mended. It changes nothing.\n"
	"\n"
	"  -i, --interface IFACE  where tunnel packets come in (of check: default where attached, "
	"else\n"
	"                         where answers leave)\n"
	"      --service ADDRESS  a service address of this host (it must also stand on lo); of "
	"check\n"
	"                         also with a port, and by default those that are attached\n"
	"      --gue-port PORT    where GUE packets come in, default 6080; 0: leave them alone\n"
	"      --mode MODE        native (default): in the driver; generic: slow, for any driver\n"
	"      --tc               by TC instead of XDP: beside another XDP program, or for "
	"drivers\n"
	"                         without (a packet whose family changes counts as passed, too)\n"
	"      --balancer PREFIX  of check: where tunnel packets come from\n"
	"      --client ADDRESS   of check: an address that clients have, default one of the "
	"Internet\n"
	"      --tunnel KIND      of check: ipip or gue, default what came\n"
	"      --pin-path DIR     default " DECAP_PIN_PATH_DEFAULT "\n"
	"  -o, --output FORMAT    of status and check: table (default) or json\n"
	"  -v, --verbose          show what the libraries do\n"
	"  -h, --help             print this and exit\n"
	"  -V, --version          print the version and exit\n"
	"\n"
	"Exit codes: 0 ok, 1 failed (of check: connections break, or it could not be found out), "
	"2 usage.\n"
	"See shunt-decap(8).\n";

/* Nobody's addresses (RFC 5737, RFC 3849): the way to them is the way to the Internet. */
#define SOME_CLIENT4 "198.51.100.1"
#define SOME_CLIENT6 "2001:db8:ffff::1"

struct options {
	const char *pin_path;
	const char **ifnames; /* owned, the names are not */
	size_t ifname_count;
	struct endpoint *services; /* owned */
	size_t service_count;
	struct fact_balancer *balancers; /* owned */
	size_t balancer_count;
	struct addr client4, client6;
	uint16_t gue_port;
	enum fact gue;
	bool tc, has_mode, generic, json;
};

static int usage_error(const char *text, const char *what)
{
	fprintf(stderr, "shunt-decap: %s%s\nTry 'shunt-decap --help'.\n", text, what);
	return EXIT_USAGE;
}

static int out_of_memory(void)
{
	fprintf(stderr, "shunt-decap: out of memory\n");
	return EXIT_FAILED;
}

static int add_iface(struct options *o, const char *name)
{
	const char **grown = reallocarray(o->ifnames, o->ifname_count + 1, sizeof(*grown));

	if (!grown)
		return out_of_memory();
	o->ifnames = grown;
	o->ifnames[o->ifname_count++] = name;
	return EXIT_OK;
}

static int add_service(struct options *o, const char *text)
{
	struct endpoint *grown, ep;

	if (endpoint_parse(text, &ep))
		return usage_error("not an IP address: ", text);
	for (size_t i = 0; i < o->service_count; i++)
		if (!endpoint_cmp(&o->services[i], &ep))
			return EXIT_OK;
	if (o->service_count == DECAP_MAX_SERVICES)
		return usage_error("too many addresses at ", text);
	grown = reallocarray(o->services, o->service_count + 1, sizeof(*grown));
	if (!grown)
		return out_of_memory();
	o->services = grown;
	o->services[o->service_count++] = ep;
	return EXIT_OK;
}

static int add_balancer(struct options *o, const char *text)
{
	struct fact_balancer *grown, balancer;

	if (addr_parse_prefix(text, true, &balancer.addr, &balancer.len))
		return usage_error("--balancer: not an IP address or prefix: ", text);
	grown = reallocarray(o->balancers, o->balancer_count + 1, sizeof(*grown));
	if (!grown)
		return out_of_memory();
	o->balancers = grown;
	o->balancers[o->balancer_count++] = balancer;
	return EXIT_OK;
}

static int set_client(struct options *o, const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr))
		return usage_error("--client: not an IP address: ", text);
	*(addr.family == AF_INET ? &o->client4 : &o->client6) = addr;
	return EXIT_OK;
}

static int set_gue_port(struct options *o, const char *text)
{
	o->gue_port = 0;
	if (strcmp(text, "0") && port_parse(text, &o->gue_port))
		return usage_error("--gue-port: expected 0 to 65535, not ", text);
	return EXIT_OK;
}

static int set_tunnel(struct options *o, const char *text)
{
	o->gue = strcmp(text, "gue") ? FACT_NO : FACT_YES;
	if (o->gue == FACT_NO && strcmp(text, "ipip"))
		return usage_error("--tunnel: expected ipip or gue, not ", text);
	return EXIT_OK;
}

static int set_mode(struct options *o, const char *text)
{
	o->has_mode = true;
	o->generic = !strcmp(text, "generic");
	if (!o->generic && strcmp(text, "native"))
		return usage_error("--mode: expected native or generic, not ", text);
	return EXIT_OK;
}

static int set_output(struct options *o, const char *text)
{
	o->json = !strcmp(text, "json");
	if (!o->json && strcmp(text, "table"))
		return usage_error("-o: expected table or json, not ", text);
	return EXIT_OK;
}

/* EXIT_OK, or the exit status; -1: done (help, version). */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum {
		OPT_SERVICE = 256,
		OPT_MODE,
		OPT_TC,
		OPT_PIN_PATH,
		OPT_GUE_PORT,
		OPT_BALANCER,
		OPT_CLIENT,
		OPT_TUNNEL
	};
	static const struct option longs[] = {
		{"interface", required_argument, NULL, 'i'},
		{"service", required_argument, NULL, OPT_SERVICE},
		{"mode", required_argument, NULL, OPT_MODE},
		{"tc", no_argument, NULL, OPT_TC},
		{"gue-port", required_argument, NULL, OPT_GUE_PORT},
		{"balancer", required_argument, NULL, OPT_BALANCER},
		{"client", required_argument, NULL, OPT_CLIENT},
		{"tunnel", required_argument, NULL, OPT_TUNNEL},
		{"pin-path", required_argument, NULL, OPT_PIN_PATH},
		{"output", required_argument, NULL, 'o'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{},
	};
	int c, status = EXIT_OK;

	while (status == EXIT_OK && (c = getopt_long(argc, argv, "i:o:vhV", longs, NULL)) != -1) {
		switch (c) {
		case 'i': status = add_iface(o, optarg); break;
		case OPT_SERVICE: status = add_service(o, optarg); break;
		case OPT_MODE: status = set_mode(o, optarg); break;
		case OPT_TC: o->tc = true; break;
		case OPT_GUE_PORT: status = set_gue_port(o, optarg); break;
		case OPT_BALANCER: status = add_balancer(o, optarg); break;
		case OPT_CLIENT: status = set_client(o, optarg); break;
		case OPT_TUNNEL: status = set_tunnel(o, optarg); break;
		case OPT_PIN_PATH: o->pin_path = optarg; break;
		case 'o': status = set_output(o, optarg); break;
		case 'v': log_set_level(LOG_LEVEL_DEBUG); break;
		case 'h': fputs(usage_text, stdout); return -1;
		case 'V': puts("shunt-decap " SHUNT_VERSION); return -1;
		default: fputs("Try 'shunt-decap --help'.\n", stderr); return EXIT_USAGE;
		}
	}
	return status;
}

/* EXIT_OK, or the exit status. verb: with what it needs. */
static int need_iface(const struct options *o, const char *verb)
{
	if (!o->ifname_count)
		return usage_error(verb, " needs --interface");
	if (o->ifname_count > 1)
		return usage_error(verb, " takes one --interface at a time");
	return EXIT_OK;
}

/* ret_addrs: malloc'ed. EXIT_OK, or the exit status. */
static int service_addrs(const struct options *o, struct addr **ret_addrs)
{
	struct addr *addrs;

	for (size_t i = 0; i < o->service_count; i++)
		if (o->services[i].port)
			return usage_error("a port with --service is for check alone", "");
	addrs = calloc(o->service_count, sizeof(*addrs));
	if (!addrs)
		return out_of_memory();
	for (size_t i = 0; i < o->service_count; i++)
		addrs[i] = o->services[i].addr;
	*ret_addrs = addrs;
	return EXIT_OK;
}

static int cmd_attach(const struct options *o, struct diag *d)
{
	struct decap_opts opts = {
		.pin_path = o->pin_path,
		.how = o->tc	    ? DECAP_TC
		       : o->generic ? DECAP_XDP_GENERIC
				    : DECAP_XDP_NATIVE,
		.service_count = o->service_count,
		.gue_port = o->gue_port,
	};
	struct addr *addrs = NULL;
	int status = need_iface(o, "attach");
	bool updated;

	if (status != EXIT_OK)
		return status;
	if (!o->service_count)
		return usage_error("attach needs at least one --service", "");
	if (o->tc && o->has_mode)
		return usage_error("--mode is of XDP: leave it out with --tc", "");
	status = service_addrs(o, &addrs);
	if (status != EXIT_OK)
		return status;
	opts.ifname = o->ifnames[0];
	opts.services = addrs;
	status = decap_attach(&opts, &updated, d) ? EXIT_FAILED : EXIT_OK;
	free(addrs);
	if (status == EXIT_OK)
		printf("%s: %s (%s), %zu service address%s\n", opts.ifname,
		       updated ? "updated" : "attached", decap_how_name(opts.how), o->service_count,
		       o->service_count == 1 ? "" : "es");
	return status;
}

static int cmd_detach(const struct options *o, struct diag *d)
{
	int status = need_iface(o, "detach");
	bool found;

	if (status != EXIT_OK)
		return status;
	if (decap_detach(o->pin_path, o->ifnames[0], &found, d))
		return EXIT_FAILED;
	printf("%s: %s\n", o->ifnames[0], found ? "detached" : "was not attached");
	return EXIT_OK;
}

static int cmd_status(const struct options *o, struct diag *d)
{
	struct decap_state *states;
	size_t count;
	int err = decap_list(o->pin_path, &states, &count, d);

	if (err)
		return EXIT_FAILED;
	if (o->json)
		err = decap_print_json(states, count, stdout);
	else
		decap_print_text(states, count, stdout);
	decap_states_free(states, count);
	return err ? EXIT_FAILED : EXIT_OK;
}

/* -EDESTADDRREQ: neither options nor what is attached say what is to be checked. */
static int cmd_check(const struct options *o, struct diag *d)
{
	const struct facts_question question = {
		.pin_path = o->pin_path,
		.ifnames = o->ifnames,
		.ifname_count = o->ifname_count,
		.services = o->services,
		.service_count = o->service_count,
		.balancers = o->balancers,
		.balancer_count = o->balancer_count,
		.client4 = o->client4,
		.client6 = o->client6,
		.gue = o->gue,
	};
	struct host_facts facts;
	struct findings findings;
	enum check_level worst;
	int err = decap_facts_gather(&question, &facts, d);

	if (err)
		return err == -EDESTADDRREQ ? EXIT_USAGE : EXIT_FAILED;
	err = decap_check(&facts, &findings);
	decap_facts_deinit(&facts);
	if (err)
		return out_of_memory();
	if (o->json)
		err = decap_print_findings_json(&findings, stdout);
	else
		decap_print_findings(&findings, stdout);
	worst = findings_worst(&findings);
	findings_deinit(&findings);
	return err || worst == CHECK_FAIL ? EXIT_FAILED : EXIT_OK;
}

static const struct verb {
	const char *name;
	int (*run)(const struct options *o, struct diag *d);
} verbs[] = {
	{"attach", cmd_attach},
	{"detach", cmd_detach},
	{"status", cmd_status},
	{"check", cmd_check},
};

static int run_verb(const char *name, const struct options *o)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		struct diag d;
		int status;

		if (strcmp(name, verbs[i].name))
			continue;
		diag_init(&d);
		status = verbs[i].run(o, &d);
		for (size_t n = 0; n < d.count; n++)
			fprintf(stderr, "shunt-decap: %s\n", d.items[n].text);
		diag_deinit(&d);
		return status;
	}
	return usage_error("unknown command: ", name);
}

int main(int argc, char **argv)
{
	struct options o = {.pin_path = DECAP_PIN_PATH_DEFAULT, .gue_port = DECAP_GUE_PORT_DEFAULT};
	int status;

	log_init();
	decap_init_logging();
	(void)addr_parse(SOME_CLIENT4, &o.client4); /* well-formed, as they stand above */
	(void)addr_parse(SOME_CLIENT6, &o.client6);
	status = parse_options(argc, argv, &o);
	if (status == EXIT_OK) {
		if (optind + 1 == argc)
			status = run_verb(argv[optind], &o);
		else if (optind == argc)
			status = usage_error("expected a command", "");
		else
			status = usage_error("unexpected argument: ", argv[optind + 1]);
	}
	free(o.ifnames);
	free(o.services);
	free(o.balancers);
	return status < 0 ? EXIT_OK : status;
}
