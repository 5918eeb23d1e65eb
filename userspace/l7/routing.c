/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests by routes: see routing.h. */
#include "l7/access_log.h"
#include "l7/routing.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "l7/balance.h"
#include "l7/conn.h"
#include "l7/http1_write.h"
#include "l7/tls.h"
#include "l7/view.h"
#include "route/expr.h"
#include "route/hash.h"
#include "route/split.h"

#define TEXT_MAX  65536U /* bytes of all that one request's templates give */
#define EDITS_MAX 256U

/* Of a worker. */
struct routing_room {
	struct route_room *room;
	size_t query_max; /* what it was made for */
	size_t used;	  /* of text */
	char text[TEXT_MAX];
	struct rendered_edit edits[EDITS_MAX];
};

/* Are there rules that look at what its clients send? */
static bool asks_requests(const struct service *s)
{
	return s->routes || (s->mode == SERVICE_HTTP && s->pool && s->pool->balance_by);
}

int routing_prepare(struct l7 *l7, const struct snapshot *snap)
{
	struct routing_room *rr = l7->routing;
	struct route_room *room;
	size_t max = 0;

	for (size_t i = 0; i < snap->service_count; i++)
		if (asks_requests(&snap->services[i]) &&
		    snap->services[i].limits.request_line > max)
			max = snap->services[i].limits.request_line;
	if (!max || (rr && rr->query_max >= max))
		return 0;
	if (!rr)
		rr = l7->routing = calloc(1, sizeof(*rr));
	room = rr ? route_room_new(max) : NULL;
	if (!room)
		return -ENOMEM;
	route_room_free(rr->room);
	rr->room = room;
	rr->query_max = max;
	return 0;
}

void routing_forget(struct l7 *l7)
{
	if (!l7->routing)
		return;
	route_room_free(l7->routing->room);
	free(l7->routing);
	l7->routing = NULL;
}

/* ---- what routes can see ------------------------------------------------------------------- */

bool routing_next_field(const struct route_input *in, struct slice name, unsigned *cursor,
			struct slice *ret_value)
{
	const struct field *fields = in->fields;

	while (*cursor < in->field_count) {
		const struct field *f = &fields[(*cursor)++];

		if (slice_eq_nocase(f->name, name)) {
			*ret_value = f->value;
			return true;
		}
	}
	return false;
}

struct slice routing_host(struct slice authority, char buf[ROUTING_HOST_MAX])
{
	const char *colon, *bracket;
	size_t len = authority.len;

