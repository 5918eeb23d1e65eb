/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl guard: the block and allow lists. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

static void add_entry(struct table *t, const json_t *e)
{
	const json_t *left = json_object_get(e, "left_ms");
	char age[PRINT_UNIT_MAX];

	table_add(t, "%s", field_text(e, "prefix"));
	table_add(t, "%s", field_text(e, "action"));
	table_add(t, "%s", field_text(e, "service"));
	table_add(t, "%s", field_text(e, "origin"));
	table_add(t, "%s", field_text(e, "reason"));
	/* A second that has begun counts. */
	table_add(t, "%s",
		  json_is_integer(left)
			  ? format_age((field_count(e, "left_ms") + 999) / 1000 * 1000, age)
			  : "for ever");
	table_add(t, "%s", field_text(e, "note"));
}

int cmd_guard_list(const struct cli *cli)
{
	static const char *const headings[] = {"PREFIX", "ACTION", "SERVICE", "ORIGIN",
					       "REASON", ">LEFT",  "NOTE"};
	static const struct table_form form = {.headings = headings,
					       .count = sizeof(headings) / sizeof(headings[0]),
					       .add = add_entry,
					       .none = "no entries"};
	const json_t *entries;
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/guard", &r, &shown);

	if (!shown) {
		entries = json_object_get(r.json, "entries");
		code = table_of_list(&form, entries);
		if (!code && field_count(r.json, "blocks_not_listed"))
			printf("%llu blocks found no room in the list (node.limits.guard)\n",
			       (unsigned long long)field_count(r.json, "blocks_not_listed"));
	}
	reply_deinit(&r);
	return code;
}

/* Takes body (NULL: what was given is no UTF-8). */
static int send_order(const struct cli *cli, const char *path, json_t *body)
{
	char *text = body ? json_dumps(body, 0) : NULL;
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = path,
			     .body = text,
			     .body_len = text ? strlen(text) : 0,
			     .as_json = cli->output == OUTPUT_JSON};
	int code = API_EXIT_USAGE;

	if (text)
		code = cmd_change(cli, &rq);
	else
		tell_error("expected UTF-8 text");
	json_decref(body);
	free(text);
	return code;
}

int cmd_guard_add(const struct cli *cli)
{
	if ((cli->given & TAKES_SAVE) && cli->for_time) {
		tell_error("--save: an entry that ends (--for) is no part of the configuration");
		return API_EXIT_USAGE;
	}
	return send_order(cli, "/v1/guard",
			  json_pack("{s:s, s:s, s:s*, s:s*}", "prefix", cli->argv[0], "action",
				    cli->given & TAKES_ALLOW ? "allow" : "block", "for",
				    cli->for_time, "note", cli->note));
}

int cmd_guard_remove(const struct cli *cli)
{
	return send_order(
		cli, "/v1/guard/remove",
		json_pack("{s:s, s:s*}", "prefix", cli->argv[0], "service", cli->service));
}

int cmd_guard_flush(const struct cli *cli)
{
	struct request rq = {.socket = cli->socket,
			     .method = "DELETE",
			     .path = "/v1/guard",
			     .as_json = cli->output == OUTPUT_JSON};

	return cmd_change(cli, &rq);
}
