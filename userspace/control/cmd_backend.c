/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that change backends: edits of the document in force, applied as any other change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/edit.h"
#include "conf/found.h"
#include "conf/runtime.h"
#include "control/body.h"
#include "control/cmd.h"
#include "control/reply.h"

/* One edit under way. Owner: itself, until its result is told. */
struct edit {
	struct request *rq;
	enum { EDIT_ADD, EDIT_REMOVE, EDIT_CHANGE } kind;
	char pool[SHUNT_NAME_MAX];
	char name[SHUNT_NAME_MAX];
	char address[ENDPOINT_STRLEN];
	bool has_weight, has_state;
	unsigned weight;
	enum admin_state state;
	const struct found *found; /* for pools */
};

static int change_listed(const struct edit *e, struct tree *doc, struct diag *d)
{
	int err = 0;

	if (e->has_state)
		err = edit_backend_state(doc, e->pool, e->name, e->state, d);
	if (!err && e->has_weight)
		err = edit_backend_weight(doc, e->pool, e->name, e->weight, d);
	return err;
}

static int change_found(const struct edit *e, const struct found_backend *f, struct tree *doc,
			struct diag *d)
{
	int err = 0;

	if (e->has_state)
		err = edit_found_state(doc, e->pool, e->name, e->state, f->admin, d);
	if (!err && e->has_weight)
		err = edit_found_weight(doc, e->pool, e->name, e->weight, f->weight, d);
	return err;
}

static int run_edit(void *ctx, struct tree *doc, struct diag *d)
{
	const struct edit *e = ctx;
	const struct found_backend *f = NULL;

	/* What the document lists goes before what was found. */
	if (e->kind != EDIT_ADD && !edit_lists_backend(doc, e->pool, e->name))
		f = found_set_get(found_get(e->found, e->pool), e->name);
	switch (e->kind) {
	case EDIT_ADD:
		return edit_backend_add(doc, e->pool, e->name, e->address,
					e->has_weight ? &e->weight : NULL, d);
	case EDIT_REMOVE:
		if (!f)
			return edit_backend_remove(doc, e->pool, e->name, d);
		diag_error(d, NULL,
			   "backend %s/%s was found, and is here as long as it is; disable it "
			   "instead",
			   e->pool, e->name);
		return -EINVAL;
	case EDIT_CHANGE: return f ? change_found(e, f, doc, d) : change_listed(e, doc, d);
	}
	return -EINVAL;
}

static void on_applied(void *ctx, const struct reload_result *result)
{
	struct edit *e = ctx;

	cmd_reply_result(e->rq, result);
	free(e);
}

static void submit(struct commands_env *env, struct request *rq, const struct edit *what)
{
	struct reload_origin origin;
	struct edit *e;

	if (!cmd_take_origin(rq, "command", &origin))
		return;
	e = malloc(sizeof(*e));
	if (e) {
		*e = *what;
		e->rq = rq;
		e->found = runtime_found(env->runtime);
	}
	if (!e || reload_edit_document(env->reload, run_edit, &origin, on_applied, e)) {
		free(e);
		reply_error(rq, REPLY_BUSY, NULL, "too many changes wait; try again");
	}
}

/* ---- what the body says ---- */

static bool parse_state(const json_t *value, enum admin_state *ret_state)
{
	static const enum admin_state states[] = {ADMIN_UP, ADMIN_DRAIN, ADMIN_DISABLED};
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < sizeof(states) / sizeof(states[0]); i++) {
		if (!strcmp(text, admin_state_name(states[i]))) {
			*ret_state = states[i];
			return true;
		}
	}
	return false;
}

static const char *check_all(const struct edit *e)
{
	if (e->kind == EDIT_ADD && (!e->name[0] || !e->address[0]))
		return "expected name and address";
	if (e->kind == EDIT_CHANGE && !e->has_state && !e->has_weight)
		return "expected state or weight";
	return NULL;
}

/* A body_field. Whether a value suits a configuration is checked there. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct edit *e = ctx;
	bool adds = e->kind == EDIT_ADD;

	if (!key)
		return check_all(e);
	if (!strcmp(key, "weight")) {
		json_int_t weight = json_integer_value(value);

		if (!json_is_integer(value) || weight < 0 || weight > 1000)
			return "weight: expected an integer from 0 to 1000";
		e->weight = (unsigned)weight;
		e->has_weight = true;
		return NULL;
	}
	if (!adds && !strcmp(key, "state")) {
		e->has_state = true;
		return parse_state(value, &e->state) ? NULL
						     : "state: expected up, drain or disabled";
	}
	if (adds && !strcmp(key, "name"))
		return body_copy_text(value, e->name, sizeof(e->name))
			       ? NULL
			       : "name: expected a text of 1 to 63 bytes";
	if (adds && !strcmp(key, "address"))
		return body_copy_text(value, e->address, sizeof(e->address))
			       ? NULL
			       : "address: expected an address, perhaps with a port";
	return adds ? "unknown field: expected name, address and weight"
		    : "unknown field: expected state and weight";
}

static void set_names(struct edit *e, const struct route_args *args)
{
	memcpy(e->pool, args->name[0], sizeof(e->pool));
	memcpy(e->name, args->name[1], sizeof(e->name));
}

void cmd_backend_add(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct edit e = {.kind = EDIT_ADD};

	set_names(&e, args);
	if (body_take(rq, take_field, &e))
		submit(env, rq, &e);
}

void cmd_backend_remove(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct edit e = {.kind = EDIT_REMOVE};

	set_names(&e, args);
	submit(env, rq, &e);
}

void cmd_backend_change(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct edit e = {.kind = EDIT_CHANGE};

	set_names(&e, args);
	if (body_take(rq, take_field, &e))
		submit(env, rq, &e);
}
