/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of tcp and tls services whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/prefix_list.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

#define NAME_MAX_LEN 253 /* of the DNS */
#define ALPN_MAX_LEN 255

void field_read_sni_routes(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct service *s = object;

	s->sni_routes = read_sections(r, k, value, sizeof(*s->sni_routes), &s->sni_route_count);
}

static void format_list(struct strbuf *b, const char *key, const char *const *list, size_t count)
{
	if (!count)
		return;
	strbuf_printf(b, "%s: [", key);
	for (size_t i = 0; i < count; i++)
		strbuf_printf(b, "%s\"%s\"", i ? ", " : "", list[i]);
	strbuf_add(b, "], ");
}

void field_format_sni_routes(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	for (size_t i = 0; i < s->sni_route_count; i++) {
		const struct sni_route *route = &s->sni_routes[i];

		strbuf_add(b, i ? ", {" : "[{");
		format_list(b, "sni", route->names, route->name_count);
		format_list(b, "alpn", route->protocols, route->protocol_count);
		strbuf_printf(b, "pool: %s}", route->pool_name);
	}
	if (s->sni_route_count)
		strbuf_add(b, "]");
}

/* Labels of letters, digits, "-" and "_", none of them empty; perhaps behind "*.". */
static bool is_pattern(const char *text)
{
	size_t len = strlen(text);
	char before = '.';

	if (!strncmp(text, "*.", 2))
		text += 2;
	if (!*text || len > NAME_MAX_LEN)
		return false;
	for (; *text; text++) {
		char c = (char)(*text >= 'A' && *text <= 'Z' ? *text | 0x20 : *text);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-_.", c)) ||
		    (c == '.' && before == '.'))
			return false;
		before = c;
	}
	return before != '.';
}

static bool is_protocol(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
			return false;
	return len > 0 && len <= ALPN_MAX_LEN;
}

/* One or a list of texts that are good; their number. */
static size_t read_list(struct reader *r, const struct keyword *k, const struct tree *value,
			bool (*is_good)(const char *text), char ***ret_list)
{
	char **list = read_alloc(r, read_count(value), sizeof(*list));
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!list)
		return 0;
	while ((item = read_next_scalar(r, k, value, &at))) {
		if (!is_good(item->text))
			read_expected(r, k, item, k->form);
		else if (!(list[count] = (char *)read_strdup(r, item->text)))
			return 0;
		else
			count++;
	}
	if (!at && value->kind != TREE_MAPPING)
		read_expected(r, k, value, k->form);
	*ret_list = list;
	return count;
}

void field_read_sni(struct reader *r, const struct keyword *k, const struct tree *value,
		    void *object)
{
	struct sni_route *route = object;
	char **list = NULL;

	route->name_count = read_list(r, k, value, is_pattern, &list);
	for (size_t i = 0; i < route->name_count; i++)
		for (char *p = list[i]; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p | 0x20);
	route->names = (const char *const *)list;
}

void field_format_sni(struct strbuf *b, const void *object)
{
	const struct sni_route *route = object;

	format_list(b, "sni", route->names, route->name_count);
}

void field_read_alpn(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	struct sni_route *route = object;
	char **list = NULL;

	route->protocol_count = read_list(r, k, value, is_protocol, &list);
	route->protocols = (const char *const *)list;
}

void field_format_alpn(struct strbuf *b, const void *object)
{
	const struct sni_route *route = object;

	format_list(b, "alpn", route->protocols, route->protocol_count);
}

void field_read_proxy_from(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct proxy_in *in = object;

	if (!prefix_list_read(r, k, value, &in->from, &in->from_count))
		read_expected(r, k, value, k->form);
}

void field_format_proxy_from(struct strbuf *b, const void *object)
{
	const struct proxy_in *in = object;

	if (in->from_count)
		prefix_list_format(b, in->from, in->from_count);
}
