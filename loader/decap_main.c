/* SPDX-License-Identifier: BSD-2-Clause */
/* shunt-decap: the command. Options, verbs and exit codes; the work is in decap_ctl. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/diag.h"
#include "core/log.h"
#include "loader/decap_ctl.h"
#include "loader/decap_pin.h"
#include "loader/decap_print.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static const char usage_text[] =
	"Usage: shunt-decap attach -i IFACE --service ADDRESS [--service ADDRESS]...\n"
	"                          [--gue-port PORT] [--mode native|generic] [--tc]\n"
	"       shunt-decap detach -i IFACE\n"
	"       shunt-decap status [-o table|json]\n"
	"On a backend host, take the tunnel header off the packets that a Shunt balancer sends, "
	"so\n"
	"that the host needs no tunnel device.\n"
	"\n"
	"attach puts a program on the interface and returns; the program stays until detach or a\n"
	"restart of the host. IPv4 or IPv6 in IPv4 or IPv6, by IP in IP or GUE, is unpacked where "
	"the\n"
	"inner destination is one of the addresses; all else passes untouched. Attach again to "
	"change\n"
	"addresses and port in place.\n"
	"\n"
	"  -i, --interface IFACE  where tunnel packets come in\n"
	"      --service ADDRESS  a service address of this host (it must also stand on lo)\n"
	"      --gue-port PORT    where GUE packets come in, default 6080; 0: leave them alone\n"
	"      --mode MODE        native (default): in the driver; generic: slow, for any driver\n"
	"      --tc               by TC instead of XDP: beside another XDP program, or for "
	"drivers\n"
	"                         without (a packet whose family changes counts as passed, too)\n"
	"      --pin-path DIR     default " DECAP_PIN_PATH_DEFAULT "\n"
	"  -o, --output FORMAT    of status: table (default) or json\n"
	"  -v, --verbose          show what the libraries do\n"
	"  -h, --help             print this and exit\n"
	"  -V, --version          print the version and exit\n"
	"\n"
	"Exit codes: 0 ok, 1 failed, 2 usage.\n"
	"See shunt-decap(8).\n";

struct options {
	const char *pin_path;
	const char *ifname;
	struct addr *services; /* owned */
	size_t service_count;
	uint16_t gue_port;
	bool tc, has_mode, generic, json;
};

static int usage_error(const char *text, const char *what)
{
	fprintf(stderr, "shunt-decap: %s%s\nTry 'shunt-decap --help'.\n", text, what);
	return EXIT_USAGE;
}

static int add_service(struct options *o, const char *text)
{
	struct addr *grown;
	struct addr addr;

	if (addr_parse(text, &addr))
		return usage_error("not an IP address: ", text);
	for (size_t i = 0; i < o->service_count; i++)
		if (!addr_cmp(&o->services[i], &addr))
			return EXIT_OK;
	if (o->service_count == DECAP_MAX_SERVICES)
		return usage_error("too many addresses at ", text);
	grown = reallocarray(o->services, o->service_count + 1, sizeof(*grown));
	if (!grown) {
		fprintf(stderr, "shunt-decap: out of memory\n");
		return EXIT_FAILED;
	}
	o->services = grown;
	o->services[o->service_count++] = addr;
	return EXIT_OK;
}

static int set_gue_port(struct options *o, const char *text)
{
	o->gue_port = 0;
	if (strcmp(text, "0") && port_parse(text, &o->gue_port))
		return usage_error("--gue-port: expected 0 to 65535, not ", text);
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
	enum { OPT_SERVICE = 256, OPT_MODE, OPT_TC, OPT_PIN_PATH, OPT_GUE_PORT };
	static const struct option longs[] = {
		{"interface", required_argument, NULL, 'i'},
		{"service", required_argument, NULL, OPT_SERVICE},
		{"mode", required_argument, NULL, OPT_MODE},
		{"tc", no_argument, NULL, OPT_TC},
		{"gue-port", required_argument, NULL, OPT_GUE_PORT},
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
		case 'i': o->ifname = optarg; break;
		case OPT_SERVICE: status = add_service(o, optarg); break;
		case OPT_MODE: status = set_mode(o, optarg); break;
		case OPT_TC: o->tc = true; break;
		case OPT_GUE_PORT: status = set_gue_port(o, optarg); break;
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

static int cmd_attach(const struct options *o, struct diag *d)
{
	struct decap_opts opts = {
		.pin_path = o->pin_path,
		.ifname = o->ifname,
		.how = o->tc	    ? DECAP_TC
		       : o->generic ? DECAP_XDP_GENERIC
				    : DECAP_XDP_NATIVE,
		.services = o->services,
		.service_count = o->service_count,
		.gue_port = o->gue_port,
	};
	bool updated;

	if (!o->ifname)
		return usage_error("attach needs --interface", "");
	if (!o->service_count)
		return usage_error("attach needs at least one --service", "");
	if (o->tc && o->has_mode)
		return usage_error("--mode is of XDP: leave it out with --tc", "");
	if (decap_attach(&opts, &updated, d))
		return EXIT_FAILED;
	printf("%s: %s (%s), %zu service address%s\n", o->ifname, updated ? "updated" : "attached",
	       decap_how_name(opts.how), o->service_count, o->service_count == 1 ? "" : "es");
	return EXIT_OK;
}

static int cmd_detach(const struct options *o, struct diag *d)
{
	bool found;

	if (!o->ifname)
		return usage_error("detach needs --interface", "");
	if (decap_detach(o->pin_path, o->ifname, &found, d))
		return EXIT_FAILED;
	printf("%s: %s\n", o->ifname, found ? "detached" : "was not attached");
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

static const struct verb {
	const char *name;
	int (*run)(const struct options *o, struct diag *d);
} verbs[] = {
	{"attach", cmd_attach},
	{"detach", cmd_detach},
	{"status", cmd_status},
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
	status = parse_options(argc, argv, &o);
	if (status == EXIT_OK) {
		if (optind + 1 == argc)
			status = run_verb(argv[optind], &o);
		else if (optind == argc)
			status = usage_error("expected a command", "");
		else
			status = usage_error("unexpected argument: ", argv[optind + 1]);
	}
	free(o.services);
	return status < 0 ? EXIT_OK : status;
}
