/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that machines ask: is it alive, is it ready, what does it count, what can be asked? */
#include <stdlib.h>
#include <string.h>

#include "control/api_document.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/metrics.h"
#include "control/ready.h"
#include "control/reply.h"

/* That it is answered is the answer: the main loop turns. */
void cmd_healthz(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)env;
	(void)args;
	reply_json(rq, 200, json_pack("{s:s}", "status", "ok"));
}

void cmd_readyz(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct ready r;
	bool is_ready = ready_check(env, &r), failed;
	json_t *o = json_object(), *problems = json_array();

	(void)args;
	failed = !o || !problems;
#define X(name, text)                                                                              \
	if (!r.name)                                                                               \
		json_push(problems, json_string(text), &failed);
	READY_CHECKS(X)
#undef X
	json_put(o, "ready", json_boolean(is_ready), &failed);
	json_put(o, "problems", problems, &failed);
	reply_json(rq, is_ready ? 200 : 503, json_finish(o, failed));
}

void cmd_metrics(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_text(rq, METRICS_CONTENT_TYPE, metrics_render(env));
}

void cmd_openapi(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)env;
	(void)args;
	reply_text(rq, "application/json", api_document());
}
