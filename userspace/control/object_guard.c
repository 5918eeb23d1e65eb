/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of lists and limits: see objects.h. */
#include "conf/schema.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "core/strbuf.h"
#include "l4/guard.h"
#include "l4/l4.h"

/* As the configuration says it; null: it says nothing. */
static json_t *settings_json(const struct service *s)
{
	struct strbuf b;
	json_t *value;

	if (!guard_flags(s))
		return json_null();
	strbuf_init(&b);
	keyword_format(&b, section_keyword(&schema_service, "guard"), s);
	value = b.failed ? NULL : json_string(b.text);
	strbuf_deinit(&b);
	return value;
}

json_t *object_service_guard(const struct commands_env *env, const struct service *s)
{
	static const struct {
		enum shunt_drop drop;
		const char *name;
	} reasons[] = {
		{SHUNT_DROP_BLOCKED, "blocked"},	 {SHUNT_DROP_SERVICE_RATE, "service-rate"},
		{SHUNT_DROP_SOURCE_RATE, "source-rate"}, {SHUNT_DROP_ABUSE, "abuse"},
		{SHUNT_DROP_SYN_COOKIE, "syn-cookie"},
	};
	struct shunt_svc_stats stats = {0};
	json_t *o, *drops;
	bool failed;

	if (!env->l4)
		return json_null();
	(void)l4_service_stats(env->l4, s->name, &stats); /* no row: nothing counted */
	o = json_object();
	drops = json_object();
	failed = !o || !drops;
	json_put(o, "settings", settings_json(s), &failed);
	json_put_int(o, "syn_cookies_sent", guard_cookies(l4_guard(env->l4), s->name), &failed);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		json_put_counter(drops, reasons[i].name, stats.drop[reasons[i].drop], &failed);
	json_put(o, "drops", drops, &failed);
	return json_finish(o, failed);
}

struct listing {
	json_t *list;
	bool failed;
};

static void push_item(void *ctx, const struct guard_item *item)
{
	struct listing *l = ctx;
	json_t *o = json_object();
	char prefix[PREFIX_STRLEN];
	bool failed = !o;

	json_put(o, "prefix",
		 json_string(prefix_format(&item->addr, item->len, prefix, sizeof(prefix))),
		 &failed);
	json_put(o, "action", json_string(guard_action_words[item->action]), &failed);
	json_put(o, "origin", json_string(guard_origin_words[item->origin]), &failed);
	json_put(o, "reason", json_string(guard_reason_words[item->reason]), &failed);
	json_put(o, "service", item->service ? json_string(item->service) : json_null(), &failed);
	json_put(o, "left_ms",
		 item->left_ms ? json_integer((json_int_t)item->left_ms) : json_null(), &failed);
	json_put(o, "note", item->note[0] ? json_text(item->note) : json_null(), &failed);
	json_push(l->list, json_finish(o, failed), &l->failed);
}

json_t *object_guard(const struct commands_env *env)
{
	struct listing l = {.list = json_array()};
	struct guard *g = l4_guard(env->l4);
	struct guard_counters counters;
	json_t *o = json_object();

	l.failed = !l.list || !o || guard_each(g, push_item, &l);
	guard_counters(g, &counters);
	json_put(o, "entries", l.list, &l.failed);
	json_put_int(o, "room_per_family", counters.room, &l.failed);
	json_put_int(o, "blocked_sources", counters.blocked, &l.failed);
	json_put_int(o, "blocks_not_listed", counters.lost, &l.failed);
	json_put_int(o, "ended", counters.released, &l.failed);
	return json_finish(o, l.failed);
}
