/* SPDX-License-Identifier: BSD-2-Clause */
/* From one mapping to one struct, by the keyword table: see read.h. */
#include "conf/read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/schema.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/arena.h"
#include "core/strbuf.h"
#include "core/text.h"

/* Most words of a choice and most keys of a section that a message lists. */
#define LIST_MAX 32

#define DESCRIBE_MAX 160 /* bytes of what a key wants */

void reader_init(struct reader *r, struct arena *arena, struct diag *d)
{
	*r = (struct reader){.arena = arena, .diag = d};
}

void reader_set_object(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	size_t len;

	va_start(ap, fmt);
	(void)vsnprintf(r->object, sizeof(r->object) - 2, fmt, ap); /* cut is fine: for messages */
	va_end(ap);
	len = strlen(r->object);
	memcpy(r->object + len, ": ", sizeof(": "));
	r->path[0] = 0;
}

static size_t add_text(char *buf, size_t len, size_t room, const char *text)
{
	while (*text && len < room)
		buf[len++] = *text++;
	return len;
}

void reader_set_member(struct reader *r, const char *what, const char *owner, const char *name)
{
	size_t room = sizeof(r->object) - sizeof(": "), len = add_text(r->object, 0, room, what);

	len = add_text(r->object, len, room, " ");
	len = add_text(r->object, len, room, owner);
	len = add_text(r->object, len, room, "/");
	len = add_text(r->object, len, room, name);
	memcpy(r->object + len, ": ", sizeof(": "));
	r->path[0] = 0;
}

void *read_alloc(struct reader *r, size_t count, size_t size)
{
	void *p = arena_array(r->arena, count, size);

	if (!p)
		r->out_of_memory = true;
	return p;
}

const char *read_strdup(struct reader *r, const char *text)
{
	const char *copy = arena_strdup(r->arena, text);

	if (!copy)
		r->out_of_memory = true;
	return copy;
}

void read_error(struct reader *r, const struct keyword *k, const struct pos *pos, const char *fmt,
		...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_error(r->diag, pos, "%s%s%s: %s", r->object, r->path, k->name, text);
}

void read_expected(struct reader *r, const struct keyword *k, const struct tree *value,
		   const char *what)
{
	if (tree_is_null(value))
		read_error(r, k, &value->pos, "expected %s, found nothing", what);
	else if (value->kind == TREE_SCALAR)
		read_error(r, k, &value->pos, "expected %s, found %s", what,
			   text_quote(value->text).s);
	else
		read_error(r, k, &value->pos, "expected %s, found %s", what,
			   value->kind == TREE_MAPPING ? "a mapping"
			   : value->count	       ? "a list"
						       : "an empty list");
}

bool read_expect_mapping(struct reader *r, const struct tree *node)
{
	if (tree_is_null(node) || node->kind == TREE_MAPPING)
		return true;
	diag_error(r->diag, &node->pos, "%sexpected a mapping of keys to values, found %s%s",
		   r->object, node->kind == TREE_SCALAR ? "" : "a list",
		   node->kind == TREE_SCALAR ? text_quote(node->text).s : "");
	return false;
}

size_t read_count(const struct tree *value)
{
	return value->kind == TREE_SCALAR ? 1 : value->count;
}

const struct tree *read_next_scalar(struct reader *r, const struct keyword *k,
				    const struct tree *value, size_t *at)
{
	const struct tree *item;

	if (value->kind == TREE_SCALAR) {
		if (*at || tree_is_null(value))
			return NULL;
		++*at;
		return value;
	}
	if (value->kind == TREE_MAPPING) {
		read_expected(r, k, value, k->form);
		return NULL;
	}
	while (*at < value->count) {
		item = value->children[(*at)++];
		if (item->kind == TREE_SCALAR && !tree_is_null(item))
			return item;
		read_expected(r, k, item, k->form);
	}
	return NULL;
}

static void store(void *field, size_t width, uint64_t n)
{
	switch (width) {
	case 1: *(uint8_t *)field = (uint8_t)n; break;
	case 2: *(uint16_t *)field = (uint16_t)n; break;
	case 4: *(uint32_t *)field = (uint32_t)n; break;
	default: *(uint64_t *)field = n; break;
	}
}

/* "native or generic". */
static void describe_choice(const struct keyword *k, struct strbuf *b)
{
	for (size_t i = 0; k->words[i]; i++)
		strbuf_printf(b, "%s%s", !i ? "" : k->words[i + 1] ? ", " : " or ", k->words[i]);
}

