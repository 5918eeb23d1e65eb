/* SPDX-License-Identifier: BSD-2-Clause */
/* The command that has another binary take this daemon's place. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "control/body.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "control/upgrade.h"

static void on_upgraded(void *ctx, int status, pid_t pid, const char *why)
{
	struct request *rq = ctx;

	if (status)
		reply_error(rq, REPLY_REFUSED, NULL, "the upgrade failed, nothing has changed: %s",
			    why);
	else
		reply_json(rq, 200,
			   json_pack("{s:I, s:I}", "pid", (json_int_t)pid, "former_pid",
				     (json_int_t)getpid()));
}

struct wish {
	char binary[PATH_MAX]; /* empty: the daemon's own */
	unsigned timeout_ms;
};

static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct wish *w = ctx;
	json_int_t ms;

	if (!key)
		return NULL;
	if (!strcmp(key, "binary")) {
		if (!body_copy_text(value, w->binary, sizeof(w->binary)) || w->binary[0] != '/')
			return "binary: expected an absolute path";
		return NULL;
	}
	if (strcmp(key, "timeout_ms") != 0)
		return "expected binary and timeout_ms";
	ms = json_integer_value(value);
	if (ms <= 0 || ms > (json_int_t)UPGRADE_TIMEOUT_MAX_MS)
		return "timeout_ms: expected a number of milliseconds up to an hour";
	w->timeout_ms = (unsigned)ms;
	return NULL;
}

void cmd_upgrade(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct wish w = {.timeout_ms = UPGRADE_TIMEOUT_MS};
	char why[512];
	int err;

	(void)args;
	if (rq->body_len && !body_take(rq, take_field, &w))
		return;
	/* What is executed gets all that this daemon may do: only who may do all of it says what. */
	if (w.binary[0] && rq->peer.uid != 0 && rq->peer.uid != geteuid()) {
		reply_error(rq, REPLY_FORBIDDEN, NULL,
			    "binary: only root and the daemon's own user may say which, on the "
			    "control socket");
		return;
	}
	err = upgrade_begin(env->upgrade, w.binary[0] ? w.binary : NULL, w.timeout_ms, on_upgraded,
			    rq, why, sizeof(why));
	if (err)
		reply_error(rq, err == -EBUSY ? REPLY_BUSY : REPLY_REFUSED, NULL,
			    "no upgrade begins: %s", why);
}
