/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl route: which one a request would go by. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

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
		print_line("route", "none fits: the service's own pool");
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
