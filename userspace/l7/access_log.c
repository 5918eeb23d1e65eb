/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of access logs: see access_log.h. What came from a client is escaped so that it can neither end
 * its line nor its field, and cut where it is long. */
#include "l7/access_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/access_plan.h"
#include "conf/route_set.h"
#include "conf/runtime.h"
#include "l7/access_text.h"
#include "l7/answer.h"
#include "l7/conn.h"
#include "l7/http1_parse.h"
#include "l7/request.h"
#include "log/writer.h"

/* What is kept of each, so that any line has room, whatever is escaped in it. */
#define TARGET_MAX     4096U
#define VALUE_MAX      512U
#define LINE_MAX_BYTES 65536U
#define TIME_BYTES     40U

/* One block of memory, with the texts behind it. */
struct access_entry {
	struct timespec when;
	struct slice method, host, target, request_id;
	struct slice headers[ACCESS_HEADERS_MAX]; /* of the plan; ptr NULL: it was not there */
	uint8_t minor;
	bool is_h2;
	bool is_drawn; /* else it is written only as an error */
};

bool access_log_is_on(const struct client *who)
{
	return who->service->access.sink != NULL;
}

static struct service_counters *counters(const struct client *who)
{
	return &who->service->rt->counters[who->conn->l7->env.worker];
}

/* ---- the beginning ---- */

static struct slice find(const struct head *h, struct slice name)
{
	for (unsigned i = 0; i < h->count; i++)
		if (slice_eq_nocase(h->fields[i].name, name))
			return h->fields[i].value;
	return (struct slice){0};
}

_Static_assert((TARGET_MAX + (3 + ACCESS_HEADERS_MAX) * VALUE_MAX) * ACCESS_TEXT_GROWTH + 4096 <
		       LINE_MAX_BYTES,
	       "the longest line fits");

static void cut(struct slice *text, size_t max)
{
	if (text->len > max)
		text->len = max;
}

static void keep(struct slice *text, char **room)
{
	if (!text->len)
		return;
	memcpy(*room, text->ptr, text->len);
	text->ptr = *room;
	*room += text->len;
}

static struct access_entry *entry_new(const struct client *who, const struct head *h,
				      struct slice target)
{
	const struct access_plan *plan = who->service->access.plan;
	struct access_entry e = {.method = h->method,
				 .host = h->authority,
				 .target = target,
				 .request_id = find(h, SLICE("x-request-id")),
				 .minor = h->minor,
				 .is_h2 = h->is_h2 || who->io->carrier};
	struct slice *texts[] = {&e.method, &e.host, &e.target, &e.request_id};
	size_t len = 0, count = sizeof(texts) / sizeof(texts[0]);
	struct access_entry *made;
	char *room;

	for (unsigned i = 0; i < plan->header_count; i++) {
		e.headers[i] = find(h, plan->headers[i]);
		cut(&e.headers[i], VALUE_MAX);
		len += e.headers[i].len;
	}
	for (size_t i = 0; i < count; i++) {
		cut(texts[i], texts[i] == &e.target ? TARGET_MAX : VALUE_MAX);
		len += texts[i]->len;
	}
	made = malloc(sizeof(*made) + len);
	if (!made)
		return NULL;
	room = (char *)(made + 1);
	for (size_t i = 0; i < count; i++)
		keep(texts[i], &room);
	for (unsigned i = 0; i < plan->header_count; i++)
		keep(&e.headers[i], &room);
	(void)clock_gettime(CLOCK_REALTIME, &e.when); /* cannot fail */
	*made = e;
	return made;
}

struct access_entry *access_log_begin(const struct client *who, const struct head *h,
				      struct slice target)
{
	static const struct head unknown;
	const struct access_conf *conf = &who->service->access;
	bool is_drawn = conf->sample == ACCESS_SAMPLE_ALL ||
			l7_random(who->conn->l7) % ACCESS_SAMPLE_ALL < conf->sample;
	struct access_entry *e;

	if (!is_drawn && conf->errors == ACCESS_ERRORS_SAMPLED)
		return NULL;
	e = entry_new(who, h ? h : &unknown, target);
	if (e) {
		e->is_drawn = is_drawn;
	} else {
		counter_add(&counters(who)->access_lines, 1);
		counter_add(&counters(who)->access_lost, 1);
	}
	return e;
}

/* ---- the line ---- */

struct line {
	const struct client *who;
	const struct access_entry *e;
	const struct access_end *end;
	struct access_text out;
};

