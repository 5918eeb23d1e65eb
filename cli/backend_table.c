/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of backends: see cmd.h. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

/* Why it is left out, if it is. */
static bool add_outlier(struct table *t, const json_t *http)
{
	const char *reason = json_string_value(json_object_get(http, "ejected_for"));

	if (reason)
		table_add(t, "%s", reason);
	return reason != NULL;
}

/* Of one that is up, when it was last found so stands in `shuntctl health`. */
static void add_check(struct table *t, const json_t *health)
{
	if (!strcmp(field_text(health, "check"), "none"))
		table_add(t, "not checked");
	else if (json_is_null(json_object_get(health, "checked_ms_ago")))
		table_add(t, "not checked yet");
	else
		table_add(t, "%s", field_text(health, "result"));
}

static void add_identity(struct table *t, const json_t *b)
{
	table_add(t, "%s/%s", field_text(b, "pool"), field_text(b, "name"));
	if (!strcmp(field_text(b, "origin"), "config"))
		table_add(t, "%s", field_text(b, "address"));
	else /* it was found */
		table_add(t, "%s (%s)", field_text(b, "address"), field_text(b, "origin"));
	table_add(t, "%llu", (unsigned long long)field_count(b, "weight"));
}

/* And what stands in its way, if anything does. */
static void add_forward(struct table *t, const json_t *b)
{
	const char *hop = json_string_value(json_object_get(json_object_get(b, "l4"), "next_hop"));
	bool good = !hop || !strcmp(hop, "reflect") || !strcmp(hop, "resolved");

	table_add(t, "%s%s%s", field_text(b, "forward"), good ? "" : ", ", good ? "" : hop);
}

static void add_state(struct table *t, const json_t *b)
{
	const json_t *http = json_object_get(b, "http");
	const json_t *ejected = json_object_get(http, "ejected_ms_left");
	bool trial = json_is_true(json_object_get(http, "on_trial"));
	const json_t *changed = json_object_get(json_object_get(b, "health"), "changed_ms_ago");
	char buf[PRINT_UNIT_MAX];

	if (json_is_integer(ejected))
		table_add(t, "ejected, %s", format_age((uint64_t)json_integer_value(ejected), buf));
	else
		table_add(t, "%s%s", field_text(b, "state"), trial ? ", on trial" : "");
	table_add(t, "%s",
		  json_is_integer(changed) ? format_age((uint64_t)json_integer_value(changed), buf)
					   : "-");
}

static void add_steered(struct table *t, const json_t *b)
{
	const json_t *l4 = json_object_get(b, "l4");
	const json_t *share = json_object_get(l4, "share_percent");
	char buf[PRINT_UNIT_MAX];

	add_identity(t, b);
	add_forward(t, b);
	if (json_is_number(share))
		table_add(t, "%.1f%%", json_number_value(share));
	else
		table_add(t, "-");
	add_state(t, b);
	table_add(t, "%s", format_count(field_count(l4, "new_flows"), buf));
	table_add(t, "%s", format_count(field_count(l4, "packets"), buf));
	table_add(t, "%s", format_bytes(field_count(l4, "bytes"), buf));
	add_check(t, json_object_get(b, "health"));
}

static void add_proxied(struct table *t, const json_t *b)
{
	const json_t *http = json_object_get(b, "http");
	char buf[PRINT_UNIT_MAX];

	add_identity(t, b);
	add_state(t, b);
	table_add(t, "%s", format_count(field_count(http, "active_requests"), buf));
	table_add(t, "%s", format_count(field_count(http, "requests"), buf));
	table_add(t, "%s", format_count(field_count(http, "failures"), buf));
	table_add(
		t, "%s",
		format_bytes(field_count(http, "bytes_in") + field_count(http, "bytes_out"), buf));
	if (!add_outlier(t, http))
		add_check(t, json_object_get(b, "health"));
}

int cmd_print_backends(const json_t *backends)
{
	static const char *const steered_headings[] = {
		"BACKEND", "ADDRESS",	 ">WEIGHT",  "FORWARD", ">SHARE",    "STATE",
		">SINCE",  ">NEW FLOWS", ">PACKETS", ">BYTES",	"LAST CHECK"};
	static const char *const proxied_headings[] = {
		"BACKEND", "ADDRESS",	">WEIGHT", "STATE",  ">SINCE",
		">ACTIVE", ">REQUESTS", ">FAILED", ">BYTES", "LAST CHECK"};
	struct table steered, proxied;
	size_t i;
	json_t *b;

	table_init(&steered, steered_headings,
		   sizeof(steered_headings) / sizeof(steered_headings[0]));
	table_init(&proxied, proxied_headings,
		   sizeof(proxied_headings) / sizeof(proxied_headings[0]));
	json_array_foreach (backends, i, b) {
		if (json_is_object(json_object_get(b, "http")))
			add_proxied(&proxied, b);
		else
			add_steered(&steered, b);
	}
	return table_print_both(&steered, &proxied, "no backends");
}
