/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl route: those of a service; which one a request would go by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"
#include "core/strbuf.h"

/* "3 (calls, line 12)" */
static void print_route(const char *what, const json_t *route)
{
	const char *name = json_string_value(json_object_get(route, "name"));

	print_line(what, "%" JSON_INTEGER_FORMAT " (%s%sline %" JSON_INTEGER_FORMAT ")",
		   json_integer_value(json_object_get(route, "index")) + 1, name ? name : "",
		   name ? ", " : "", json_integer_value(json_object_get(route, "line")));
}

static void print_answer(const json_t *o)
{
	const json_t *route = json_object_get(o, "route"), *item;
	size_t i;

	print_line("service", "%s", field_text(o, "service"));
	print_line("path", "%s", field_text(o, "path"));
	if (json_is_object(route))
		print_route("route", route);
	else
		print_line("route", "none fits: %s",
			   json_array_size(json_object_get(o, "pools")) ? "the service's own pool"
									: "no pool of its own");
	json_array_foreach (json_object_get(o, "pools"), i, item) {
		if (json_array_size(json_object_get(o, "pools")) == 1)
			print_line("pool", "%s", field_text(item, "pool"));
		else
			print_line("pool", "%s, weight %" JSON_INTEGER_FORMAT,
				   field_text(item, "pool"),
				   json_integer_value(json_object_get(item, "weight")));
	}
	if (strcmp(field_text(o, "action"), "pool") != 0)
		print_line("answer", "%s, status %" JSON_INTEGER_FORMAT, field_text(o, "action"),
			   json_integer_value(json_object_get(o, "status")));
	json_array_foreach (json_object_get(o, "skipped"), i, item) {
		print_route("not", item);
		print_line("", "%s: %s", field_text(item, "part"), field_text(item, "why"));
	}
	if (field_count(o, "skipped_count") > json_array_size(json_object_get(o, "skipped")))
		print_line("not", "and %llu more",
			   (unsigned long long)(field_count(o, "skipped_count") -
						json_array_size(json_object_get(o, "skipped"))));
}

static json_t *question(const struct cli *cli)
{
	json_t *headers = json_array();
	json_t *body;

	for (unsigned i = 0; i < cli->header_count; i++)
		(void)json_array_append_new(headers, json_string(cli->headers[i]));
	if (json_array_size(headers) != cli->header_count) { /* no UTF-8, or no memory */
		json_decref(headers);
		return NULL;
	}
	body = json_pack("{s:s, s:s, s:s*, s:o}", "method", cli->argv[1], "url", cli->argv[2],
			 "source", cli->source, "headers", headers);
	return body;
}

int cmd_route_test(const struct cli *cli)
{
	struct request rq = {
		.socket = cli->socket, .method = "POST", .as_json = cli->output == OUTPUT_JSON};
	json_t *body = question(cli);
	char *text = body ? json_dumps(body, 0) : NULL, *path = strdup("/v1/services");
	struct reply reply = {0};
	int code = API_EXIT_USAGE;

	if (!text) {
		tell_error("expected UTF-8 text");
	} else if (!path || client_add_segment(&path, cli->argv[0]) < 0 ||
		   client_add_segment(&path, "route") < 0) {
		tell_error("out of memory");
		code = API_EXIT_FAILED;
	} else {
		rq.path = path;
		rq.body = text;
		rq.body_len = strlen(text);
		code = client_ask(&rq, &reply);
		if (code == API_EXIT_OK && cli->output == OUTPUT_JSON)
			print_json(stdout, reply.json);
		else if (code == API_EXIT_OK)
			print_answer(reply.json);
	}
	reply_deinit(&reply);
	json_decref(body);
	free(text);
	free(path);
	return code;
}

/* ---- list ---- */

/* "path: {prefix: /api}, method: [GET, HEAD]" */
static void put_match(struct strbuf *b, const json_t *value, bool is_top)
{
	const char *key;
	json_t *item;
	size_t i, n = 0;

	if (json_is_object(value)) {
		strbuf_add(b, is_top ? "" : "{");
		json_object_foreach ((json_t *)value, key, item) {
			strbuf_printf(b, "%s%s: ", n++ ? ", " : "", key);
			put_match(b, item, false);
		}
		strbuf_add(b, is_top ? "" : "}");
	} else if (json_is_array(value)) {
		strbuf_add(b, "[");
		json_array_foreach (value, i, item) {
			strbuf_add(b, i ? ", " : "");
			put_match(b, item, false);
		}
		strbuf_add(b, "]");
	} else {
		char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

		strbuf_add(b, text ? text : json_string_value(value));
		free(text);
	}
}

static void add_match(struct table *t, const json_t *route)
{
	const json_t *match = json_object_get(route, "match");
	struct strbuf b;

	strbuf_init(&b);
	put_match(&b, match, true);
	table_add(t, "%s", json_object_size(match) && b.text ? b.text : "all");
	strbuf_deinit(&b);
}

/* "to v1 (90), v2 (10)", "redirect 308" */
static void add_action(struct table *t, const json_t *route)
{
	const json_t *pools = json_object_get(route, "pools"), *pool;
	struct strbuf b;
	size_t i;

	strbuf_init(&b);
	if (!json_array_size(pools))
		strbuf_printf(&b, "%s %u", field_text(route, "action"),
			      (unsigned)field_count(route, "status"));
	json_array_foreach (pools, i, pool) {
		strbuf_printf(&b, "%s%s", i ? ", " : "to ", field_text(pool, "pool"));
		if (json_array_size(pools) > 1)
			strbuf_printf(&b, " (%u)", (unsigned)field_count(pool, "weight"));
	}
	table_add(t, "%s", b.text ? b.text : "");
	strbuf_deinit(&b);
}

static void add_route(struct table *t, const json_t *route)
{
	static const char *const counts[] = {"requests",      "responses_2xx", "responses_3xx",
					     "responses_4xx", "responses_5xx", "local_errors"};

	table_add(t, "%u", (unsigned)field_count(route, "index") + 1);
	table_add(t, "%s", field_text(route, "name"));
	add_match(t, route);
	add_action(t, route);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		table_add(t, "%llu", (unsigned long long)field_count(route, counts[i]));
}

int cmd_route_list(const struct cli *cli)
{
	static const char *const headings[] = {">#",   "NAME", "MATCH", "ACTION", ">REQUESTS",
					       ">2XX", ">3XX", ">4XX",	">5XX",	  ">LOCAL"};
	static const struct table_form form = {
		.headings = headings,
		.count = sizeof(headings) / sizeof(headings[0]),
		.add = add_route,
		.none = "no routes: all requests go to the service's own pool"};
	char *path = strdup("/v1/services");
	int code = API_EXIT_FAILED;
	struct reply r = {0};
	bool shown = true;
	const json_t *routes;

	if (!path || client_add_segment(&path, cli->argv[0]) < 0 ||
	    client_add_segment(&path, "routes") < 0)
		tell_error("out of memory");
	else
		code = cmd_get(cli, path, &r, &shown);
	if (!shown) {
		routes = json_object_get(r.json, "routes");
		code = table_of_list(&form, routes);
	}
	reply_deinit(&r);
	free(path);
	return code;
}
