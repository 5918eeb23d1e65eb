/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl service, pool: lists and single ones. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define ROW "%-20s "

/* Elements of an array of texts, with commas between them. */
static char *join(const json_t *list)
{
	char *text = strdup(""), *longer;
	size_t i;
	json_t *it;

	json_array_foreach (list, i, it) {
		if (!text || asprintf(&longer, "%s%s%s", text, i ? ", " : "",
				      json_string_value(it) ? json_string_value(it) : "?") < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	return text;
}

static uint64_t sum_of(const json_t *counters)
{
	const char *name;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach ((json_t *)counters, name, value) {
		sum += (uint64_t)json_integer_value(value);
	}
	return sum;
}

static void add_traffic(struct table *t, const json_t *s)
{
	const json_t *l4 = json_object_get(s, "l4"), *http = json_object_get(s, "http");
	char buf[PRINT_UNIT_MAX];

	if (json_is_object(http)) {
		table_add(t, "%s", format_count(field_count(http, "connections"), buf));
		table_add(t, "%s", format_count(field_count(http, "requests"), buf));
		table_add(
			t, "%s",
			format_bytes(field_count(http, "bytes_in") + field_count(http, "bytes_out"),
				     buf));
		table_add(t, "%s",
			  format_count(field_count(http, "responses_5xx") +
					       field_count(http, "refused"),
				       buf));
	} else {
		table_add(t, "%s", format_count(field_count(l4, "new_flows"), buf));
		table_add(t, "%s", format_count(field_count(l4, "packets"), buf));
		table_add(t, "%s", format_bytes(field_count(l4, "bytes"), buf));
		table_add(t, "%s", format_count(sum_of(json_object_get(l4, "drops")), buf));
	}
}

static int print_services(const json_t *services)
{
	static const char *const headings[] = {"NAME",		"MODE",	  "LISTEN",
					       "POOL",		"USABLE", ">CONNECTIONS",
					       ">PACKETS/REQS", ">BYTES", ">DROPS/5XX"};
	struct table t;
	char usable[96];
	size_t i;
	json_t *s;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach (services, i, s) {
		char *listen = join(json_object_get(s, "listen"));

		table_add(&t, "%s", field_text(s, "name"));
		table_add(&t, "%s", field_text(s, "mode"));
		table_add(&t, "%s", listen ? listen : "?");
		table_add(&t, "%s", field_text(s, "pool"));
		table_add(&t, "%s",
			  cmd_usable(json_object_get(s, "backend_states"), usable, sizeof(usable)));
		add_traffic(&t, s);
		free(listen);
	}
	return table_print(&t);
}

int cmd_service_list(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/services", &r, &shown);

	if (!shown)
		code = print_services(json_object_get(r.json, "services"));
	reply_deinit(&r);
	return code;
}

/* Each field of an object on a line of its own; objects within it indented by their names. */
static void print_fields(const json_t *object, const char *prefix)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)object, name, value) {
		char label[80], *text;

		(void)snprintf(label, sizeof(label), "%s%s", prefix, name);
		if (json_is_object(value)) {
			(void)snprintf(label, sizeof(label), "%s%s.", prefix, name);
			print_fields(value, label);
			continue;
		}
		if (json_is_null(value) ||
		    (json_is_array(value) && json_is_object(json_array_get(value, 0))))
			continue;
		text = json_is_array(value)    ? join(value)
		       : json_is_string(value) ? strdup(json_string_value(value))
					       : json_dumps(value, JSON_ENCODE_ANY);
		print_safe(stdout, "%-28s %s", label, text ? text : "?");
		putchar('\n');
		free(text);
	}
}

int cmd_service_show(const struct cli *cli)
{
	struct reply r, pool = {0};
	bool shown, pool_shown = true;
	int code = cmd_get_named(cli, "/v1/services", cli->argv[0], &r, &shown);

	if (!shown) {
		print_fields(r.json, "");
		code = cmd_get_named(cli, "/v1/pools", field_text(r.json, "pool"), &pool,
				     &pool_shown);
	}
	if (!pool_shown) {
		putchar('\n');
		code = cmd_print_backends(json_object_get(pool.json, "backends"));
	}
	reply_deinit(&pool);
	reply_deinit(&r);
	return code;
}

/* ---- pools ---- */

static void add_check(struct table *t, const json_t *health)
{
	char every[PRINT_UNIT_MAX], port[PRINT_UNIT_MAX] = "of the backend";

	if (field_count(health, "port"))
		(void)snprintf(port, sizeof(port), "%llu",
			       (unsigned long long)field_count(health, "port"));

	if (!json_is_object(health))
		table_add(t, "none");
	else
		table_add(t, "%s, port %s, every %s", field_text(health, "check"), port,
			  format_age(field_count(health, "every_ms"), every));
}

static int print_pools(const json_t *pools)
{
	static const char *const headings[] = {"NAME", "FORWARD", "CHECK", "USABLE", "SERVICES"};
	struct table t;
	char usable[96];
	size_t i;
	json_t *p;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach (pools, i, p) {
		char *services = join(json_object_get(p, "services"));

		table_add(&t, "%s", field_text(p, "name"));
		table_add(&t, "%s", field_text(p, "forward"));
		add_check(&t, json_object_get(p, "health"));
		table_add(&t, "%s",
			  cmd_usable(json_object_get(p, "backend_states"), usable, sizeof(usable)));
		table_add(&t, "%s", services ? services : "?");
		free(services);
	}
	return table_print(&t);
}

int cmd_pool_list(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/pools", &r, &shown);

	if (!shown)
		code = print_pools(json_object_get(r.json, "pools"));
	reply_deinit(&r);
	return code;
}

int cmd_pool_show(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get_named(cli, "/v1/pools", cli->argv[0], &r, &shown);

	if (!shown) {
		print_fields(r.json, "");
		putchar('\n');
		code = cmd_print_backends(json_object_get(r.json, "backends"));
	}
	reply_deinit(&r);
	return code;
}
