/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/frame_json.h"

#include <stdlib.h>
#include <string.h>

#include "control/json_build.h"
#include "core/strbuf.h"
#include "l4/frame.h"

json_t *frame_headers_json(const uint8_t *frame, size_t len, uint16_t gue_port)
{
	json_t *list = json_array();
	bool failed = !list;
	struct strbuf b;
	char *line, *rest;

	strbuf_init(&b);
	frame_describe(frame, len, gue_port, &b);
	rest = b.text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0])
			json_push(list, json_string(line), &failed);
	}
	failed = failed || b.failed;
	strbuf_deinit(&b);
	return json_finish(list, failed);
}

json_t *frame_hex_json(const uint8_t *frame, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * len + 1);
	json_t *value;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[frame[i] >> 4];
		text[2 * i + 1] = digits[frame[i] & 15];
	}
	value = json_stringn_nocheck(text, 2 * len);
	free(text);
	return value;
}
