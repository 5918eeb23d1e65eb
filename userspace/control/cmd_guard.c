/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands on the lists of the guard. An entry without an end is an edit of the document, as other
 * changes are; one with an end is not, it stands in the kernel's list alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/edit_guard.h"
#include "conf/fields.h"
#include "conf/value.h"
#include "control/body.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "control/reply.h"
#include "core/clock.h"
#include "l4/guard.h"
#include "l4/l4.h"

#define FOR_MIN_MS 1000ULL
#define FOR_MAX_MS (365ULL * 24 * 3600 * 1000)

/* What a command says, and, where it is an edit, owner of itself until its result is told. */
struct order {
	struct request *rq;
	struct guard_prefix entry;
	char note[SHUNT_NOTE_MAX];
	char service[SHUNT_NAME_MAX];
	uint64_t for_ms; /* 0: for ever */
	bool adds;
};

/* False: it was answered that there are no lists. */
static bool need_lists(const struct commands_env *env, struct request *rq)
{
	if (env->l4)
		return true;
	reply_error(rq, REPLY_CONFLICT, NULL, "nothing looks at packets: node.interfaces is empty");
	return false;
}

void cmd_guard_list(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	if (need_lists(env, rq))
		reply_json(rq, 200, object_guard(env));
}

/* ---- edits ---- */

static int run_edit(void *ctx, struct tree *doc, struct diag *d)
{
	const struct order *o = ctx;

	if (o->adds)
		return edit_guard_add(doc, &o->entry, d);
	return edit_guard_remove(doc, &o->entry.addr, o->entry.len, d);
}

static void on_applied(void *ctx, const struct reload_result *result)
{
	struct order *o = ctx;

	cmd_reply_result(o->rq, result);
	free(o);
}

static void submit(struct commands_env *env, struct request *rq, const struct order *what)
{
	struct reload_origin origin;
	struct order *o;

	if (!cmd_take_origin(rq, "command", &origin))
		return;
	o = malloc(sizeof(*o));
	if (o) {
		*o = *what;
		o->rq = rq;
		o->entry.note = o->note[0] ? o->note : NULL;
	}
	if (!o || reload_edit_document(env->reload, run_edit, &origin, on_applied, o)) {
		free(o);
		reply_error(rq, REPLY_BUSY, NULL, "too many changes wait; try again");
	}
}

/* ---- changes of the kernel's lists alone ---- */

static enum reply_reason reason_of(int err)
{
	switch (err) {
	case -ENOENT: return REPLY_NOT_FOUND;
	case -EEXIST: return REPLY_EXISTS;
	case -ENOSPC: return REPLY_REFUSED;
	default: return REPLY_FAILED;
	}
}

/* As an edit would be answered. Takes changes. */
static void reply_done(struct commands_env *env, struct request *rq, uint64_t start_ns,
		       json_t *changes)
{
	reply_json(rq, 200,
		   json_pack("{s:I, s:I, s:o, s:[]}", "generation",
			     (json_int_t)reload_current(env->reload)->generation, "duration_us",
			     (json_int_t)((clock_now_ns() - start_ns) / 1000), "changes", changes,
			     "diagnostics"));
}

static json_t *change_json(const struct order *o)
{
	char prefix[PREFIX_STRLEN];
	const char *list = o->adds ? o->entry.allow ? "allow " : "block " : "";

	prefix_format(&o->entry.addr, o->entry.len, prefix, sizeof(prefix));
	return json_pack("[{s:s, s:o, s:b}]", "kind", o->adds ? "added" : "removed", "object",
			 json_sprintf("guard %s%s%s%s", list, prefix,
				      o->service[0] ? " of service " : "", o->service),
			 "needs_restart", 0);
}

static void run_direct(struct commands_env *env, struct request *rq, const struct order *o)
{
	const char *service = o->service[0] ? o->service : NULL;
	struct guard *g = l4_guard(env->l4);
	uint64_t start_ns = clock_now_ns();
	struct diag d;
	int err;

	diag_init(&d);
	if (o->adds)
		err = guard_add(g, &o->entry, o->for_ms, &d);
	else
		err = guard_remove(g, &o->entry.addr, o->entry.len, service, &d);
	if (err)
		reply_error(rq, reason_of(err), &d, "%s",
			    d.count ? d.items[0].text : strerror(-err));
	else
		reply_done(env, rq, start_ns, change_json(o));
	diag_deinit(&d);
}

/* ---- what the body says ---- */

/* A body_field. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	const char *text = json_string_value(value);
	struct order *o = ctx;

	if (!key)
		return o->entry.addr.family ? NULL : "expected prefix";
	if (!strcmp(key, "prefix"))
		return text && !addr_parse_prefix(text, true, &o->entry.addr, &o->entry.len)
			       ? NULL
			       : "prefix: expected an address, or a prefix without host bits";
	if (!o->adds && !strcmp(key, "service"))
		return body_copy_text(value, o->service, sizeof(o->service))
			       ? NULL
			       : "service: expected a name of 1 to 63 bytes";
	if (o->adds && !strcmp(key, "action")) {
		o->entry.allow = text && !strcmp(text, "allow");
		return o->entry.allow || (text && !strcmp(text, "block"))
			       ? NULL
			       : "action: expected block or allow";
	}
	if (o->adds && !strcmp(key, "note"))
		return text && !field_refuse_note(text) &&
				       body_copy_text(value, o->note, sizeof(o->note))
			       ? NULL
			       : "note: expected a text of 1 to 47 bytes on one line";
	if (o->adds && !strcmp(key, "for"))
		return text && !value_duration(text, &o->for_ms) && o->for_ms >= FOR_MIN_MS &&
				       o->for_ms <= FOR_MAX_MS
			       ? NULL
			       : "for: expected a duration from 1s to 8760h, such as 10m";
	return o->adds ? "unknown field: expected prefix, action, for and note"
		       : "unknown field: expected prefix and service";
}

/* ---- the commands ---- */

void cmd_guard_add(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct order o = {.adds = true};

	(void)args;
	if (!body_take(rq, take_field, &o))
		return;
	o.entry.note = o.note[0] ? o.note : NULL;
	if (!o.for_ms)
		submit(env, rq, &o);
	else if (need_lists(env, rq))
		run_direct(env, rq, &o);
}

void cmd_guard_remove(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct order o = {.adds = false};

	(void)args;
	if (!body_take(rq, take_field, &o))
		return;
	if (o.service[0] && !need_lists(env, rq))
		return;
	if (o.service[0] || (env->l4 && guard_has(l4_guard(env->l4), &o.entry.addr, o.entry.len)))
		run_direct(env, rq, &o);
	else
		submit(env, rq, &o);
}

void cmd_guard_flush(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	uint64_t start_ns = clock_now_ns();
	size_t removed;
	struct diag d;
	int err;

	(void)args;
	if (!need_lists(env, rq))
		return;
	diag_init(&d);
	err = guard_flush(l4_guard(env->l4), &removed, &d);
	if (err)
		reply_error(rq, REPLY_FAILED, &d, "%s", d.count ? d.items[0].text : strerror(-err));
	else
		reply_done(env, rq, start_ns,
			   removed ? json_pack("[{s:s, s:o, s:b}]", "kind", "removed", "object",
					       json_sprintf("guard: %zu entries", removed),
					       "needs_restart", 0)
				   : json_array());
	diag_deinit(&d);
}
