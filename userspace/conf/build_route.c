/* SPDX-License-Identifier: BSD-2-Clause */
/* The variables and routes of an http service, from the document to what requests go by: see draft.h
 * and route_set.h. */
#include <stdio.h>
#include <stdlib.h>

#include "conf/route_draft.h"
#include "conf/schema.h"
#include "core/text.h"
#include "route/hash.h"

#define VARIABLES_MAX 64
#define BODY_MAX      65536

static void say(struct route_build *b, const struct pos *pos, const char *text)
{
	diag_error(b->dr->reader.diag, pos, "%s%s", b->dr->reader.object, text);
}

/* ---- variables ---- */

static bool name_is_free(const struct route_build *b, const char *name)
{
	for (size_t i = 0; i < b->set->variable_count; i++)
		if (!strcmp(b->set->variables[i].name, name))
			return false;
	return true;
}

static void build_variable(struct route_build *b, const struct tree *node,
			   struct route_variable *list)
{
	struct slice name = {node->key, strlen(node->key)}, text;
	struct route_variable *v = &list[b->set->variable_count];

	if (!route_name_is_good(name) || expr_is_reserved(name) || !name_is_free(b, node->key)) {
		say(b, &node->key_pos,
		    "the name of a variable is of letters, digits and \"_\", a letter first, 32 at "
		    "most, and is no word of expressions");
		return;
	}
	if (!route_build_text(b, node, "an expression", &text) ||
	    !route_build_good(b, expr_compile(&b->scope, text, &node->pos, &v->value)))
		return;
	v->name = arena_strdup(&b->set->mem.arena, node->key);
	b->dr->reader.out_of_memory |= !v->name;
	b->scope.variable_count = b->set->variable_count += v->name != NULL;
}

static void build_variables(struct route_build *b, const struct tree *node)
{
	struct route_variable *list;

	if (!node || node->kind != TREE_MAPPING)
		return;
	if (node->count > VARIABLES_MAX) {
		say(b, &node->key_pos, "these are too many variables (more than 64)");
		return;
	}
	list = route_build_alloc(b, node->count, sizeof(*list));
	if (!list)
		return;
	b->scope.variables = b->set->variables = list;
	for (size_t i = 0; i < node->count && !b->dr->reader.out_of_memory; i++)
		build_variable(b, node->children[i], list);
}

/* ---- what becomes of a request ---- */

/* By the key of parent. */
static const struct pool *find_pool(struct route_build *b, const char *name,
				    const struct tree *parent, const char *key)
{
	const struct tree *node = tree_get(parent, key);
	const struct pool *pool = name ? snapshot_pool(b->dr->snap, name) : NULL;

	if (name && !pool)
		draft_unknown_pool(b->dr, node);
	else if (pool && !pool->backend_count)
		diag_error(b->dr->reader.diag, &node->pos, "%spool %s has no backends",
			   b->dr->reader.object, pool->name);
	return pool;
}

static bool set_shares(struct route_build *b, size_t count, const struct pool ***ret_pools,
		       unsigned **ret_weights, struct route_action *a)
{
	*ret_pools = route_build_alloc(b, count, sizeof(**ret_pools));
	*ret_weights = route_build_alloc(b, count, sizeof(**ret_weights));
	if (!*ret_pools || !*ret_weights)
		return false;
	a->pools = *ret_pools;
	a->weights = *ret_weights;
	a->pool_count = count;
	return true;
}

static void build_split(struct route_build *b, const struct tree *node, struct route_action *a)
{
	struct split_draft *shares;
	const struct pool **pools;
	unsigned *weights;
	uint64_t sum = 0;
	size_t count;

	shares = read_sections(&b->dr->reader, section_keyword(&schema_route, "split"), node,
			       sizeof(*shares), &count);
	if (!shares || !set_shares(b, count, &pools, &weights, a))
		return;
	for (size_t i = 0; i < count; i++) {
		pools[i] = find_pool(b, shares[i].pool_name, node->children[i], "pool");
		weights[i] = shares[i].weight;
		sum += shares[i].weight;
	}
	if (!sum || sum > UINT32_MAX)
		say(b, &node->pos, "split: the weights are 1 to 4294967295 in all");
}

