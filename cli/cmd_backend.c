/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl backend. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/print.h"

int cmd_backend_list(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get_of_pool(cli, "/v1/backends", &r, &shown);

	if (!shown)
		code = cmd_print_backends(json_object_get(r.json, "backends"));
	reply_deinit(&r);
	return code;
}

static int no_memory(void)
{
	tell_error("out of memory");
	return API_EXIT_FAILED;
}

/* /v1/pools/POOL/backends[/NAME], malloc'ed; NULL: out of memory. */
static char *make_path(const char *pool, const char *name)
{
	char *path = strdup("/v1/pools");

	if (path && !client_add_segment(&path, pool) && !client_add_segment(&path, "backends") &&
	    (!name || !client_add_segment(&path, name)))
		return path;
	free(path);
	return NULL;
}

/* Takes body (NULL: out of memory, except for a DELETE). */
static int send_change(const struct cli *cli, const char *method, const char *pool,
		       const char *name, json_t *body)
{
	bool removes = !strcmp(method, "DELETE");
	char *text = body ? json_dumps(body, 0) : NULL;
	char *path = make_path(pool, name);
	struct request rq = {.socket = cli->socket,
			     .method = method,
			     .path = path,
			     .body = text,
			     .body_len = text ? strlen(text) : 0,
			     .as_json = cli->output == OUTPUT_JSON};
	int code = path && (text || removes) ? cmd_change(cli, &rq) : no_memory();

	json_decref(body);
	free(text);
	free(path);
	return code;
}

/* POOL NAME or POOL/NAME at the front of the arguments. Takes the first argument apart where it is
 * the latter. Returns how many arguments it took; 0: told what is wrong. */
static int take_names(const struct cli *cli, int more, const char **ret_pool, const char **ret_name)
{
	char *slash = strchr(cli->argv[0], '/');
	int taken = slash ? 1 : 2;

	if (cli->argc != taken + more || (slash && (slash == cli->argv[0] || !slash[1]))) {
		tell_error("expected POOL NAME or POOL/NAME%s", more ? ", then a number" : "");
		return 0;
	}
	*ret_pool = cli->argv[0];
	*ret_name = slash ? slash + 1 : cli->argv[1];
	if (slash)
		*slash = '\0';
	return taken;
}

int cmd_backend_add(const struct cli *cli)
{
	json_t *body = json_pack("{s:s, s:s}", "name", cli->argv[1], "address", cli->argv[2]);

	if (!body) {
		tell_error("NAME and ADDRESS: expected UTF-8 text");
		return API_EXIT_USAGE;
	}
	if ((cli->given & TAKES_WEIGHT) &&
	    json_object_set_new(body, "weight", json_integer(cli->weight))) {
		json_decref(body);
		return no_memory();
	}
	return send_change(cli, "POST", cli->argv[0], NULL, body);
}

int cmd_backend_remove(const struct cli *cli)
{
	const char *pool, *name;

	if (!take_names(cli, 0, &pool, &name))
		return API_EXIT_USAGE;
	return send_change(cli, "DELETE", pool, name, NULL);
}

static int set_state(const struct cli *cli, const char *state)
{
	const char *pool, *name;

	if (!take_names(cli, 0, &pool, &name))
		return API_EXIT_USAGE;
	return send_change(cli, "PATCH", pool, name, json_pack("{s:s}", "state", state));
}

/* With --wait, the answer is that of the wait. */
int cmd_backend_drain(const struct cli *cli)
{
	const char *pool, *name;
	int code;

	if (!(cli->given & TAKES_WAIT) && (cli->given & (TAKES_TIMEOUT | TAKES_QUIET))) {
		tell_error("--timeout and --quiet need --wait");
		return API_EXIT_USAGE;
	}
	if (!take_names(cli, 0, &pool, &name))
		return API_EXIT_USAGE;
	code = send_change(cli, "PATCH", pool, name, json_pack("{s:s}", "state", "drain"));
	if (!code && (cli->given & TAKES_WAIT))
		code = cmd_wait_drained(cli, pool, name);
	return code;
}

int cmd_backend_undrain(const struct cli *cli)
{
	return set_state(cli, "up");
}

int cmd_backend_disable(const struct cli *cli)
{
	return set_state(cli, "disabled");
}

int cmd_backend_enable(const struct cli *cli)
{
	return set_state(cli, "up");
}

int cmd_backend_weight(const struct cli *cli)
{
	const char *pool, *name;
	int taken = take_names(cli, 1, &pool, &name);
	unsigned long weight;
	char *end;

	if (!taken)
		return API_EXIT_USAGE;
	errno = 0;
	weight = strtoul(cli->argv[taken], &end, 10);
	if (errno || cli->argv[taken][0] < '0' || cli->argv[taken][0] > '9' || *end ||
	    weight > 1000) {
		tell_error("weight: expected 0 to 1000, not '%s'", cli->argv[taken]);
		return API_EXIT_USAGE;
	}
	return send_change(cli, "PATCH", pool, name,
			   json_pack("{s:I}", "weight", (json_int_t)weight));
}
