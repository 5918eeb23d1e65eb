/* SPDX-License-Identifier: BSD-2-Clause */
/* Flows that the kernel has entries of: listed, counted, forgotten. The walk through the tables, which may
 * be long, is made beside the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/body.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "core/log.h"
#include "l4/flow_query.h"
#include "l4/l4.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000

/* Owner of itself until it is answered. Between, everything is the thread's that works. */
struct flows {
	uv_work_t work;
	struct commands_env *env;
	struct request *rq;
	struct flow_filter filter;
	bool erase, all;
	uint64_t limit, offset, matched;
	json_t *list;
	json_t *by_service, *by_backend, *by_state; /* name -> how many */
	bool failed;
	int err;
};

static void flows_free(struct flows *f)
{
	json_decref(f->list);
	json_decref(f->by_service);
	json_decref(f->by_backend);
	json_decref(f->by_state);
	free(f);
}

static struct flows *flows_new(struct commands_env *env, struct request *rq)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->env = env;
	f->rq = rq;
	f->work.data = f;
	f->limit = LIMIT_DEFAULT;
	f->list = json_array();
	f->by_service = json_object();
	f->by_backend = json_object();
	f->by_state = json_object();
	f->failed = !f->list || !f->by_service || !f->by_backend || !f->by_state;
	return f;
}

/* ---- the work ---- */

static void count(json_t *groups, const char *name, bool *failed)
{
	const char *key = name[0] ? name : "-";
	json_int_t n = json_integer_value(json_object_get(groups, key));

	json_put(groups, key, json_integer(n + 1), failed);
}

static json_t *item_json(const struct flow_item *i)
{
	char source[ENDPOINT_STRLEN], destination[ENDPOINT_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:b, s:b, s:I, s:o, s:o}", "protocol",
			 proto_name(i->proto), "source",
			 endpoint_format(&i->source, source, sizeof(source)), "destination",
			 endpoint_format(&i->destination, destination, sizeof(destination)),
			 "service", json_text(i->service), "state", flow_state_name(i->state),
			 "pending", i->pending, "stale", i->stale, "idle_ms", (json_int_t)i->age_ms,
			 "pool", json_text(i->pool), "backend", json_text(i->backend));
}

/* A flow_item_cb. */
static bool take_item(void *ctx, const struct flow_item *i)
{
	struct flows *f = ctx;
	char backend[2 * SHUNT_NAME_MAX] = "";
	uint64_t at = f->matched++;

	if (i->backend[0])
		(void)snprintf(backend, sizeof(backend), "%s/%s", i->pool, i->backend);
	count(f->by_service, i->service, &f->failed);
	count(f->by_backend, backend, &f->failed);
	count(f->by_state, i->pending ? "pending" : flow_state_name(i->state), &f->failed);
	if (!f->erase && at >= f->offset && at - f->offset < f->limit)
		json_push(f->list, item_json(i), &f->failed);
	return !f->failed;
}

static void on_work(uv_work_t *work)
{
	struct flows *f = work->data;
	struct flow_query *q;

	f->err = flow_query_new(l4_loader(f->env->l4), &q);
	if (f->err)
		return;
	f->err = flow_query_each(q, &f->filter, f->erase, take_item, f);
	flow_query_free(q);
}

static void answer(struct flows *f)
{
	json_t *o = json_object();
	bool failed = f->failed || !o;

	json_put_int(o, f->erase ? "forgotten" : "matched", f->matched, &failed);
	if (!f->erase) {
		json_put_int(o, "offset", f->offset, &failed);
		json_put(o, "flows", json_incref(f->list), &failed);
	}
	json_put(o, "by_service", json_incref(f->by_service), &failed);
	json_put(o, "by_backend", json_incref(f->by_backend), &failed);
	json_put(o, "by_state", json_incref(f->by_state), &failed);
	reply_json(f->rq, 200, json_finish(o, failed));
}

static void on_done(uv_work_t *work, int status)
{
	struct flows *f = work->data;

	(void)status; /* is never cancelled */
	f->env->asking_flows = false;
	if (f->env->stopping)
		reply_error(f->rq, REPLY_BUSY, NULL, "shuntd is stopping");
	else if (f->err)
		reply_error(f->rq, REPLY_FAILED, NULL, "cannot read the tables of flows: %s",
			    strerror(-f->err));
	else
		answer(f);
	flows_free(f);
}

static void run(struct flows *f)
{
	if (!f->env->l4) {
		answer(f); /* there are none */
		flows_free(f);
		return;
	}
	if (f->env->asking_flows) {
		reply_error(f->rq, REPLY_BUSY, NULL, "flows are being counted; try again");
		flows_free(f);
		return;
	}
	f->env->asking_flows = true;
	if (!uv_queue_work(f->env->loop, &f->work, on_work, on_done))
		return;
	f->env->asking_flows = false;
	reply_error(f->rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
	flows_free(f);
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

/* NULL, or what is wrong. */
static const char *take_filter(struct flows *f, const char *key, const char *text)
{
	char both[2 * SHUNT_NAME_MAX];
	char *slash;

	if (!strcmp(key, "service"))
		return copy_name(text, f->filter.service, sizeof(f->filter.service))
			       ? NULL
			       : "service: expected a name of 1 to 63 bytes";
	if (!strcmp(key, "source"))
		return text && !addr_parse_prefix(text, true, &f->filter.source,
						  &f->filter.source_len)
			       ? NULL
			       : "source: expected an address, or a prefix without host bits";
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
	static const char *const keys[] = {"service", "backend", "source"};
	struct flows *f = flows_new(env, rq);
	const char *wrong;

	(void)args;
	if (!f) {
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
		return;
	}
	wrong = take_number(request_query(rq, "limit"), LIMIT_MAX, &f->limit);
	if (!wrong)
		wrong = take_number(request_query(rq, "offset"), UINT32_MAX, &f->offset);
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
	    strcmp(key, "source") != 0)
		return "unknown field: expected service, backend and source, or all";
	return take_filter(f, key, json_string_value(value));
}

void cmd_flows_forget(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct flows *f = flows_new(env, rq);

	(void)args;
	if (!f) {
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
		return;
	}
	f->erase = true;
	if (body_take(rq, take_field, f))
		run(f);
	else
		flows_free(f);
}
