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

static bool has_tunnel(const struct pool *p)
{
	return p->forward == FORWARD_IPIP || p->forward == FORWARD_GUE || p->forward == FORWARD_L2;
}

static void check_via(struct draft *dr, const struct tree *health, const struct pool *p)
{
	const struct health_conf *h = &p->health;
	const struct pos *pos = draft_key_pos(health, "via");

	if (h->via == HEALTH_VIA_DIRECT)
		return;
	if (!has_tunnel(p))
		diag_error(dr->reader.diag, pos,
			   "pool %s: health.via: %s is for pools with forward: ipip, gue or l2",
			   p->name, health_via_name(h->via));
	else if (h->via == HEALTH_VIA_TUNNEL && h->kind != HEALTH_TCP)
		diag_error(
			dr->reader.diag, pos,
			"pool %s: health.via: tunnel asks no more than a tcp check; for a check by "
			"%s too write both",
			p->name, health_kind_name(h->kind));
	else if (h->via == HEALTH_VIA_TUNNEL && h->port)
		diag_warning(
			dr->reader.diag, pos,
			"pool %s: health.tcp.port has no effect with via: tunnel, which asks for "
			"the services' ports",
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
	if (p->health.changing_ms > p->health.every_ms)
		diag_error(dr->reader.diag, draft_key_pos(health, "every_changing"),
			   "pool %s: health.every_changing is longer than health.every", p->name);
	check_via(dr, health, p);
	if (p->health.kind == HEALTH_HTTP)
		check_body(dr, tree_get(health, "http"), p);
}
