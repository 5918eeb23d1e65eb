/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of l4 services whose values are neither a number nor a word: see fields.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/prefix_list.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/strbuf.h"

/* ---- source routes ---- */

void field_read_source_routes(struct reader *r, const struct keyword *k, const struct tree *value,
			      void *object)
{
	struct service *s = object;

	s->source_routes =
		read_sections(r, k, value, sizeof(*s->source_routes), &s->source_route_count);
}

void field_format_source_routes(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	for (size_t i = 0; i < s->source_route_count; i++) {
		strbuf_add(b, i ? ", {from: " : "[{from: ");
		prefix_list_format(b, s->source_routes[i].from, s->source_routes[i].from_count);
		strbuf_printf(b, ", pool: %s}", s->source_routes[i].pool_name);
	}
	if (s->source_route_count)
		strbuf_add(b, "]");
}

void field_read_from(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	struct source_route *route = object;

	if (!prefix_list_read(r, k, value, &route->from, &route->from_count))
		read_expected(r, k, value, k->form);
}

void field_format_from(struct strbuf *b, const void *object)
{
	const struct source_route *route = object;

	prefix_list_format(b, route->from, route->from_count);
}

/* ---- QUIC ---- */

/* "513" or "0x0201". */
static int parse_id(const struct tree *value, uint64_t *ret_id)
{
	const char *text = value->kind == TREE_SCALAR ? value->text : "";
	char *end;

	if (strncmp(text, "0x", 2) != 0)
		return value_number(text, ret_id);
	if (strlen(text) > 18 || strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2) ||
	    !text[2])
		return -EINVAL;
	*ret_id = strtoull(text + 2, &end, 16);
	return 0;
}

void field_read_mask(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	struct quic_conf *q = object;
	uint64_t mask;

	if (parse_id(value, &mask) < 0 || !mask)
		read_expected(r, k, value, k->form);
	else
		q->mask = mask;
}

void field_format_mask(struct strbuf *b, const void *object)
{
	const struct quic_conf *q = object;

	if (q->mask)
		strbuf_printf(b, "0x%" PRIx64, q->mask);
}

void field_read_server_id(struct reader *r, const struct keyword *k, const struct tree *value,
			  void *object)
{
	struct backend *b = object;

	if (parse_id(value, &b->server_id) < 0)
		read_expected(r, k, value, k->form);
	else
		b->has_server_id = true;
}

void field_format_server_id(struct strbuf *b, const void *object)
{
	const struct backend *be = object;

	if (be->has_server_id)
		strbuf_printf(b, "0x%" PRIx64, be->server_id);
}
