/* SPDX-License-Identifier: BSD-2-Clause */
/* What retries and outliers need of each other's keys: see draft.h. */
#include "conf/draft.h"

void draft_check_retry(struct draft *dr, const struct tree *node, const struct retry_conf *c)
{
	const struct tree *backoff = tree_get(node, "backoff");
	struct diag *d = dr->reader.diag;

	if (backoff && c->backoff_base_ms > c->backoff_max_ms)
		diag_error(d, &backoff->pos, "%sretry.backoff: base is longer than max",
			   dr->reader.object);
	if (c->on & RETRY_ON_TIMEOUT && !c->per_try_ms)
		diag_error(d, draft_key_pos(node, "on"),
			   "%sretry.on: timeout needs retry.per_try_timeout", dr->reader.object);
}

void draft_check_resilience(struct draft *dr)
{
	for (size_t i = 0; i < dr->snap->service_count; i++) {
		const struct service *s = &dr->snap->services[i];
		const struct tree *retry = tree_get(dr->services[i].node, "retry");

		reader_set_object(&dr->reader, "service %s", s->name);
		if (retry && s->mode == SERVICE_HTTP)
			draft_check_retry(dr, retry, &s->retry);
	}
	for (size_t i = 0; i < dr->snap->pool_count; i++) {
		const struct pool *p = &dr->snap->pools[i];
		const struct tree *outlier = tree_get(dr->pools[i].node, "outlier");

		if (!outlier)
			continue;
		if (p->outlier.base_ms > p->outlier.max_ms)
			diag_error(dr->reader.diag, draft_key_pos(outlier, "base"),
				   "pool %s: outlier.base is longer than outlier.max", p->name);
		if (!outlier_is_on(&p->outlier))
			diag_warning(dr->reader.diag, &outlier->pos,
				     "pool %s: outlier has no effect without consecutive, gateway, "
				     "error_rate or latency",
				     p->name);
	}
}
