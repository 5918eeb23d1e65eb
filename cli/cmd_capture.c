/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shuntctl capture: packets as they came to the steering program, and as it left them. The daemon
 * captures; it is asked ten times a second for what there is, and ends it when it is asked no more.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/pcap_write.h"
#include "cli/print.h"
#include "conf/value.h"
#include "core/text.h"

#define PERIOD_NS   100000000L
#define NS_PER_S    1000000000ULL
#define COMMENT_MAX 512
#define ASK_SECONDS 10

/* As XDP numbers them. */
static const char *const actions[] = {"aborted", "drop", "pass", "tx", "redirect"};

struct capturing {
	const struct cli *cli;
	char *path;		    /* of the capture in the API */
	struct pcap_writer *writer; /* NULL: to the terminal */
	bool before, after;	    /* which of them are wanted */
	bool is_terminal;	    /* standard error */
	uint64_t packets, captured, lost;
	char why[128];
	bool asked_to_end, ended;
};

static volatile sig_atomic_t interrupts;

/* The first one ends the capture; the second does not wait for that. */
static void on_interrupt(int number)
{
	(void)number;
	if (interrupts)
		_exit(API_EXIT_FAILED);
	interrupts = 1;
}

/* ---- a packet ---- */

/* How it went: "tx", "drop blocked". */
static const char *fate(const json_t *p, char *buf, size_t len)
{
	const char *drop = json_string_value(json_object_get(p, "drop"));
	const char *verdict = json_string_value(json_object_get(p, "verdict"));

	(void)snprintf(buf, len, "%s%s%s", verdict ? verdict : field_text(p, "action"),
		       drop ? " " : "", drop ? drop : "");
	return buf;
}

/* "service web, backend web/b1", as far as they are known. */
static const char *names(const json_t *p, char *buf, size_t len)
{
	const char *service = json_string_value(json_object_get(p, "service"));
	const json_t *backend = json_object_get(p, "backend");
	int n = snprintf(buf, len, "%s%s", service ? "service " : "", service ? service : "");

	if (json_is_object(backend) && n >= 0 && (size_t)n < len)
		(void)snprintf(buf + n, len - (size_t)n, "%sbackend %s/%s", n ? ", " : "",
			       field_text(backend, "pool"), field_text(backend, "name"));
	return buf;
}

/* The bytes that digits stand for, malloc'ed. NULL: none, or out of memory. */
static uint8_t *bytes_of(const json_t *frame, uint32_t *ret_len)
{
	const char *text = json_string_value(json_object_get(frame, "frame"));
	size_t len = text ? strlen(text) / 2 : 0;
	uint8_t *bytes = len ? malloc(len) : NULL;

	for (size_t i = 0; bytes && i < len; i++)
		bytes[i] = (uint8_t)(text_hex_digit(text[2 * i]) << 4 |
				     text_hex_digit(text[2 * i + 1]));
	*ret_len = (uint32_t)len;
	return bytes;
}

static bool write_half(struct capturing *c, const json_t *p, bool after)
{
	const json_t *frame = json_object_get(p, after ? "after" : "before");
	char how[128], who[256], comment[COMMENT_MAX];
	struct pcap_packet packet = {
		.interface = field_text(p, "interface"),
		.time_ns = field_count(p, "seconds") * NS_PER_S + field_count(p, "nanoseconds"),
		.len = (uint32_t)field_count(frame, "bytes"),
		.id = field_count(p, "id"),
		.queue = (uint32_t)field_count(p, "queue"),
		.outbound = after,
		.comment = comment,
	};
	uint8_t *bytes = bytes_of(frame, &packet.kept);
	bool ok;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i], field_text(p, "action")))
			packet.verdict = i;
	if (after)
		packet.time_ns += field_count(p, "took_ns");
	packet.bytes = bytes;
	names(p, who, sizeof(who));
	(void)snprintf(comment, sizeof(comment), "%s: %s%s%s", after ? "after" : "before",
		       fate(p, how, sizeof(how)), who[0] ? ", " : "", who);
	ok = !bytes || pcap_write(c->writer, &packet);
	free(bytes);
	return ok;
}

