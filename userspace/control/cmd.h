/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers that the table in commands.c names. Each answers rq once, at once or later. */
#ifndef CONTROL_CMD_H
#define CONTROL_CMD_H

#include "control/commands.h"
#include "control/route.h"

typedef void (*command_fn)(struct commands_env *env, struct request *rq,
			   const struct route_args *args);

/* cmd_show.c: nothing is changed. */
void cmd_version(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_status(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_services(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_service(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_pools(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_pool(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_backends(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_limits(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_health(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_config.c */
void cmd_config_show(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_check(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_diff_file(struct commands_env *env, struct request *rq,
			  const struct route_args *args);
void cmd_config_apply(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_save(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_backend.c */
void cmd_backend_add(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_backend_remove(struct commands_env *env, struct request *rq,
			const struct route_args *args);
void cmd_backend_change(struct commands_env *env, struct request *rq,
			const struct route_args *args);

/* cmd_guard.c */
void cmd_guard_list(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_guard_add(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_guard_remove(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_guard_flush(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_route.c */
void cmd_route_test(struct commands_env *env, struct request *rq, const struct route_args *args);

/* What became of a change, for all that change something (a reload_cb; ctx: struct request). */
void cmd_reply_result(struct request *rq, const struct reload_result *result);

#endif
