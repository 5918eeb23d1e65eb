/* SPDX-License-Identifier: BSD-2-Clause */
/* Rate limits from the document, and where they are used: see draft.h and route_draft.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/route_draft.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "core/strbuf.h"
#include "core/text.h"

#define RATE_TEXT_MAX  32
#define WAIT_MAX_MS    60000U
#define PER_SECOND_MAX 1000000U

/* ---- values ---- */

/* "100/s", "5/10m": a unit alone is one of it. */
static int parse_rate(const char *text, struct meter *m)
{
	const char *slash = strchr(text, '/');
	char number[RATE_TEXT_MAX], time[RATE_TEXT_MAX + 1];
	uint64_t count, period;

	if (!slash || (size_t)(slash - text) >= sizeof(number) ||
	    strlen(slash + 1) >= RATE_TEXT_MAX)
		return -1;
	(void)snprintf(number, sizeof(number), "%.*s", (int)(slash - text), text);
	(void)snprintf(time, sizeof(time), "%s%s", slash[1] >= '0' && slash[1] <= '9' ? "" : "1",
		       slash + 1);
	if (value_number(number, &count) < 0 || value_duration(time, &period) < 0 || !count ||
	    count > METER_COUNT_MAX || !period || period > METER_PERIOD_MAX ||
	    count * 1000 / period > PER_SECOND_MAX)
		return -1;
	m->count = (uint32_t)count;
	m->period_ms = (uint32_t)period;
	return 0;
}

void field_read_rate(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	struct rate_limit *l = object;

	if (value->kind != TREE_SCALAR || parse_rate(value->text, &l->meter) < 0)
		read_expected(r, k, value, k->form);
}

void field_format_rate(struct strbuf *b, const void *object)
{
	const struct rate_limit *l = object;
	struct strbuf time;
	const char *text;

	strbuf_init(&time);
	value_format_duration(&time, l->meter.period_ms);
	text = time.len ? time.text : "";
	text += text[0] == '1' && (text[1] < '0' || text[1] > '9');
	strbuf_printf(b, "%" PRIu32 "/%s", l->meter.count, text);
	b->failed |= time.failed;
	strbuf_deinit(&time);
}

void field_read_rate_limit(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct service *s = object;
	const char **names = read_alloc(r, read_count(value), sizeof(*names));
	const struct tree *item;
	size_t count = 0, at = 0;

	if (!names)
		return;
	while ((item = read_next_scalar(r, k, value, &at)))
		if (!(names[count++] = read_strdup(r, item->text)))
			return;
	s->rate_limits = names;
	s->rate_limit_count = count;
}

void field_format_rate_limit(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	for (size_t i = 0; i < s->rate_limit_count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "[", s->rate_limits[i]);
	strbuf_add(b, s->rate_limit_count ? "]" : "");
}

/* ---- the limits ---- */

/* What follows from the other keys, and what they may not say together. */
static void finish_limit(struct draft *dr, const struct tree *node, struct rate_limit *l)
{
	struct meter *m = &l->meter;

	read_warn_without_effect(&dr->reader, &schema_rate_limit, node, "algorithm",
				 meter_words[m->algorithm]);
	if (!m->count) /* it was told */
		return;
	if (m->algorithm == METER_TOKEN_BUCKET && !m->burst)
		m->burst = m->count;
	if (m->algorithm == METER_LEAKY_BUCKET && meter_longest_wait_ms(m) > WAIT_MAX_MS)
		diag_error(dr->reader.diag, draft_key_pos(node, "burst"),
			   "%sburst: the last of so many would wait longer than 1m",
			   dr->reader.object);
}

void draft_read_rate_limits(struct draft *dr)
{
	struct snapshot *snap = dr->snap;
	const struct tree **sorted = NULL;
	size_t count = draft_sort_named(dr, "rate_limits", "rate limit", &sorted);

	snap->rate_limits = read_alloc(&dr->reader, count, sizeof(*snap->rate_limits));
	for (size_t i = 0; i < count && !dr->reader.out_of_memory; i++) {
		struct rate_limit *l = &snap->rate_limits[i];

		l->name = read_strdup(&dr->reader, sorted[i]->key);
		if (!l->name)
			return;
		snap->rate_limit_count = i + 1;
		reader_set_object(&dr->reader, "rate limit %s", l->name);
		read_section(&dr->reader, &schema_rate_limit, sorted[i], l);
		finish_limit(dr, sorted[i], l);
	}
}

/* ---- where they are used ---- */

static void unknown_limit(struct route_build *b, const struct tree *name)
{
	const struct snapshot *snap = b->dr->snap;
	const char **names = read_alloc(&b->dr->reader, snap->rate_limit_count, sizeof(*names));
	const char *meant;

	if (!names)
		return;
	for (size_t i = 0; i < snap->rate_limit_count; i++)
		names[i] = snap->rate_limits[i].name;
	meant = text_closest(name->text, names, snap->rate_limit_count);
	if (meant)
		diag_error(b->dr->reader.diag, &name->pos,
			   "%srate limit %s is not there; did you mean %s?", b->dr->reader.object,
			   text_quote(name->text).s, text_quote(meant).s);
	else
		diag_error(b->dr->reader.diag, &name->pos,
			   "%srate limit %s is not there, add it to rate_limits",
			   b->dr->reader.object, text_quote(name->text).s);
}

/* Its key, with the variables of the service. */
static bool compile_key(struct route_build *b, const struct rate_limit *l,
			const struct expr **ret_key)
{
	const struct tree *node =
		tree_get(tree_get(tree_get(b->dr->root, "rate_limits"), l->name), "key");
	struct slice text;

	*ret_key = NULL;
	if (!l->key)
		return true;
	return route_build_text(b, node, "an expression", &text) &&
	       route_build_good(b, expr_compile(&b->scope, text, &node->pos, ret_key));
}

static struct slice account_of(struct route_build *b, const struct service *s, const char *route,
			       const struct rate_limit *l)
{
	char text[RATE_TEXT_MAX + 256] = "";
	int n = 0;

	if (l->per == LIMIT_PER_SERVICE || (l->per == LIMIT_PER_ROUTE && !route))
		n = snprintf(text, sizeof(text), "%s", s->name);
	else if (l->per == LIMIT_PER_ROUTE)
		n = snprintf(text, sizeof(text), "%s/%s", s->name, route);
	return route_mem_copy(&b->set->mem, (struct slice){text, (size_t)n});
}

void route_build_limits(struct route_build *b, const struct service *s, const char *route,
			const struct tree *node, struct limit_uses *ret_uses)
{
	const struct keyword *k = section_keyword(&schema_service, "rate_limit");
	struct limit_use *list;
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!node)
		return;
	list = route_build_alloc(b, read_count(node), sizeof(*list));
	while (list && (item = read_next_scalar(&b->dr->reader, k, node, &at))) {
		struct limit_use *u = &list[count];

		u->limit = snapshot_rate_limit(b->dr->snap, item->text);
		if (!u->limit) {
			unknown_limit(b, item);
			continue;
		}
		u->account = account_of(b, s, route, u->limit);
		if (!u->account.ptr)
			b->dr->reader.out_of_memory = true;
		count += compile_key(b, u->limit, &u->key);
	}
	*ret_uses = (struct limit_uses){list, count};
	b->set->has_limits |= count > 0;
}