static void print_half(const json_t *p, bool after)
{
	const json_t *frame = json_object_get(p, after ? "after" : "before");
	const json_t *headers = json_object_get(frame, "headers");
	size_t count = json_array_size(headers);
	time_t seconds = (time_t)field_count(p, "seconds");
	char how[128], who[256], clock[16] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		(void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	print_safe(stdout, "%s.%06llu %s #%llu %s", clock,
		   (unsigned long long)field_count(p, "nanoseconds") / 1000,
		   field_text(p, "interface"), (unsigned long long)field_count(p, "id"),
		   after ? fate(p, how, sizeof(how)) : "came");
	/* Of what is not IP there is only the first line. */
	for (size_t i = count > 1; i < count; i++)
		print_safe(stdout, "%s%s", i > 1 ? "; " : ": ",
			   json_string_value(json_array_get(headers, i)));
	names(p, who, sizeof(who));
	if (after && who[0])
		print_safe(stdout, " [%s]", who);
	putchar('\n');
}

/* Where there is no packet any more the line says what became of it. */
static void print_packet(const struct capturing *c, json_t *p)
{
	if (c->cli->output == OUTPUT_JSON) {
		if (!c->before || !c->after)
			(void)json_object_del(p, c->before ? "after" : "before");
		(void)json_dumpf(p, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (c->before)
		print_half(p, false);
	if (c->after)
		print_half(p, true);
}

static bool write_packet(struct capturing *c, const json_t *p)
{
	if (c->before && !write_half(c, p, false))
		return false;
	return !c->after || !json_is_object(json_object_get(p, "after")) || write_half(c, p, true);
}

/* False: nobody takes them any more. */
static bool take_packets(struct capturing *c, const json_t *list)
{
	size_t i;
	json_t *p;

	json_array_foreach (list, i, p) {
		c->packets++;
		if (!c->writer)
			print_packet(c, p);
		else if (!write_packet(c, p))
			return false;
	}
	return c->writer ? pcap_flush(c->writer) : !fflush(stdout) && !ferror(stdout);
}

/* ---- asking ---- */

static void ask_to_end(struct capturing *c)
{
	struct request rq = {.socket = c->cli->socket,
			     .method = "DELETE",
			     .path = c->path,
			     .quiet = true,
			     .timeout_s = ASK_SECONDS};
	struct reply reply = {0};

	(void)client_ask(&rq, &reply); /* the next reading says what came of it */
	reply_deinit(&reply);
	c->asked_to_end = true;
}

static void tell_progress(const struct capturing *c)
{
	if (c->is_terminal && c->writer)
		fprintf(stderr, "\r%llu packets, %llu lost ", (unsigned long long)c->packets,
			(unsigned long long)c->lost);
}

/* One reading. *ret_more: there may be more right now. */
static int read_some(struct capturing *c, bool *ret_more)
{
	struct request rq = {.socket = c->cli->socket,
			     .method = "POST",
			     .body = "",
			     .quiet = true,
			     .timeout_s = ASK_SECONDS};
	struct reply reply = {0};
	const json_t *packets;
	char *path = NULL;
	int code = API_EXIT_FAILED;

	*ret_more = false;
	if (asprintf(&path, "%s/read", c->path) < 0) {
		tell_error("out of memory");
		return code;
	}
	rq.path = path;
	code = client_ask(&rq, &reply);
	free(path);
	if (code) {
		tell_error(reply.status == 404
				   ? "shuntd has given the capture up: for seconds nobody read it, "
				     "or another shuntd took over"
				   : "shuntd has ended, or another one has taken its place: "
				     "so ends the capture");
	} else {
		packets = json_object_get(reply.json, "packets");
		c->captured = field_count(reply.json, "captured");
		c->lost = field_count(reply.json, "lost");
		*ret_more = json_array_size(packets) > 0;
		c->ended = !json_is_true(json_object_get(reply.json, "running")) && !*ret_more;
		(void)snprintf(c->why, sizeof(c->why), "%s", field_text(reply.json, "ended"));
		if (!take_packets(c, packets)) {
			ask_to_end(c);
			code = API_EXIT_FAILED;
		}
		tell_progress(c);
	}
	reply_deinit(&reply);
	return code;
}

/* Until it has ended. */
static int follow(struct capturing *c)
{
	const struct timespec period = {.tv_nsec = PERIOD_NS};
	bool more = false;
	int code = API_EXIT_OK;

	while (code == API_EXIT_OK && !c->ended) {
		if (interrupts && !c->asked_to_end)
			ask_to_end(c);
		else if (!more && !c->asked_to_end)
			(void)nanosleep(&period, NULL);
		code = read_some(c, &more);
	}
	return code;
}

/* ---- the command line ---- */

static void put(json_t *body, const char *key, json_t *value)
{
	(void)json_object_set_new(body, key, value); /* what fails is found by json_dumps() */
}

static bool put_time(const struct cli *cli, json_t *body)
{
	uint64_t ms;

	if (!cli->for_time)
		return true;
	if (value_duration(cli->for_time, &ms) || !ms) {
		tell_error("--for: expected a time such as 10s or 5m, not '%s'", cli->for_time);
		return false;
	}
	put(body, "seconds", json_integer((json_int_t)((ms + 999) / 1000)));
	return true;
}

/* What is wanted, as the API has it, malloc'ed. NULL: told what is wrong. */
static char *wish(const struct cli *cli)
{
	const struct cli_capture *a = &cli->capture;
	json_t *body = json_object();
	const struct {
		const char *key, *text;
	} texts[] = {{"service", cli->service},
		     {"interface", cli->iface},
		     {"source", cli->source},
		     {"destination", a->destination},
		     {"protocol", a->protocol}};
	char *text = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].text)
			put(body, texts[i].key, json_string(texts[i].text));
	if (a->drops || (cli->given & TAKES_ALL))
		put(body, "which", json_string(a->drops ? "drops" : "all"));
	if (a->port)
		put(body, "port", json_integer(a->port));
	if (a->count)
		put(body, "packets", json_integer(a->count));
	if (a->bytes)
		put(body, "bytes", json_integer((json_int_t)a->bytes));
	if (a->snaplen)
		put(body, "snap", json_integer(a->snaplen));
	put(body, "headers", json_boolean(!a->write && cli->output == OUTPUT_TABLE));
	if (put_time(cli, body))
		text = json_dumps(body, 0);
	json_decref(body);
	return text;
}

static bool check_options(const struct cli *cli)
{
	const struct cli_capture *a = &cli->capture;
	const char *wrong = NULL;

	if (a->format && strcmp(a->format, "pcapng") != 0 && strcmp(a->format, "pcap") != 0)
		wrong = "--format: expected pcapng or pcap";
	else if (a->format && !a->write)
		wrong = "--format: of what is written with -w";
	else if (a->write && cli->output == OUTPUT_JSON)
		wrong = "-w: another form of output than -o json";
	else if (a->drops && (cli->given & TAKES_ALL))
		wrong = "--drops and --all: one of them";
	else if (a->write && !strcmp(a->write, "-") && isatty(STDOUT_FILENO))
		wrong = "-w -: standard output is a terminal";
	if (wrong)
		tell_error("%s", wrong);
	return !wrong;
}

static bool open_writer(struct capturing *c, uint32_t snap)
{
	const struct cli_capture *a = &c->cli->capture;
	bool to_stdout = a->write && !strcmp(a->write, "-");
	FILE *file;

	if (!a->write)
		return true;
	file = to_stdout ? fdopen(dup(STDOUT_FILENO), "wb") : fopen(a->write, "wbe");
	if (!file) {
		tell_error("%s: %s", a->write, strerror(errno));
		return false;
	}
	c->writer = pcap_writer_new(file, to_stdout ? "standard output" : a->write,
				    a->format && !strcmp(a->format, "pcap"), snap);
	return c->writer != NULL;
}

/* It is under way. */
static int run(struct capturing *c, const json_t *begun)
{
	uint64_t seconds = field_count(begun, "seconds");
	char age[PRINT_UNIT_MAX];
	int code = API_EXIT_FAILED;

	if (asprintf(&c->path, "/v1/captures/%s", field_text(begun, "id")) < 0) {
		tell_error("out of memory");
		return code;
	}
	fprintf(stderr, "capturing up to %llu packets, for %s; Ctrl-C ends it\n",
		(unsigned long long)field_count(begun, "packets"), format_age(seconds * 1000, age));
	if (open_writer(c, (uint32_t)field_count(begun, "snap")))
		code = follow(c);
	else
		ask_to_end(c);
	if (!pcap_writer_close(c->writer, c->captured, c->lost) && !code)
		code = API_EXIT_FAILED;
	if (c->is_terminal && c->writer)
		fputc('\r', stderr);
	print_safe(stderr, "%llu packets, %llu lost%s%s", (unsigned long long)c->packets,
		   (unsigned long long)c->lost, c->ended ? ": " : "", c->ended ? c->why : "");
	fputc('\n', stderr);
	free(c->path);
	return code;
}

static void catch_interrupts(void)
{
	/* They cut sleeps short, and nothing else. */
	struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN; /* a pipe that nobody reads is an error of writing */
	(void)sigaction(SIGPIPE, &sa, NULL);
}

int cmd_capture(const struct cli *cli)
{
	const struct cli_capture *a = &cli->capture;
	struct capturing c = {.cli = cli,
			      .before = a->before || !a->after,
			      .after = a->after || !a->before,
			      .is_terminal = isatty(STDERR_FILENO)};
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/captures",
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply reply = {0};
	char *text = check_options(cli) ? wish(cli) : NULL;
	int code = API_EXIT_USAGE;

	if (text) {
		rq.body = text;
		rq.body_len = strlen(text);
		catch_interrupts();
		code = client_ask(&rq, &reply);
		if (code == API_EXIT_OK)
			code = run(&c, reply.json);
	}
	reply_deinit(&reply);
	free(text);
	return code;
}
