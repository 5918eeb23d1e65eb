/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of discovery whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

#define DNS_PORT      53
#define DNS_NAME_MAX  253
#define DNS_LABEL_MAX 63

const char *field_refuse_dns_name(const char *text)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *p = text;
	bool good = *text && strlen(text) <= DNS_NAME_MAX;

	while (good && *p) {
		size_t len = strspn(p, chars);

		good = len && len <= DNS_LABEL_MAX && (!p[len] || p[len] == '.');
		p += len;
		p += *p == '.';
	}
	return good ? NULL : "a DNS name of labels of letters, digits, \"-\" and \"_\"";
}

void field_read_resolver(struct reader *r, const struct keyword *k, const struct tree *value,
			 void *object)
{
	struct discover_conf *c = object;
	const struct tree *item;
	size_t at = 0;

	if (read_count(value) > DISCOVER_RESOLVERS_MAX) {
		read_error(r, k, &value->pos, "at most %d servers", DISCOVER_RESOLVERS_MAX);
		return;
	}
	c->resolvers = read_alloc(r, read_count(value), sizeof(*c->resolvers));
	if (!c->resolvers)
		return;
	while ((item = read_next_scalar(r, k, value, &at))) {
		struct endpoint ep;

		if (endpoint_parse(item->text, &ep) < 0) {
			read_expected(r, k, item, k->form);
			continue;
		}
		if (!ep.port)
			ep.port = DNS_PORT;
		c->resolvers[c->resolver_count++] = ep;
	}
}

void field_format_resolver(struct strbuf *b, const void *object)
{
	const struct discover_conf *c = object;
	char text[ENDPOINT_STRLEN];

	for (size_t i = 0; i < c->resolver_count; i++)
		strbuf_printf(b, "%s\"%s\"", i ? ", " : "[",
			      endpoint_format(&c->resolvers[i], text, sizeof(text)));
	if (c->resolver_count)
		strbuf_add(b, "]");
}

void field_read_overrides(struct reader *r, const struct keyword *k, const struct tree *value,
			  void *object)
{
	struct discover_conf *c = object;

	c->overrides = read_sections(r, k, value, sizeof(*c->overrides), &c->override_count);
	for (size_t i = 0; i < c->override_count; i++) {
		c->overrides[i].has_state = tree_get(value->children[i], "state") != NULL;
		c->overrides[i].has_weight = tree_get(value->children[i], "weight") != NULL;
		if (!c->overrides[i].name)
			c->overrides[i].name = ""; /* was reported */
	}
}

void field_format_overrides(struct strbuf *b, const void *object)
{
	const struct discover_conf *c = object;

	for (size_t i = 0; i < c->override_count; i++) {
		const struct discover_override *o = &c->overrides[i];

		strbuf_printf(b, "%s{name: %s", i ? ", " : "[", o->name);
		if (o->has_state)
			strbuf_printf(b, ", state: %s",
				      admin_state_name((enum admin_state)o->state));
		if (o->has_weight)
			strbuf_printf(b, ", weight: %u", o->weight);
		strbuf_add(b, "}");
	}
	if (c->override_count)
		strbuf_add(b, "]");
}
