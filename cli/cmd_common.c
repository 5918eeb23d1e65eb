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

char *cmd_join(const json_t *list)
{
	char *text = strdup(""), *longer;
	size_t i;
	json_t *it;

	json_array_foreach (list, i, it) {
		if (!text || asprintf(&longer, "%s%s%s", text, i ? ", " : "",
				      json_string_value(it) ? json_string_value(it) : "?") < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	return text;
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
	struct request on_terms = *rq;
	struct reply r;
	int code;

	on_terms.if_generation = cli->generation;
	code = client_ask(&on_terms, &r);
	if (!code && cli->output == OUTPUT_TABLE)
		tell_change(r.json, rq->file);
	if (!code && (cli->given & TAKES_SAVE))
		code = save(cli, r.json);
	if (r.json && r.status / 100 == 2 && cli->output == OUTPUT_JSON)
		print_json(stdout, r.json);
	reply_deinit(&r);
	return code;
}
