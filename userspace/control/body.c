/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/body.h"

#include <string.h>

#include "control/reply.h"
#include "control/route.h"

bool body_copy_text(const json_t *value, char *buf, size_t len)
{
	const char *text = json_string_value(value);

	if (!text || !text[0] || strlen(text) >= len || strlen(text) != json_string_length(value))
		return false;
	memcpy(buf, text, strlen(text) + 1);
	return true;
}

bool body_take(struct request *rq, body_field field, void *ctx)
{
	json_error_t error;
	json_t *root = json_loadb(rq->body, rq->body_len, JSON_REJECT_DUPLICATES, &error);
	const char *wrong = NULL, *key;
	json_t *value;

	if (!root) {
		reply_error(rq, REPLY_BAD_REQUEST, NULL, "the body is not JSON: line %d: %s",
			    error.line, error.text);
		return false;
	}
	if (!json_is_object(root))
		wrong = "the body: expected an object";
	json_object_foreach (root, key, value) {
		if (!wrong)
			wrong = field(ctx, key, value);
	}
	if (!wrong)
		wrong = field(ctx, NULL, NULL);
	if (wrong)
		reply_error(rq, REPLY_BAD_REQUEST, NULL, "%s", wrong);
	json_decref(root);
	return !wrong;
}
