/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the verbs: see cmd.h. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

int cmd_get(const struct cli *cli, const char *path, struct reply *ret_reply, bool *ret_shown)
{
	bool as_json = cli->output == OUTPUT_JSON;
	struct request rq = {
		.socket = cli->socket, .method = "GET", .path = path, .as_json = as_json};
	int code = client_ask(&rq, ret_reply);

	*ret_shown = true;
	if (code)
		return code;
	if (!ret_reply->json) {
		tell_error("the reply of shuntd is not JSON");
		return API_EXIT_FAILED;
	}
	if (as_json)
		print_json(stdout, ret_reply->json);
	else
		*ret_shown = false;
	return API_EXIT_OK;
}

int cmd_get_named(const struct cli *cli, const char *prefix, const char *name,
		  struct reply *ret_reply, bool *ret_shown)
{
	char *path = strdup(prefix);
	int code;

	*ret_shown = true;
	memset(ret_reply, 0, sizeof(*ret_reply));
	if (!path || client_add_segment(&path, name)) {
		tell_error("out of memory");
		code = API_EXIT_FAILED;
	} else {
		code = cmd_get(cli, path, ret_reply, ret_shown);
	}
	free(path);
	return code;
}

int cmd_get_of_pool(const struct cli *cli, const char *path, struct reply *ret_reply,
		    bool *ret_shown)
{
	char *escaped, *full = NULL;
	int code;

	if (!cli->argc)
		return cmd_get(cli, path, ret_reply, ret_shown);
	*ret_shown = true;
	memset(ret_reply, 0, sizeof(*ret_reply));
	escaped = client_escape(cli->argv[0]);
	if (!escaped || asprintf(&full, "%s?pool=%s", path, escaped) < 0) {
		tell_error("out of memory");
		code = API_EXIT_FAILED;
	} else {
		code = cmd_get(cli, full, ret_reply, ret_shown);
		free(full);
	}
	free(escaped);
	return code;
}

const char *cmd_usable(const json_t *states, char *buf, size_t len)
{
	static const char *const words[] = {"down", "draining", "disabled"};
	int n = snprintf(buf, len, "%llu of %llu",
			 (unsigned long long)field_count(states, "usable"),
			 (unsigned long long)field_count(states, "total"));

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (field_count(states, words[i]) && n > 0 && (size_t)n < len)
			n += snprintf(buf + n, len - (size_t)n, ", %llu %s",
				      (unsigned long long)field_count(states, words[i]), words[i]);
	return buf;
}

/* ---- backends ---- */

static void add_health(struct table *t, const json_t *health)
{
	char age[PRINT_UNIT_MAX];
	const json_t *checked = json_object_get(health, "checked_ms_ago");

	if (json_is_integer(checked))
		table_add(t, "%s ago: %s", format_age((uint64_t)json_integer_value(checked), age),
			  field_text(health, "result"));
	else
		table_add(t, "%s",
			  strcmp(field_text(health, "check"), "none") != 0 ? "not checked yet"
									   : "no check");
}

static void add_backend(struct table *t, const json_t *b)
{
	const json_t *l4 = json_object_get(b, "l4"), *http = json_object_get(b, "http");
	const json_t *health = json_object_get(b, "health");
	const json_t *changed = json_object_get(health, "changed_ms_ago");
	uint64_t bytes = field_count(l4, "bytes") + field_count(http, "bytes_in") +
			 field_count(http, "bytes_out");
	char buf[PRINT_UNIT_MAX];

	table_add(t, "%s", field_text(b, "pool"));
	table_add(t, "%s", field_text(b, "name"));
	table_add(t, "%s", field_text(b, "address"));
	table_add(t, "%llu", (unsigned long long)field_count(b, "weight"));
	table_add(t, "%s", field_text(b, "state"));
	table_add(t, "%s",
		  json_is_integer(changed) ? format_age((uint64_t)json_integer_value(changed), buf)
					   : "-");
	table_add(
		t, "%s",
		format_count(field_count(l4, "new_flows") + field_count(http, "connections"), buf));
	table_add(t, "%s",
		  json_is_object(http) ? format_count(field_count(http, "requests"), buf)
				       : format_count(field_count(l4, "packets"), buf));
	table_add(t, "%s", format_bytes(bytes, buf));
	add_health(t, health);
}

int cmd_print_backends(const json_t *backends)
{
	static const char *const headings[] = {
		"POOL",	  "NAME",	  "ADDRESS",	   ">WEIGHT", "STATE",
		">SINCE", ">CONNECTIONS", ">PACKETS/REQS", ">BYTES",  "LAST CHECK"};
	struct table t;
	size_t i;
	json_t *b;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach (backends, i, b) {
		add_backend(&t, b);
	}
	return table_print(&t);
}

/* ---- changes ---- */

void cmd_print_changes(const json_t *changes)
{
	size_t i;
	json_t *c;

	json_array_foreach (changes, i, c) {
		const char *kind = field_text(c, "kind");
		const char *field = json_string_value(json_object_get(c, "field"));
		char sign = !strcmp(kind, "added") ? '+' : !strcmp(kind, "removed") ? '-' : '~';

		print_safe(stdout, "%c %s", sign, field_text(c, "object"));
		if (field)
			print_safe(stdout, " %s: %s -> %s", field, field_text(c, "old"),
				   field_text(c, "new"));
		if (json_is_true(json_object_get(c, "needs_restart")))
			fputs(" (takes effect when shuntd starts again)", stdout);
		putchar('\n');
	}
}

/* With -o json, the reply of the change and that of saving are one object. */
static int save(const struct cli *cli, json_t *change)
{
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/config/save",
			     .body = "",
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply r;
	int code = client_ask(&rq, &r);

	if (code)
		tell_error("the change is in force, but was not saved");
	else if (rq.as_json)
		(void)json_object_set(change, "saved", json_object_get(r.json, "file"));
	else
		print_safe(stdout, "saved to %s", field_text(r.json, "file"));
	if (!code && !rq.as_json)
		putchar('\n');
	reply_deinit(&r);
	return code;
}

static void tell_change(const json_t *reply, const char *file)
{
	const json_t *changes = json_object_get(reply, "changes");
	unsigned long long generation = field_count(reply, "generation");
	size_t n = json_array_size(changes);

	/* Warnings of a whole document are of no interest to who changed one backend. */
	if (file)
		client_print_diagnostics(json_object_get(reply, "diagnostics"), file);
	cmd_print_changes(changes);
	if (n)
		printf("in force: generation %llu, %zu %s, %.1f ms\n", generation, n,
		       n == 1 ? "change" : "changes",
		       (double)field_count(reply, "duration_us") / 1000);
	else
		printf("unchanged: generation %llu\n", generation);
}

int cmd_change(const struct cli *cli, const struct request *rq)
{
	struct reply r;
	int code = client_ask(rq, &r);

	if (!code && cli->output == OUTPUT_TABLE)
		tell_change(r.json, rq->file);
	if (!code && (cli->given & TAKES_SAVE))
		code = save(cli, r.json);
	if (r.json && r.status / 100 == 2 && cli->output == OUTPUT_JSON)
		print_json(stdout, r.json);
	reply_deinit(&r);
	return code;
}
