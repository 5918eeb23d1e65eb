/* SPDX-License-Identifier: BSD-2-Clause */
/* Flows, listed, counted, ended: those that the kernel has entries of, then the connections that are
 * proxied. The walk through the tables, which may be long, is made beside the loop; that through
 * connections by the workers, a page at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/body.h"
#include "control/cmd.h"
#include "control/flow_rows.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "core/log.h"
#include "l4/flow_query.h"
#include "l4/l4.h"
#include "l7/conn_walk.h"
#include "worker/worker.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

enum flows_task { FLOWS_LIST, FLOWS_FORGET, FLOWS_KILL };

/* Owner of itself until it is answered. While work is under way, everything is that thread's. */
struct flows {
	uv_work_t work;
	struct commands_env *env;
	struct request *rq;
	struct flow_filter filter;
	enum flows_task task;
	bool steered, proxied; /* which of them are meant */
	bool all;
	bool left; /* by who asked */
	struct flow_rows rows;
	int err;
};

static struct flows *flows_new(struct commands_env *env, struct request *rq, enum flows_task task)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f) {
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
		return NULL;
	}
	f->env = env;
	f->rq = rq;
	f->task = task;
	f->steered = true;
	f->proxied = task != FLOWS_FORGET;
	f->work.data = f;
	flow_rows_init(&f->rows, task == FLOWS_LIST ? LIMIT_DEFAULT : 0);
	return f;
}

static void flows_free(struct flows *f)
{
	flow_rows_deinit(&f->rows);
	free(f);
}

/* ---- the end ---- */

static void answer(struct flows *f)
{
	const struct flow_rows *r = &f->rows;
	json_t *o = json_object();
	bool failed = r->failed || !o;

	if (f->task == FLOWS_LIST)
		flow_rows_put_list(r, o, &failed);
	else
		json_put_int(o, "forgotten", r->steered, &failed);
	if (f->task == FLOWS_KILL) {
		json_put_int(o, "closed", r->proxied, &failed);
		json_put_int(o, "killed", r->steered + r->proxied, &failed);
	}
	flow_rows_put_counts(r, o, &failed);
	reply_json(f->rq, 200, json_finish(o, failed));
}

/* Whatever is answered, what was done is in the log. */
static void log_killed(const struct flows *f)
{
	if (f->task == FLOWS_KILL)
		log_info("control: flows killed forgotten=%llu closed=%llu",
			 (unsigned long long)f->rows.steered, (unsigned long long)f->rows.proxied);
}

static void end(struct flows *f)
{
	f->env->asking_flows = false;
	log_killed(f);
	if (f->err == -ECANCELED)
		reply_error(f->rq, REPLY_BUSY, NULL, "shuntd is stopping");
	else if (f->err)
		reply_error(f->rq, REPLY_FAILED, NULL, "cannot read the tables of flows: %s",
			    strerror(-f->err));
	else if (f->left)
		reply_error(f->rq, REPLY_FAILED, NULL, "whoever asked has left");
	else
		answer(f);
	flows_free(f);
}

/* ---- proxied ---- */

static bool on_page(void *ctx, const struct conn_walk *walk)
{
	struct flows *f = ctx;

	for (unsigned i = 0; i < walk->count; i++)
		flow_rows_add_proxied(&f->rows, &walk->items[i]);
	f->left = request_is_abandoned(f->rq);
	if (f->left)
		log_info("control: whoever asked for flows has left, looked no further seen=%llu",
			 (unsigned long long)walk->seen);
	return !f->left && !f->rows.failed;
}

static void on_walked(void *ctx, int status)
{
	struct flows *f = ctx;

	f->err = status;
	end(f);
}

static void walk_proxied(struct flows *f)
{
	const struct workers_walk events = {on_page, on_walked, f};
	uint64_t listed = json_array_size(f->rows.list), before = f->rows.steered;
	const struct conn_question question = {
		.filter = f->filter,
		.kills = f->task == FLOWS_KILL,
		.offset = f->rows.offset > before ? f->rows.offset - before : 0,
		.limit = f->rows.limit - listed,
	};

	if (f->err || !f->proxied || !f->env->workers) {
		end(f);
		return;
	}
	if (workers_walk(f->env->workers, &question, &events)) {
		f->rows.failed = true;
		end(f);
	}
}

/* ---- steered ---- */

/* A flow_item_cb. */
static bool take_item(void *ctx, const struct flow_item *i)
{
	struct flows *f = ctx;

	flow_rows_add_steered(&f->rows, i);
	return !f->rows.failed;
}

static void on_work(uv_work_t *work)
{
	struct flows *f = work->data;
	struct flow_query *q;

	f->err = flow_query_new(l4_loader(f->env->l4), &q);
	if (f->err)
		return;
	f->err = flow_query_each(q, &f->filter, f->task != FLOWS_LIST, take_item, f);
	flow_query_free(q);
}

