/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of how a pool balances at this moment: see objects.h. */
#include <stdlib.h>

#include "control/json_build.h"
#include "control/objects.h"
#include "core/clock.h"
#include "l7/balance_set.h"

static json_t *group_json(const struct balance_group *g, const struct candidate *list)
{
	json_t *o = json_object(), *backends = json_object();
	bool failed = !o || !backends;

	json_put_int(o, "priority", g->priority, &failed);
	json_put(o, "local_zone", json_boolean(g->is_local), &failed);
	json_put(o, "share_percent", json_real(100.0 * g->share / BALANCE_CHOICES), &failed);
	json_put(o, "panic", json_boolean(g->panic), &failed);
	for (unsigned i = 0; i < g->count; i++) {
		const struct candidate *c = &list[g->first + i];

		json_put(backends, c->be->name, json_real((double)c->weight / BALANCE_WEIGHT_ONE),
			 &failed);
	}
	json_put(o, "weights", backends, &failed);
	return json_finish(o, failed);
}

json_t *object_balance(const struct pool *p)
{
	struct balance_set set = {.list = calloc(p->backend_count + 1, sizeof(*set.list))};
	json_t *o = json_object(), *groups = json_array();
	bool failed = !o || !groups || !set.list;

	if (!failed)
		balance_set_fill(&set, p, clock_now_ms());
	json_put(o, "policy", json_string(balance_words[p->balance]), &failed);
	json_put(o, "by",
		 p->balance != BALANCE_MAGLEV
			 ? json_null()
			 : json_string(p->balance_by_text ? p->balance_by_text : "source.ip"),
		 &failed);
	json_put_int(o, "load_bound_percent", p->load_bound, &failed);
	json_put_int(o, "slow_start_ms", p->slow_start_ms, &failed);
	json_put_int(o, "panic_percent", p->panic_percent, &failed);
	for (unsigned i = 0; i < set.group_count; i++)
		json_push(groups, group_json(&set.groups[i], set.list), &failed);
	json_put(o, "groups", groups, &failed);
	free(set.list);
	return json_finish(o, failed);
}
