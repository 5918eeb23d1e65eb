/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of access logs: see access_plan.h. */
#include "conf/access_plan.h"

#include <string.h>

#include "core/arena.h"

#define HEADER_PREFIX "header."

static const char *const field_names[] = {
#define X(name, text) [ACCESS_##name] = (text),
	ACCESS_FIELDS(X)
#undef X
};

struct build {
	struct arena *arena;
	struct access_plan *plan;
	struct access_piece *pieces;
	size_t room;
	bool failed; /* out of memory */
};

static bool build_init(struct build *b, struct arena *arena, size_t room)
{
	*b = (struct build){.arena = arena, .room = room};
	b->plan = arena_alloc(arena, sizeof(*b->plan));
	b->pieces = arena_alloc(arena, room * sizeof(*b->pieces));
	if (!b->plan || !b->pieces)
		return false;
	*b->plan = (struct access_plan){.pieces = b->pieces};
	return true;
}

static void add(struct build *b, struct access_piece piece)
{
	if (b->plan->count < b->room)
		b->pieces[b->plan->count++] = piece;
}

static void add_text(struct build *b, const char *text, size_t len)
{
	char *copy = len ? arena_alloc(b->arena, len) : NULL;

	if (copy) {
		memcpy(copy, text, len);
		add(b, (struct access_piece){.kind = ACCESS_LITERAL, .text = {copy, len}});
	}
	b->failed |= len && !copy;
}

/* The same header may be named twice. */
static bool add_header(struct build *b, struct slice name)
{
	struct access_plan *p = b->plan;
	unsigned i = 0;

	while (i < p->header_count && !slice_eq(p->headers[i], name))
		i++;
	if (i == ACCESS_HEADERS_MAX)
		return false;
	if (i == p->header_count)
		p->headers[p->header_count++] = name;
	add(b, (struct access_piece){.kind = ACCESS_HEADER, .header = i});
	return true;
}

const struct access_plan *access_plan_json(struct arena *arena, const char *const *headers,
					   size_t count)
{
	struct build b;

	if (!build_init(&b, arena, 4 * (ACCESS_FIELD_COUNT + count) + 1))
		return NULL;
	b.plan->is_json = true;
	for (size_t i = 0; i < ACCESS_FIELD_COUNT; i++) {
		add_text(&b, i ? ",\"" : "{\"", 2);
		add_text(&b, field_names[i], strlen(field_names[i]));
		add_text(&b, "\":", 2);
		add(&b, (struct access_piece){.kind = ACCESS_VALUE, .field = (enum access_field)i});
	}
	for (size_t i = 0; i < count; i++) {
		add_text(&b, i ? ",\"" : ",\"headers\":{\"", i ? 2 : 13);
		add_text(&b, headers[i], strlen(headers[i]));
		add_text(&b, "\":", 2);
		(void)add_header(&b, slice_of(headers[i])); /* as many as there can be, at most */
	}
	add_text(&b, "}}", count ? 2 : 1);
	return b.failed ? NULL : b.plan;
}

/* One name in braces. What is wrong, or NULL. */
static const char *add_name(struct build *b, struct slice name)
{
	size_t prefix = sizeof(HEADER_PREFIX) - 1;
	char *copy;

	for (size_t i = 0; i < ACCESS_FIELD_COUNT; i++)
		if (slice_eq(name, slice_of(field_names[i]))) {
			add(b, (struct access_piece){.kind = ACCESS_VALUE,
						     .field = (enum access_field)i});
			return NULL;
		}
	if (name.len <= prefix || memcmp(name.ptr, HEADER_PREFIX, prefix) != 0)
		return "there is no field of that name; expected time, client, method, path, "
		       "status, "
		       "header.NAME, ...";
	copy = arena_alloc(b->arena, name.len - prefix);
	b->failed |= !copy;
	for (size_t i = prefix; copy && i < name.len; i++)
		copy[i - prefix] =
			(char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20
									: name.ptr[i]);
	if (copy && !add_header(b, (struct slice){copy, name.len - prefix}))
		return "more than 8 headers";
	return NULL;
}

const struct access_plan *access_plan_template(struct arena *arena, const char *text,
					       const char **ret_problem)
{
	const char *from = text, *p = text;
	struct build b;

	*ret_problem = NULL;
	if (!build_init(&b, arena, strlen(text) + 1))
		return NULL;
	while (*p) {
		const char *end;

		if ((*p == '{' || *p == '}') && p[1] == *p) {
			add_text(&b, from, (size_t)(p + 1 - from));
			from = p += 2;
			continue;
		}
		if (*p == '}') {
			*ret_problem = "a brace is closed that was not opened; }} is a brace";
			return NULL;
		}
		if (*p != '{') {
			p++;
			continue;
		}
		end = strchr(p, '}');
		if (!end) {
			*ret_problem = "a brace is not closed; {{ is a brace";
			return NULL;
		}
		add_text(&b, from, (size_t)(p - from));
		*ret_problem = add_name(&b, (struct slice){p + 1, (size_t)(end - p - 1)});
		if (*ret_problem)
			return NULL;
		from = p = end + 1;
	}
	add_text(&b, from, (size_t)(p - from));
	return b.failed ? NULL : b.plan;
}