static void put_time(struct line *l)
{
	char text[TIME_BYTES], whole[TIME_BYTES + 24];
	struct tm tm;

	(void)gmtime_r(&l->e->when.tv_sec, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(whole, sizeof(whole), "%s.%03ldZ", text,
		       l->e->when.tv_nsec / 1000000 % 1000);
	access_text_put(&l->out, slice_of(whole));
}

/* The place of the route among those of the service. */
static void put_route(struct line *l)
{
	const struct route_set *set = l->who->service->routes;

	for (size_t i = 0; set && l->end->action && i < set->table.count; i++)
		if (set->table.routes[i].action == l->end->action) {
			access_text_number(&l->out, i);
			return;
		}
	access_text_put(&l->out, (struct slice){0});
}

static struct slice protocol(const struct access_entry *e)
{
	if (e->is_h2)
		return SLICE("HTTP/2");
	return e->minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0");
}

static void put_client(struct line *l)
{
	char text[ADDR_STRLEN];

	access_text_put(&l->out,
			slice_of(addr_format(&conn_peer(l->who->conn)->addr, text, sizeof(text))));
}

static struct slice name_of(const char *text)
{
	return text ? slice_of(text) : (struct slice){0};
}

/* Of the target: the path, or what is behind the question mark. */
static struct slice part_of(struct slice target, bool is_query)
{
	const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
	size_t path = mark ? (size_t)(mark - target.ptr) : target.len;

	if (!is_query)
		return (struct slice){target.ptr, path};
	return mark ? (struct slice){mark + 1, target.len - path - 1} : (struct slice){0};
}

static void put_field(struct line *l, enum access_field field)
{
	const struct access_entry *e = l->e;
	const struct access_end *end = l->end;
	struct access_text *out = &l->out;

	switch (field) {
	case ACCESS_TIME: put_time(l); break;
	case ACCESS_SERVICE: access_text_put(out, slice_of(l->who->service->name)); break;
	case ACCESS_CLIENT: put_client(l); break;
	case ACCESS_METHOD: access_text_put(out, e->method); break;
	case ACCESS_HOST: access_text_put(out, e->host); break;
	case ACCESS_PATH: access_text_put(out, part_of(e->target, false)); break;
	case ACCESS_QUERY: access_text_put_query(out, part_of(e->target, true)); break;
	case ACCESS_PROTOCOL: access_text_put(out, protocol(e)); break;
	case ACCESS_TLS: access_text_put(out, name_of(l->who->conn->io.tls ? "on" : NULL)); break;
	case ACCESS_REQUEST_ID:
		access_text_put(out, end->request_id.len ? end->request_id : e->request_id);
		break;
	case ACCESS_ROUTE: put_route(l); break;
	case ACCESS_POOL: access_text_put(out, name_of(end->pool ? end->pool->name : NULL)); break;
	case ACCESS_BACKEND:
		access_text_put(out, name_of(end->backend ? end->backend->name : NULL));
		break;
	case ACCESS_ATTEMPTS: access_text_number(out, end->attempts); break;
	case ACCESS_STATUS: access_text_number(out, end->status); break;
	case ACCESS_REASON: access_text_put(out, name_of(end->reason)); break;
	case ACCESS_REQUEST_BYTES: access_text_number(out, end->request_bytes); break;
	case ACCESS_RESPONSE_BYTES: access_text_number(out, end->response_bytes); break;
	case ACCESS_DURATION: access_text_number(out, end->duration_ms); break;
	case ACCESS_FIELD_COUNT: break;
	}
}

void access_log_end(const struct client *who, struct access_entry *e, const struct access_end *end)
{
	const struct access_conf *conf = &who->service->access;
	const struct access_plan *plan = conf->plan;
	char room[LINE_MAX_BYTES];
	struct line l = {.who = who, .e = e, .end = end};

	if (!e)
		return;
	if (!end || (!e->is_drawn && end->status < 500 && !end->reason)) {
		free(e);
		return;
	}
	access_text_init(&l.out, room, sizeof(room), conf);
	for (size_t i = 0; i < plan->count; i++) {
		const struct access_piece *p = &plan->pieces[i];

		if (p->kind == ACCESS_LITERAL)
			access_text_literal(&l.out, p->text);
		else if (p->kind == ACCESS_HEADER)
			access_text_put_header(&l.out, plan->headers[p->header],
					       e->headers[p->header]);
		else
			put_field(&l, p->field);
	}
	free(e);
	counter_add(&counters(who)->access_lines, 1);
	if (l.out.is_full ||
	    !log_writer_push(who->conn->l7->env.worker, conf->sink, room, l.out.len))
		counter_add(&counters(who)->access_lost, 1);
}

void access_log_refused(const struct client *who, const struct head *h, struct answer *a,
			const struct route_action *action)
{
	const struct access_end end = {.status = answer_status(a),
				       .reason = reason_text(a->reason),
				       .action = action,
				       .request_id = answer_name(who->conn->l7, a)};

	access_log_end(who, access_log_begin(who, h, h ? h->target : (struct slice){0}), &end);
}
