/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/prefix_list.h"

#include "conf/schema.h"
#include "conf/tree.h"
#include "core/addr.h"

bool prefix_list_read(struct reader *r, const struct keyword *k, const struct tree *value,
		      struct source_prefix **ret_list, size_t *ret_count)
{
	struct source_prefix *list = read_alloc(r, read_count(value), sizeof(*list));
	const struct tree *item;
	size_t at = 0;

	*ret_list = list;
	*ret_count = 0;
	if (!list)
		return true; /* the reader knows that there is no memory */
	while ((item = read_next_scalar(r, k, value, &at))) {
		struct source_prefix *p = &list[*ret_count];

		if (addr_parse_prefix(item->text, true, &p->addr, &p->len) < 0)
			read_expected(r, k, item, k->form);
		else
			(*ret_count)++;
	}
	return at || value->kind == TREE_MAPPING; /* that was reported */
}

void prefix_list_format(struct strbuf *b, const struct source_prefix *list, size_t count)
{
	char text[PREFIX_STRLEN];

	strbuf_add(b, "[");
	for (size_t i = 0; i < count; i++)
		strbuf_printf(b, "%s\"%s\"", i ? ", " : "",
			      prefix_format(&list[i].addr, list[i].len, text, sizeof(text)));
	strbuf_add(b, "]");
}
