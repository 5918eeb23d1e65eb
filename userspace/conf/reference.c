/* SPDX-License-Identifier: BSD-2-Clause */
/* From the table of keywords to the text of the manual: see reference.h. */
#include "conf/reference.h"

#include <inttypes.h>
#include <stdio.h>

#include "conf/schema.h"
#include "conf/value.h"
#include "core/strbuf.h"

#define PATH_LEN 96

static void write_words(struct strbuf *b, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		strbuf_printf(b, "%s\\fB%s\\fR",
			      i == 0	     ? ""
			      : words[i + 1] ? ", "
					     : " or ",
			      words[i]);
}

static void write_value(struct strbuf *b, enum key_type type, uint64_t n)
{
	if (type == KEY_DURATION)
		value_format_duration(b, n);
	else if (type == KEY_SIZE)
		value_format_size(b, n);
	else
		strbuf_printf(b, "%" PRIu64, n);
}

static void write_range(struct strbuf *b, const char *what, const struct keyword *k)
{
	strbuf_printf(b, "%s, ", what);
	write_value(b, k->type, k->min);
	strbuf_add(b, " to ");
	write_value(b, k->type, k->max);
}

static void write_type(struct strbuf *b, const struct keyword *k)
{
	switch (k->type) {
	case KEY_NUMBER: write_range(b, "A number", k); break;
	case KEY_DURATION: write_range(b, "A duration", k); break;
	case KEY_SIZE: write_range(b, "A size", k); break;
	case KEY_CHOICE: write_words(b, k->words); break;
	case KEY_TEXT:
	case KEY_NAME:
	case KEY_SPECIAL: strbuf_printf(b, "Value: %s", k->form); break;
	case KEY_SECTION:
		strbuf_add(b, "A mapping, see below");
		if (k->empty_word)
			strbuf_printf(b, "; or \\fB%s\\fR", k->empty_word);
		break;
	case KEY_NAMED: strbuf_add(b, "A mapping of names to what follows below"); break;
	case KEY_ITEMS: strbuf_add(b, "A list of mappings, see below"); break;
	}
	strbuf_add(b, ".");
}

static void write_key(struct strbuf *b, const struct keyword *k)
{
	strbuf_printf(b, ".TP\n.B %s\n%s.\n", k->name, k->text);
	write_type(b, k);
	if (k->required)
		strbuf_add(b, " Must be given.");
	else if (k->fallback)
		strbuf_printf(b, " Default: \\fB%s\\fR.", k->fallback);
	else if (k->fallback_text)
		strbuf_printf(b, " Default: %s.", k->fallback_text);
	if (k->only_key)
		strbuf_printf(b, " %s with \\fB%s: %s\\fR%s%s%s.", k->only_word ? "Only" : "Not",
			      k->only_key, k->only_word ? k->only_word : k->except_word,
			      k->also_word ? " or \\fB" : "", k->also_word ? k->also_word : "",
			      k->also_word ? "\\fR" : "");
	if (k->restart)
		strbuf_add(b, " Takes effect when \\fBshuntd\\fR starts again.");
	strbuf_add(b, "\n");
}

/* The depth is that of the schema, four. */
static void write_section(struct strbuf *b, const struct section *s, const char *path)
{
	strbuf_printf(b, ".SS %s\n%s.\n", path[0] ? path : "The document", s->text);
	if (s->one_of)
		strbuf_add(b, "One of the mappings, and the other keys.\n");
	for (size_t i = 0; i < s->count; i++)
		write_key(b, &s->keys[i]);
	for (size_t i = 0; i < s->count; i++) {
		const struct keyword *k = &s->keys[i];
		char inner[PATH_LEN];

		if (!k->section)
			continue;
		(void)snprintf(inner, sizeof(inner), "%s%s%s%s", path, path[0] ? "." : "", k->name,
			       k->type == KEY_NAMED ? ".NAME" : "");
		write_section(b, k->section, inner);
	}
}

void reference_write(struct strbuf *b)
{
	write_section(b, &schema_root, "");
}