static void build_split_by(struct route_build *b, const struct tree *node, struct route_action *a)
{
	struct slice text;

	if (!node || !route_build_text(b, node, "an expression", &text) ||
	    !route_build_good(b, expr_compile(&b->scope, text, &node->pos, &a->split_by)))
		return;
	if (expr_type(a->split_by) == EXPR_TRUTH)
		say(b, &node->pos, "split_by is a text, a number or an address");
}

static void build_location(struct route_build *b, const struct tree *node, struct route_action *a)
{
	struct slice text;

	if (route_build_text(b, node, "a template", &text))
		(void)route_build_good(b,
				       template_compile(&b->scope, TEMPLATE_URL, text, &node->pos,
							&a->location)); /* it was told */
}

static void build_label(struct route_build *b, const struct tree *node, struct route_action *a)
{
	struct slice text;

	if (node && route_build_text(b, node, "a template", &text))
		(void)route_build_good(b,
				       template_compile(&b->scope, TEMPLATE_VALUE, text, &node->pos,
							&a->label)); /* it was told */
}

static void build_rewrite(struct route_build *b, const struct route_draft *rd,
			  const struct path_rule *rule, struct route_action *a,
			  const struct pos *pos)
{
	const struct tree *prefix = rd->rewrite.prefix, *template = rd->rewrite.template;
	const struct tree *regex = rd->rewrite.regex, *to = rd->rewrite.to;
	const struct tree *target = prefix ? prefix : template ? template : to;
	enum rewrite_kind kind = prefix	    ? REWRITE_PREFIX
				 : template ? REWRITE_TEMPLATE
					    : REWRITE_REGEX;
	struct slice pattern = SLICE(""), text;
	struct rewrite *r;

	if (!prefix && !template && !regex && !to)
		return;
	if (!!prefix + !!template + !!regex != 1 || !regex != !to) {
		say(b, pos, "rewrite: expected prefix, template, or regex and to");
		return;
	}
	if ((regex && !route_build_text(b, regex, "a regular expression", &pattern)) ||
	    !route_build_text(b, target, "a template", &text))
		return;
	r = route_build_alloc(b, 1, sizeof(*r));
	if (r && route_build_good(
			 b, rewrite_compile(&b->scope, kind, rule, pattern, text, &target->pos, r)))
		a->rewrite = r;
}

static void build_values(struct route_build *b, const struct tree *map, enum header_op op,
			 struct header_edit *list, size_t *count)
{
	for (size_t i = 0; map && i < map->count; i++) {
		const struct tree *node = map->children[i];
		struct slice name = {node->key, strlen(node->key)}, text;

		if (route_build_text(b, node, "a template", &text) &&
		    route_build_good(b, header_edit_compile(&b->scope, op, name, text, &node->pos,
							    &list[*count])))
			++*count;
	}
}

static bool is_map(struct route_build *b, const struct tree *node)
{
	if (!node || node->kind == TREE_MAPPING)
		return true;
	diag_error(b->dr->reader.diag, &node->pos, "%s%s: expected a mapping of names to templates",
		   b->dr->reader.object, node->key);
	return false;
}

static void build_edits(struct route_build *b, const struct edits_draft *ed, struct route_edits *e)
{
	static const struct keyword remove = {.name = "remove",
					      .form = "the name of a header field"};
	struct header_edit *list;
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!is_map(b, ed->set) || !is_map(b, ed->add))
		return;
	count = (ed->set ? ed->set->count : 0) + (ed->add ? ed->add->count : 0) +
		(ed->remove ? read_count(ed->remove) : 0);
	list = route_build_alloc(b, count, sizeof(*list));
	if (!list)
		return;
	count = 0;
	while (ed->remove && (item = read_next_scalar(&b->dr->reader, &remove, ed->remove, &at)))
		count += route_build_good(
			b, header_edit_compile(&b->scope, HEADER_REMOVE,
					       (struct slice){item->text, strlen(item->text)},
					       SLICE(""), &item->pos, &list[count]));
	build_values(b, ed->set, HEADER_SET, list, &count);
	build_values(b, ed->add, HEADER_ADD, list, &count);
	*e = (struct route_edits){list, count};
}

static void build_respond(struct route_build *b, const struct route_draft *rd,
			  struct route_action *a, const struct pos *pos)
{
	const char *body = rd->respond.body ? rd->respond.body : "";

