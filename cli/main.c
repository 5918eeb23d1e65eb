/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl: the table of verbs, options, help. Each verb is one request or two to shuntd. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/verb.h"
#include "conf/value.h"
#include "core/text.h"

#define TAKES_CHANGE (TAKES_SAVE | TAKES_GENERATION)

#define TIMEOUT_DEFAULT_MS 60000U
#define QUIET_DEFAULT_MS   10000U /* a flow that has more to send seldom waits longer */

static const struct verb verbs[] = {
	{"status", NULL, "[--flows]", "the daemon: configuration, proxy, interfaces, tables", 0, 0,
	 TAKES_FLOWS, cmd_status},
	{"service", "list", "", "all services with their traffic", 0, 0, 0, cmd_service_list},
	{"service", "show", "SERVICE", "one service, its counters, drops and backends", 1, 1, 0,
	 cmd_service_show},
	{"route", "list", "SERVICE", "the routes of a service in order, and what each had to do", 1,
	 1, 0, cmd_route_list},
	{"route", "test", "SERVICE METHOD URL [-H 'NAME: VALUE']... [--source ADDRESS]",
	 "which route a request would go by, and why not by others", 3, 3,
	 TAKES_HEADER | TAKES_SOURCE, cmd_route_test},
	{"pool", "list", "", "all pools", 0, 0, 0, cmd_pool_list},
	{"pool", "show", "POOL", "one pool and its backends", 1, 1, 0, cmd_pool_show},
	{"backend", "list", "[POOL]", "backends of all pools, or of one", 0, 1, 0,
	 cmd_backend_list},
	{"backend", "add", "POOL NAME ADDRESS[:PORT] [--weight N] [--save]",
	 "add a backend to a pool", 3, 3, TAKES_CHANGE | TAKES_WEIGHT, cmd_backend_add},
	{"backend", "remove", "POOL NAME [--save]",
	 "remove a backend; flows and requests that it has go on to their end", 1, 2, TAKES_CHANGE,
	 cmd_backend_remove},
	{"backend", "drain", "POOL NAME [--wait] [--timeout TIME] [--quiet TIME] [--save]",
	 "nothing new for a backend; what it has goes on; (--wait) until that has ended", 1, 2,
	 TAKES_CHANGE | TAKES_WAIT | TAKES_TIMEOUT | TAKES_QUIET, cmd_backend_drain},
	{"backend", "undrain", "POOL NAME [--save]", "end a drain", 1, 2, TAKES_CHANGE,
	 cmd_backend_undrain},
	{"backend", "disable", "POOL NAME [--save]",
	 "take a backend out at once: no traffic, no checks", 1, 2, TAKES_CHANGE,
	 cmd_backend_disable},
	{"backend", "enable", "POOL NAME [--save]", "take a backend back in", 1, 2, TAKES_CHANGE,
	 cmd_backend_enable},
	{"backend", "weight", "POOL NAME N [--save]", "change a weight, 0 to 1000", 2, 3,
	 TAKES_CHANGE, cmd_backend_weight},
	{"config", "check", "[FILE] [--strict]",
	 "is FILE (or the daemon's own) a good configuration?", 0, 1, TAKES_STRICT,
	 cmd_config_check},
	{"config", "diff", "[FILE | GENERATION GENERATION]",
	 "what FILE (or the daemon's own) would change, or what differs", 0, 2, 0, cmd_config_diff},
	{"config", "apply", "FILE [--strict] [--save]", "put FILE in force, or change nothing", 1,
	 1, TAKES_CHANGE | TAKES_STRICT, cmd_config_apply},
	{"config", "show", "[GENERATION]", "the configuration in force, or a former one, as YAML",
	 0, 1, 0, cmd_config_show},
	{"config", "fmt", "FILE [--check]",
	 "write FILE in the usual form, or (--check) say whether it is in it", 1, 1, TAKES_CHECK,
	 cmd_config_fmt},
	{"config", "schema", "", "a JSON schema of configurations, for editors", 0, 0, 0,
	 cmd_config_schema},
	{"config", "history", "", "generations that were in force: who, when, what", 0, 0, 0,
	 cmd_config_history},
	{"config", "rollback", "GENERATION [--save]", "put a former generation in force again", 1,
	 1, TAKES_CHANGE, cmd_config_rollback},
	{"config", "save", "", "write the configuration in force to the daemon's file", 0, 0, 0,
	 cmd_config_save},
	{"limit", "list", "", "rate limits, and what they have let through and refused", 0, 0, 0,
	 cmd_limit_list},
	{"guard", "list", "", "block and allow lists, and what was blocked by itself", 0, 0, 0,
	 cmd_guard_list},
	{"guard", "add", "PREFIX [--allow] [--for TIME] [--note TEXT] [--save]",
	 "drop packets for services from PREFIX, or (--allow) hold it to no limit", 1, 1,
	 TAKES_ALLOW | TAKES_FOR | TAKES_NOTE | TAKES_SAVE, cmd_guard_add},
	{"guard", "remove", "PREFIX [--service SERVICE] [--save]",
	 "take an entry off the list, or lift a block of SERVICE's own", 1, 1,
	 TAKES_SERVICE | TAKES_SAVE, cmd_guard_remove},
	{"guard", "flush", "", "forget every entry that is not the configuration's", 0, 0, 0,
	 cmd_guard_flush},
	{"top", NULL, "[services | backends] [--once] [--sort COLUMN]",
	 "what they do now, each second anew; q ends it", 0, 1, TAKES_ONCE | TAKES_SORT, cmd_top},
	{"conn", "list",
	 "[steered | proxied] [--service SERVICE] [--backend POOL[/NAME]] [--source PREFIX] "
	 "[--limit N]",
	 "flows that the kernel has entries of, and connections that are proxied", 0, 1,
	 TAKES_SERVICE | TAKES_BACKEND | TAKES_SOURCE | TAKES_LIMIT, cmd_conn_list},
	{"conn", "count",
	 "[steered | proxied] [--service SERVICE] [--backend POOL[/NAME]] [--source PREFIX]",
	 "how many there are of each service, backend and state", 0, 1,
	 TAKES_SERVICE | TAKES_BACKEND | TAKES_SOURCE, cmd_conn_count},
	{"conn", "kill",
	 "[steered | proxied] [--service SERVICE] [--backend POOL[/NAME]] [--source PREFIX] "
	 "[--all]",
	 "forget entries: their next packet goes where the ring says; close proxied connections", 0,
	 1, TAKES_SERVICE | TAKES_BACKEND | TAKES_SOURCE | TAKES_ALL, cmd_conn_kill},
	{"explain", NULL,
	 "tcp|udp|icmp SOURCE DESTINATION [--syn] [--vlan N] [--iface NAME] | pcap FILE "
	 "[--iface NAME]",
	 "what the steering program would do with a packet, and why; nothing is sent", 2, 3,
	 TAKES_SYN | TAKES_VLAN | TAKES_IFACE, cmd_explain},
	{"capture", NULL,
	 "[-w FILE] [--service SERVICE] [--source PREFIX] [--drops | --all] [OPTION]...",
	 "packets as they come to the steering program and as it leaves them", 0, 0,
	 TAKES_CAPTURE | TAKES_SERVICE | TAKES_IFACE | TAKES_SOURCE | TAKES_ALL | TAKES_FOR,
	 cmd_capture},
	{"log", "level", "[error|warning|info|debug]",
	 "how much the daemon says, until it ends, or log.level changes", 0, 1, 0, cmd_log_level},
	{"log", "reopen", "", "open the files of access logs by their names again", 0, 0, 0,
	 cmd_log_reopen},
	{"upgrade", NULL, "[--binary PATH] [--timeout TIME]",
	 "have a new binary take the daemon's place; no connection is lost", 0, 0,
	 TAKES_BINARY | TAKES_TIMEOUT, cmd_upgrade},
	{"health", NULL, "[POOL]", "last check of each backend", 0, 1, 0, cmd_health},
	{"cert", "list", "", "certificates of services, and what is left of them", 0, 0, 0,
	 cmd_cert_list},
	{"doctor", NULL, "", "looks for what is usually wrong: host, interfaces, configuration", 0,
	 0, 0, cmd_doctor},
	{"wait", "ready", "[--timeout TIME]", "until the daemon is there and ready", 0, 0,
	 TAKES_TIMEOUT, cmd_wait_ready},
	{"wait", "health", "POOL[/NAME] [--timeout TIME]",
	 "until a backend, or each of a pool that is not taken out, is up", 1, 1, TAKES_TIMEOUT,
	 cmd_wait_health},
	{"wait", "generation", "GENERATION [--timeout TIME]",
	 "until that one, or a later one, is in force in all workers", 1, 1, TAKES_TIMEOUT,
	 cmd_wait_generation},
	{"completion", NULL, "bash|zsh|fish|words [-- WORD...]",
	 "a script for a shell, which completes verbs, options and names; words: what may stand "
	 "for the last WORD of a command line",
	 1, INT_MAX, 0, cmd_completion},
	{"version", NULL, "", "versions of shuntctl and shuntd", 0, 0, 0, cmd_version},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

const struct verb *verb_table(size_t *ret_count)
{
	*ret_count = VERB_COUNT;
	return verbs;
}

static const char notes[] =
	"\n"
	"Options:\n"
	"  -s, --socket PATH       control socket; default: $SHUNT_SOCKET, then\n"
	"                          " API_SOCKET_DEFAULT "\n"
	"  -o, --output FORMAT     table (default) or json\n"
	"      --save              afterwards write what is in force to the daemon's file;\n"
	"                          changes that are not saved are lost when it starts again\n"
	"      --if-generation N   change nothing where another generation is in force\n"
	"      --strict            warnings about FILE are errors\n"
	"      --check             config fmt: write nothing, exit with 1 where the form differs\n"
	"      --weight N          of a backend that is added: 0 to 1000, default 1\n"
	"      --for TIME          of an entry of the guard: 1s to 8760h; without it, the entry "
	"is\n"
	"                          a change of the configuration and has no end; capture: end it\n"
	"                          after so long, 1s to 24h, default 60s\n"
	"      --note TEXT         a few words that guard list shows, up to 47 bytes\n"
	"      --allow             the entry allows, instead of blocking\n"
	"      --service SERVICE   the block is this service's, not the node's; conn: those of\n"
	"                          this service; capture: packets of it\n"
	"      --backend POOL[/NAME]  conn: those of this backend, or of the pool's\n"
	"      --limit N           conn list: show at most N, 1 to 10000; default 100\n"
	"      --all               conn kill: all of them; capture: those that are passed, too\n"
	"      --wait              backend drain: return once nothing of it is under way\n"
	"      --timeout TIME      how long to wait, default 60s\n"
	"      --quiet TIME        so long without a packet, a steered backend is done; default "
	"10s\n"
	"  -H, --header TEXT       of the request that is asked about: NAME: VALUE; any number\n"
	"      --source ADDRESS    its client's address; conn: of clients, or a prefix; capture: "
	"of\n"
	"                          packets as they came\n"
	"  -b, --once              top: one table, of one second, and end; so too where it is no\n"
	"                          terminal\n"
	"      --sort COLUMN       top: packets, new_flows, requests, bytes (default), errors,\n"
	"                          active, latency_us, p50_us or p99_us\n"
	"      --syn               explain: the packet opens a connection; else it has ACK alone\n"
	"      --vlan N            explain: it has this VLAN tag\n"
	"      --iface NAME        explain: it comes in here; default: the first that is steered;\n"
	"                          capture: packets that come in here\n"
	"  -w, --write FILE        capture: into this file, or - for standard output; without it,\n"
	"                          a line each, or with -o json an object each, is printed\n"
	"      --format FORMAT     capture: pcapng (default), or pcap, which says of a packet no\n"
	"                          more than its time and its bytes\n"
	"      --destination PREFIX  capture: packets to there, as they came\n"
	"      --protocol PROTOCOL capture: tcp, udp or icmp\n"
	"      --port N            capture: source or destination port, as they came\n"
	"      --drops             capture: packets that are dropped; default: all but those that\n"
	"                          are passed to this host\n"
	"      --before            capture: only as they came\n"
	"      --after             capture: only as they left\n"
	"      --count N           capture: end it after so many, 1 to 1000000, default 1000\n"
	"      --bytes SIZE        capture: end it after so much of them, up to 4GiB, default "
	"64MiB\n"
	"      --snaplen N         capture: keep so many bytes of each, 64 to 8192 (default)\n"
	"      --binary PATH       upgrade: to this one; default: the one that shuntd was started "
	"from\n"
	"      --timeout TIME      upgrade: until the new one serves: 1ms to 1h, default 60s\n"
	"      --flows             status: count the flow tables too, which takes a while\n"
	"                          where they are full\n"
	"  -h, --help              of everything, or of the verb in front of it\n"
	"  -V, --version           print the version of shuntctl and exit\n"
	"\n"
	"A backend is named POOL NAME or POOL/NAME. FILE may be - for standard input.\n"
	"config check asks the daemon, which also looks at ports and table space;\n"
	"shuntd --check reads a file without a daemon.\n"
	"Exit codes: 0 ok, 1 failed, 2 usage, 3 refused by shuntd, 4 shuntd unreachable,\n"
	"5 waited in vain, 6 doctor: warnings.\n"
	"See shuntctl(1).\n";

static void print_verb(const struct verb *v)
{
	char left[256];

	(void)snprintf(left, sizeof(left), "%s%s%s%s%s", v->noun, v->verb ? " " : "",
		       v->verb ? v->verb : "", v->args[0] ? " " : "", v->args);
	if (strlen(left) <= 30)
		printf("  %-30s  %s\n", left, v->help);
	else
		printf("  %s\n  %30s  %s\n", left, "", v->help);
}

/* noun, verb: NULL means all of them. */
static int print_help(const char *noun, const char *verb)
{
	printf("Usage: shuntctl [OPTION]... VERB [ARGUMENT]...\n"
	       "Look at and change a running shuntd.\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];

		if (noun && strcmp(noun, v->noun) != 0)
			continue;
		if (verb && v->verb && strcmp(verb, v->verb) != 0)
			continue;
		print_verb(v);
	}
	fputs(notes, stdout);
	return API_EXIT_OK;
}

static int usage(void)
{
	fputs("Try 'shuntctl --help'.\n", stderr);
	return API_EXIT_USAGE;
}

/* ---- finding the verb ---- */

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (!strcmp(verbs[i].noun, word))
			return true;
	return false;
}

