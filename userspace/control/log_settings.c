/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's log, and the commands about it: see log_settings.h. */
#include "control/log_settings.h"

#include <string.h>

#include "control/body.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "core/log.h"
#include "log/sink.h"
#include "log/writer.h"

static enum log_level level_at_start;

void log_settings_apply(const struct snapshot *former, const struct snapshot *snap)
{
	const struct log_conf *conf = &snap->log;

	if (!former)
		level_at_start = log_get_level();
	if (!former || former->log.level != conf->level)
		log_set_level(conf->level == LOG_CONF_AS_STARTED
				      ? level_at_start
				      : (enum log_level)(conf->level - LOG_CONF_ERROR));
	log_set_output(conf->format == LOG_CONF_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
		       conf->target == LOG_CONF_JOURNALD ? LOG_TARGET_JOURNALD
		       : conf->target == LOG_CONF_SYSLOG ? LOG_TARGET_SYSLOG
							 : LOG_TARGET_STDERR);
}

static void reply_log(const struct commands_env *env, struct request *rq)
{
	const struct log_conf *conf = &reload_current(env->reload)->log;
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "level", json_string(log_level_name(log_get_level())), &failed);
	json_put(o, "format", json_string(log_conf_format_words[conf->format]), &failed);
	json_put(o, "target", json_string(log_conf_target_words[conf->target]), &failed);
	json_put_int(o, "access_lines_not_written", log_sinks_lost(), &failed);
	reply_json(rq, 200, json_finish(o, failed));
}

void cmd_log_show(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_log(env, rq);
}

struct order {
	enum log_level level;
	bool has_level;
};

static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct order *o = ctx;

	if (!key)
		return o->has_level ? NULL : "level: expected error, warning, info or debug";
	if (strcmp(key, "level") != 0)
		return "expected level alone";
	o->has_level =
		json_is_string(value) && log_level_parse(json_string_value(value), &o->level) == 0;
	return o->has_level ? NULL : "level: expected error, warning, info or debug";
}

void cmd_log_change(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct order o = {0};

	(void)args;
	if (!body_take(rq, take_field, &o))
		return;
	log_set_level(o.level);
	reply_log(env, rq);
}

void cmd_log_reopen(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	log_writer_reopen();
	reply_log(env, rq);
}
