/* SPDX-License-Identifier: BSD-2-Clause */
/* Escaping and leaving out: see access_text.h. */
#include "l7/access_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "conf/access_plan.h"
#include "conf/snapshot.h"
#include "core/text.h"

#define REDACTED       SLICE("[redacted]")
#define NAME_MAX_BYTES 64U

/* Where nothing else is said. */
static const char *const common_secrets[] = {
	"token",  "access_token", "refresh_token", "id_token", "password",
	"passwd", "secret",	  "client_secret", "api_key",  "apikey",
	"key",	  "sig",	  "signature",	   "code",     "x-amz-signature",
};
#define COMMON_COUNT (sizeof(common_secrets) / sizeof(common_secrets[0]))

/* Whatever is said. */
static const char *const secret_headers[] = {"authorization", "proxy-authorization", "cookie"};

void access_text_init(struct access_text *t, char *room, size_t len, const struct access_conf *conf)
{
	*t = (struct access_text){.conf = conf, .at = room, .room = len};
}

void access_text_literal(struct access_text *t, struct slice text)
{
	if (text.len > t->room - t->len) {
		t->is_full = true;
		return;
	}
	if (text.len)
		memcpy(t->at + t->len, text.ptr, text.len);
	t->len += text.len;
}

void access_text_number(struct access_text *t, uint64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, n); /* 20 digits at most */
	access_text_literal(t, slice_of(text));
}

/* Bytes beyond ASCII are no text that is known: they are escaped, too. */
static void add_escaped(struct access_text *t, struct slice value)
{
	bool is_json = t->conf->plan->is_json;

	size_t plain = 0; /* the first byte that is not written yet */

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		char text[ACCESS_TEXT_GROWTH + 1];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
			continue;
		access_text_literal(t, (struct slice){value.ptr + plain, i - plain});
		(void)snprintf(text, sizeof(text), is_json ? "\\u%04x" : "\\x%02x", c); /* fits */
		access_text_literal(t, slice_of(text));
		plain = i + 1;
	}
	access_text_literal(t, (struct slice){value.ptr + plain, value.len - plain});
}

static void begin_value(struct access_text *t)
{
	if (t->conf->plan->is_json)
		access_text_literal(t, SLICE("\""));
}

#define end_value begin_value

static void add_nothing(struct access_text *t)
{
	access_text_literal(t, t->conf->plan->is_json ? SLICE("null") : SLICE("-"));
}

void access_text_put(struct access_text *t, struct slice value)
{
	if (!value.len) {
		add_nothing(t);
		return;
	}
	begin_value(t);
	add_escaped(t, value);
	end_value(t);
}

/* ---- secrets ---- */

static bool is_secret(const struct access_conf *conf, struct slice name)
{
	const char *const *list = conf->redact ? conf->redact : common_secrets;
	size_t count = conf->redact ? conf->redact_count : COMMON_COUNT;

	for (size_t i = 0; i < count; i++)
		if (slice_eq_nocase(name, slice_of(list[i])))
			return true;
	return false;
}

/* As the server behind will read it. One that is too long is none that is looked for. */
static struct slice decode(struct slice name, char out[NAME_MAX_BYTES])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (len == NAME_MAX_BYTES)
			return (struct slice){0};
		if (c == '%' && i + 2 < name.len && text_hex_digit(name.ptr[i + 1]) >= 0 &&
		    text_hex_digit(name.ptr[i + 2]) >= 0) {
			c = (char)(text_hex_digit(name.ptr[i + 1]) * 16 +
				   text_hex_digit(name.ptr[i + 2]));
			i += 2;
		}
		out[len++] = c;
	}
	return (struct slice){out, len};
}

void access_text_put_query(struct access_text *t, struct slice query)
{
	char name[NAME_MAX_BYTES];

	if (!query.len) {
		add_nothing(t);
		return;
	}
	begin_value(t);
	for (size_t at = 0, end; at < query.len; at = end) {
		struct slice pair = {query.ptr + at, 0};
		const char *equals;
		size_t len;

		end = at;
		while (end < query.len && query.ptr[end] != '&' && query.ptr[end] != ';')
			end++;
		pair.len = end - at;
		equals = memchr(pair.ptr, '=', pair.len);
		len = equals ? (size_t)(equals - pair.ptr) : pair.len;
		if (equals && is_secret(t->conf, decode((struct slice){pair.ptr, len}, name))) {
			add_escaped(t, (struct slice){pair.ptr, len + 1});
			access_text_literal(t, REDACTED);
		} else {
			add_escaped(t, pair);
		}
		if (end < query.len)
			access_text_literal(t, (struct slice){query.ptr + end++, 1});
	}
	end_value(t);
}

void access_text_put_header(struct access_text *t, struct slice name, struct slice value)
{
	bool hidden = is_secret(t->conf, name);

	for (size_t i = 0; i < sizeof(secret_headers) / sizeof(secret_headers[0]); i++)
		hidden |= slice_eq(name, slice_of(secret_headers[i]));
	access_text_put(t, hidden && value.len ? REDACTED : value);
}
