/* SPDX-License-Identifier: BSD-2-Clause */
/* "${NAME}" in documents: see environ.h. */
#include "conf/environ.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/strbuf.h"

#define NAME_LEN_MAX	128
#define SECRET_LEN_MIN	4
#define SECRET_HEAD_LEN 8

struct resolve {
	struct arena *arena;
	struct secrets *secrets;
	struct diag *diag;
	bool failed; /* out of memory */
};

static bool is_name_byte(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* The next reference in text: from its dollar sign to behind its brace. NULL: there is none. Names
 * in small letters are those of templates. */
static const char *find_reference(const char *text, const char **ret_end)
{
	for (const char *p = strchr(text, '$'); p; p = strchr(p, '$')) {
		const char *q = p + 2;

		if (p[1] == '$') {
			p += 2;
			continue;
		}
		if (*++p != '{')
			continue;
		while (is_name_byte(*q, q == p + 1))
			q++;
		if (*q != '}' || q == p + 1)
			continue;
		*ret_end = q + 1;
		return p - 1;
	}
	return NULL;
}

bool environ_is_used(const struct tree *t)
{
	const char *end;

	if (t->kind == TREE_SCALAR)
		return find_reference(t->text, &end) != NULL;
	for (size_t i = 0; i < t->count; i++)
		if (environ_is_used(t->children[i]))
			return true;
	return false;
}

static void note_secret(struct resolve *r, const char *name, const char *value)
{
	struct secrets *s = r->secrets;
	struct secret *list;

	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i].name, name))
			return;
	list = arena_array(r->arena, s->count + 1, sizeof(*list));
	if (!list) {
		r->failed = true;
		return;
	}
	if (s->count)
		memcpy(list, s->list, s->count * sizeof(*list));
	list[s->count] = (struct secret){.name = arena_strdup(r->arena, name),
					 .value = arena_strdup(r->arena, value),
					 .len = strlen(value)};
	if (!list[s->count].name || !list[s->count].value) {
		r->failed = true;
		return;
	}
	s->list = list;
	s->count++;
}

static void add_value(struct resolve *r, const struct tree *t, struct strbuf *b, const char *from,
		      const char *end)
{
	size_t len = (size_t)(end - from) - strlen("${}");
	char name[NAME_LEN_MAX + 1];
	const char *value;

	if (len > NAME_LEN_MAX) {
		diag_error(r->diag, &t->pos, "the name of an environment variable is too long");
		return;
	}
	memcpy(name, from + 2, len);
	name[len] = '\0';
	value = getenv(name);
	if (!value) {
		diag_error(r->diag, &t->pos, "${%s}: there is no such variable in the environment",
			   name);
		return;
	}
	note_secret(r, name, value);
	strbuf_add(b, value);
}

static void resolve_scalar(struct resolve *r, struct tree *t)
{
	const char *at = t->text, *end, *from;
	struct strbuf b;
	bool whole;

	from = find_reference(at, &end);
	if (!from)
		return;
	whole = from == at && !*end;
	strbuf_init(&b);
	for (; from; from = find_reference(at, &end)) {
		strbuf_add_bytes(&b, at, (size_t)(from - at));
		add_value(r, t, &b, from, end);
		at = end;
	}
	strbuf_add(&b, at);
	tree_set_text(t, strbuf_take(&b));
	r->failed |= !t->text;
	t->quoted = t->quoted && !whole;
}

/* The depth is bounded by tree_parse(). */
static void resolve_node(struct resolve *r, struct tree *t)
{
	if (t->kind == TREE_SCALAR)
		resolve_scalar(r, t);
	for (size_t i = 0; i < t->count && !r->failed; i++)
		resolve_node(r, t->children[i]);
}

struct tree *environ_resolve(const struct tree *document, struct arena *arena,
			     struct secrets *ret_secrets, struct diag *d)
{
	struct resolve r = {.arena = arena, .secrets = ret_secrets, .diag = d};
	struct tree *copy = tree_copy(document);

	if (!copy)
		return NULL;
	resolve_node(&r, copy);
	if (r.failed) {
		tree_free(copy);
		return NULL;
	}
	return copy;
}

/* Its beginning is enough: messages cut long values short. */
static char *mask_one(const struct secret *s, char *text)
{
	size_t len = s->len < SECRET_HEAD_LEN ? s->len : SECRET_HEAD_LEN;
	const char *at = text, *found = memmem(at, strlen(at), s->value, len);
	struct strbuf b;

	if (!found)
		return text;
	strbuf_init(&b);
	for (; found; found = memmem(at, strlen(at), s->value, len)) {
		size_t same = len;

		while (same < s->len && found[same] == s->value[same])
			same++;
		strbuf_add_bytes(&b, at, (size_t)(found - at));
		strbuf_printf(&b, "${%s}", s->name);
		at = found + same;
	}
	strbuf_add(&b, at);
	free(text);
	return strbuf_take(&b);
}

char *secrets_mask(const struct secrets *s, char *text)
{
	for (size_t i = 0; i < s->count && text; i++)
		if (s->list[i].len >= SECRET_LEN_MIN)
			text = mask_one(&s->list[i], text);
	return text;
}

void secrets_mask_diag(const struct secrets *s, struct diag *d, size_t first)
{
	for (size_t i = first; s->count && i < d->count; i++) {
		d->items[i].text = secrets_mask(s, d->items[i].text);
		if (d->items[i].text)
			continue;
		d->out_of_memory = true;
		d->items[i--] = d->items[--d->count];
	}
}
