/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions: see regex.h. */
#include "route/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8

#include <errno.h>
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>

#include "route/room_int.h"

/* Steps of a match: what a bad pattern takes at this limit is some milliseconds at most, while a
 * sane one needs a few for each byte. The memory is what the interpreter may take, where the
 * machine has no compiler for patterns. */
#define MATCH_LIMIT	  50000
#define HEAP_LIMIT_KIB	  1024
#define JIT_STACK_FIRST	  (32 * 1024)
#define JIT_STACK_LARGEST (256 * 1024)
#define NEST_MAX	  50

struct regex {
	struct regex *next;
	pcre2_code *code;
	struct slice pattern;
	unsigned group_count;
	const char *names[REGEX_GROUPS_MAX];
};

struct regex_room {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

/* PCRE2's table: rows of a group's number in two bytes, then its name. */
static int copy_names(struct route_mem *m, struct regex *r)
{
	uint32_t count = 0, size = 0;
	PCRE2_SPTR row = NULL;

	for (unsigned i = 0; i < REGEX_GROUPS_MAX; i++)
		r->names[i] = "";
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &count); /* known questions */
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &row);
	for (uint32_t i = 0; i < count; i++, row += size) {
		unsigned group = (unsigned)row[0] << 8 | row[1];

		r->names[group] = arena_strdup(&m->arena, (const char *)row + 2);
		if (!r->names[group])
			return -ENOMEM;
	}
	return 0;
}

#define WHOLE (PCRE2_ANCHORED | PCRE2_ENDANCHORED)

static int compile_code(struct slice pattern, uint32_t anchors, pcre2_code **ret_code,
			struct regex_error *e)
{
	uint32_t options = anchors | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
			   PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int code = 0;

	if (!context)
		return -ENOMEM;
	(void)pcre2_set_parens_nest_limit(context, NEST_MAX); /* cannot fail */
	*ret_code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options, &code, &e->offset,
				  context);
	pcre2_compile_context_free(context);
	if (*ret_code)
		return 0;
	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)e->text, sizeof(e->text)) < 0)
		e->text[sizeof(e->text) - 1] = '\0';
	return code == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -EINVAL;
}

static int refuse(struct regex_error *e, const char *why)
{
	size_t len = strlen(why);

	memcpy(e->text, why, len + 1);
	e->offset = 0;
	return -EINVAL;
}

static int compile(struct route_mem *m, struct slice pattern, uint32_t anchors,
		   const struct regex **ret_regex, struct regex_error *ret_error)
{
	struct regex *r;
	uint32_t groups = 0;
	int err;

	if (pattern.len > REGEX_LEN_MAX)
		return refuse(ret_error, "the pattern is too long");
	/* (*LIMIT_MATCH=), (*UTF), (*NO_JIT): what is ours to say. */
	if (pattern.len >= 2 && !memcmp(pattern.ptr, "(*", 2))
		return refuse(ret_error, "a pattern does not begin with (*");
	r = arena_alloc(&m->arena, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->pattern = route_mem_copy(m, pattern);
	if (!r->pattern.ptr)
		return -ENOMEM;
	err = compile_code(pattern, anchors, &r->code, ret_error);
	if (err)
		return err;
	r->next = m->regexes;
	m->regexes = r;
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &groups); /* as above */
	if (groups >= REGEX_GROUPS_MAX)
		return refuse(ret_error, "the pattern has too many groups");
	r->group_count = groups + 1;
	err = copy_names(m, r);
	if (err)
		return err;
	(void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
	*ret_regex = r;
	return 0;
}

int regex_compile(struct route_mem *m, struct slice pattern, const struct regex **ret_regex,
		  struct regex_error *ret_error)
{
	return compile(m, pattern, WHOLE, ret_regex, ret_error);
}

int regex_compile_within(struct route_mem *m, struct slice pattern, const struct regex **ret_regex,
			 struct regex_error *ret_error)
{
	return compile(m, pattern, 0, ret_regex, ret_error);
}

void regex_free_all(struct regex *first)
{
	for (struct regex *r = first; r; r = r->next)
		pcre2_code_free(r->code);
}

static void copy_groups(const struct regex *r, struct slice text, const pcre2_match_data *data,
			int matched, struct slice *ret_groups)
{
	PCRE2_SIZE *ends = pcre2_get_ovector_pointer((pcre2_match_data *)data);

	for (unsigned i = 0; i < r->group_count; i++) {
		bool there = (int)i < matched && ends[2 * i] != PCRE2_UNSET &&
			     ends[2 * i] <= ends[2 * i + 1];

		ret_groups[i] = there ? (struct slice){text.ptr + ends[2 * i],
						       ends[2 * i + 1] - ends[2 * i]}
				      : SLICE("");
	}
}

bool regex_match(const struct regex *r, struct slice text, struct route_room *room,
		 struct slice *ret_groups)
{
	struct regex_room *rr = room->regex;
	PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
	int matched = pcre2_match(r->code, subject, text.len, 0, 0, rr->data, rr->context);

	if (matched < 0) {
		room->gave_up += matched != PCRE2_ERROR_NOMATCH;
		return false;
	}
	if (ret_groups)
		copy_groups(r, text, rr->data, matched, ret_groups);
	return true;
}

struct slice regex_pattern(const struct regex *r)
{
	return r->pattern;
}

unsigned regex_group_count(const struct regex *r)
{
	return r->group_count;
}

const char *regex_group_name(const struct regex *r, unsigned group)
{
	return r->names[group];
}

struct regex_room *regex_room_new(void)
{
	struct regex_room *room = calloc(1, sizeof(*room));

	if (!room)
		return NULL;
	room->data = pcre2_match_data_create(REGEX_GROUPS_MAX, NULL);
	room->context = pcre2_match_context_create(NULL);
	if (!room->data || !room->context) {
		regex_room_free(room);
		return NULL;
	}
	(void)pcre2_set_match_limit(room->context, MATCH_LIMIT); /* none of these can fail */
	(void)pcre2_set_depth_limit(room->context, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(room->context, HEAP_LIMIT_KIB);
	/* NULL: no compiler here, or no memory; then the machine's stack is used. */
	room->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_LARGEST, NULL);
	if (room->stack)
		pcre2_jit_stack_assign(room->context, NULL, room->stack);
	return room;
}

void regex_room_free(struct regex_room *room)
{
	if (!room)
		return;
	pcre2_jit_stack_free(room->stack);
	pcre2_match_context_free(room->context);
	pcre2_match_data_free(room->data);
	free(room);
}
