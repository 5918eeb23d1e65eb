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
void cmd_certificates(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_health(struct commands_env *env, struct request *rq, const struct route_args *args);

/* doctor.c */
void cmd_doctor(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_config.c */
void cmd_config_show(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_check(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_diff_file(struct commands_env *env, struct request *rq,
			  const struct route_args *args);
void cmd_config_apply(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_format(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_schema(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_config_save(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_history.c */
void cmd_config_history(struct commands_env *env, struct request *rq,
			const struct route_args *args);
void cmd_config_generation(struct commands_env *env, struct request *rq,
			   const struct route_args *args);
void cmd_config_compare(struct commands_env *env, struct request *rq,
			const struct route_args *args);
void cmd_config_rollback(struct commands_env *env, struct request *rq,
			 const struct route_args *args);

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
void cmd_log_show(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_log_change(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_log_reopen(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_healthz(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_readyz(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_metrics(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_openapi(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_guard_flush(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_upgrade.c */
void cmd_upgrade(struct commands_env *env, struct request *rq, const struct route_args *args);
/* cmd_flows.c */
void cmd_flows(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_flows_forget(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_flows_kill(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_explain.c */
void cmd_explain(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_capture.c */
void cmd_capture_begin(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_capture_read(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_capture_end(struct commands_env *env, struct request *rq, const struct route_args *args);

/* cmd_route.c */
void cmd_route_list(struct commands_env *env, struct request *rq, const struct route_args *args);
void cmd_route_test(struct commands_env *env, struct request *rq, const struct route_args *args);

/* Who asks for a change, and on which terms: "If-Match: GENERATION", "?strict=1". False: rq was
 * answered. */
bool cmd_take_origin(struct request *rq, const char *what, struct reload_origin *ret_origin);

/* A document, in the format that was asked for; NULL: yaml. */
void cmd_reply_document(struct request *rq, const struct tree *document, const char *format);

/* An error about a configuration; status: -errno. */
void cmd_reply_refused(struct request *rq, int status, const struct diag *d);

/* What became of a change, for all that change something (a reload_cb; ctx: struct request). */
void cmd_reply_result(struct request *rq, const struct reload_result *result);

#endif
