/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "control/cmd.h"
#include "control/json_build.h"
#include "control/reply.h"

static const char *level_word(enum doctor_level level)
{
	static const char *const words[] = {
#define X(name, text) text,
		DOCTOR_LEVELS(X)
#undef X
	};

	return words[level];
}

static const char *subject_word(enum doctor_subject subject)
{
	static const char *const words[] = {
#define X(name, text) text,
		DOCTOR_SUBJECTS(X)
#undef X
	};

	return words[subject];
}

struct doctor_text doctor_text(const char *fmt, ...)
{
	struct doctor_text text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text.s, sizeof(text.s), fmt, ap);
	va_end(ap);
	return text;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_text(text) : json_null();
}

void doctor_tell(struct doctor *d, enum doctor_level level, enum doctor_subject subject,
		 const char *what, const char *why, const char *fix)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "level", json_string(level_word(level)), &failed);
	json_put(o, "subject", json_string(subject_word(subject)), &failed);
	json_put(o, "what", json_text(what), &failed);
	json_put(o, "why", text_or_null(why), &failed);
	json_put(o, "fix", text_or_null(fix), &failed);
	json_push(d->list, json_finish(o, failed), &d->failed);
	if (level > d->worst)
		d->worst = level;
}

void doctor_ok(struct doctor *d, enum doctor_subject subject, const char *what)
{
	doctor_tell(d, DOCTOR_OK, subject, what, NULL, NULL);
}

json_t *doctor_json(struct commands_env *env)
{
	struct doctor d = {.env = env,
			   .snap = reload_current(env->reload),
			   .list = json_array(),
			   .worst = DOCTOR_OK};

	d.failed = !d.list;
	doctor_daemon(&d);
	doctor_net(&d);
	doctor_host(&d);
	return json_pack("{s:s, s:o}", "worst", level_word(d.worst), "findings",
			 json_finish(d.list, d.failed));
}

void cmd_doctor(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	reply_json(rq, 200, doctor_json(env));
}
