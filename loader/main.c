/* SPDX-License-Identifier: BSD-2-Clause */
/* shunt-load: the kernel side by hand, without the daemon. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "loader/loader.h"
#include "loader/probe.h"
#include "loader/report.h"
#include "loader/sockets.h"

#define MAX_INTERFACES 64

enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

struct options {
	const char *interfaces[MAX_INTERFACES];
	size_t interface_count;
	const char *pin_path;
	enum attach_mode mode;
	struct loader_sizes sizes;
	bool all, purge, json, help;
};

struct command {
	const char *name;
	const char *summary;
	const char *accepts; /* letters of the options it takes, see below */
	const char *help;
	enum exit_code (*run)(const struct options *o);
};

/* Letters of options: i -i, p --pin-path, m --mode, s sizes, a --all, u --purge, o -o. */
enum {
	OPT_PIN_PATH = 'p',
	OPT_MODE = 'm',
	OPT_ALL = 'a',
	OPT_PURGE = 'u',
	OPT_SERVICES = 256,
	OPT_BACKENDS,
	OPT_RING_SLOTS,
	OPT_FLOWS,
	OPT_PENDING,
	OPT_NAT
};

static const struct option long_options[] = {
	{"interface", required_argument, NULL, 'i'},
	{"pin-path", required_argument, NULL, OPT_PIN_PATH},
	{"mode", required_argument, NULL, OPT_MODE},
	{"services", required_argument, NULL, OPT_SERVICES},
	{"backends", required_argument, NULL, OPT_BACKENDS},
	{"ring-slots", required_argument, NULL, OPT_RING_SLOTS},
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"pending", required_argument, NULL, OPT_PENDING},
	{"nat", required_argument, NULL, OPT_NAT},
	{"all", no_argument, NULL, OPT_ALL},
	{"purge", no_argument, NULL, OPT_PURGE},
	{"output", required_argument, NULL, 'o'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static enum exit_code finish(int err, struct diag *d)
{
	for (size_t i = 0; i < d->count; i++)
		fprintf(stderr, "shunt-load: %s%s\n",
			d->items[i].level == DIAG_WARNING ? "warning: " : "", d->items[i].text);
	diag_deinit(d);
	return err < 0 ? EXIT_FAILED : EXIT_OK;
}

static enum exit_code run_attach(const struct options *o)
{
	struct loader_opts opts = {.pin_path = o->pin_path, .sizes = o->sizes};
	struct loader *l = NULL;
	struct diag d;
	int err;

	if (o->interface_count == 0) {
		fputs("shunt-load: attach needs -i IFACE\nTry 'shunt-load attach --help'.\n",
		      stderr);
		return EXIT_USAGE;
	}
	diag_init(&d);
	err = loader_open(&opts, &l, &d);
	for (size_t i = 0; i < o->interface_count && l != NULL; i++) {
		int one = loader_attach(l, o->interfaces[i], o->mode, &d);

		if (one < 0)
			err = one;
	}
	loader_close(l);
	return finish(err, &d);
}

static int detach_all(struct loader *l, struct diag *d)
{
	struct attachment *list;
	size_t count;
	int err = loader_attachments(l, &list, &count);

	if (err < 0) {
		diag_error(d, NULL, "cannot list the interfaces: %s", strerror(-err));
		return err;
	}
	for (size_t i = 0; i < count; i++) {
		int one = loader_detach(l, list[i].ifname, d);

		if (one < 0)
			err = one;
	}
	free(list);
	return err;
}

static int detach_chosen(const struct options *o, struct loader *l, struct diag *d)
{
	int err = o->all ? detach_all(l, d) : 0;

	for (size_t i = 0; i < o->interface_count; i++) {
		int one = loader_detach(l, o->interfaces[i], d);

		if (one < 0)
			err = one;
	}
	return err;
}

/* The program for listening sockets, which may be pinned alone. 0: done; -ENOENT: it is not there. */
static int detach_sockets(const struct options *o, struct diag *d)
{
	bool found = false;
	int err = o->all || o->purge ? sockets_remove(o->pin_path, o->purge, &found, d) : 0;

	return err == 0 && !found ? -ENOENT : err;
}

/* Where nothing is pinned there is nothing to take away: that is no failure. */
static enum exit_code run_detach(const struct options *o)
{
	struct loader *l = NULL;
	struct diag d;
	int err, sockets;

	if (o->interface_count == 0 && !o->all && !o->purge) {
		fputs("shunt-load: detach needs -i IFACE, --all or --purge\n"
		      "Try 'shunt-load detach --help'.\n",
		      stderr);
		return EXIT_USAGE;
	}
	diag_init(&d);
	sockets = detach_sockets(o, &d);
	if (sockets < 0 && sockets != -ENOENT)
		return finish(sockets, &d);
	err = loader_open_any(o->pin_path, &l, &d);
	if (err == -ENOENT) {
		if (sockets == -ENOENT)
			printf("nothing is pinned at %s\n", o->pin_path);
		diag_deinit(&d);
		return EXIT_OK;
	}
	if (err == 0)
		err = detach_chosen(o, l, &d);
	loader_close(l);
	if (err == 0 && o->purge)
		err = loader_purge(o->pin_path, &d);
	return finish(err, &d);
}

static enum exit_code run_status(const struct options *o)
{
	struct sockets_info info;
	struct loader *l = NULL;
	struct diag d;
	int err, sockets;

	diag_init(&d);
	sockets = sockets_info(o->pin_path, &info);
	err = loader_open_existing(o->pin_path, &l, &d);
	if (err == -ENOENT && sockets == 0) {
		diag_deinit(&d);
		diag_init(&d);
		err = report_sockets(&info, o->json);
	} else if (err == 0) {
		err = report_status(l, sockets == 0 ? &info : NULL, o->json);
		if (err < 0)
			diag_error(&d, NULL, "cannot read the tables: %s", strerror(-err));
	}
	loader_close(l);
	return finish(err, &d);
}

static enum exit_code run_probe(const struct options *o)
{
	struct probe_item *items;
	size_t count;
	bool ok = true;
	int err = probe_run(o->interfaces, o->interface_count, &items, &count);

	if (err < 0) {
		fprintf(stderr, "shunt-load: %s\n", strerror(-err));
		return EXIT_FAILED;
	}
	err = report_probe(items, count, o->json);
	for (size_t i = 0; i < count; i++)
		ok = ok && (items[i].ok || !items[i].required);
	free(items);
	return err == 0 && ok ? EXIT_OK : EXIT_FAILED;
}

static const struct command commands[] = {
	{"attach", "load what is not loaded, and attach to interfaces", "ipms",
	 "Usage: shunt-load attach -i IFACE [-i IFACE]... [OPTION]...\n\n"
	 "Load and pin the steering program and its tables, or take up those that are pinned, and\n"
	 "attach to the interfaces. shuntd does this itself; by hand it serves to look and to "
	 "test.\n\n"
	 "  -i, --interface IFACE  interface to attach to\n"
	 "      --mode MODE        native (default) or generic\n"
	 "      --pin-path DIR     default " LOADER_PIN_PATH_DEFAULT "\n"
	 "      --services N       tables that are made now: listen addresses, default 1024\n"
	 "      --backends N       default 16384\n"
	 "      --ring-slots N     of all rings together, default 8388608\n"
	 "      --flows N          of each family, default 2097152\n"
	 "      --pending N        of each family, default 65536\n"
	 "      --nat N            of each family, default 262144\n",
	 run_attach},
	{"detach", "take the program off interfaces, remove what is pinned", "ipau",
	 "Usage: shunt-load detach [-i IFACE]... [--all] [--purge] [--pin-path DIR]\n\n"
	 "Take our program, and only ours, off interfaces. With --purge also remove tables and\n"
	 "program from the file system: flows, rings and counters are forgotten. With --all or\n"
	 "--purge the program that gives connections to listening sockets goes as well.\n\n"
	 "  -i, --interface IFACE  interface to leave\n"
	 "      --all              leave all interfaces\n"
	 "      --purge            remove all that is pinned; with --all, so that nothing stays\n"
	 "      --pin-path DIR     default " LOADER_PIN_PATH_DEFAULT "\n",
	 run_detach},
	{"status", "show what is loaded, where it is attached, how full it is", "po",
	 "Usage: shunt-load status [-o table|json] [--pin-path DIR]\n\n"
	 "Show what is pinned: program, interfaces with mode and kind (in a dispatcher beside "
	 "other\n"
	 "programs, or single), tables with size and entries.\n\n"
	 "  -o, --output FORMAT    table (default) or json\n"
	 "      --pin-path DIR     default " LOADER_PIN_PATH_DEFAULT "\n",
	 run_status},
	{"probe", "show what this kernel, this user and interfaces can do", "io",
	 "Usage: shunt-load probe [-i IFACE]... [-o table|json]\n\n"
	 "Find out, by trying, what is there and what is missing. On an interface without a "
	 "program\n"
	 "native mode is tried for a moment, which makes some drivers restart their queues.\n\n"
	 "  -i, --interface IFACE  interface to look at as well\n"
	 "  -o, --output FORMAT    table (default) or json\n",
	 run_probe},
};

static void print_usage(FILE *out)
{
	fputs("Usage: shunt-load COMMAND [OPTION]...\n"
	      "The kernel side of Shunt by hand, with or without a running shuntd.\n\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "  -v, --verbose          show what the libraries do\n"
	      "  -h, --help             of everything, or of the command in front of it\n"
	      "  -V, --version          print the version and exit\n"
	      "\n"
	      "Exit codes: 0 ok, 1 failed, 2 usage.\n"
	      "See shunt-load(8).\n",
	      out);
}

static bool parse_size(const char *name, const char *text, uint32_t *ret_size)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value < 2 ||
	    value > 1U << 28) {
		fprintf(stderr, "shunt-load: %s: expected a number from 2 to %u, not '%s'\n", name,
			1U << 28, text);
		return false;
	}
	*ret_size = (uint32_t)value;
	return true;
}

