/* SPDX-License-Identifier: BSD-2-Clause */
/* From the table of keywords to a JSON schema: see json_schema.h. */
#include "conf/json_schema.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"
#include "core/strbuf.h"

/* A value that is not known here: a reference to the environment. */
#define REFERENCE "{\"$ref\": \"#/$defs/reference\"}"

static void write_text(struct strbuf *b, const char *text)
{
	strbuf_add(b, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_add(b, "\\");
		strbuf_add_bytes(b, text, 1);
	}
	strbuf_add(b, "\"");
}

static void write_number(struct strbuf *b, const struct keyword *k)
{
	strbuf_printf(b,
		      "\"anyOf\": [{\"type\": \"integer\", \"minimum\": %" PRIu64
		      ", \"maximum\": %" PRIu64 "}, " REFERENCE "]",
		      k->min, k->max);
}

/* A word of digits is a number in YAML. */
static void write_words(struct strbuf *b, const char *const *words)
{
	strbuf_add(b, "\"anyOf\": [{\"enum\": [");
	for (size_t i = 0; words[i]; i++) {
		char *end;

		(void)strtoull(words[i], &end, 10);
		strbuf_add(b, i ? ", " : "");
		if (*end || end == words[i])
			write_text(b, words[i]);
		else
			strbuf_printf(b, "%s, \"%s\"", words[i], words[i]);
	}
	strbuf_add(b, "]}, " REFERENCE "]");
}

static void write_section(struct strbuf *b, const struct section *s);

static void write_object(struct strbuf *b, const struct section *s)
{
	strbuf_add(b, "{");
	write_section(b, s);
	strbuf_add(b, "}");
}

static void write_list(struct strbuf *b, const struct keyword *k)
{
	strbuf_add(b, "\"type\": \"array\", \"items\": ");
	if (k->bare_items)
		strbuf_add(b, "{\"anyOf\": [{\"type\": \"string\"}, ");
	write_object(b, k->section);
	if (k->bare_items)
		strbuf_add(b, "]}");
}

static void write_mapping(struct strbuf *b, const struct keyword *k)
{
	strbuf_add(b, "\"anyOf\": [{\"type\": \"null\"}, ");
	if (k->empty_word)
		strbuf_printf(b, "{\"const\": \"%s\"}, ", k->empty_word);
	write_object(b, k->section);
	strbuf_add(b, "]");
}

static void write_named(struct strbuf *b, const struct section *s)
{
	strbuf_add(b, "\"type\": [\"object\", \"null\"], \"additionalProperties\": ");
	write_object(b, s);
}

static void write_type(struct strbuf *b, const struct keyword *k)
{
	switch (k->type) {
	case KEY_NUMBER: write_number(b, k); break;
	case KEY_DURATION:
		strbuf_add(b, "\"anyOf\": [{\"type\": \"string\", \"pattern\": "
			      "\"^(0|[1-9][0-9]*)(ms|s|m|h)$\"}, " REFERENCE "]");
		break;
	case KEY_SIZE:
		strbuf_add(b, "\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0}, "
			      "{\"type\": \"string\", \"pattern\": "
			      "\"^(0|[1-9][0-9]*)(KiB|MiB|GiB|TiB)$\"}, " REFERENCE "]");
		break;
	case KEY_CHOICE: write_words(b, k->words); break;
	case KEY_TEXT:
	case KEY_NAME: strbuf_add(b, "\"type\": [\"string\", \"number\", \"boolean\"]"); break;
	case KEY_SPECIAL:
		if (k->section)
			write_list(b, k);
		else
			strbuf_add(b, "\"not\": {\"type\": \"null\"}");
		break;
	case KEY_SECTION: write_mapping(b, k); break;
	case KEY_NAMED: write_named(b, k->section); break;
	case KEY_ITEMS: write_list(b, k); break;
	}
}

static void write_key(struct strbuf *b, const struct keyword *k)
{
	write_text(b, k->name);
	strbuf_add(b, ": {\"description\": ");
	write_text(b, k->text);
	strbuf_add(b, ", ");
	if (k->fallback) {
		strbuf_add(b, "\"default\": ");
		if (k->type == KEY_NUMBER)
			strbuf_add(b, k->fallback);
		else
			write_text(b, k->fallback);
		strbuf_add(b, ", ");
	}
	if (k->form && !k->section) {
		strbuf_add(b, "\"$comment\": ");
		write_text(b, k->form);
		strbuf_add(b, ", ");
	}
	write_type(b, k);
	strbuf_add(b, "}");
}

static void write_required(struct strbuf *b, const struct section *s)
{
	const char *separator = "";

	strbuf_add(b, ", \"required\": [");
	for (size_t i = 0; i < s->count; i++) {
		if (!s->keys[i].required)
			continue;
		strbuf_add(b, separator);
		write_text(b, s->keys[i].name);
		separator = ", ";
	}
	strbuf_add(b, "]");
}

static void write_variants(struct strbuf *b, const struct section *s)
{
	const char *separator = "";

	strbuf_add(b, ", \"oneOf\": [");
	for (size_t i = 0; i < s->count; i++) {
		if (!s->keys[i].variant)
			continue;
		strbuf_printf(b, "%s{\"required\": [\"%s\"]}", separator, s->keys[i].name);
		separator = ", ";
	}
	strbuf_add(b, "]");
}

/* The depth is that of the table. */
static void write_section(struct strbuf *b, const struct section *s)
{
	strbuf_add(b, "\"type\": \"object\", \"additionalProperties\": false, \"properties\": {");
	for (size_t i = 0; i < s->count; i++) {
		strbuf_add(b, i ? ",\n" : "\n");
		write_key(b, &s->keys[i]);
	}
	strbuf_add(b, "}");
	write_required(b, s);
	if (s->one_of)
		write_variants(b, s);
}

void json_schema_write(struct strbuf *b)
{
	strbuf_add(b, "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
		      "\"title\": \"Configuration of shuntd\",\n"
		      "\"$defs\": {\"reference\": {\"type\": \"string\", \"pattern\": "
		      "\"^\\\\$\\\\{[A-Z_][A-Z0-9_]*\\\\}$\", \"description\": "
		      "\"a variable of the daemon's environment\"}},\n");
	write_section(b, &schema_root);
	strbuf_add(b, "}\n");
}
