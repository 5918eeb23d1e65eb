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

/* 0: it is no time. */
static unsigned parse_time(const char *text)
{
	static const struct {
		const char *unit;
		unsigned ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[0] >= '0' && text[0] <= '9' && !strcmp(end, units[i].unit) &&
		    n <= MAX_MS / units[i].ms)
			return (unsigned)n * units[i].ms;
	return 0;
}

static int ask(const struct cli *cli, const char *body, unsigned timeout_ms, struct reply *r)
{
	struct request rq = {.socket = cli->socket,
			     .method = "POST",
			     .path = "/v1/upgrade",
			     .type = API_JSON,
			     .body = body,
			     .body_len = strlen(body),
			     .timeout_s = timeout_ms / 1000 + SPARE_S,
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
	unsigned timeout_ms = cli->timeout ? parse_time(cli->timeout) : DEFAULT_MS;
	char *path = cli->binary ? realpath(cli->binary, NULL) : NULL, *text;
	int code = API_EXIT_USAGE;
	struct reply r = {0};
	json_t *body;

	if (!timeout_ms)
		tell_error("--timeout: expected 1ms to 1h, not '%s'", cli->timeout);
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