static bool parse_mode(const char *text, enum attach_mode *ret_mode)
{
	if (strcmp(text, "native") == 0) {
		*ret_mode = ATTACH_NATIVE;
	} else if (strcmp(text, "generic") == 0) {
		*ret_mode = ATTACH_GENERIC;
	} else {
		fprintf(stderr, "shunt-load: --mode: expected native or generic, not '%s'\n", text);
		return false;
	}
	return true;
}

static bool add_interface(struct options *o, const char *name)
{
	if (o->interface_count == MAX_INTERFACES) {
		fprintf(stderr, "shunt-load: more than %d interfaces\n", MAX_INTERFACES);
		return false;
	}
	o->interfaces[o->interface_count++] = name;
	return true;
}

static enum exit_code print_version(void)
{
	puts("shunt-load " SHUNT_VERSION);
	return EXIT_OK;
}

static bool take_option(const struct command *c, int opt, struct options *o)
{
	char letter = opt >= OPT_SERVICES ? 's' : (char)opt;

	if (opt == 'h' || opt == 'v') {
		o->help = o->help || opt == 'h';
		if (opt == 'v')
			log_set_level(LOG_LEVEL_DEBUG);
		return true;
	}
	if (opt == '?') {
		fprintf(stderr, "Try 'shunt-load %s --help'.\n", c->name);
		return false;
	}
	if (strchr(c->accepts, letter) == NULL) {
		fprintf(stderr,
			"shunt-load: %s does not take this option\nTry 'shunt-load %s --help'.\n",
			c->name, c->name);
		return false;
	}
	switch (opt) {
	case 'i': return add_interface(o, optarg);
	case OPT_PIN_PATH: o->pin_path = optarg; return true;
	case OPT_MODE: return parse_mode(optarg, &o->mode);
	case OPT_SERVICES: return parse_size("--services", optarg, &o->sizes.services);
	case OPT_BACKENDS: return parse_size("--backends", optarg, &o->sizes.backends);
	case OPT_RING_SLOTS: return parse_size("--ring-slots", optarg, &o->sizes.ring_slots);
	case OPT_FLOWS: return parse_size("--flows", optarg, &o->sizes.flows);
	case OPT_PENDING: return parse_size("--pending", optarg, &o->sizes.pending);
	case OPT_NAT: return parse_size("--nat", optarg, &o->sizes.nat);
	case OPT_ALL: return (o->all = true);
	case OPT_PURGE: return (o->purge = true);
	case 'o':
		o->json = strcmp(optarg, "json") == 0;
		if (strcmp(optarg, "table") == 0)
			return true;
		if (!o->json)
			fprintf(stderr, "shunt-load: -o: expected table or json, not '%s'\n",
				optarg);
		return o->json;
	default: return false;
	}
}

