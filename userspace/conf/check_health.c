/* SPDX-License-Identifier: BSD-2-Clause */
/* What a pool's health checks need beside the form of each key: see draft.h. */
#include <errno.h>

#include "conf/draft.h"
#include "conf/health_pattern.h"

static void compile(struct draft *dr, const struct tree *http, struct pool *p)
{
	struct regex_error error;
	int err = health_pattern_new(p->health.body_regex, &p->health.pattern, &error);

	if (err == -EINVAL)
		diag_error(dr->reader.diag, draft_key_pos(http, "body_regex"),
			   "pool %s: health.http.body_regex: byte %zu: %s", p->name,
			   error.offset + 1, error.text);
	else if (err < 0)
		dr->reader.out_of_memory = true;
}

static void check_body(struct draft *dr, const struct tree *http, struct pool *p)
{
	const struct health_conf *h = &p->health;

	if (h->body_regex)
		compile(dr, http, p);
	if (h->body && h->body_regex)
		diag_error(dr->reader.diag, draft_key_pos(http, "body_regex"),
			   "pool %s: health.http: expected body or body_regex, found both",
			   p->name);
	if (tree_get(http, "body_limit") && !h->body && !h->body_regex)
		diag_warning(dr->reader.diag, draft_key_pos(http, "body_limit"),
			     "pool %s: health.http.body_limit has no effect without body or "
			     "body_regex",
			     p->name);
}

void draft_check_health(struct draft *dr, const struct tree *node, struct pool *p)
{
	const struct tree *health = tree_get(node, "health");

	if (!health || p->health.kind == HEALTH_NONE)
		return;
	if (p->health.timeout_ms > p->health.every_ms)
		diag_error(dr->reader.diag, draft_key_pos(health, "timeout"),
			   "pool %s: health.timeout is longer than health.every", p->name);
	if (p->health.kind == HEALTH_HTTP)
		check_body(dr, tree_get(health, "http"), p);
}