static void on_worked(uv_work_t *work, int status)
{
	struct flows *f = work->data;

	(void)status; /* is never cancelled */
	if (f->env->ended)
		f->err = -ECANCELED;
	walk_proxied(f);
}

static void run(struct flows *f)
{
	if (f->env->asking_flows) {
		reply_error(f->rq, REPLY_BUSY, NULL, "flows are being counted; try again");
		flows_free(f);
		return;
	}
	f->env->asking_flows = true;
	if (!f->steered || !f->env->l4) {
		walk_proxied(f);
		return;
	}
	if (!uv_queue_work(f->env->loop, &f->work, on_work, on_worked))
		return;
	f->rows.failed = true;
	end(f);
}

/* ---- what is asked ---- */

static bool copy_name(const char *text, char *buf, size_t len)
{
	size_t n = text ? strlen(text) : 0;

	if (!n || n >= len)
		return false;
	memcpy(buf, text, n + 1);
	return true;
}

static const char *take_backend(struct flows *f, const char *text)
{
	char both[2 * SHUNT_NAME_MAX];
	char *slash;

	if (!copy_name(text, both, sizeof(both)))
		return "backend: expected POOL or POOL/NAME";
	slash = strchr(both, '/');
	if (slash)
		*slash = '\0';
	if (!copy_name(both, f->filter.pool, sizeof(f->filter.pool)) ||
	    (slash && !copy_name(slash + 1, f->filter.backend, sizeof(f->filter.backend))))
		return "backend: expected POOL or POOL/NAME";
	return NULL;
}

/* NULL, or what is wrong. */
static const char *take_filter(struct flows *f, const char *key, const char *text)
{
	if (!strcmp(key, "service"))
		return copy_name(text, f->filter.service, sizeof(f->filter.service))
			       ? NULL
			       : "service: expected a name of 1 to 63 bytes";
	if (!strcmp(key, "source"))
		return text && !addr_parse_prefix(text, true, &f->filter.source,
						  &f->filter.source_len)
			       ? NULL
			       : "source: expected an address, or a prefix without host bits";
	if (!strcmp(key, "backend"))
		return take_backend(f, text);
	f->steered = text && !strcmp(text, "steered");
	f->proxied = text && !strcmp(text, "proxied");
	return f->steered || f->proxied ? NULL : "datapath: expected steered or proxied";
}

static const char *take_number(const char *text, uint64_t most, uint64_t *ret_number)
{
	char *end;

	if (!text)
		return NULL;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return errno || text[0] < '0' || text[0] > '9' || *end || *ret_number > most
		       ? "limit and offset: expected numbers, limit up to 10000"
		       : NULL;
}

void cmd_flows(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	static const char *const keys[] = {"service", "backend", "source", "datapath"};
	struct flows *f = flows_new(env, rq, FLOWS_LIST);
	const char *wrong;

	(void)args;
	if (!f)
		return;
	wrong = take_number(request_query(rq, "limit"), LIMIT_MAX, &f->rows.limit);
	if (!wrong)
		wrong = take_number(request_query(rq, "offset"), UINT32_MAX, &f->rows.offset);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !wrong; i++) {
		if (request_query(rq, keys[i]))
			wrong = take_filter(f, keys[i], request_query(rq, keys[i]));
	}
	if (!wrong) {
		run(f);
		return;
	}
	reply_error(rq, REPLY_BAD_REQUEST, NULL, "%s", wrong);
	flows_free(f);
}

/* A body_field. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct flows *f = ctx;
	bool filtered = f->filter.service[0] || f->filter.pool[0] || f->filter.source.family;

	if (!key)
		return filtered != f->all ? NULL : "expected service, backend or source, or all";
	if (!strcmp(key, "all")) {
		f->all = json_is_true(value);
		return f->all ? NULL : "all: expected true";
	}
	if (strcmp(key, "service") != 0 && strcmp(key, "backend") != 0 &&
	    strcmp(key, "source") != 0 && (strcmp(key, "datapath") != 0 || f->task != FLOWS_KILL))
		return f->task == FLOWS_KILL
			       ? "unknown field: expected service, backend and source, or all, and "
				 "datapath"
			       : "unknown field: expected service, backend and source, or all";
	return take_filter(f, key, json_string_value(value));
}

static void change(struct commands_env *env, struct request *rq, enum flows_task task)
{
	struct flows *f = flows_new(env, rq, task);

	if (!f)
		return;
	if (body_take(rq, take_field, f))
		run(f);
	else
		flows_free(f);
}

void cmd_flows_forget(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	change(env, rq, FLOWS_FORGET);
}

void cmd_flows_kill(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	(void)args;
	change(env, rq, FLOWS_KILL);
}