/* noun NULL: among the nouns, else among the verbs of it. */
static const char *suggest(const char *noun, const char *word)
{
	const char *names[VERB_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (!noun)
			names[n++] = verbs[i].noun;
		else if (verbs[i].verb && !strcmp(noun, verbs[i].noun))
			names[n++] = verbs[i].verb;
	}
	return text_closest(word, names, n);
}

static int unknown(const char *noun, const char *word)
{
	const char *meant = suggest(noun, word);

	tell_error("unknown verb '%s%s%s'%s%s%s", noun ? noun : "", noun ? " " : "", word,
		   meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
	return usage();
}

static void tell_incomplete(const char *noun)
{
	char words[128] = "";

	for (size_t i = 0; i < VERB_COUNT; i++) {
		size_t len = strlen(words);

		if (!strcmp(noun, verbs[i].noun))
			(void)snprintf(words + len, sizeof(words) - len, "%s%s", len ? ", " : "",
				       verbs[i].verb);
	}
	tell_error("%s: expected one of %s", noun, words);
	(void)usage();
}

/* The verb that the words name, and how many of them it took. NULL: told what is wrong. */
static const struct verb *find_verb(int argc, char **argv, int *ret_taken)
{
	if (!is_noun(argv[0])) {
		(void)unknown(NULL, argv[0]);
		return NULL;
	}
	for (size_t i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->noun, argv[0]) != 0)
			continue;
		if (!v->verb || (argc > 1 && !strcmp(v->verb, argv[1]))) {
			*ret_taken = v->verb ? 2 : 1;
			return v;
		}
	}
	if (argc > 1) {
		(void)unknown(argv[0], argv[1]);
	} else {
		tell_incomplete(argv[0]);
	}
	return NULL;
}