	a->answer = ROUTE_RESPOND;
	a->status = rd->respond.status;
	a->body = route_mem_copy(&b->set->mem, (struct slice){body, strlen(body)});
	a->content_type = arena_strdup(&b->set->mem.arena, rd->respond.content_type);
	b->dr->reader.out_of_memory |= !a->body.ptr || !a->content_type;
	if (a->body.len > BODY_MAX)
		say(b, pos, "respond.body: at most 64 KiB");
	if (a->body.len && (a->status == 204 || a->status == 304))
		say(b, pos, "respond.body: a response with this status has none");
}

static void build_answer(struct route_build *b, const struct route_draft *rd,
			 const struct tree *node, struct route_action *a)
{
	const struct pool **pools;
	unsigned *weights;

	if (rd->pool_name && set_shares(b, 1, &pools, &weights, a)) {
		weights[0] = 1;
		pools[0] = find_pool(b, rd->pool_name, node, "pool");
	}
	if (rd->split)
		build_split(b, rd->split, a);
	build_split_by(b, rd->split_by, a);
	if (rd->redirect.to) {
		a->answer = ROUTE_REDIRECT;
		a->status = rd->redirect.status;
		build_location(b, rd->redirect.to, a);
	}
	if (rd->respond.status)
		build_respond(b, rd, a, &node->pos);
}

static void build_retry(struct route_build *b, const struct route_draft *rd,
			const struct tree *node, struct route_action *a)
{
	const struct tree *given = tree_get(node, "retry");
	struct retry_conf *retry;
	struct hedge_conf *hedge;

	if (given && (retry = route_build_alloc(b, 1, sizeof(*retry)))) {
		*retry = rd->retry;
		a->retry = retry;
		draft_check_retry(b->dr, given, retry);
	}
	if (tree_get(node, "hedge") && (hedge = route_build_alloc(b, 1, sizeof(*hedge)))) {
		*hedge = rd->hedge;
		a->hedge = hedge;
	}
}

/* Waits and sizes in place of the service's. */
static void build_bounds(struct route_build *b, const struct service *s,
			 const struct route_draft *rd, const struct tree *node,
			 struct route_action *a)
{
	const struct route_waits *w = &rd->timeouts;
	struct http_timeouts *t;

	a->timeout_ms = rd->timeout_ms;
	a->body_max = tree_get(node, "limits") ? rd->limits.body : s->limits.body;
	if (!tree_get(node, "timeouts") || !(t = route_build_alloc(b, 1, sizeof(*t))))
		return;
	*t = s->timeouts;
	t->request_body = w->request_body ? w->request_body : t->request_body;
	t->response_body = w->response_body ? w->response_body : t->response_body;
	t->tunnel = w->tunnel ? w->tunnel : t->tunnel;
	t->write = w->write ? w->write : t->write;
	a->timeouts = t;
}

static void build_fault(struct route_build *b, const struct route_draft *rd,
			const struct tree *node, struct route_action *a)
{
	const struct tree *given = tree_get(node, "fault");

	if (!given)
		return;
	a->fault = rd->fault;
	if (!rd->fault.delay_ms && !rd->fault.abort)
		say(b, &given->pos, "fault: expected delay or abort");
	if (!rd->fault.delay_ms && tree_get(given, "delay_percent"))
		say(b, draft_key_pos(given, "delay_percent"), "delay_percent is for delay");
	if (!rd->fault.abort && tree_get(given, "abort_percent"))
		say(b, draft_key_pos(given, "abort_percent"), "abort_percent is for abort");
}

static void build_mirror(struct route_build *b, const struct route_draft *rd,
			 const struct tree *node, struct route_action *a)
{
	const struct tree *given = tree_get(node, "mirror");

	if (!given)
		return;
	a->mirror = (struct route_mirror){.pool = find_pool(b, rd->mirror.pool_name, given, "pool"),
					  .percent = rd->mirror.percent,
					  .timeout_ms = rd->mirror.timeout_ms,
					  .body_max = (uint32_t)rd->mirror.body};
	if (a->mirror.pool && a->mirror.pool->proxy_out != PROXY_OUT_OFF)
		say(b, &given->pos, "mirror: a pool with proxy headers is for no copies");
}

