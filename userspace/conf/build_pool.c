/* SPDX-License-Identifier: BSD-2-Clause */
/* What pools say in the language of routes: see draft.h. */
#include <errno.h>
#include <stdlib.h>

#include "conf/draft.h"
#include "route/expr.h"

static struct route_mem *rules_of(struct draft *dr)
{
	struct snapshot *snap = dr->snap;

	if (!snap->pool_rules) {
		snap->pool_rules = malloc(sizeof(*snap->pool_rules));
		dr->reader.out_of_memory |= !snap->pool_rules;
		if (snap->pool_rules)
			route_mem_init(snap->pool_rules);
	}
	return snap->pool_rules;
}

void draft_build_pool_rules(struct draft *dr)
{
	for (size_t i = 0; i < dr->snap->pool_count; i++) {
		struct pool *p = &dr->snap->pools[i];
		const struct tree *node = tree_get(dr->pools[i].node, "balance_by");
		struct route_scope scope = {.diag = dr->reader.diag};

		if (!p->balance_by_text || !node)
			continue;
		reader_set_object(&dr->reader, "pool %s", p->name);
		scope.object = dr->reader.object;
		scope.mem = rules_of(dr);
		if (!scope.mem ||
		    expr_compile(&scope,
				 (struct slice){p->balance_by_text, strlen(p->balance_by_text)},
				 &node->pos, &p->balance_by) == -ENOMEM) {
			dr->reader.out_of_memory = true;
			return;
		}
	}
}