static int run_verb(struct cli *cli, int argc, char **argv)
{
	int taken = 0;
	const struct verb *v = find_verb(argc, argv, &taken);

	if (!v)
		return API_EXIT_USAGE;
	cli->argc = argc - taken;
	cli->argv = argv + taken;
	if (cli->argc < v->args_min || cli->argc > v->args_max || (cli->given & ~v->takes)) {
		tell_error("%s; usage: shuntctl %s%s%s %s",
			   cli->argc < v->args_min   ? "arguments are missing"
			   : cli->argc > v->args_max ? "too many arguments"
						     : "this option is of other verbs",
			   v->noun, v->verb ? " " : "", v->verb ? v->verb : "", v->args);
		return API_EXIT_USAGE;
	}
	return v->run(cli);
}

/* ---- options ---- */

static int parse_output(const char *text, enum output *ret_output)
{
	if (strcmp(text, "table") != 0 && strcmp(text, "json") != 0) {
		tell_error("-o: expected table or json, not '%s'", text);
		return usage();
	}
	*ret_output = text[0] == 'j' ? OUTPUT_JSON : OUTPUT_TABLE;
	return API_EXIT_OK;
}

/* Of an option: low to high. */
static int parse_number(struct cli *cli, const char *option, unsigned long low, unsigned long high,
			unsigned flag, unsigned *ret_number)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(optarg, &end, 10);
	if (errno || optarg[0] < '0' || optarg[0] > '9' || *end || n < low || n > high) {
		tell_error("%s: expected %lu to %lu, not '%s'", option, low, high, optarg);
		return usage();
	}
	*ret_number = (unsigned)n;
	cli->given |= flag;
	return API_EXIT_OK;
}