/* Keys that say nothing where no backend is asked are a mistake. */
static void check_answer(struct route_build *b, const struct route_draft *rd,
			 const struct tree *node)
{
	static const char *const answers[] = {"pool", "split", "redirect", "respond"};
	static const char *const of_backends[] = {
		"rewrite", "timeout", "timeouts", "limits", "fallback",
		"fault",   "mirror",  "retry",	  "hedge",  "request_headers"};
	size_t given = 0;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		given += tree_get(node, answers[i]) != NULL;
	if (given != 1)
		say(b, &node->pos, "expected one of pool, split, redirect and respond");
	if (rd->split_by && !rd->split)
		say(b, draft_key_pos(node, "split_by"), "split_by is for split");
	for (size_t i = 0; i < sizeof(of_backends) / sizeof(of_backends[0]); i++)
		if ((rd->redirect.to || rd->respond.status) && tree_get(node, of_backends[i]))
			diag_error(b->dr->reader.diag, draft_key_pos(node, of_backends[i]),
				   "%s%s is for requests that a backend gets", b->dr->reader.object,
				   of_backends[i]);
}

/* ---- routes ---- */

static void name_route(struct route_build *b, const struct service *s, const struct tree *node,
		       size_t i)
{
	const struct tree *name = tree_get(node, "name");

	if (name && name->kind == TREE_SCALAR && !tree_is_null(name))
		reader_set_object(&b->dr->reader, "service %s: route %s", s->name, name->text);
	else
		reader_set_object(&b->dr->reader, "service %s: route %zu", s->name, i + 1);
}

/* Where it has no name, its number is one. */
static void build_limits(struct route_build *b, const struct service *s, const char *name,
			 size_t number, const struct tree *list, struct route_action *a)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", number);
	route_build_limits(b, s, name ? name : text, list, &a->limits);
}

static void build_route(struct route_build *b, const struct service *s, const struct tree *node,
			size_t number, struct route *r)
{
	struct route_action *a = route_build_alloc(b, 1, sizeof(*a));
	struct route_draft rd = {0};
	size_t errors = b->dr->reader.diag->errors;

	read_section(&b->dr->reader, &schema_route, node, &rd);
	if (!a || b->dr->reader.out_of_memory || b->dr->reader.diag->errors > errors ||
	    !route_build_match(b, &rd.match, &r->match))
		return;
	r->pos = node->pos;
	r->action = a;
	a->index = (unsigned)(number - 1);
	if (rd.name)
		r->name = arena_strdup(&b->set->mem.arena, rd.name);
	b->dr->reader.out_of_memory |= rd.name && !r->name;
	check_answer(b, &rd, node);
	build_answer(b, &rd, node, a);
	build_bounds(b, s, &rd, node, a);
	a->fallback = find_pool(b, rd.fallback_name, node, "fallback");
	build_fault(b, &rd, node, a);
	build_mirror(b, &rd, node, a);
	build_retry(b, &rd, node, a);
	a->early = rd.early;
	b->set->takes_early |= rd.early == ROUTE_EARLY_ON;
	a->priority = rd.priority;
	build_limits(b, s, r->name, number, rd.rate_limit, a);
	build_label(b, rd.label, a);
	build_rewrite(b, &rd, &r->match.path, a, draft_key_pos(node, "rewrite"));
	build_edits(b, &rd.request_edits, &a->request_edits);
	build_edits(b, &rd.response_edits, &a->response_edits);
}

static int compare_name(const void *a, const void *b)
{
	const struct route *x = *(const struct route *const *)a;
	const struct route *y = *(const struct route *const *)b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x > y) - (x < y);
}

static void check_names(struct route_build *b, const struct route *routes, size_t count)
{
	const struct route **sorted = read_alloc(&b->dr->reader, count, sizeof(*sorted));
	size_t named = 0;

	for (size_t i = 0; sorted && i < count; i++)
		if (routes[i].name)
			sorted[named++] = &routes[i];
	if (named)
		qsort(sorted, named, sizeof(*sorted), compare_name);
	for (size_t i = 1; i < named; i++)
		if (!strcmp(sorted[i]->name, sorted[i - 1]->name))
			diag_error(b->dr->reader.diag, &sorted[i]->pos,
				   "%sroute %s is already there%s", b->dr->reader.object,
				   sorted[i]->name, draft_place(&sorted[i - 1]->pos).s);
}

