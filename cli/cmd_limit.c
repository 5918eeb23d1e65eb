/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl limit: rate limits. */
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

static void add_count(struct table *t, const json_t *l, const char *field)
{
	table_add(t, "%llu", (unsigned long long)field_count(l, field));
}

static void add_limit(struct table *t, const json_t *l)
{
	const char *key = field_text(l, "key");

	table_add(t, "%s", field_text(l, "name"));
	table_add(t, "%s%s", field_text(l, "algorithm"),
		  json_is_true(json_object_get(l, "dry_run")) ? " (dry run)" : "");
	table_add(t, "%s", field_text(l, "rate"));
	table_add(t, "%s", key);
	add_count(t, l, "hits");
	add_count(t, l, "limited");
	add_count(t, l, "delayed");
	table_add(t, "%llu/%llu", (unsigned long long)field_count(l, "entries"),
		  (unsigned long long)field_count(l, "entries_max"));
	add_count(t, l, "evicted");
}

int cmd_limit_list(const struct cli *cli)
{
	static const char *const headings[] = {"NAME",	   "ALGORITHM", "RATE",
					       "KEY",	   ">HITS",	">LIMITED",
					       ">DELAYED", ">ENTRIES",	">EVICTED"};
	static const struct table_form form = {.headings = headings,
					       .count = sizeof(headings) / sizeof(headings[0]),
					       .add = add_limit,
					       .none = "no rate limits"};
	const json_t *limits;
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/limits", &r, &shown);

	if (!shown) {
		limits = json_object_get(r.json, "limits");
		code = table_of_list(&form, limits);
	}
	reply_deinit(&r);
	return code;
}
