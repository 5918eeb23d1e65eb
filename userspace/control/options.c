/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of shuntd: see options.h and shuntd(8). */
#include "control/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf/abi.h"
#include "conf/json_schema.h"
#include "conf/reference.h"
#include "core/log.h"
#include "core/strbuf.h"

#define EXIT_USAGE 2

static const char help[] =
	"Usage: shuntd -c FILE [OPTION]...\n"
	"Steers L4 services in the kernel and proxies HTTP services, as FILE says.\n"
	"\n"
	"  -c, --config FILE      configuration to read, or a directory of files *.yaml; - is\n"
	"                         standard input\n"
	"  -s, --socket PATH      control socket; default: admin.socket of the configuration\n"
	"      --state DIR        where generations are kept, to go back to and to start from "
	"when\n"
	"                         FILE is bad; default: $STATE_DIRECTORY, else in memory\n"
	"      --strict           warnings of FILE are errors\n"
	"      --check            read and check FILE, print what is wrong with it, and exit\n"
	"      --schema           print a JSON schema of FILE, for editors, and exit\n"
	"  -l, --log-level LEVEL  error, warning, info (default) or debug\n"
	"  -h, --help             print this and exit\n"
	"  -V, --version          print the version and exit\n"
	"\n"
	"Signals: HUP reads FILE again; TERM and INT let connections end for at most\n"
	"node.drain_timeout, a second one ends at once; USR1 logs a summary; USR2 has the\n"
	"binary, as it is now, take this process's place.\n"
	"Steering in the kernel goes on when shuntd ends; `shunt-load detach` ends it.\n"
	"Exit codes: 0 stopped as asked, or FILE is good; 1 failed; 2 usage.\n"
	"See shuntd(8) and shunt.yaml(5).\n";

static int usage_error(const char *what, const char *value)
{
	if (what)
		fprintf(stderr, "shuntd: %s%s%s\n", what, value ? ": " : "", value ? value : "");
	fputs("Try 'shuntd --help'.\n", stderr);
	return EXIT_USAGE;
}

static int set_log_level(const char *text)
{
	enum log_level level;

	if (log_level_parse(text, &level))
		return usage_error("--log-level: expected error, warning, info or debug", text);
	log_set_level(level);
	return -1;
}

/* What `make man` puts into shunt.yaml(5), or what an editor wants to know. */
static int print_table(void (*write)(struct strbuf *b))
{
	struct strbuf b;
	int code;

	strbuf_init(&b);
	write(&b);
	code = b.failed || fputs(b.text, stdout) < 0;
	strbuf_deinit(&b);
	return code;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"check", no_argument, NULL, 'C'},
		{"state", required_argument, NULL, 'S'},
		{"strict", no_argument, NULL, 'T'},
		{"log-level", required_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{"schema", no_argument, NULL, 'J'},
		{"keywords", no_argument, NULL, 'K'}, /* for `make man`, in no help */
		{NULL, 0, NULL, 0},
	};
	struct options o = {.state_dir = getenv("STATE_DIRECTORY")}; /* systemd.exec(5) */
	int c, code = -1;

	while (code < 0 && (c = getopt_long(argc, argv, "c:s:l:Vh", longs, NULL)) != -1) {
		switch (c) {
		case 'c': o.config_path = optarg; break;
		case 's': o.socket_path = optarg; break;
		case 'C': o.check = true; break;
		case 'S': o.state_dir = optarg; break;
		case 'T': o.strict = true; break;
		case 'l': code = set_log_level(optarg); break;
		case 'V':
			fprintf(stdout, "shuntd " SHUNT_VERSION " (kernel interface %d)\n",
				SHUNT_ABI_VERSION);
			return 0;
		case 'h': fputs(help, stdout); return 0;
		case 'J': return print_table(json_schema_write);
		case 'K': return print_table(reference_write);
		default: return usage_error(NULL, NULL); /* getopt has said why */
		}
	}
	if (code >= 0)
		return code;
	if (optind < argc)
		return usage_error("unexpected argument", argv[optind]);
	if (!o.config_path)
		return usage_error("a configuration is needed: -c FILE", NULL);
	*ret_options = o;
	return -1;
}
