/* SPDX-License-Identifier: BSD-2-Clause */
/* From values to replies: see reply.h. */
#include "control/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/message.h"
#include "control/json_build.h"

static const struct {
	unsigned status;
	const char *text;
} reasons[] = {
#define X(name, number, word) [REPLY_##name] = {number, word},
	REPLY_REASONS(X)
#undef X
};

static void send_json(struct request *rq, unsigned status, const char *allow, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER |
						       JSON_REAL_PRECISION(6))
			   : NULL;
	size_t len = text ? strlen(text) : 0;
	char *line = text ? realloc(text, len + 2) : NULL;

	json_decref(value);
	if (!line) {
		free(text);
		request_reply(rq, status, API_JSON, allow, NULL, 0);
		return;
	}
	memcpy(line + len, "\n", 2);
	request_reply(rq, status, API_JSON, allow, line, len + 1);
}

void reply_json(struct request *rq, unsigned status, json_t *value)
{
	send_json(rq, status, NULL, value);
}

void reply_text(struct request *rq, const char *content_type, char *text)
{
	request_reply(rq, 200, content_type, NULL, text, text ? strlen(text) : 0);
}

json_t *reply_diagnostics(const struct diag *d)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; d && i < d->count; i++) {
		const struct diag_item *it = &d->items[i];
		json_t *file = it->pos.file ? json_text(it->pos.file) : json_null();

		json_push(list,
			  json_pack("{s:o, s:i, s:i, s:s, s:o}", "file", file, "line", it->pos.line,
				    "column", it->pos.column, "level", diag_level_name(it->level),
				    "message", json_text(it->text)),
			  &failed);
	}
	return json_finish(list, failed);
}

static void send_error(struct request *rq, enum reply_reason reason, const struct diag *d,
		       const char *allow, const char *message)
{
	json_t *list = reply_diagnostics(d);
	json_t *value =
		list ? json_pack("{s:{s:s, s:s, s:o}}", "error", "reason", reasons[reason].text,
				 "message", message, "diagnostics", list)
		     : NULL;

	send_json(rq, reasons[reason].status, allow, value);
}

void reply_error(struct request *rq, enum reply_reason reason, const struct diag *d,
		 const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap); /* cut where too long */
	va_end(ap);
	send_error(rq, reason, d, NULL, message);
}

void reply_method(struct request *rq, const char *allow)
{
	char message[128];

	(void)snprintf(message, sizeof(message), "expected %s", allow);
	send_error(rq, REPLY_METHOD, NULL, allow, message);
}
