/* SPDX-License-Identifier: BSD-2-Clause */
/* What a route asks of a request: see match.h. */
#include "route/match.h"

static bool host_fits(const struct host_pattern *patterns, size_t count, struct slice host)
{
	for (size_t i = 0; i < count; i++)
		if (host_pattern_fits(&patterns[i], host))
			return true;
	return !count;
}

static bool method_fits(const struct route_match *m, struct slice method)
{
	for (size_t i = 0; i < m->method_count; i++)
		if (slice_eq(m->methods[i], method))
			return true;
	return !m->method_count;
}

static bool value_fits(const struct route_test *t, struct slice value, struct route_room *room)
{
	size_t len = t->value.len;

	switch (t->kind) {
	case TEST_EXACT: return slice_eq(t->value, value);
	case TEST_PREFIX:
		return value.len >= len && (!len || !memcmp(value.ptr, t->value.ptr, len));
	case TEST_SUFFIX:
		return value.len >= len &&
		       (!len || !memcmp(value.ptr + value.len - len, t->value.ptr, len));
	case TEST_REGEX: return regex_match(t->regex, value, room, NULL);
	default: return true;
	}
}

static bool field_fits(const struct route_test *t, const struct route_input *in)
{
	unsigned cursor = 0;
	struct slice value;

	while (in->next_field && in->next_field(in, t->name, &cursor, &value))
		if (value_fits(t, value, in->room))
			return true;
	return false;
}

static bool test_holds(const struct route_test *t, const struct route_input *in)
{
	struct slice value;
	bool found;

	if (t->where == ROUTE_HEADER)
		return field_fits(t, in) != (t->kind == TEST_ABSENT);
	found = t->where == ROUTE_QUERY ? route_parameter(in, t->name, &value)
					: route_cookie(in, t->name, &value);
	if (t->kind == TEST_ABSENT)
		return !found;
	return found && value_fits(t, value, in->room);
}

static enum route_part rest_fails(const struct route_match *m, const struct route_input *in,
				  size_t *ret_test)
{
	if (!path_rule_fits(&m->path, in->path, in->room, NULL))
		return ROUTE_PATH;
	if (!method_fits(m, in->method))
		return ROUTE_METHOD;
	if (!host_fits(m->snis, m->sni_count, in->sni))
		return ROUTE_SNI;
	if (m->sources.count && !route_prefixes_have(&m->sources, &in->source))
		return ROUTE_SOURCE;
	for (size_t i = 0; i < m->test_count; i++)
		if (!test_holds(&m->tests[i], in)) {
			*ret_test = i;
			return m->tests[i].where;
		}
	return m->expr && !expr_truth(m->expr, in) ? ROUTE_EXPR : ROUTE_ALL;
}

enum route_part route_match_fails(const struct route_match *m, const struct route_input *in,
				  size_t *ret_test)
{
	if (!host_fits(m->hosts, m->host_count, in->host))
		return ROUTE_HOST;
	return rest_fails(m, in, ret_test);
}

bool route_match_rest(const struct route_match *m, const struct route_input *in)
{
	size_t ignored;

	return rest_fails(m, in, &ignored) == ROUTE_ALL;
}

static bool hosts_cover(const struct host_pattern *outer, size_t outer_count,
			const struct host_pattern *inner, size_t inner_count)
{
	if (!outer_count)
		return true;
	for (size_t i = 0; i < inner_count; i++) {
		size_t k = 0;

		while (k < outer_count && !host_pattern_covers(&outer[k], &inner[i]))
			k++;
		if (k == outer_count)
			return false;
	}
	return inner_count;
}

static bool methods_cover(const struct route_match *outer, const struct route_match *inner)
{
	for (size_t i = 0; i < inner->method_count; i++)
		if (!method_fits(outer, inner->methods[i]))
			return false;
	return inner->method_count || !outer->method_count;
}

static bool sources_cover(const struct route_prefixes *outer, const struct route_prefixes *inner)
{
	for (size_t i = 0; i < inner->count; i++) {
		size_t k = 0;

		while (k < outer->count && !route_prefix_covers(&outer->items[k], &inner->items[i]))
			k++;
		if (k == outer->count)
			return !outer->count;
	}
	return inner->count || !outer->count;
}

/* Does outer hold wherever inner does? */
static bool test_covers(const struct route_test *outer, const struct route_test *inner,
			struct route_room *room)
{
	if (outer->where != inner->where || !slice_eq(outer->name, inner->name))
		return false;
	if (outer->kind == TEST_ABSENT || inner->kind == TEST_ABSENT)
		return outer->kind == inner->kind;
	if (outer->kind == TEST_PRESENT || inner->kind == TEST_EXACT)
		return value_fits(outer, inner->value, room);
	if (outer->kind != inner->kind)
		return false;
	return outer->kind == TEST_REGEX ? slice_eq(outer->value, inner->value)
					 : value_fits(outer, inner->value, room);
}

static bool tests_cover(const struct route_match *outer, const struct route_match *inner,
			struct route_room *room)
{
	for (size_t i = 0; i < outer->test_count; i++) {
		size_t k = 0;

		while (k < inner->test_count &&
		       !test_covers(&outer->tests[i], &inner->tests[k], room))
			k++;
		if (k == inner->test_count)
			return false;
	}
	return true;
}

bool route_match_covers(const struct route_match *outer, const struct route_match *inner,
			struct route_room *room)
{
	if (outer->expr && (!inner->expr || !slice_eq(outer->expr_text, inner->expr_text)))
		return false;
	return hosts_cover(outer->hosts, outer->host_count, inner->hosts, inner->host_count) &&
	       methods_cover(outer, inner) &&
	       hosts_cover(outer->snis, outer->sni_count, inner->snis, inner->sni_count) &&
	       sources_cover(&outer->sources, &inner->sources) &&
	       path_rule_covers(&outer->path, &inner->path, room) &&
	       tests_cover(outer, inner, room);
}