/* What a key wants, for messages: "a number from 1 to 64", "a duration from 1ms to 24h". */
static void describe(const struct keyword *k, char *buf, size_t len)
{
	struct strbuf b;

	strbuf_init(&b);
	if (k->type == KEY_DURATION) {
		strbuf_add(&b, "a duration from ");
		value_format_duration(&b, k->min);
		strbuf_add(&b, " to ");
		value_format_duration(&b, k->max);
	} else if (k->type == KEY_SIZE) {
		strbuf_add(&b, "a size from ");
		value_format_size(&b, k->min);
		strbuf_add(&b, " to ");
		value_format_size(&b, k->max);
	} else if (k->type == KEY_NUMBER) {
		strbuf_printf(&b, "a number from %llu to %llu", (unsigned long long)k->min,
			      (unsigned long long)k->max);
	} else if (k->type == KEY_CHOICE) {
		describe_choice(k, &b);
	} else {
		strbuf_add(&b, k->form ? k->form : "a mapping");
	}
	(void)snprintf(buf, len, "%s", b.failed ? "another value" : b.text);
	strbuf_deinit(&b);
}

static int parse_quantity(const struct keyword *k, const char *text, uint64_t *ret_n)
{
	switch (k->type) {
	case KEY_DURATION: return value_duration(text, ret_n);
	case KEY_SIZE: return value_size(text, ret_n);
	default: return value_number(text, ret_n);
	}
}

static void read_quantity(struct reader *r, const struct keyword *k, const struct tree *value,
			  void *field)
{
	unsigned scale = k->scale ? k->scale : 1;
	char range[DESCRIBE_MAX];
	const char *other;
	uint64_t n;

	if (value->kind != TREE_SCALAR || parse_quantity(k, value->text, &n) < 0) {
		describe(k, range, sizeof(range));
		if (k->type == KEY_DURATION && value->kind == TREE_SCALAR &&
		    !value_number(value->text, &n))
			read_error(r, k, &value->pos, "a duration needs a unit, write %ss",
				   value->text);
		else
			read_expected(r, k, value, range);
		return;
	}
	if (value->quoted && k->type == KEY_NUMBER) {
		describe(k, range, sizeof(range));
		read_error(r, k, &value->pos, "expected %s, found text in quotes: write %s", range,
			   value->text);
		return;
	}
	other = k->refuse_number ? k->refuse_number(n) : NULL;
	if (n < k->min || n > k->max) {
		describe(k, range, sizeof(range));
		read_expected(r, k, value, range);
	} else if (other) {
		read_expected(r, k, value, other);
	} else if (n % scale) {
		read_expected(r, k, value, "whole seconds");
	} else {
		store(field, k->width, n / scale);
	}
}

static void read_choice(struct reader *r, const struct keyword *k, const struct tree *value,
			void *field)
{
	char words[DESCRIBE_MAX];

	for (size_t i = 0; k->words[i]; i++) {
		if (value->kind == TREE_SCALAR && !strcmp(value->text, k->words[i])) {
			store(field, k->width, i);
			return;
		}
	}
	describe(k, words, sizeof(words));
	read_expected(r, k, value, words);
}

static void read_text(struct reader *r, const struct keyword *k, const struct tree *value,
		      void *field)
{
	const char *other;

	if (value->kind != TREE_SCALAR || tree_is_null(value)) {
		read_expected(r, k, value, k->form);
		return;
	}
	other = k->refuse_text ? k->refuse_text(value->text) : NULL;
	if (other)
		read_expected(r, k, value, other);
	else
		*(const char **)field = read_strdup(r, value->text);
}

static void read_subsection(struct reader *r, const struct keyword *k, const struct tree *value,
			    void *object)
{
	size_t len = strlen(r->path);

	if (k->empty_word && value->kind == TREE_SCALAR && !strcmp(value->text, k->empty_word))
		return;
	if (value->kind != TREE_MAPPING && !tree_is_null(value)) {
		char what[64];

		(void)snprintf(what, sizeof(what), "%s%sa mapping",
			       k->empty_word ? k->empty_word : "", k->empty_word ? " or " : "");
		read_expected(r, k, value, what);
		return;
	}
	(void)snprintf(r->path + len, sizeof(r->path) - len, "%s.", k->name);
	read_section(r, k->section, value, object);
	r->path[len] = 0;
}

void *read_sections(struct reader *r, const struct keyword *k, const struct tree *value,
		    size_t item_size, size_t *ret_count)
{
	size_t len = strlen(r->path);
	char *items;

	*ret_count = 0;
	if (tree_is_null(value) || value->kind != TREE_SEQUENCE) {
		read_expected(r, k, value, k->form);
		return NULL;
	}
	items = read_alloc(r, value->count, item_size);
	if (!items)
		return NULL;
	(void)snprintf(r->path + len, sizeof(r->path) - len, "%s.", k->name);
	for (size_t i = 0; i < value->count; i++)
		read_section(r, k->section, value->children[i], items + i * item_size);
	r->path[len] = 0;
	*ret_count = value->count;
	return items;
}

