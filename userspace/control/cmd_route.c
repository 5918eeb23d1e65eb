/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes of a service; which of them a request would go by, and why not by those before it: nothing
 * is sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/route_set.h"
#include "control/body.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "control/reply.h"
#include "core/strbuf.h"
#include "l7/path.h"
#include "l7/routing.h"

#define URL_MAX	    8192U
#define METHOD_MAX  32U
#define HEADERS_MAX 64U
#define SHOWN_MAX   1000U /* routes that are not the one */

/* What is asked about. */
struct question {
	char method[METHOD_MAX], url[URL_MAX], path[3 * URL_MAX], host[ROUTING_HOST_MAX];
	struct addr source;
	struct route_field fields[HEADERS_MAX];
	char *texts[HEADERS_MAX]; /* of fields */
	size_t field_count;
	struct route_input in;
};

/* "NAME: VALUE" */
static const char *take_header(struct question *q, const json_t *value)
{
	const char *text = json_string_value(value);
	const char *colon = text ? strchr(text, ':') : NULL;
	struct route_field *f = &q->fields[q->field_count];

	if (!colon || colon == text)
		return "headers: expected texts of the form NAME: VALUE";
	if (q->field_count == HEADERS_MAX)
		return "headers: too many";
	q->texts[q->field_count] = strdup(text);
	if (!q->texts[q->field_count])
		return "out of memory";
	text = q->texts[q->field_count++];
	f->name = (struct slice){text, strcspn(text, ":")};
	f->value = slice_trim(slice_of(text + f->name.len + 1));
	return NULL;
}

/* A body_field. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct question *q = ctx;
	const char *wrong = NULL;
	const json_t *item;
	size_t i;

	if (!key)
		return q->method[0] && q->url[0] ? NULL : "expected method and url";
	if (!strcmp(key, "method"))
		return body_copy_text(value, q->method, sizeof(q->method))
			       ? NULL
			       : "method: expected a text";
	if (!strcmp(key, "url"))
		return body_copy_text(value, q->url, sizeof(q->url)) ? NULL
								     : "url: expected a text";
	if (!strcmp(key, "source"))
		return json_string_value(value) &&
				       addr_parse(json_string_value(value), &q->source) == 0
			       ? NULL
			       : "source: expected an address";
	if (strcmp(key, "headers") != 0 || !json_is_array(value))
		return "expected method, url, source and headers";
	json_array_foreach ((json_t *)value, i, item) {
		if (!wrong)
			wrong = take_header(q, item);
	}
	return wrong;
}

/* "http://host:port/path?query", or "/path?query" with a Host field. NULL, or what is wrong. */
static const char *split_url(struct question *q, const struct service *s)
{
	char *rest = strstr(q->url, "://");
	struct slice target, host = {0};
	enum reason reason;
	const char *mark;

	q->in.scheme = slice_of(service_has_tls(s) ? "https" : "http");
	if (rest) {
		q->in.scheme = (struct slice){q->url, (size_t)(rest - q->url)};
		rest += 3;
		host = (struct slice){rest, strcspn(rest, "/?")};
	}
	target = slice_of(rest ? rest + host.len : q->url);
	if (!target.len)
		target = SLICE("/");
	if (target.ptr[0] != '/' || strpbrk(target.ptr, " #\t"))
		return "expected a URL, or a path that begins with /";
	reason = path_normalise(target, &s->paths, q->path, &target);
	if (reason != REASON_NONE)
		return reason_text(reason);
	mark = memchr(target.ptr, '?', target.len);
	q->in.path = (struct slice){target.ptr, mark ? (size_t)(mark - target.ptr) : target.len};
	if (mark)
		q->in.query = (struct slice){mark + 1, target.len - q->in.path.len - 1};
	for (size_t i = 0; !host.len && i < q->field_count; i++)
		if (slice_eq_nocase(q->fields[i].name, SLICE("host")))
			host = q->fields[i].value;
	q->in.host = routing_host(host, q->host);
	return NULL;
}

/* ---- the answer ---------------------------------------------------------------------------- */

struct answer {
	const struct route_set *set;
	const struct question *q;
	json_t *skipped;
	size_t count;
	bool failed;
};

/* A route_verdict_cb. */
static void take_verdict(void *ctx, const struct route_verdict *v)
{
	struct answer *a = ctx;
	struct strbuf why;
	json_t *o;

	if (v->fails == ROUTE_ALL || a->count++ >= SHOWN_MAX)
		return;
	strbuf_init(&why);
	route_match_explain(&v->route->match, &a->q->in, v->fails, v->test, &why);
	o = object_route_name(a->set, v->route);
	if (!o || json_object_set_new(o, "part", json_string(route_part_name(v->fails))) ||
	    json_object_set_new(o, "why", json_string(why.text ? why.text : "")))
		a->failed = true;
	json_push(a->skipped, o, &a->failed);
	strbuf_deinit(&why);
}

static void answer(struct request *rq, const struct service *s, struct question *q)
{
	struct answer a = {.set = s->routes, .q = q, .skipped = json_array()};
	const struct route *found = NULL;
	json_t *o = json_object();

	a.failed = !a.skipped || !o;
	if (s->routes)
		found = route_table_explain(&s->routes->table, &q->in, take_verdict, &a);
	json_put(o, "service", json_string(s->name), &a.failed);
	json_put(o, "path", json_stringn(q->in.path.ptr, q->in.path.len), &a.failed);
	json_put(o, "route", found ? object_route_name(s->routes, found) : json_null(), &a.failed);
	object_put_action(o, s, found, &a.failed);
	json_put_int(o, "skipped_count", a.count, &a.failed);
	json_put(o, "skipped", a.skipped, &a.failed);
	reply_json(rq, 200, json_finish(o, a.failed));
}

static void ask(struct request *rq, const struct service *s, struct question *q)
{
	struct route_room *room = route_room_new(URL_MAX);
	const char *wrong = split_url(q, s);

	q->in.method = slice_of(q->method);
	q->in.source = q->source;
	q->in.next_field = route_next_in_array;
	q->in.fields = q->fields;
	q->in.field_count = (unsigned)q->field_count;
	q->in.room = room;
	if (!room)
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
	else if (wrong)
		reply_error(rq, REPLY_BAD_REQUEST, NULL, "%s", wrong);
	else
		answer(rq, s, q);
	route_room_free(room);
}

/* NULL: there is none, which was said. */
static const struct service *find_service(struct commands_env *env, struct request *rq,
					  const struct route_args *args)
{
	const struct service *s = snapshot_service(reload_current(env->reload), args->name[0]);

	if (s && s->mode == SERVICE_HTTP)
		return s;
	reply_error(rq, REPLY_NOT_FOUND, NULL, "no such http service: %s", args->name[0]);
	return NULL;
}

void cmd_route_list(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct service *s = find_service(env, rq, args);

	if (s)
		reply_json(rq, 200, object_routes(reload_current(env->reload), s));
}

void cmd_route_test(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	const struct service *s = find_service(env, rq, args);
	struct question *q;

	if (!s)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
	else if (body_take(rq, take_field, q))
		ask(rq, s, q);
	for (size_t i = 0; q && i < q->field_count; i++)
		free(q->texts[i]);
	free(q);
}
