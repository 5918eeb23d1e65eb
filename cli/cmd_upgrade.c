/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl upgrade. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define DEFAULT_MS 60000U
#define MAX_MS	   3600000U
#define SPARE_S	   60U /* for the daemon to end a process that has failed */

static int ask(const struct cli *cli, const char *body, unsigned timeout_ms, struct reply *r)
{
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/upgrade",
			     .type = API_JSON,
			     .body = body,
			     .body_len = strlen(body),
			     .seconds = timeout_ms / 1000 + SPARE_S,
			     .as_json = cli->output == OUTPUT_JSON};
	int code = client_ask(&rq, r);

	if (!code && cli->output == OUTPUT_JSON)
		print_json(stdout, r->json);
	else if (!code)
		printf("pid %llu has taken over from pid %llu\n",
		       (unsigned long long)field_count(r->json, "pid"),
		       (unsigned long long)field_count(r->json, "former_pid"));
	return code;
}

int cmd_upgrade(const struct cli *cli)
{
	unsigned timeout_ms = cli->given & TAKES_TIMEOUT ? (unsigned)cli->timeout_ms : DEFAULT_MS;
	char *path = cli->binary ? realpath(cli->binary, NULL) : NULL, *text;
	int code = API_EXIT_USAGE;
	struct reply r = {0};
	json_t *body;

	if (!timeout_ms || timeout_ms > MAX_MS)
		tell_error("--timeout: expected 1ms to 1h");
	else if (cli->binary && !path)
		tell_error("--binary: there is no %s", cli->binary);
	else
		code = API_EXIT_OK;
	body = json_pack("{s:i, s:s*}", "timeout_ms", (int)timeout_ms, "binary", path);
	text = body ? json_dumps(body, 0) : NULL;
	if (!code && text)
		code = ask(cli, text, timeout_ms, &r);
	else if (!code)
		tell_error("expected UTF-8 text");
	reply_deinit(&r);
	json_decref(body);
	free(text);
	free(path);
	return text ? code : API_EXIT_USAGE;
}
