/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands on the configuration as a whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/format.h"
#include "conf/json_schema.h"
#include "control/message.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "control/reply.h"
#include "control/saved.h"
#include "core/strbuf.h"

#define SHARED_CHANGES_SHOWN 16

void cmd_config_format(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct diag d;
	char *text;

	(void)env;
	(void)args;
	diag_init(&d);
	text = format_document(API_BODY_NAME, rq->body, rq->body_len, &d);
	if (text)
		reply_text(rq, API_YAML, text);
	else
		reply_error(rq, REPLY_REFUSED, &d, "the document cannot be formatted");
	diag_deinit(&d);
}

void cmd_config_schema(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct strbuf b;

	(void)env;
	(void)args;
	strbuf_init(&b);
	json_schema_write(&b);
	reply_text(rq, API_JSON, strbuf_take(&b));
}

/* The document, and, as comments, who was found beside those that it lists. */
static char *show_text(const struct snapshot *snap)
{
	char *document = tree_emit(snap->document), address[ENDPOINT_STRLEN];
	struct strbuf b;

	strbuf_init(&b);
	if (document)
		strbuf_add(&b, document);
	b.failed |= !document;
	free(document);
	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *p = &snap->pools[i];

		for (size_t j = 0; j < p->backend_count; j++) {
			const struct backend *be = &p->backends[j];

			if (be->origin != DISCOVER_NONE)
				strbuf_printf(&b,
					      "# found by %s: %s/%s, address %s, weight %u, "
					      "state %s\n",
					      discover_kind_name(be->origin), p->name, be->name,
					      endpoint_format(&be->ep, address, sizeof(address)),
					      be->weight, admin_state_name(be->admin));
		}
	}
	if (!b.failed)
		return strbuf_take(&b);
	strbuf_deinit(&b);
	return NULL;
}

void cmd_config_show(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct snapshot *snap = reload_current(env->reload);
	const char *format = request_query(rq, "format");

	(void)args;
	if (!format || !strcmp(format, "yaml"))
		reply_text(rq, API_YAML, show_text(snap));
	else
		cmd_reply_document(rq, snap->document, format);
}

void cmd_reply_document(struct request *rq, const struct tree *document, const char *format)
{
	if (format && !strcmp(format, "json"))
		reply_json(rq, 200, object_tree(document));
	else if (format && strcmp(format, "yaml") != 0)
		reply_error(rq, REPLY_BAD_REQUEST, NULL, "format: expected yaml or json");
	else
		reply_text(rq, API_YAML, tree_emit(document));
}

void cmd_reply_refused(struct request *rq, int status, const struct diag *d)
{
	if (status == -ENOMEM)
		reply_error(rq, REPLY_NO_MEMORY, d, "shuntd is out of memory");
	else if (d->errors == 1)
		reply_error(rq, REPLY_REFUSED, d, "the configuration was refused; nothing changed");
	else
		reply_error(rq, REPLY_REFUSED, d,
			    "the configuration was refused for %zu errors; nothing changed",
			    d->errors);
}

/* Check a document and say what it would change. Takes t; NULL: d says why. */
static void reply_check(struct commands_env *env, struct request *rq, struct tree *t,
			struct diag *d)
{
	struct change_list changes = {0};
	const char *strict = request_query(rq, "strict");
	int err = t ? reload_check(env->reload, t, d, &changes) : -EINVAL;

	if (!err && strict && !strcmp(strict, "1"))
		err = diag_refuse_warnings(d);
	if (err)
		cmd_reply_refused(rq, err, d);
	else
		reply_json(rq, 200,
			   json_pack("{s:b, s:I, s:o, s:o}", "valid", 1, "generation",
				     (json_int_t)reload_current(env->reload)->generation, "changes",
				     object_changes(&changes), "diagnostics",
				     reply_diagnostics(d)));
	tree_free(t);
	change_list_deinit(&changes);
	diag_deinit(d);
}

void cmd_config_check(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct diag d;

	(void)args;
	diag_init(&d);
	reply_check(env, rq, tree_parse(API_BODY_NAME, rq->body, rq->body_len, &d), &d);
}

void cmd_config_diff_file(struct commands_env *env, struct request *rq,
			  const struct route_args *args)
{
	struct diag d;

	(void)args;
	if (!strcmp(env->config_path, "-")) {
		reply_error(rq, REPLY_CONFLICT, NULL,
			    "the configuration came from standard input: there is no file to "
			    "compare with");
		return;
	}
	diag_init(&d);
	reply_check(env, rq, tree_load(env->config_path, &d), &d);
}

