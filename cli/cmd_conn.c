/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl conn: flows that the kernel has entries of, and connections that the daemon proxies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

/* "steered", "proxied"; NULL: both. */
static const char *datapath(const struct cli *cli)
{
	return cli->argc ? cli->argv[0] : NULL;
}

/* "/v1/flows?service=web&...", malloc'ed. NULL: told. */
static char *question(const struct cli *cli, unsigned limit)
{
	const struct {
		const char *name, *value;
	} filters[] = {{"service", cli->service},
		       {"backend", cli->backend},
		       {"source", cli->source},
		       {"datapath", datapath(cli)}};
	char *path = NULL, *longer;

	if (asprintf(&path, "/v1/flows?limit=%u", limit) < 0)
		path = NULL;
	for (size_t i = 0; path && i < sizeof(filters) / sizeof(filters[0]); i++) {
		char *escaped = filters[i].value ? client_escape(filters[i].value) : NULL;

		if (filters[i].value) {
			if (!escaped ||
			    asprintf(&longer, "%s&%s=%s", path, filters[i].name, escaped) < 0)
				longer = NULL;
			free(path);
			path = longer;
		}
		free(escaped);
	}
	if (!path)
		tell_error("out of memory");
	return path;
}

static int ask(const struct cli *cli, unsigned limit, struct reply *ret_reply, bool *ret_shown)
{
	char *path = question(cli, limit);
	int code = API_EXIT_FAILED;

	*ret_shown = true;
	*ret_reply = (struct reply){0};
	if (path)
		code = cmd_get(cli, path, ret_reply, ret_shown);
	free(path);
	return code;
}

/* "-" where the field is not there. */
static void add_number(struct table *t, const json_t *f, const char *key,
		       const char *(*format)(uint64_t n, char *buf))
{
	char text[PRINT_UNIT_MAX];

	if (json_object_get(f, key))
		table_add(t, "%s", format(field_count(f, key), text));
	else
		table_add(t, "-");
}

static void add_backend(struct table *t, const json_t *f)
{
	if (field_text(f, "backend")[0] != '-' || field_text(f, "pool")[0] != '-')
		table_add(t, "%s/%s", field_text(f, "pool"), field_text(f, "backend"));
	else
		table_add(t, "-");
}

static void add_flow(struct table *t, const json_t *f)
{
	table_add(t, "%s", field_text(f, "datapath"));
	table_add(t, "%s%s", field_text(f, "protocol"),
		  json_is_true(json_object_get(f, "tls")) ? ", tls" : "");
	table_add(t, "%s", field_text(f, "source"));
	table_add(t, "%s", field_text(f, "destination"));
	table_add(t, "%s", field_text(f, "service"));
	add_backend(t, f);
	table_add(t, "%s%s%s", field_text(f, "state"),
		  json_is_true(json_object_get(f, "pending")) ? ", pending" : "",
		  json_is_true(json_object_get(f, "stale")) ? ", stale" : "");
	add_number(t, f, "idle_ms", format_age);
	add_number(t, f, "age_ms", format_age);
	add_number(t, f, "requests", format_count);
	add_number(t, f, "bytes_in", format_bytes);
	add_number(t, f, "bytes_out", format_bytes);
}

int cmd_conn_list(const struct cli *cli)
{
	static const char *const headings[] = {"DATAPATH", "PROTOCOL",	"SOURCE", "DESTINATION",
					       "SERVICE",  "BACKEND",	"STATE",  ">IDLE",
					       ">AGE",	   ">REQUESTS", ">IN",	  ">OUT"};
	static const struct table_form form = {
		.headings = headings,
		.count = sizeof(headings) / sizeof(headings[0]),
		.add = add_flow,
		.none = "no flows have entries, no connections are proxied"};
	unsigned limit = cli->given & TAKES_LIMIT ? cli->limit : 100;
	const json_t *flows;
	struct reply r;
	bool shown;
	int code = ask(cli, limit, &r, &shown);

	if (!shown) {
		flows = json_object_get(r.json, "flows");
		code = table_of_list(&form, flows);
		if (!code && field_count(r.json, "matched") > json_array_size(flows))
			printf("%zu of %llu; see --limit\n", json_array_size(flows),
			       (unsigned long long)field_count(r.json, "matched"));
	}
	reply_deinit(&r);
	return code;
}

static void add_groups(struct table *t, const char *what, const json_t *groups)
{
	const char *name;
	json_t *n;

	json_object_foreach ((json_t *)groups, name, n) {
		table_add(t, "%s", what);
		table_add(t, "%s", name);
		table_add(t, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
	}
}

static int print_groups(const json_t *o, const char *total)
{
	static const char *const headings[] = {"BY", "NAME", ">FLOWS"};
	struct table t;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	add_groups(&t, "datapath", json_object_get(o, "by_datapath"));
	add_groups(&t, "service", json_object_get(o, "by_service"));
	add_groups(&t, "backend", json_object_get(o, "by_backend"));
	add_groups(&t, "state", json_object_get(o, "by_state"));
	table_add(&t, "all");
	table_add(&t, "%s", "");
	table_add(&t, "%llu", (unsigned long long)field_count(o, total));
	return table_print(&t);
}

int cmd_conn_count(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = ask(cli, 0, &r, &shown);

	if (!shown)
		code = print_groups(r.json, "matched");
	reply_deinit(&r);
	return code;
}

int cmd_conn_kill(const struct cli *cli)
{
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/flows/kill",
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply reply = {0};
	int code = API_EXIT_USAGE;
	char *text = NULL;
	json_t *body;

	if (!(cli->given & TAKES_ALL) && !cli->service && !cli->backend && !cli->source) {
		tell_error("conn kill: expected --service, --backend or --source, or --all");
		return code;
	}
	body = json_pack("{s:s*, s:s*, s:s*, s:s*, s:o*}", "service", cli->service, "backend",
			 cli->backend, "source", cli->source, "datapath", datapath(cli), "all",
			 cli->given & TAKES_ALL ? json_true() : NULL);
	text = body ? json_dumps(body, 0) : NULL;
	if (text) {
		rq.body = text;
		rq.body_len = strlen(text);
		code = client_ask(&rq, &reply);
		if (code == API_EXIT_OK && cli->output == OUTPUT_JSON)
			print_json(stdout, reply.json);
		else if (code == API_EXIT_OK)
			code = print_groups(reply.json, "killed");
	} else {
		tell_error("expected UTF-8 text");
	}
	reply_deinit(&reply);
	json_decref(body);
	free(text);
	return code;
}
