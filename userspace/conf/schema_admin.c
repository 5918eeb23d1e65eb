/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of how the daemon is talked to, and of what it writes: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

/* ---- admin ---- */

static const struct keyword metrics_keys[] = {
	{.name = "services",
	 .text = "most services that have series of their own",
	 .type = KEY_NUMBER,
	 FIELD(struct metrics_conf, services),
	 .max = 100000,
	 .fallback = "1000"},
	{.name = "routes",
	 .text = "most routes that have series of their own; those of all services count",
	 .type = KEY_NUMBER,
	 FIELD(struct metrics_conf, routes),
	 .max = 1000000,
	 .fallback = "1000"},
	{.name = "backends",
	 .text = "most backends that have series of their own; those of all pools count",
	 .type = KEY_NUMBER,
	 FIELD(struct metrics_conf, backends),
	 .max = 1000000,
	 .fallback = "1000"},
};
static const struct section schema_metrics = {
	.name = "metrics",
	.text = "How much /metrics says; what is left out is counted in shunt_metrics_omitted",
	KEYS(metrics_keys)};

static const char *const watch_words[] = {"off", "on", NULL};

static const struct keyword admin_keys[] = {
	{.name = "socket",
	 .text = "path of the control socket",
	 .type = KEY_TEXT,
	 FIELD(struct admin_conf, socket),
	 .form = "an absolute path",
	 .refuse_text = field_refuse_socket,
	 .fallback = "/run/shunt/control.sock",
	 .restart = true},
	{.name = "history",
	 .text = "generations that are kept, to be compared with and to go back to",
	 .type = KEY_NUMBER,
	 FIELD(struct admin_conf, history),
	 .min = 1,
	 .max = 1000,
	 .fallback = "50"},
	{.name = "watch",
	 .text = "the file, or the directory, is read again when it was written",
	 .type = KEY_CHOICE,
	 FIELD(struct admin_conf, watch),
	 .words = watch_words,
	 .fallback = "off"},
	{.name = "http",
	 .text = "where /metrics, /healthz, /readyz and the JSON API are served, such as "
		 "127.0.0.1:9180. On an address that is not loopback the API is not",
	 SPECIAL(admin_http),
	 .form = "an address with a port, or unix: and an absolute path of at most 107 bytes",
	 .fallback_text = "nowhere",
	 .restart = true},
	{.name = "hosts",
	 .text = "names that a request to http may be for, beside addresses and localhost: others "
		 "are "
		 "refused, as they can be those of a foreign page (DNS rebinding)",
	 SPECIAL(admin_hosts),
	 .form = "a host name",
	 .fallback_text = "none"},
	{.name = "token_file",
	 .text = "file with a word of 16 to 256 bytes; who sends it (Authorization: Bearer WORD) "
		 "may "
		 "change things by http, too",
	 .type = KEY_TEXT,
	 FIELD(struct admin_conf, token_file),
	 .form = "an absolute path",
	 .refuse_text = field_refuse_path,
	 .fallback_text = "none: by http, things can be looked at only"},
	{.name = "metrics",
	 .text = "how much /metrics says",
	 .type = KEY_SECTION,
	 FIELD(struct admin_conf, metrics),
	 .section = &schema_metrics},
};
const struct section schema_admin = {
	.name = "admin", .text = "How the daemon is talked to", KEYS(admin_keys)};

/* ---- log ---- */

static const char *const level_words[] = {"as-started", "error", "warning", "info", "debug", NULL};
const char *const log_conf_format_words[] = {"text", "json", NULL};
const char *const log_conf_target_words[] = {"stderr", "journald", "syslog", NULL};

static const struct keyword log_keys[] = {
	{.name = "level",
	 .text = "how much is said; as-started: as the command line says (--log-level)",
	 .type = KEY_CHOICE,
	 FIELD(struct log_conf, level),
	 .words = level_words,
	 .fallback = "as-started"},
	{.name = "format",
	 .text = "text: a sentence and KEY=VALUE; json: an object a line, with the same keys",
	 .type = KEY_CHOICE,
	 FIELD(struct log_conf, format),
	 .words = log_conf_format_words,
	 .fallback = "text"},
	{.name = "target",
	 .text = "journald gets the keys as fields (SHUNT_KEY) by its own socket, syslog gets "
		 "lines by "
		 "/dev/log. What they do not take goes to stderr",
	 .type = KEY_CHOICE,
	 FIELD(struct log_conf, target),
	 .words = log_conf_target_words,
	 .fallback = "stderr"},
};
const struct section schema_log = {
	.name = "log", .text = "What the daemon says of itself", KEYS(log_keys)};
