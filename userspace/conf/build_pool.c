/* SPDX-License-Identifier: BSD-2-Clause */
/* What pools say in the language of routes, and what they sign cookies by: see draft.h. */
#include <errno.h>
#include <stdlib.h>

#include "conf/draft.h"
#include "route/expr.h"
#include "route/hash.h"
#include "tls/file.h"
#include "tls/mac.h"

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

static uint64_t tag_of(const struct backend *be)
{
	char text[ENDPOINT_STRLEN];

	endpoint_format(&be->ep, text, sizeof(text));
	return (uint64_t)route_hash_end(route_hash_add(
		route_hash_add(ROUTE_HASH_INIT, slice_of(be->name)), slice_of(text)));
}

/* Of the secret, whatever its length and form, all counts. */
static void read_sticky(struct draft *dr, const struct tree *node, struct pool *pool)
{
	const struct tree *value = tree_get(tree_get(node, "sticky"), "key");
	char text[TLS_PROBLEM_MAX];
	struct tls_blob file = {0};
	bool is_open;

	if (!pool->sticky.key || !value || dr->reader.out_of_memory)
		return;
	for (size_t i = 0; i < pool->backend_count; i++)
		pool->backends[i].sticky_tag = tag_of(&pool->backends[i]);
	if (tls_file_read(pool->sticky.key, &file, &is_open, text) < 0) {
		diag_error(dr->reader.diag, &value->pos, "pool %s: sticky.key: %s", pool->name,
			   text);
		return;
	}
	if (file.len < STICKY_SECRET_LEN)
		diag_error(dr->reader.diag, &value->pos,
			   "pool %s: sticky.key: %s is too short to be a secret: %d bytes or more "
			   "are needed",
			   pool->name, pool->sticky.key, STICKY_SECRET_LEN);
	if (is_open)
		diag_warning(dr->reader.diag, &value->pos,
			     "pool %s: sticky.key: every user of this host may read %s", pool->name,
			     pool->sticky.key);
	tls_digest(file.data, file.len, pool->sticky.secret);
	tls_blob_free(&file);
}

static void build_balance_by(struct draft *dr, const struct tree *pool_node, struct pool *p)
{
	const struct tree *node = tree_get(pool_node, "balance_by");
	struct route_scope scope = {.diag = dr->reader.diag};
	struct slice text;

	if (!p->balance_by_text || !node || dr->reader.out_of_memory)
		return;
	reader_set_object(&dr->reader, "pool %s", p->name);
	text = (struct slice){p->balance_by_text, strlen(p->balance_by_text)};
	scope.object = dr->reader.object;
	scope.mem = rules_of(dr);
	if (!scope.mem || expr_compile(&scope, text, &node->pos, &p->balance_by) == -ENOMEM)
		dr->reader.out_of_memory = true;
}

void draft_build_pool_rules(struct draft *dr)
{
	for (size_t i = 0; i < dr->snap->pool_count; i++) {
		build_balance_by(dr, dr->pools[i].node, &dr->snap->pools[i]);
		read_sticky(dr, dr->pools[i].node, &dr->snap->pools[i]);
	}
}
