/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands and the way into it: see commands.h. */
#include "control/commands.h"

#include <stdio.h>
#include <string.h>

#include "control/cmd.h"
#include "control/reply.h"
#include "control/upgrade.h"
#include "core/log.h"

static const struct command {
	const char *method;
	const char *path;
	bool mutates; /* logged with who asked; refused while the daemon stops */
	command_fn run;
} commands[] = {
	{"GET", "/v1/version", false, cmd_version},
	{"GET", "/v1/status", false, cmd_status},
	{"GET", "/v1/services", false, cmd_services},
	{"GET", "/v1/services/{}", false, cmd_service},
	{"GET", "/v1/services/{}/routes", false, cmd_route_list},
	{"POST", "/v1/services/{}/route", false, cmd_route_test},
	{"GET", "/v1/pools", false, cmd_pools},
	{"GET", "/v1/pools/{}", false, cmd_pool},
	{"GET", "/v1/backends", false, cmd_backends},
	{"GET", "/v1/health", false, cmd_health},
	{"GET", "/v1/limits", false, cmd_limits},
	{"GET", "/v1/certificates", false, cmd_certificates},
	{"GET", "/v1/doctor", false, cmd_doctor},
	{"GET", "/v1/config", false, cmd_config_show},
	{"GET", "/v1/config/diff", false, cmd_config_diff_file},
	{"POST", "/v1/config/check", false, cmd_config_check},
	{"POST", "/v1/config/format", false, cmd_config_format},
	{"POST", "/v1/config/diff", false, cmd_config_check},
	{"POST", "/v1/config/apply", true, cmd_config_apply},
	{"POST", "/v1/config/save", true, cmd_config_save},
	{"GET", "/v1/config/schema", false, cmd_config_schema},
	{"GET", "/v1/config/history", false, cmd_config_history},
	{"GET", "/v1/config/generations/{}", false, cmd_config_generation},
	{"GET", "/v1/config/generations/{}/diff/{}", false, cmd_config_compare},
	{"POST", "/v1/config/generations/{}/rollback", true, cmd_config_rollback},
	{"POST", "/v1/pools/{}/backends", true, cmd_backend_add},
	{"DELETE", "/v1/pools/{}/backends/{}", true, cmd_backend_remove},
	{"PATCH", "/v1/pools/{}/backends/{}", true, cmd_backend_change},
	{"GET", "/v1/guard", false, cmd_guard_list},
	{"POST", "/v1/guard", true, cmd_guard_add},
	{"DELETE", "/v1/guard", true, cmd_guard_flush},
	{"POST", "/v1/guard/remove", true, cmd_guard_remove},
	{"POST", "/v1/upgrade", true, cmd_upgrade},
	{"POST", "/v1/explain", false, cmd_explain},
	{"POST", "/v1/captures", true, cmd_capture_begin},
	{"POST", "/v1/captures/{}/read", false, cmd_capture_read},
	{"DELETE", "/v1/captures/{}", true, cmd_capture_end},
	{"GET", "/v1/flows", false, cmd_flows},
	{"POST", "/v1/flows/forget", true, cmd_flows_forget},
	{"POST", "/v1/flows/kill", true, cmd_flows_kill},
	{"GET", "/v1/log", false, cmd_log_show},
	{"PATCH", "/v1/log", true, cmd_log_change},
	{"POST", "/v1/log/reopen", true, cmd_log_reopen},
	{"GET", "/healthz", false, cmd_healthz},
	{"GET", "/readyz", false, cmd_readyz},
	{"GET", "/metrics", false, cmd_metrics},
	{"GET", "/openapi.json", false, cmd_openapi},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void reply_fault(struct request *rq)
{
	switch (rq->fault) {
	case REQUEST_FORBIDDEN:
		reply_error(rq, REPLY_FORBIDDEN, NULL,
			    "uid %ld is neither root nor in the group of the control socket",
			    peer_uid(&rq->peer));
		return;
	case REQUEST_TOO_LARGE:
		reply_error(rq, REPLY_TOO_LARGE, NULL, "expected at most %u bytes",
			    SERVER_BODY_MAX);
		return;
	case REQUEST_NO_MEMORY:
	case REQUEST_OK: break;
	}
	reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
}

/* One line for each change that was asked for, whatever became of it. */
static void log_audit(const struct request *rq, unsigned status, void *ctx)
{
	const struct commands_env *env = ctx;

	log_info(
		"audit: command method=%s path=%s via=%s uid=%ld pid=%ld status=%u generation=%llu",
		rq->method, rq->path, rq->via, peer_uid(&rq->peer), (long)rq->peer.pid, status,
		(unsigned long long)reload_current(env->reload)->generation);
}

static void run_command(struct commands_env *env, const struct command *c, struct request *rq,
			const struct route_args *args)
{
	if (c->mutates && env->stopping) {
		reply_error(rq, REPLY_BUSY, NULL, "shuntd is stopping");
		return;
	}
	if (c->mutates && upgrade_is_switching(env->upgrade)) {
		reply_error(rq, REPLY_BUSY, NULL, "an upgrade is under way; try again");
		return;
	}
	if (c->mutates) {
		log_info("control: command method=%s path=%s uid=%ld pid=%ld", rq->method, rq->path,
			 peer_uid(&rq->peer), (long)rq->peer.pid);
		rq->on_reply = log_audit;
		rq->on_reply_ctx = env;
	}
	c->run(env, rq, args);
}

void commands_handle(void *ctx, struct request *rq)
{
	struct route_args args;
	char allow[64] = "";

	struct commands_env *env = ctx;

	if (rq->fault) {
		reply_fault(rq);
		return;
	}
	if (env->retired) {
		reply_error(rq, REPLY_BUSY, NULL,
			    "another process has taken over; connect again to reach it");
		return;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		size_t len = strlen(allow);

		if (!route_match(commands[i].path, rq->path, &args))
			continue;
		if (!strcmp(commands[i].method, rq->method)) {
			run_command(ctx, &commands[i], rq, &args);
			return;
		}
		(void)snprintf(allow + len, sizeof(allow) - len, "%s%s", len ? ", " : "",
			       commands[i].method);
	}
	if (allow[0])
		reply_method(rq, allow);
	else
		reply_error(rq, REPLY_NOT_FOUND, NULL, "no such path: %s", rq->path);
}