static bool sizes_fit(const struct options *o)
{
	if (o->sizes.services <= SHUNT_MAX_SERVICES && o->sizes.backends <= SHUNT_MAX_BACKENDS)
		return true;
	fprintf(stderr, "shunt-load: at most %d services and %d backends\n", SHUNT_MAX_SERVICES,
		SHUNT_MAX_BACKENDS);
	return false;
}

static enum exit_code run_command(const struct command *c, int argc, char **argv)
{
	struct options o = {
		.pin_path = LOADER_PIN_PATH_DEFAULT,
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "i:o:vhV", long_options, NULL)) != -1) {
		if (opt == 'V')
			return print_version();
		if (!take_option(c, opt, &o))
			return EXIT_USAGE;
	}
	if (o.help) {
		fputs(c->help, stdout);
		return EXIT_OK;
	}
	if (optind < argc) {
		fprintf(stderr,
			"shunt-load: unexpected argument: %s\nTry 'shunt-load %s --help'.\n",
			argv[optind], c->name);
		return EXIT_USAGE;
	}
	return sizes_fit(&o) ? c->run(&o) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	log_init();
	loader_init_logging();
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
			  strcmp(argv[1], "help") == 0)) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
		return (int)print_version();
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return (int)run_command(&commands[i], argc - 1, argv + 1);
	}
	if (argc >= 2)
		fprintf(stderr, "shunt-load: unknown command: %s\n", argv[1]);
	else
		fputs("shunt-load: expected a command\n", stderr);
	fputs("Try 'shunt-load --help'.\n", stderr);
	return EXIT_USAGE;
}