/* The pools of all routes, for whoever asks who uses one. */
static void list_pools(struct route_build *b, const struct route *routes, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += ((struct route_action *)routes[i].action)->pool_count + 2;
	b->set->pools = route_build_alloc(b, total, sizeof(*b->set->pools));
	for (size_t i = 0; b->set->pools && i < count; i++) {
		const struct route_action *a = routes[i].action;

		for (size_t k = 0; k < a->pool_count; k++)
			b->set->pools[b->set->pool_count++] = a->pools[k];
		if (a->fallback)
			b->set->pools[b->set->pool_count++] = a->fallback;
		if (a->mirror.pool)
			b->set->pools[b->set->pool_count++] = a->mirror.pool;
	}
}

/* Hidden routes are told while places in the document are still good; later, lines alone are. */
static void finish(struct route_build *b, struct route *routes, size_t count)
{
	struct route_room *room = route_room_new(0);

	list_pools(b, routes, count);
	if (!room ||
	    !route_build_good(b, route_table_build(&b->set->mem, routes, count, &b->set->table)))
		b->dr->reader.out_of_memory = true;
	else
		route_table_warn(&b->set->table, room, b->dr->reader.diag);
	route_room_free(room);
	for (size_t i = 0; i < count; i++)
		routes[i].pos.file = NULL;
}

static void build_routes(struct route_build *b, const struct service *s, const struct tree *list)
{
	size_t errors = b->dr->reader.diag->errors;
	struct route *routes;

	if (list->count > ROUTES_MAX) {
		say(b, &list->key_pos, "routes: at most 65536");
		return;
	}
	routes = route_build_alloc(b, list->count, sizeof(*routes));
	for (size_t i = 0; i < list->count && !b->dr->reader.out_of_memory; i++) {
		name_route(b, s, list->children[i], i);
		b->scope.captures = NULL;
		b->scope.capture_count = 0;
		build_route(b, s, list->children[i], i + 1, &routes[i]);
	}
	if (b->dr->reader.out_of_memory || b->dr->reader.diag->errors > errors)
		return;
	reader_set_object(&b->dr->reader, "service %s", s->name);
	check_names(b, routes, list->count);
	finish(b, routes, list->count);
}

static uint64_t fingerprint(uint64_t h, const struct tree *t)
{
	if (!t)
		return h;
	h = route_hash_byte(h, (uint8_t)t->kind);
	if (t->key)
		h = text_hash(h, t->key);
	if (t->text)
		h = text_hash(h, t->text);
	for (size_t i = 0; i < t->count; i++)
		h = fingerprint(h, t->children[i]);
	return route_hash_byte(h, 0xff);
}

void draft_build_routes(struct draft *dr, const struct tree *node, struct service *s)
{
	const struct tree *list = tree_get(node, "routes"),
			  *variables = tree_get(node, "variables"),
			  *limits = tree_get(node, "rate_limit");
	bool has_routes = list && list->kind == TREE_SEQUENCE;
	struct route_build b = {.dr = dr};

	if (s->mode != SERVICE_HTTP || (!has_routes && !limits) || dr->reader.out_of_memory)
		return;
	s->routes = b.set = route_set_new();
	if (!b.set) {
		dr->reader.out_of_memory = true;
		return;
	}
	b.scope = (struct route_scope){
		.mem = &b.set->mem, .diag = dr->reader.diag, .object = dr->reader.object};
	build_variables(&b, variables);
	if (!dr->reader.out_of_memory)
		route_build_limits(&b, s, NULL, limits, &b.set->limits);
	if (!dr->reader.out_of_memory && has_routes)
		build_routes(&b, s, list);
	else if (!dr->reader.out_of_memory)
		finish(&b, NULL, 0);
	reader_set_object(&dr->reader, "service %s", s->name);
	if (b.set->takes_early && !service_has_tls(s))
		diag_warning(dr->reader.diag, &list->key_pos,
			     "%searly_data: on has no effect in a service without tls",
			     dr->reader.object);
	b.set->fingerprint = fingerprint(fingerprint(ROUTE_HASH_INIT, variables), list);
}