	if (!len)
		return authority;
	colon = memrchr(authority.ptr, ':', len);
	bracket = memchr(authority.ptr, ']', len);
	if (colon && (!bracket || colon > bracket))
		len = (size_t)(colon - authority.ptr);
	if (len && authority.ptr[len - 1] == '.')
		len--;
	if (len > ROUTING_HOST_MAX)
		return (struct slice){0};
	for (size_t i = 0; i < len; i++) {
		char c = authority.ptr[i];

		buf[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	return (struct slice){buf, len};
}

static struct route_input input_of(const struct client *who, const struct head *h,
				   char host[ROUTING_HOST_MAX], char sni[ROUTING_HOST_MAX])
{
	const struct stream *io = &who->conn->io;
	const char *mark = memchr(h->target.ptr, '?', h->target.len);
	size_t path = mark ? (size_t)(mark - h->target.ptr) : h->target.len;

	return (struct route_input){
		.method = h->method,
		.scheme = io->tls ? SLICE("https") : SLICE("http"),
		.host = routing_host(h->authority, host),
		.path = {h->target.ptr, path},
		.query = {mark ? mark + 1 : NULL, mark ? h->target.len - path - 1 : 0},
		.sni = io->tls ? routing_host(tls_server_name(io), sni) : (struct slice){0},
		.source = conn_peer(who->conn)->addr,
		.next_field = routing_next_field,
		.fields = h->fields,
		.field_count = h->count,
		.room = who->conn->l7->routing ? who->conn->l7->routing->room : NULL,
	};
}

/* ---- what becomes of the request ----------------------------------------------------------- */

static enum reason render_reason(int err)
{
	return err == -EMSGSIZE ? REASON_ROUTE_LARGE : REASON_ROUTE_TEXT;
}

static int render(struct routing_room *rr, const struct template *t, const struct route_input *in,
		  const struct path_captures *captures, struct slice *ret_text)
{
	char *out = rr->text + rr->used;
	size_t len = 0;
	int err = template_render(t, in, captures, out, TEXT_MAX - rr->used, &len);

	if (err == 0) {
		*ret_text = (struct slice){out, len};
		rr->used += len;
	}
	return err;
}

/* From edits[from] on; how many, or -errno. */
static int render_edits(struct routing_room *rr, size_t from, const struct route_edits *edits,
			const struct route_input *in, const struct path_captures *captures)
{
	if (edits->count > EDITS_MAX - from)
		return -EMSGSIZE;
	for (size_t i = 0; i < edits->count; i++) {
		struct rendered_edit *e = &rr->edits[from + i];
		int err = 0;

		*e = (struct rendered_edit){.edit = &edits->items[i]};
		if (e->edit->value)
			err = render(rr, e->edit->value, in, captures, &e->value);
		if (err < 0)
			return err;
	}
	return (int)edits->count;
}

static const struct pool *choose_pool(struct l7 *l7, const struct route_action *a,
				      const struct route_input *in)
{
	char buf[EXPR_SHOWN_MAX];
	int64_t point;

	if (a->pool_count == 1)
		return a->pools[0];
	if (a->split_by)
		point = route_hash_end(
			route_hash_add(ROUTE_HASH_INIT, expr_show(a->split_by, in, buf)));
	else
		point = (int64_t)(l7_random(l7) & INT64_MAX);
	return a->pools[split_pick(a->weights, a->pool_count, point)];
}

/* Another path; the query stays. */
static int rewrite(struct routing_room *rr, const struct rewrite *w, const struct route_input *in,
		   const struct path_captures *captures, struct head *h)
{
	char *out = rr->text + rr->used;
	size_t rest = h->target.len - in->path.len, len = 0;
	int err = rewrite_path(w, in, captures, out, TEXT_MAX - rr->used, &len);

	if (err < 0)
		return err;
	if (rest > TEXT_MAX - rr->used - len)
		return -EMSGSIZE;
	memcpy(out + len, h->target.ptr + in->path.len, rest);
	h->target = (struct slice){out, len + rest};
	rr->used += h->target.len;
	return 0;
}

int routing_edit(struct l7 *l7, struct head *h, const struct rendered_edit *edits, size_t count)
{
	h->fields = l7_fields(l7, h->count + (unsigned)count);
	if (!h->fields)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct header_edit *e = edits[i].edit;
		unsigned kept = 0;

		for (unsigned k = 0; k < h->count; k++)
			if (e->op == HEADER_ADD || !slice_eq_nocase(h->fields[k].name, e->name))
				h->fields[kept++] = h->fields[k];
		h->count = kept;
		if (e->op != HEADER_REMOVE)
			h->fields[h->count++] =
				(struct field){e->name, edits[i].value, field_identify(e->name)};
	}
	return 0;
}

/* For a pool that balances by something. */
static uint64_t hash_of(const struct client *who, const struct pool *pool,
			const struct route_input *in)
{
	char buf[EXPR_SHOWN_MAX];
	struct slice value = {0};

	if (pool->balance_by)
		value = expr_show(pool->balance_by, in, buf);
	if (!value.len)
		return balance_hash_addr(&conn_peer(who->conn)->addr);
	return (uint64_t)route_hash_end(route_hash_add(ROUTE_HASH_INIT, value));
}

static struct route_counters *row_of(const struct l7 *l7, const struct route_action *a)
{
	return route_rt_row(a->rt, l7->env.worker);
}

/* Everything is rendered from the request as it came, then it is changed. */
static enum reason change(const struct client *who, struct head *h, const struct route_input *in,
			  const struct path_captures *captures, struct routing *r)
{
	struct l7 *l7 = who->conn->l7;
	struct routing_room *rr = l7->routing;
	const struct route_action *a = r->action;
	int edits = render_edits(rr, 0, &a->response_edits, in, captures), own, err = 0;

	if (edits < 0)
		return render_reason(edits);
	r->edits = rr->edits;
	r->edit_count = (size_t)edits;
	if (a->answer != ROUTE_TO_POOL)
		return REASON_NONE;
	r->pool = choose_pool(l7, a, in);
	if (a->fallback && balancer_is_empty(view_pool(who->view, r->pool)->balancer)) {
		r->pool = a->fallback;
		counter_add(&row_of(l7, a)->fallbacks, 1);
	}
	if (r->pool->balance == BALANCE_MAGLEV)
		r->hash = hash_of(who, r->pool, in);
	if (r->pool->sticky.cookie)
		sticky_find(who, h, r->pool, &r->sticky);
	own = render_edits(rr, (size_t)edits, &a->request_edits, in, captures);
	if (own < 0)
		return render_reason(own);
	if (a->rewrite)
		err = rewrite(rr, a->rewrite, in, captures, h);
	if (err < 0)
		return render_reason(err);
	if (own && routing_edit(l7, h, rr->edits + edits, (size_t)own) < 0)
		return REASON_NO_RESOURCES;
	return REASON_NONE;
}

/* The text is made of the request as it came. */
static struct route_label *find_label(const struct l7 *l7, const struct route_action *a,
				      const struct route_input *in,
				      const struct path_captures *captures)
{
	char buf[ROUTE_LABEL_LEN];
	struct slice text = {.ptr = buf};

	if (!a->label)
		return NULL;
	if (template_render(a->label, in, captures, buf, sizeof(buf), &text.len) < 0)
		text = SLICE(ROUTE_LABEL_OTHER);
	return route_rt_label(a->rt, l7->env.worker, text);
}

static void count_request(const struct l7 *l7, const struct routing *r)
{
	counter_add(&row_of(l7, r->action)->requests, 1);
	if (r->label)
		counter_add(&r->label->requests, 1);
}

void routing_count(const struct l7 *l7, const struct route_action *a, struct route_label *label,
		   unsigned status, bool is_error)
{
	struct route_counters *n;

	if (!a)
		return;
	n = row_of(l7, a);
	if (status >= 200)
		counter_add(status < 300   ? &n->responses_2xx
			    : status < 400 ? &n->responses_3xx
			    : status < 500 ? &n->responses_4xx
					   : &n->responses_5xx,
			    1);
	if (status >= 200 && label)
		counter_add(&label->responses[status < 500 ? status / 100 - 2 : 3], 1);
	if (is_error)
		counter_add(&n->local_errors, 1);
}

/* To the pool of the service. */
static enum reason to_own(const struct client *who, const struct head *h, struct routing *r)
{
	if (r->pool->sticky.cookie)
		sticky_find(who, h, r->pool, &r->sticky);
	return REASON_NONE;
}

enum reason routing_find(const struct client *who, struct head *h, struct routing *ret_routing)
{
	struct routing_room *rr = who->conn->l7->routing;
	const struct route_set *set = who->service->routes;
	const struct pool *own = who->service->pool;
	bool hashed = own && own->balance == BALANCE_MAGLEV;
	struct route_found found;
	struct route_input in;
	char host[ROUTING_HOST_MAX], sni[ROUTING_HOST_MAX];

