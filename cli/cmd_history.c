/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl config history, rollback, and what is asked of two generations. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define HASH_SHOWN 12

/* "2026-11-26 19:42:19" in local time. */
static const char *when(const json_t *e, char *buf, size_t len)
{
	time_t at = (time_t)(field_count(e, "time_ms") / 1000);
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm))
		(void)snprintf(buf, len, "?");
	return buf;
}

static const char *who(const json_t *e, char *buf, size_t len)
{
	const json_t *uid = json_object_get(e, "uid");
	const struct passwd *pw;

	if (!json_is_integer(uid))
		return "-";
	pw = getpwuid((uid_t)json_integer_value(uid));
	if (pw)
		return pw->pw_name;
	(void)snprintf(buf, len, "%lld", (long long)json_integer_value(uid));
	return buf;
}

int cmd_config_history(const struct cli *cli)
{
	static const char *const heads[] = {">GENERATION", "TIME",     "ORIGIN", "USER",
					    "HASH",	   ">CHANGES", "WHAT"};
	struct table t;
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/config/history", &r, &shown);
	size_t i;
	json_t *e;

	if (shown)
		goto out;
	table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
	json_array_foreach (json_object_get(r.json, "generations"), i, e) {
		const char *hash = json_string_value(json_object_get(e, "hash"));
		char time_text[32], user[32];

		table_add(&t, "%llu", (unsigned long long)field_count(e, "generation"));
		table_add(&t, "%s", when(e, time_text, sizeof(time_text)));
		table_add(&t, "%s", field_text(e, "origin"));
		table_add(&t, "%s", who(e, user, sizeof(user)));
		table_add(&t, "%.*s", HASH_SHOWN, hash ? hash : "-");
		table_add(&t, "%llu", (unsigned long long)field_count(e, "changes"));
		table_add(&t, "%s", field_text(e, "summary"));
	}
	code = table_print(&t);
out:
	reply_deinit(&r);
	return code;
}

/* With rest behind it; malloc'ed, NULL: out of memory, told. */
static char *generation_path(const char *generation, const char *rest)
{
	char *escaped = client_escape(generation), *path = NULL;

	if (!escaped || asprintf(&path, "/v1/config/generations/%s%s", escaped, rest) < 0)
		path = NULL;
	free(escaped);
	if (!path)
		tell_error("out of memory");
	return path;
}

int cmd_compare_generations(const struct cli *cli)
{
	char *escaped = client_escape(cli->argv[1]), *rest = NULL, *path = NULL;
	struct reply r = {0};
	bool shown = true;
	int code = API_EXIT_FAILED;

	if (escaped && asprintf(&rest, "/diff/%s", escaped) >= 0)
		path = generation_path(cli->argv[0], rest);
	if (path)
		code = cmd_get(cli, path, &r, &shown);
	if (!shown) {
		const json_t *changes = json_object_get(r.json, "changes");

		cmd_print_changes(changes);
		if (!json_array_size(changes))
			puts("no difference");
	}
	reply_deinit(&r);
	free(path);
	free(rest);
	free(escaped);
	return code;
}

int cmd_show_generation(const struct cli *cli)
{
	char *path =
		generation_path(cli->argv[0], cli->output == OUTPUT_JSON ? "?format=json" : "");
	struct request rq = {.socket = cli->socket,
			     .method = "GET",
			     .path = path,
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply r = {0};
	int code = path ? client_ask(&rq, &r) : API_EXIT_FAILED;

	if (!code)
		fputs(r.body ? r.body : "", stdout);
	reply_deinit(&r);
	free(path);
	return code;
}

int cmd_config_rollback(const struct cli *cli)
{
	char *path = generation_path(cli->argv[0], "/rollback");
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = path,
			     .body = "",
			     .as_json = cli->output == OUTPUT_JSON};
	int code = path ? cmd_change(cli, &rq) : API_EXIT_FAILED;

	free(path);
	return code;
}