static void read_value(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	void *field = (char *)object + k->offset;

	switch (k->type) {
	case KEY_NUMBER:
	case KEY_DURATION:
	case KEY_SIZE: read_quantity(r, k, value, field); break;
	case KEY_CHOICE: read_choice(r, k, value, field); break;
	case KEY_TEXT:
	case KEY_NAME: read_text(r, k, value, field); break;
	case KEY_SPECIAL: k->read(r, k, value, object); break;
	case KEY_SECTION: read_subsection(r, k, value, field); break;
	case KEY_NAMED:
	case KEY_ITEMS: break;
	}
}

static void set_defaults(struct reader *r, const struct section *s, void *object)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct keyword *k = &s->keys[i];
		struct tree value = {.kind = TREE_SCALAR, .text = (char *)k->fallback};

		if (k->type == KEY_SECTION && !k->variant)
			set_defaults(r, k->section, (char *)object + k->offset);
		else if (k->fallback)
			read_value(r, k, &value, object);
	}
}

static void unknown_key(struct reader *r, const struct section *s, const struct tree *child)
{
	const char *names[LIST_MAX];
	char list[512] = "";
	size_t len = 0, count = s->count < LIST_MAX ? s->count : LIST_MAX;
	int path = (int)strlen(r->path);
	const char *meant, *separator = path ? ": " : "";

	path -= path > 0; /* without its last dot */
	for (size_t i = 0; i < count; i++) {
		names[i] = s->keys[i].name;
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						i ? ", " : "", names[i]);
	}
	meant = text_closest(child->key, names, count);
	if (meant)
		diag_error(r->diag, &child->key_pos, "%s%.*s%sunknown key %s; did you mean \"%s\"?",
			   r->object, path, r->path, separator, text_quote(child->key).s, meant);
	else
		diag_error(r->diag, &child->key_pos, "%s%.*s%sunknown key %s; known: %s", r->object,
			   path, r->path, separator, text_quote(child->key).s, list);
}

/* Which variant a one_of section is. */
static void set_variant(struct reader *r, const struct section *s, const struct keyword *k,
			const struct tree *child, void *object)
{
	unsigned *tag = (unsigned *)((char *)object + s->tag_offset);

	for (size_t i = 0; *tag && i < s->count; i++)
		if (s->keys[i].variant == *tag)
			read_error(r, k, &child->key_pos,
				   "there is %s already, expected one of them", s->keys[i].name);
	*tag = k->variant;
}

static void check_variant_given(struct reader *r, const struct section *s, const struct tree *node,
				const void *object)
{
	char list[128] = "";
	size_t len = 0;

	if (!s->one_of || *(const unsigned *)((const char *)object + s->tag_offset))
		return;
	for (size_t i = 0; i < s->count; i++)
		if (s->keys[i].variant)
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						len ? " or " : "", s->keys[i].name);
	diag_error(r->diag, &node->pos, "%s%.*s: expected %s", r->object, (int)strlen(r->path) - 1,
		   r->path, list);
}

static bool has_effect(const struct keyword *k, const char *word)
{
	if (k->also_word && !strcmp(k->also_word, word))
		return true;
	return k->only_word ? !strcmp(k->only_word, word) : strcmp(k->except_word, word) != 0;
}

void read_warn_without_effect(struct reader *r, const struct section *s, const struct tree *node,
			      const char *key, const char *word)
{
	for (size_t i = 0; node->kind == TREE_MAPPING && i < node->count; i++) {
		const struct tree *child = node->children[i];
		const struct keyword *k = section_keyword(s, child->key);

		if (k && k->only_key && !strcmp(k->only_key, key) && !has_effect(k, word))
			diag_warning(r->diag, &child->key_pos, "%s%s has no effect with %s: %s",
				     r->object, k->name, key, word);
	}
}

static void report_missing(struct reader *r, const struct section *s, const struct tree *node)
{
	char what[DESCRIBE_MAX];

	for (size_t i = 0; i < s->count; i++) {
		const struct keyword *k = &s->keys[i];

		if (!k->required || tree_get(node, k->name))
			continue;
		describe(k, what, sizeof(what));
		diag_error(r->diag, node->key ? &node->key_pos : &node->pos,
			   "%s%s%s is missing, expected %s", r->object, r->path, k->name, what);
	}
}

void read_section(struct reader *r, const struct section *s, const struct tree *node, void *object)
{
	set_defaults(r, s, object);
	if (node)
		read_given(r, s, node, object);
}

void read_given(struct reader *r, const struct section *s, const struct tree *node, void *object)
{
	if (!read_expect_mapping(r, node))
		return;
	for (size_t i = 0; i < node->count; i++) {
		const struct tree *child = node->children[i];
		const struct keyword *k = section_keyword(s, child->key);

		if (!k) {
			unknown_key(r, s, child);
			continue;
		}
		if (k->variant)
			set_variant(r, s, k, child, object);
		read_value(r, k, child, object);
	}
	check_variant_given(r, s, node, object);
	report_missing(r, s, node);
}
