/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl cert: certificates of all services. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

/* "29d4h", "-2h" once it is past. */
static const char *format_left(const json_t *o, char *buf)
{
	json_int_t left = json_integer_value(json_object_get(o, "expires_in_seconds"));

	buf[0] = '-';
	(void)format_age((uint64_t)(left < 0 ? -left : left) * 1000, buf + (left < 0));
	return buf;
}

static void add_names(struct table *t, const json_t *c)
{
	char *names = cmd_join(json_object_get(c, "names"));

	table_add(t, "%s", names && names[0] ? names : "-");
	free(names);
}

static void add_certificate(struct table *t, const json_t *c)
{
	const json_t *ocsp = json_object_get(c, "ocsp");
	char left[PRINT_UNIT_MAX + 1], age[PRINT_UNIT_MAX];

	table_add(t, "%s", field_text(c, "service"));
	table_add(t, "%s", field_text(c, "cert"));
	add_names(t, c);
	table_add(t, "%s %llu", field_text(c, "key"), (unsigned long long)field_count(c, "bits"));
	table_add(t, "%.10s", field_text(c, "not_after")); /* the date of it */
	table_add(t, "%s", format_left(c, left));
	if (json_is_object(ocsp))
		table_add(t, "%s, %s old, %s left", field_text(ocsp, "state"),
			  format_age(field_count(ocsp, "age_seconds") * 1000, age),
			  format_left(ocsp, left));
	else
		table_add(t, "-");
	table_add(t, "%s", field_text(c, "warning"));
}

int cmd_cert_list(const struct cli *cli)
{
	static const char *const headings[] = {"SERVICE", "CERTIFICATE", "NAMES", "KEY",
					       "UNTIL",	  ">LEFT",	 "OCSP",  "WARNING"};
	static const struct table_form form = {.headings = headings,
					       .count = sizeof(headings) / sizeof(headings[0]),
					       .add = add_certificate,
					       .none = "no certificates"};
	const json_t *list;
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/certificates", &r, &shown);

	if (!shown) {
		list = json_object_get(r.json, "certificates");
		code = table_of_list(&form, list);
	}
	reply_deinit(&r);
	return code;
}