	*ret_routing = (struct routing){.pool = own};
	if (!set && !hashed)
		return to_own(who, h, ret_routing);
	in = input_of(who, h, host, sni);
	if (hashed)
		ret_routing->hash = hash_of(who, own, &in);
	if (!set)
		return to_own(who, h, ret_routing);
	rr->used = 0;
	route_table_find(&set->table, &in, &found);
	if (found.gave_up)
		counter_add(&conn_counters(who->conn)->route_limits, 1);
	if (found.route) {
		ret_routing->action = found.route->action;
		ret_routing->route = found.route->name;
		ret_routing->label =
			find_label(who->conn->l7, ret_routing->action, &in, &found.captures);
		count_request(who->conn->l7, ret_routing);
	}
	if (set->has_limits) {
		ret_routing->limit = rate_limit_check(who, set, ret_routing->action, &in);
		if (ret_routing->limit.by)
			return REASON_RATE_LIMITED;
	}
	if (!found.route)
		return own ? to_own(who, h, ret_routing) : REASON_NO_ROUTE;
	ret_routing->pool = NULL;
	if (ret_routing->action->answer == ROUTE_REDIRECT) {
		int err = render(rr, ret_routing->action->location, &in, &found.captures,
				 &ret_routing->location);

		if (err < 0)
			return render_reason(err);
	}
	return change(who, h, &in, &found.captures, ret_routing);
}

bool routing_takes_early(const struct client *who, const struct head *h)
{
	const struct route_set *set = who->service->routes;
	char host[ROUTING_HOST_MAX], sni[ROUTING_HOST_MAX];
	bool by_default = who->service->tls.early_data == EARLY_DATA_ON;
	const struct route_action *a;
	struct route_found found;
	struct route_input in;

	if (!set)
		return by_default;
	in = input_of(who, h, host, sni);
	route_table_find(&set->table, &in, &found);
	a = found.route ? found.route->action : NULL;
	return a && a->early != ROUTE_EARLY_SERVICE ? a->early == ROUTE_EARLY_ON : by_default;
}

/* ---- answers without a backend ------------------------------------------------------------- */

enum reason routing_answer(const struct client *who, struct head *h, const struct routing *routing,
			   size_t block_len)
{
	struct l7 *l7 = who->conn->l7;
	const struct route_action *a = routing->action;
	struct slice body = a->body;
	char date[HTTP1_DATE_MAX];
	struct answer named = {0};
	struct access_entry *log;
	struct slice name;
	struct head reply = {.status = a->status,
			     .phrase = slice_of(status_phrase(a->status)),
			     .minor = 1,
			     .has_length = a->status != 204 && a->status != 304,
			     .length = a->body.len};
	/* Only a request without a body leaves the client in step. */
	enum conn_after after = h->body != BODY_NONE ? CONN_THEN_LINGER
				: h->persistent && !conn_is_last_request(who->conn)
					? CONN_GO_ON
					: CONN_THEN_CLOSE;
	char *text;
	size_t len;

	if (h->is_head)
		body.len = 0;
	answer_read(&named, h,
		    who->service->request_id == REQUEST_ID_ON ||
			    conn_is_trusted(who->conn, who->service));
	name = answer_name(l7, &named);
	log = access_log_is_on(who) ? access_log_begin(who, h, h->target) : NULL;
	h->count = 0; /* the reply takes the place of its fields */
	reply.fields = l7_fields(l7, 4 + (unsigned)routing->edit_count);
	if (!reply.fields)
		goto no_memory;
	reply.fields[reply.count++] =
		(struct field){SLICE("Date"), http1_date(date, time(NULL)), FIELD_END_TO_END};
	reply.fields[reply.count++] = (struct field){REQUEST_ID_FIELD, name, FIELD_END_TO_END};
	if (routing->location.len)
		reply.fields[reply.count++] =
			(struct field){SLICE("Location"), routing->location, FIELD_OTHER};
	if (a->body.len)
		reply.fields[reply.count++] = (struct field){
			SLICE("Content-Type"), slice_of(a->content_type), FIELD_END_TO_END};
	if (routing_edit(l7, &reply, routing->edits, routing->edit_count) < 0)
		goto no_memory;
	text = l7_scratch(l7, http1_response_bound(&reply));
	if (!text)
		goto no_memory;
	len = http1_write_response(text, &reply, BODY_LENGTH,
				   after != CONN_GO_ON ? PERSIST_CLOSE
				   : h->minor	       ? PERSIST_DEFAULT
						       : PERSIST_KEEP_ALIVE);
	access_log_end(who, log,
		       &(struct access_end){.status = a->status,
					    .action = a,
					    .response_bytes = body.len,
					    .request_id = name});
	routing_count(l7, a, routing->label, a->status, false);
	/* From here on h is gone: it lay in the block. */
	if (block_len)
		buf_consume(who->io->pool, &who->io->in, block_len);
	who->ops->respond(who->owner, (struct slice){text, len}, body, a->status, after);
	return REASON_NONE;
no_memory:
	access_log_end(who, log, NULL);
	return REASON_NO_RESOURCES;
}