static int parse_time(struct cli *cli, unsigned flag, const char *name, uint64_t *ret_ms)
{
	if (value_duration(optarg, ret_ms)) {
		tell_error("--%s: expected a time such as 500ms, 10s or 5m, not '%s'", name,
			   optarg);
		return usage();
	}
	cli->given |= flag;
	return API_EXIT_OK;
}

/* An option without a letter is its flag, above all letters: see option_flag_of(). */
#define OPT_SHIFT 8
enum {
	OPT_SAVE = TAKES_SAVE << OPT_SHIFT,
	OPT_WEIGHT = TAKES_WEIGHT << OPT_SHIFT,
	OPT_FLOWS = TAKES_FLOWS << OPT_SHIFT,
	OPT_FOR = TAKES_FOR << OPT_SHIFT,
	OPT_NOTE = TAKES_NOTE << OPT_SHIFT,
	OPT_ALLOW = TAKES_ALLOW << OPT_SHIFT,
	OPT_SERVICE = TAKES_SERVICE << OPT_SHIFT,
	OPT_SOURCE = TAKES_SOURCE << OPT_SHIFT,
	OPT_GENERATION = TAKES_GENERATION << OPT_SHIFT,
	OPT_STRICT = TAKES_STRICT << OPT_SHIFT,
	OPT_CHECK = TAKES_CHECK << OPT_SHIFT,
	OPT_WAIT = TAKES_WAIT << OPT_SHIFT,
	OPT_TIMEOUT = TAKES_TIMEOUT << OPT_SHIFT,
	OPT_QUIET = TAKES_QUIET << OPT_SHIFT,
	OPT_BINARY = TAKES_BINARY << OPT_SHIFT,
	OPT_SYN = TAKES_SYN << OPT_SHIFT,
	OPT_VLAN = TAKES_VLAN << OPT_SHIFT,
	OPT_IFACE = TAKES_IFACE << OPT_SHIFT,
	OPT_BACKEND = TAKES_BACKEND << OPT_SHIFT,
	OPT_LIMIT = TAKES_LIMIT << OPT_SHIFT,
	OPT_ALL = TAKES_ALL << OPT_SHIFT,
	OPT_SORT = TAKES_SORT << OPT_SHIFT,
};

