/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of rate limits: see objects.h. */
#include "conf/runtime.h"
#include "conf/schema.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "core/clock.h"
#include "core/strbuf.h"

static json_t *rate_json(const struct rate_limit *l)
{
	struct strbuf b;
	json_t *value;

	strbuf_init(&b);
	keyword_format(&b, section_keyword(&schema_rate_limit, "rate"), l);
	value = b.failed ? NULL : json_string(b.text);
	strbuf_deinit(&b);
	return value;
}

static json_t *limit_json(const struct rate_limit *l)
{
	struct limit_counters n;
	json_t *o = json_object();
	bool failed = !o;

	limit_rt_sum(l->rt, &n);
	json_put(o, "name", json_string(l->name), &failed);
	json_put(o, "algorithm", json_string(meter_words[l->meter.algorithm]), &failed);
	json_put(o, "rate", rate_json(l), &failed);
	json_put_int(o, "burst", l->meter.burst, &failed);
	json_put(o, "key", l->key ? json_text(l->key) : json_null(), &failed);
	json_put(o, "per", json_string(limit_per_words[l->per]), &failed);
	json_put(o, "dry_run", json_boolean(l->dry_run == DRY_RUN_ON), &failed);
#define X(name, text) json_put_counter(o, text, n.name, &failed);
	LIMIT_COUNTERS(X)
#undef X
	json_put_int(o, "entries", limit_table_live(&l->rt->table, &l->rt->meter, clock_now_ns()),
		     &failed);
	json_put_int(o, "entries_max", (uint64_t)l->rt->table.sets * LIMIT_WAYS, &failed);
	return json_finish(o, failed);
}

json_t *object_limits(const struct snapshot *snap)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->rate_limit_count; i++)
		json_push(list, limit_json(&snap->rate_limits[i]), &failed);
	return json_pack("{s:o}", "limits", json_finish(list, failed));
}
