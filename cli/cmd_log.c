/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl log: the daemon's log, and files of access logs. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

/* Ask, and say how things are then. */
static int ask(const struct cli *cli, const char *method, const char *path, const char *body)
{
	struct request rq = {.socket = cli->socket,
			     .method = method,
			     .path = path,
			     .body = body,
			     .body_len = body ? strlen(body) : 0,
			     .as_json = cli->output == OUTPUT_JSON};
	struct reply r;
	int code = client_ask(&rq, &r);

	if (!code && cli->output == OUTPUT_JSON) {
		print_json(stdout, r.json);
	} else if (!code) {
		printf("level %s, as %s, to %s\n", field_text(r.json, "level"),
		       field_text(r.json, "format"), field_text(r.json, "target"));
		if (field_count(r.json, "access_lines_not_written"))
			printf("%llu lines of access logs could not be written\n",
			       (unsigned long long)field_count(r.json, "access_lines_not_written"));
	}
	reply_deinit(&r);
	return code;
}

/* Without a level: what it is. */
int cmd_log_level(const struct cli *cli)
{
	json_t *body;
	char *text;
	int code = API_EXIT_USAGE;

	if (!cli->argc)
		return ask(cli, "GET", "/v1/log", NULL);
	body = json_pack("{s:s}", "level", cli->argv[0]);
	text = body ? json_dumps(body, 0) : NULL;
	if (text)
		code = ask(cli, "PATCH", "/v1/log", text);
	else
		tell_error("expected UTF-8 text");
	json_decref(body);
	free(text);
	return code;
}

int cmd_log_reopen(const struct cli *cli)
{
	return ask(cli, "POST", "/v1/log/reopen", "");
}
