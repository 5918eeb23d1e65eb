/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands on the generations that were in force. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/build.h"
#include "control/cmd.h"
#include "control/history.h"
#include "control/json_build.h"
#include "control/message.h"
#include "control/objects.h"
#include "control/reply.h"

/* The document that a segment of the path names; NULL: rq was answered. */
static struct tree *take_generation(struct commands_env *env, struct request *rq, const char *text)
{
	struct tree *t;
	struct diag d;
	char *end;
	unsigned long long generation;
	int err;

	errno = 0;
	generation = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '1' || text[0] > '9') {
		reply_error(rq, REPLY_BAD_REQUEST, NULL, "expected the number of a generation");
		return NULL;
	}
	diag_init(&d);
	t = history_document(env->history, generation, &d, &err);
	if (!t)
		reply_error(rq, err == -ENOENT ? REPLY_NOT_FOUND : REPLY_FAILED, &d, "%s",
			    d.count ? d.items[0].text : strerror(-err));
	diag_deinit(&d);
	return t;
}

void cmd_config_history(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_json(rq, 200,
		   json_pack("{s:I, s:o}", "generation",
			     (json_int_t)reload_current(env->reload)->generation, "generations",
			     history_json(env->history)));
}

void cmd_config_generation(struct commands_env *env, struct request *rq,
			   const struct route_args *args)
{
	const char *format = request_query(rq, "format");
	struct tree *t = take_generation(env, rq, args->name[0]);

	if (t)
		cmd_reply_document(rq, t, format);
	tree_free(t);
}

static void reply_difference(struct commands_env *env, struct request *rq, const struct tree *from,
			     const struct tree *to)
{
	struct change_list changes = {0};
	struct snapshot *a, *b;
	struct diag d;
	int err = -EINVAL;

	diag_init(&d);
	a = conf_build(from, env->runtime, &d);
	b = a ? conf_build(to, env->runtime, &d) : NULL;
	if (b)
		err = diff_snapshots(a, b, &changes);
	if (err)
		cmd_reply_refused(rq, d.out_of_memory ? -ENOMEM : err, &d);
	else
		reply_json(rq, 200, json_pack("{s:o}", "changes", object_changes(&changes)));
	change_list_deinit(&changes);
	snapshot_unref(a);
	snapshot_unref(b);
	diag_deinit(&d);
}

void cmd_config_compare(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct tree *from = take_generation(env, rq, args->name[0]), *to = NULL;

	if (from)
		to = take_generation(env, rq, args->name[1]);
	if (to)
		reply_difference(env, rq, from, to);
	tree_free(from);
	tree_free(to);
}

static void on_applied(void *ctx, const struct reload_result *result)
{
	cmd_reply_result(ctx, result);
}

void cmd_config_rollback(struct commands_env *env, struct request *rq,
			 const struct route_args *args)
{
	struct reload_origin origin;
	struct tree *t;

	if (!cmd_take_origin(rq, "rollback", &origin))
		return;
	t = take_generation(env, rq, args->name[0]);
	if (t && reload_document(env->reload, t, &origin, on_applied, rq))
		reply_error(rq, REPLY_BUSY, NULL, "too many changes wait; try again");
}