/* Those of capture alone have one flag together, and lie between the letters and the flags. */
enum {
	OPT_CAPTURE_FIRST = 128,
	OPT_FORMAT = OPT_CAPTURE_FIRST,
	OPT_DESTINATION,
	OPT_PROTOCOL,
	OPT_PORT,
	OPT_DROPS,
	OPT_BEFORE,
	OPT_AFTER,
	OPT_COUNT,
	OPT_BYTES,
	OPT_SNAPLEN,
	OPT_CAPTURE_LAST = OPT_SNAPLEN,
};
_Static_assert(OPT_CAPTURE_LAST < 1 << OPT_SHIFT, "no flag of an option");

static const struct option longs[] = {
	{"socket", required_argument, NULL, 's'},
	{"output", required_argument, NULL, 'o'},
	{"save", no_argument, NULL, OPT_SAVE},
	{"weight", required_argument, NULL, OPT_WEIGHT},
	{"for", required_argument, NULL, OPT_FOR},
	{"note", required_argument, NULL, OPT_NOTE},
	{"allow", no_argument, NULL, OPT_ALLOW},
	{"service", required_argument, NULL, OPT_SERVICE},
	{"header", required_argument, NULL, 'H'},
	{"source", required_argument, NULL, OPT_SOURCE},
	{"flows", no_argument, NULL, OPT_FLOWS},
	{"if-generation", required_argument, NULL, OPT_GENERATION},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"check", no_argument, NULL, OPT_CHECK},
	{"wait", no_argument, NULL, OPT_WAIT},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"quiet", required_argument, NULL, OPT_QUIET},
	{"binary", required_argument, NULL, OPT_BINARY},
	{"backend", required_argument, NULL, OPT_BACKEND},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"all", no_argument, NULL, OPT_ALL},
	{"once", no_argument, NULL, 'b'},
	{"sort", required_argument, NULL, OPT_SORT},
	{"write", required_argument, NULL, 'w'},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"destination", required_argument, NULL, OPT_DESTINATION},
	{"protocol", required_argument, NULL, OPT_PROTOCOL},
	{"port", required_argument, NULL, OPT_PORT},
	{"drops", no_argument, NULL, OPT_DROPS},
	{"before", no_argument, NULL, OPT_BEFORE},
	{"after", no_argument, NULL, OPT_AFTER},
	{"count", required_argument, NULL, OPT_COUNT},
	{"bytes", required_argument, NULL, OPT_BYTES},
	{"snaplen", required_argument, NULL, OPT_SNAPLEN},
	{"syn", no_argument, NULL, OPT_SYN},
	{"vlan", required_argument, NULL, OPT_VLAN},
	{"iface", required_argument, NULL, OPT_IFACE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

const struct option *option_table(void)
{
	return longs;
}

unsigned option_flag_of(int option)
{
	if (option == 'w' || (option >= OPT_CAPTURE_FIRST && option <= OPT_CAPTURE_LAST))
		return TAKES_CAPTURE;
	return option == 'H' ? TAKES_HEADER : (unsigned)option >> OPT_SHIFT;
}

/* A text that the daemon looks at. */
static int take_text(struct cli *cli, unsigned flag, const char **ret_text)
{
	*ret_text = optarg;
	cli->given |= flag;
	return API_EXIT_OK;
}

static int take_header(struct cli *cli, const char *text)
{
	if (cli->header_count == CLI_HEADERS_MAX) {
		tell_error("-H: at most %d", CLI_HEADERS_MAX);
		return usage();
	}
	cli->headers[cli->header_count++] = text;
	cli->given |= TAKES_HEADER;
	return API_EXIT_OK;
}

static int parse_capture_option(struct cli *cli, int c)
{
	struct cli_capture *a = &cli->capture;

	cli->given |= TAKES_CAPTURE;
	switch (c) {
	case 'w': a->write = optarg; return API_EXIT_OK;
	case OPT_FORMAT: a->format = optarg; return API_EXIT_OK;
	case OPT_DESTINATION: a->destination = optarg; return API_EXIT_OK;
	case OPT_PROTOCOL: a->protocol = optarg; return API_EXIT_OK;
	case OPT_PORT: return parse_number(cli, "--port", 1, 65535, TAKES_CAPTURE, &a->port);
	case OPT_DROPS: a->drops = true; return API_EXIT_OK;
	case OPT_BEFORE: a->before = true; return API_EXIT_OK;
	case OPT_AFTER: a->after = true; return API_EXIT_OK;
	case OPT_COUNT: return parse_number(cli, "--count", 1, 1000000, TAKES_CAPTURE, &a->count);
	case OPT_SNAPLEN:
		return parse_number(cli, "--snaplen", 64, 8192, TAKES_CAPTURE, &a->snaplen);
	default: break;
	}
	if (!value_size(optarg, &a->bytes) && a->bytes)
		return API_EXIT_OK;
	tell_error("--bytes: expected a size such as 64KiB or 1GiB, not '%s'", optarg);
	return usage();
}

static int parse_option(struct cli *cli, int c)
{
	if (option_flag_of(c) == TAKES_CAPTURE)
		return parse_capture_option(cli, c);
	switch (c) {
	case 's': cli->socket = optarg; return API_EXIT_OK;
	case 'o': return parse_output(optarg, &cli->output);
	case OPT_SAVE: cli->given |= TAKES_SAVE; return API_EXIT_OK;
	case OPT_WEIGHT: return parse_number(cli, "--weight", 0, 1000, TAKES_WEIGHT, &cli->weight);
	case OPT_FLOWS: cli->given |= TAKES_FLOWS; return API_EXIT_OK;
	case OPT_FOR: return take_text(cli, TAKES_FOR, &cli->for_time);
	case OPT_NOTE: return take_text(cli, TAKES_NOTE, &cli->note);
	case OPT_SERVICE: return take_text(cli, TAKES_SERVICE, &cli->service);
	case OPT_ALLOW: cli->given |= TAKES_ALLOW; return API_EXIT_OK;
	case OPT_SOURCE: return take_text(cli, TAKES_SOURCE, &cli->source);
	case OPT_GENERATION: return take_text(cli, TAKES_GENERATION, &cli->generation);
	case OPT_CHECK: cli->given |= TAKES_CHECK; return API_EXIT_OK;
	case OPT_BINARY: return take_text(cli, TAKES_BINARY, &cli->binary);
	case OPT_STRICT: cli->given |= TAKES_STRICT; return API_EXIT_OK;
	case OPT_WAIT: cli->given |= TAKES_WAIT; return API_EXIT_OK;
	case OPT_TIMEOUT: return parse_time(cli, TAKES_TIMEOUT, "timeout", &cli->timeout_ms);
	case OPT_QUIET: return parse_time(cli, TAKES_QUIET, "quiet", &cli->quiet_ms);
	case OPT_BACKEND: return take_text(cli, TAKES_BACKEND, &cli->backend);
	case OPT_LIMIT: return parse_number(cli, "--limit", 1, 10000, TAKES_LIMIT, &cli->limit);
	case OPT_ALL: cli->given |= TAKES_ALL; return API_EXIT_OK;
	case 'b': cli->given |= TAKES_ONCE; return API_EXIT_OK;
	case OPT_SORT: return take_text(cli, TAKES_SORT, &cli->sort);
	case OPT_SYN: cli->given |= TAKES_SYN; return API_EXIT_OK;
	case OPT_VLAN: return parse_number(cli, "--vlan", 1, 4094, TAKES_VLAN, &cli->vlan);
	case OPT_IFACE: return take_text(cli, TAKES_IFACE, &cli->iface);
	case 'H': return take_header(cli, optarg);
	default: return usage();
	}
}

int main(int argc, char **argv)
{
	const char *env = getenv(API_SOCKET_ENV);
	struct cli cli = {.socket = env && env[0] ? env : API_SOCKET_DEFAULT,
			  .timeout_ms = TIMEOUT_DEFAULT_MS,
			  .quiet_ms = QUIET_DEFAULT_MS};
	bool help = false;
	int c, code;

	while ((c = getopt_long(argc, argv, "s:o:H:bw:hV", longs, NULL)) != -1) {
		if (c == 'V') {
			puts("shuntctl " SHUNT_VERSION);
			return API_EXIT_OK;
		}
		if (c == 'h') {
			help = true;
			continue;
		}
		code = parse_option(&cli, c);
		if (code)
			return code;
	}
	argc -= optind;
	argv += optind;
	if (argc > 0 && !strcmp(argv[0], "help")) {
		help = true;
		argc--;
		argv++;
	}
	if (help)
		return print_help(argc > 0 && is_noun(argv[0]) ? argv[0] : NULL,
				  argc > 1 && is_noun(argv[0]) ? argv[1] : NULL);
	if (argc == 0) {
		tell_error("expected a verb");
		return usage();
	}
	code = run_verb(&cli, argc, argv);
	if (fflush(stdout) && !code)
		code = API_EXIT_FAILED;
	return code;
}
