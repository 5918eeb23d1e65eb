/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of http services whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/prefix_list.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

#define CONTENT_TYPE_MAX 128U

/* ---- trusted_proxies ---- */

void field_read_trusted(struct reader *r, const struct keyword *k, const struct tree *value,
			void *object)
{
	struct service *s = object;

	(void)prefix_list_read(r, k, value, &s->trusted_proxies, &s->trusted_proxy_count);
}

void field_format_trusted(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	prefix_list_format(b, s->trusted_proxies, s->trusted_proxy_count);
}

/* ---- upgrades ---- */

#define PROTOCOL_MAX 63 /* bytes of a name */

/* A name, with or without a version, as it stands in an Upgrade field. */
static bool is_protocol(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~/";
	size_t len = strlen(text);

	return len > 0 && len <= PROTOCOL_MAX && strspn(text, bytes) == len;
}

/* The default comes first, then what is written: each begins anew. */
void field_read_upgrades(struct reader *r, const struct keyword *k, const struct tree *value,
			 void *object)
{
	struct service *s = object;
	const char **names = read_alloc(r, read_count(value), sizeof(*names));
	const struct tree *item;
	size_t count = 0, at = 0;

	s->upgrade_any = false;
	s->upgrade_count = 0;
	if (!names)
		return;
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "none"))
		return;
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "any")) {
		s->upgrade_any = true;
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at))) {
		if (!is_protocol(item->text))
			read_expected(r, k, item, k->form);
		else if (!strcasecmp(item->text, "h2c"))
			read_error(r, k, &item->pos, "h2c is never switched to");
		else if (!(names[count++] = read_strdup(r, item->text)))
			return;
	}
	s->upgrades = names;
	s->upgrade_count = count;
}

void field_format_upgrades(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	if (s->upgrade_any || !s->upgrade_count) {
		strbuf_add(b, s->upgrade_any ? "any" : "none");
		return;
	}
	strbuf_add(b, "[");
	for (size_t i = 0; i < s->upgrade_count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "", s->upgrades[i]);
	strbuf_add(b, "]");
}

/* ---- sticky ---- */

#define COOKIE_NAME_MAX 64U
#define COOKIE_PATH_MAX 256U

const char *field_refuse_cookie(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~";
	size_t len = strlen(text);

	return len && len <= COOKIE_NAME_MAX && strspn(text, bytes) == len
		       ? NULL
		       : "the name of a cookie, of at most 64 bytes";
}

const char *field_refuse_cookie_path(const char *text)
{
	bool good = text[0] == '/' && strlen(text) <= COOKIE_PATH_MAX;

	for (const char *p = text; *p; p++)
		good = good && *p > ' ' && *p < 0x7f && *p != ';';
	return good ? NULL : "a path that starts with /, without spaces and semicolons";
}

const char *field_refuse_content_type(const char *text)
{
	bool good = *text && strlen(text) < CONTENT_TYPE_MAX;

	for (const char *p = text; *p; p++)
		good = good && *p >= ' ' && *p <= '~';
	return good ? NULL : "a media type, such as text/html";
}
