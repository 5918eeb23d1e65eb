/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl doctor. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define ROW "%-8s "

static void print_part(const char *mark, const json_t *finding, const char *key)
{
	const char *text = json_string_value(json_object_get(finding, key));

	if (!text)
		return;
	print_safe(stdout, ROW "%s%s", "", mark, text);
	putchar('\n');
}

static void print_finding(const json_t *finding)
{
	print_safe(stdout, ROW "%s: %s", field_text(finding, "level"),
		   field_text(finding, "subject"), field_text(finding, "what"));
	putchar('\n');
	print_part("", finding, "why");
	print_part("-> ", finding, "fix");
}

static int code_of(const char *worst)
{
	if (!strcmp(worst, "ok"))
		return API_EXIT_OK;
	return !strcmp(worst, "warning") ? API_EXIT_WARNINGS : API_EXIT_FAILED;
}

int cmd_doctor(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/doctor", &r, &shown);
	size_t i;
	json_t *finding;

	if (!shown) {
		json_array_foreach (json_object_get(r.json, "findings"), i, finding) {
			print_finding(finding);
		}
	}
	if (!code)
		code = code_of(field_text(r.json, "worst"));
	reply_deinit(&r);
	return code;
}
