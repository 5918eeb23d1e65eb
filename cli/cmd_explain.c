/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl explain: what would become of a packet, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/pcap.h"
#include "cli/print.h"

#define FRAMES_MAX 256 /* that the daemon takes at once */

static void print_headers(const char *label, const json_t *frame)
{
	const json_t *list = json_object_get(frame, "headers"), *line;
	size_t i;

	json_array_foreach (list, i, line) {
		print_line(i ? "" : label, "%s", json_string_value(line));
	}
}

static void print_slot(const json_t *slot)
{
	if (!json_is_object(slot))
		return;
	print_line("slot", "%llu of %llu, %s", (unsigned long long)field_count(slot, "index"),
		   (unsigned long long)field_count(slot, "ring_size"), field_text(slot, "state"));
}

static void print_tracking(const json_t *t)
{
	const char *mode = json_string_value(json_object_get(t, "mode"));

	if (!json_is_object(t))
		return;
	print_line("decided", "%s", field_text(t, "decided"));
	print_line("tracking", "%s%sentry before: %s, after: %s", mode ? mode : "",
		   mode ? "; " : "", field_text(t, "entry_before"), field_text(t, "entry_after"));
}

static void print_counters(const json_t *counters)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)counters, key, value) {
		if (strcmp(key, "packets") != 0 && strcmp(key, "bytes") != 0)
			print_line("counts", "%s", key);
	}
}

static void print_packet(const json_t *p)
{
	const json_t *backend = json_object_get(p, "backend"), *drop = json_object_get(p, "drop");
	const json_t *listener = json_object_get(p, "listener");

	print_headers("packet", json_object_get(p, "packet"));
	print_line("service", "%s", field_text(p, "service"));
	if (json_is_object(listener))
		print_line("listener", "%s of %s service %s, of the proxy",
			   field_text(listener, "listen"), field_text(listener, "mode"),
			   field_text(listener, "service"));
	print_slot(json_object_get(p, "slot"));
	print_tracking(json_object_get(p, "tracking"));
	if (json_is_object(backend))
		print_line("backend", "%s/%s (%s), forward %s", field_text(backend, "pool"),
			   field_text(backend, "name"), field_text(backend, "state"),
			   field_text(backend, "forward"));
	print_line("verdict", "%s: %s", field_text(p, "verdict"), field_text(p, "explanation"));
	if (json_is_object(drop))
		print_line("reason", "%s: %s", field_text(drop, "reason"),
			   field_text(drop, "explanation"));
	print_counters(json_object_get(p, "counters"));
	print_headers("leaves", json_object_get(p, "output"));
}

static void print_answer(const json_t *answer)
{
	const json_t *packets = json_object_get(answer, "packets"), *p;
	size_t i;

	json_array_foreach (packets, i, p) {
		if (json_array_size(packets) > 1)
			printf("%spacket %zu\n", i ? "\n" : "", i + 1);
		print_packet(p);
	}
}

/* What the words of the command line describe. NULL: told what is wrong. */
static json_t *described(const struct cli *cli)
{
	json_t *body;

	if (cli->argc != 3) {
		tell_error("expected PROTOCOL SOURCE DESTINATION, or pcap FILE");
		return NULL;
	}
	if ((cli->given & TAKES_SYN) && strcmp(cli->argv[0], "tcp") != 0) {
		tell_error("--syn: only tcp has flags");
		return NULL;
	}
	body = json_pack("{s:s, s:s, s:s}", "protocol", cli->argv[0], "source", cli->argv[1],
			 "destination", cli->argv[2]);
	if (!body)
		tell_error("expected UTF-8 text");
	if (body && (cli->given & TAKES_SYN))
		(void)json_object_set_new(body, "flags", json_pack("[s]", "syn"));
	if (body && (cli->given & TAKES_VLAN))
		(void)json_object_set_new(body, "vlan", json_integer(cli->vlan));
	return body;
}

static json_t *captured(const struct cli *cli, size_t *ret_left)
{
	json_t *frames;

	if (cli->argc != 2 || (cli->given & (TAKES_SYN | TAKES_VLAN))) {
		tell_error("pcap: expected one FILE, and of the options --iface alone");
		return NULL;
	}
	if (!pcap_read(cli->argv[1], FRAMES_MAX, &frames, ret_left))
		return NULL;
	return json_pack("{s:o}", "frames", frames);
}

int cmd_explain(const struct cli *cli)
{
	size_t left = 0;
	json_t *body = strcmp(cli->argv[0], "pcap") != 0 ? described(cli) : captured(cli, &left);
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/explain",
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply reply = {0};
	int code = API_EXIT_USAGE;
	char *text = NULL;

	if (body && cli->iface)
		(void)json_object_set_new(body, "interface", json_string(cli->iface));
	if (body)
		text = json_dumps(body, 0);
	if (text) {
		rq.body = text;
		rq.body_len = strlen(text);
		code = client_ask(&rq, &reply);
		if (code == API_EXIT_OK && cli->output == OUTPUT_JSON)
			print_json(stdout, reply.json);
		else if (code == API_EXIT_OK)
			print_answer(reply.json);
	}
	if (code == API_EXIT_OK && left)
		tell_error("%zu packets behind the first %d were left out", left, FRAMES_MAX);
	reply_deinit(&reply);
	json_decref(body);
	free(text);
	return code;
}
