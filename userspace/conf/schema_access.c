/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of access logs: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

static const char *const access_errors_words[] = {"always", "sampled", NULL};

static const struct keyword access_keys[] = {
	{.name = "target",
	 .text = "a file, stdout, syslog or journald",
	 .type = KEY_TEXT,
	 FIELD(struct access_conf, target),
	 .form = "an absolute path, stdout, syslog or journald",
	 .refuse_text = field_refuse_log_target,
	 .required = true},
	{.name = "format",
	 .text = "json: all fields; or a template: '{client} {method} {path} {status} "
		 "{header.referer}', with {{ and }} for braces",
	 .type = KEY_TEXT,
	 FIELD(struct access_conf, format),
	 .form = "json, or a text with names in braces",
	 .fallback = "json"},
	{.name = "sample",
	 .text = "share of the requests that are written, drawn for each",
	 SPECIAL(sample),
	 FIELD(struct access_conf, sample),
	 .form = "a percentage from 0.01% to 100%",
	 .fallback = "100%"},
	{.name = "errors",
	 .text = "requests whose status is 500 or more, or which did not end as they should, are "
		 "always written, or sampled as all others",
	 .type = KEY_CHOICE,
	 FIELD(struct access_conf, errors),
	 .words = access_errors_words,
	 .fallback = "always"},
	{.name = "headers",
	 .text = "header fields of requests that json has, too",
	 SPECIAL(log_headers),
	 KEY_BYTES(struct access_conf, headers, header_count),
	 .form = "at most 8 names of header fields",
	 .fallback_text = "none"},
	{.name = "redact",
	 .text = "parameters of the query, and header fields, whose values are not written. Those "
		 "of "
		 "Authorization, Proxy-Authorization and Cookie never are",
	 SPECIAL(redact),
	 KEY_BYTES(struct access_conf, redact, redact_count),
	 .form = "a list of names",
	 .fallback_text = "token, access_token, refresh_token, id_token, password, passwd, secret, "
			  "client_secret, api_key, apikey, key, sig, signature, code, "
			  "x-amz-signature"},
};
const struct section schema_access = {.name = "access log of a service",
				      .text = "A line for each request that has ended",
				      KEYS(access_keys)};
