/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of an access log's line: whatever a client sends, what comes out is visible ASCII, one JSON
 * string, and has no secret in it. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "conf/access_plan.h"
#include "conf/snapshot.h"
#include "l7/access_text.h"

#define SECRET "s3cr3t"

static void check(const char *text, size_t len, bool is_json)
{
	json_t *value;

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			abort();
	if (!is_json)
		return;
	value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!json_is_string(value) && !json_is_null(value))
		abort();
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct access_plan plans[] = {{.is_json = false}, {.is_json = true}};
	size_t room = (size + sizeof("&token=" SECRET)) * ACCESS_TEXT_GROWTH + 64;
	char *query = malloc(size + sizeof("&token=" SECRET)), *out = malloc(room);

	if (!query || !out)
		abort();
	memcpy(query, data, size);
	memcpy(query + size, "&token=" SECRET, sizeof("&token=" SECRET));
	for (size_t i = 0; i < 2; i++) {
		struct access_conf conf = {.plan = &plans[i]};
		struct access_text t;

		access_text_init(&t, out, room, &conf);
		access_text_put(&t, (struct slice){query, size});
		if (t.is_full)
			abort();
		check(out, t.len, plans[i].is_json);
		access_text_init(&t, out, room, &conf);
		access_text_put_query(&t, slice_of(query));
		check(out, t.len, plans[i].is_json);
		if (size < sizeof(SECRET) - 1 && memmem(out, t.len, SECRET, sizeof(SECRET) - 1))
			abort();
	}
	free(query);
	free(out);
	return 0;
}
