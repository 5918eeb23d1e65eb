/* SPDX-License-Identifier: BSD-2-Clause */
/* Do paths fit rules? See path_rule.h; path_compile.c has how a rule is made. */
#include "route/path_rule.h"

#include <ctype.h>

static bool all_of(struct slice s, int (*is)(int), const char *others)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is((unsigned char)s.ptr[i]) && (!s.ptr[i] || !strchr(others, s.ptr[i])))
			return false;
	return s.len;
}

static bool is_uuid(struct slice s)
{
	if (s.len != 36)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? s.ptr[i] != '-' : !isxdigit((unsigned char)s.ptr[i]))
			return false;
	}
	return true;
}

static bool segment_fits(const struct path_segment *seg, struct slice s)
{
	switch (seg->part) {
	case PART_LITERAL: return slice_eq(seg->text, s);
	case PART_INT: return all_of(s, isdigit, "");
	case PART_HEX: return all_of(s, isxdigit, "");
	case PART_UUID: return is_uuid(s);
	case PART_WORD: return all_of(s, isalnum, "-_");
	default: return s.len; /* PART_ANY */
	}
}

static bool begins_with_segments(struct slice path, struct slice literal)
{
	if (path.len < literal.len || (literal.len && memcmp(path.ptr, literal.ptr, literal.len)))
		return false;
	return path.len == literal.len ? literal.len > 0 : path.ptr[literal.len] == '/';
}

static void add_capture(struct path_captures *c, struct slice value)
{
	if (c)
		c->values[c->count++] = value;
}

/* The captures are the caller's only if all fits. */
static bool template_fits(const struct path_rule *r, struct slice path, struct path_captures *c)
{
	struct slice rest = path;

	if (!begins_with_segments(path, r->literal))
		return false;
	rest.ptr += r->literal.len;
	rest.len -= r->literal.len;
	add_capture(c, path);
	for (size_t i = 0; i < r->segment_count; i++) {
		const struct path_segment *seg = &r->segments[i];
		struct slice value;
		const char *end;

		if (seg->part == PART_REST) { /* what is left, without the "/" in front */
			add_capture(c,
				    rest.len ? (struct slice){rest.ptr + 1, rest.len - 1} : rest);
			return true;
		}
		if (!rest.len)
			return false;
		rest.ptr++; /* a "/": of the first because of begins_with_segments() */
		rest.len--;
		end = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
		value = (struct slice){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
		if (!segment_fits(seg, value))
			return false;
		if (seg->part != PART_LITERAL)
			add_capture(c, value);
		rest.ptr += value.len;
		rest.len -= value.len;
	}
	return !rest.len;
}

bool path_rule_fits(const struct path_rule *r, struct slice path, struct route_room *room,
		    struct path_captures *ret_captures)
{
	struct path_captures found, *c;
	bool fits;

	found.count = 0;
	c = ret_captures ? &found : NULL;
	switch (r->kind) {
	case PATH_TEMPLATE: fits = template_fits(r, path, c); break;
	case PATH_REGEX:
		fits = regex_match(r->regex, path, room, c ? c->values : NULL);
		found.values[0] = path; /* also where \K moved the start of the match */
		found.count = r->name_count;
		break;
	default:
		fits = r->kind == PATH_ANY ||
		       (r->kind == PATH_EXACT ? slice_eq(r->text, path)
					      : begins_with_segments(path, r->literal));
		add_capture(c, path);
	}
	if (fits && c) {
		memcpy(ret_captures->values, found.values, found.count * sizeof(struct slice));
		ret_captures->count = found.count;
	}
	return fits;
}

bool path_rule_covers(const struct path_rule *outer, const struct path_rule *inner,
		      struct route_room *room)
{
	if (outer->kind == PATH_ANY)
		return true;
	if (inner->kind == PATH_EXACT)
		return path_rule_fits(outer, inner->text, room, NULL);
	if (outer->kind == inner->kind && slice_eq(outer->text, inner->text))
		return true;
	if (outer->kind != PATH_PREFIX ||
	    (inner->kind != PATH_PREFIX && inner->kind != PATH_TEMPLATE))
		return false;
	return !outer->literal.len || begins_with_segments(inner->literal, outer->literal);
}