static enum reply_reason reason_of(int status)
{
	switch (status) {
	case -ENOENT: return REPLY_NOT_FOUND;
	case -EEXIST: return REPLY_EXISTS;
	case -ENOMEM: return REPLY_NO_MEMORY;
	case -EBUSY: return REPLY_BUSY;
	case -ESTALE: return REPLY_STALE;
	default: return REPLY_REFUSED;
	}
}

/* Rows of the kernel's tables that the change took. */
static json_t *written_json(const struct l4_report *w)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "backends", (int)w->backends_set,
			 "rings", (int)w->rings_built, "services", (int)w->services_set,
			 "services_deleted", (int)w->services_deleted, "entries",
			 (int)w->entries_set, "entries_deleted", (int)w->entries_deleted,
			 "addresses", (int)w->addresses_written);
}

/* Of a generation that many edits share, each is told of a few changes. */
static json_t *result_json(const struct reload_result *r)
{
	struct change_list shown = r->changes;
	json_t *o = json_object();
	bool failed = !o;

	if (r->edits > 1 && shown.count > SHARED_CHANGES_SHOWN)
		shown.count = SHARED_CHANGES_SHOWN;
	json_put_int(o, "generation", r->generation, &failed);
	json_put_int(o, "duration_us", r->duration_us, &failed);
	json_put_int(o, "edits", r->edits, &failed);
	json_put(o, "written", written_json(&r->written), &failed);
	json_put_int(o, "change_count", r->changes.count, &failed);
	json_put(o, "changes", object_changes(&shown), &failed);
	json_put(o, "diagnostics", reply_diagnostics(&r->diag), &failed);
	return json_finish(o, failed);
}

void cmd_reply_result(struct request *rq, const struct reload_result *r)
{
	enum reply_reason reason = reason_of(r->status);

	if (!r->status)
		reply_json(rq, 200, result_json(r));
	else if (reason == REPLY_REFUSED)
		cmd_reply_refused(rq, r->status, &r->diag);
	else
		reply_error(rq, reason, &r->diag, "%s",
			    r->diag.count ? r->diag.items[0].text : strerror(-r->status));
}

bool cmd_take_origin(struct request *rq, const char *what, struct reload_origin *ret_origin)
{
	const char *match = request_header(rq, "If-Match"), *strict = request_query(rq, "strict");
	struct reload_origin origin = {
		.what = what, .uid = peer_uid(&rq->peer), .strict = strict && !strcmp(strict, "1")};
	char *end = NULL;

	if (match) {
		bool quoted = *match == '"';

		errno = 0;
		origin.if_generation = strtoull(match + quoted, &end, 10);
		if (errno || end == match + quoted || strcmp(end, quoted ? "\"" : "") != 0 ||
		    !origin.if_generation) {
			reply_error(rq, REPLY_BAD_REQUEST, NULL,
				    "If-Match: expected the number of a generation");
			return false;
		}
	}
	*ret_origin = origin;
	return true;
}

static void on_applied(void *ctx, const struct reload_result *result)
{
	cmd_reply_result(ctx, result);
}

void cmd_config_apply(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct reload_origin origin;
	struct tree *t;
	struct diag d;

	(void)args;
	if (!cmd_take_origin(rq, "apply", &origin))
		return;
	diag_init(&d);
	t = tree_parse(API_APPLIED_NAME, rq->body, rq->body_len, &d);
	if (!t)
		cmd_reply_refused(rq, -EINVAL, &d);
	else if (reload_document(env->reload, t, &origin, on_applied, rq))
		reply_error(rq, REPLY_BUSY, NULL, "too many changes wait; try again");
	diag_deinit(&d);
}

void cmd_config_save(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct diag d;
	int err;

	(void)args;
	diag_init(&d);
	err = saved_write(env, &d);
	if (!err)
		reply_json(rq, 200,
			   json_pack("{s:s, s:I}", "file", env->config_path, "generation",
				     (json_int_t)reload_current(env->reload)->generation));
	else
		reply_error(rq, err == -ENOTSUP ? REPLY_CONFLICT : REPLY_FAILED, &d, "%s",
			    d.count ? d.items[0].text : strerror(-err));
	diag_deinit(&d);
}
