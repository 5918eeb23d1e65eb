/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that only look. */
#include <string.h>

#include "control/cmd.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "control/reply.h"
#include "control/saved.h"

void cmd_version(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)env;
	(void)args;
	reply_json(rq, 200, object_version());
}

void cmd_status(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const char *flows = request_query(rq, "flows");
	const struct snapshot *snap = reload_current(env->reload);

	(void)args;
	reply_json(rq, 200,
		   object_status(env, snap, saved_differs(env), flows && !strcmp(flows, "1")));
}

void cmd_services(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	json_t *list = json_array();
	bool failed = !list;

	(void)args;
	for (size_t i = 0; i < snap->service_count; i++)
		json_push(list, object_service(env, snap, &snap->services[i]), &failed);
	reply_json(rq, 200, json_pack("{s:o}", "services", json_finish(list, failed)));
}

void cmd_service(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	const struct service *s = snapshot_service(snap, args->name[0]);

	if (s)
		reply_json(rq, 200, object_service(env, snap, s));
	else
		reply_error(rq, REPLY_NOT_FOUND, NULL, "no such service: %s", args->name[0]);
}

void cmd_limits(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_json(rq, 200, object_limits(reload_current(env->reload)));
}

void cmd_certificates(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_json(rq, 200, object_certificates(reload_current(env->reload)));
}

void cmd_pools(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	json_t *list = json_array();
	bool failed = !list;

	(void)args;
	for (size_t i = 0; i < snap->pool_count; i++)
		json_push(list, object_pool(env, snap, &snap->pools[i]), &failed);
	reply_json(rq, 200, json_pack("{s:o}", "pools", json_finish(list, failed)));
}

void cmd_pool(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	const struct pool *p = snapshot_pool(snap, args->name[0]);

	if (p)
		reply_json(rq, 200, object_pool(env, snap, p));
	else
		reply_error(rq, REPLY_NOT_FOUND, NULL, "no such pool: %s", args->name[0]);
}

typedef void (*push_pool)(json_t *list, const struct commands_env *env, const struct snapshot *snap,
			  const struct pool *pool, bool *failed);

/* All backends of snap, or of one pool, each as push() says. */
static json_t *list_backends(const struct commands_env *env, const struct snapshot *snap,
			     const char *pool, push_pool push)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->pool_count; i++)
		if (!pool || !strcmp(snap->pools[i].name, pool))
			push(list, env, snap, &snap->pools[i], &failed);
	return json_finish(list, failed);
}

/* The parameter pool=NAME of a list; false: it was answered that there is none. */
static bool take_pool(const struct snapshot *snap, struct request *rq, const char **ret_pool)
{
	const char *pool = request_query(rq, "pool");

	if (pool && !snapshot_pool(snap, pool)) {
		reply_error(rq, REPLY_NOT_FOUND, NULL, "no such pool: %s", pool);
		return false;
	}
	*ret_pool = pool;
	return true;
}

void cmd_backends(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	const char *pool;

	(void)args;
	if (!take_pool(snap, rq, &pool))
		return;
	reply_json(rq, 200,
		   json_pack("{s:o}", "backends",
			     list_backends(env, snap, pool, object_push_backends)));
}

static void push_health(json_t *list, const struct commands_env *env, const struct snapshot *snap,
			const struct pool *pool, bool *failed)
{
	(void)env;
	(void)snap;
	for (size_t i = 0; i < pool->backend_count; i++)
		json_push(list, object_health(&pool->backends[i]), failed);
}

void cmd_health(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	const char *pool;

	(void)args;
	if (!take_pool(snap, rq, &pool))
		return;
	reply_json(rq, 200,
		   json_pack("{s:o, s:o}", "backend_states",
			     object_backend_states(snap, pool ? snapshot_pool(snap, pool) : NULL),
			     "backends", list_backends(env, snap, pool, push_health)));
}
