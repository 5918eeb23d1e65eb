/* SPDX-License-Identifier: BSD-2-Clause */
/* From a document to YAML text, through libyaml's emitter: see tree.h. */
#include "conf/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/strbuf.h"

/* Collections that stand on one line when their text is no longer than this. */
#define FLOW_BYTES_MAX 80

static int write_bytes(void *ctx, unsigned char *bytes, size_t len)
{
	struct strbuf *b = ctx;

	strbuf_add_bytes(b, bytes, len);
	return !b->failed;
}

/* Text that stays the same scalar, without quotes, in any place. */
static bool is_plain_word(const char *text)
{
	if (!*text || *text == '-' || *text == '.')
		return false;
	for (; *text; text++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+-",
			    *text))
			return false;
	return true;
}

/* Bytes of t on one line, or more than FLOW_BYTES_MAX where it should not or cannot be on one. */
static size_t flow_bytes(const struct tree *t, unsigned depth)
{
	size_t sum = t->key ? strlen(t->key) + 2 : 0;

	if (t->kind == TREE_SCALAR)
		return t->quoted || is_plain_word(t->text) ? sum + strlen(t->text) + 2
							   : FLOW_BYTES_MAX + 1;
	if (depth > 2)
		return FLOW_BYTES_MAX + 1;
	sum += 2;
	for (size_t i = 0; i < t->count && sum <= FLOW_BYTES_MAX; i++)
		sum += flow_bytes(t->children[i], depth + 1) + 2;
	return sum;
}

/* One line for lists of scalars, and for short mappings that are items of a list or hold no more
 * than scalars; a page of its own for what has structure. */
static bool is_flow(const struct tree *t, unsigned depth)
{
	if (!t->count)
		return true;
	if (depth < 2 || flow_bytes(t, 0) > FLOW_BYTES_MAX)
		return false;
	if (t->kind == TREE_MAPPING)
		return true;
	for (size_t i = 0; i < t->count; i++)
		if (t->children[i]->kind != TREE_SCALAR)
			return false;
	return true;
}

static bool emit_scalar(yaml_emitter_t *y, const char *text, bool quoted)
{
	yaml_event_t e;

	return yaml_scalar_event_initialize(
		       &e, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), !quoted, 1,
		       quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE) &&
	       yaml_emitter_emit(y, &e);
}

static bool emit_node(yaml_emitter_t *y, const struct tree *t, unsigned depth)
{
	bool flow = t->kind != TREE_SCALAR && is_flow(t, depth);
	yaml_event_t e;
	int ok;

	if (t->kind == TREE_SCALAR)
		return emit_scalar(y, t->text, t->quoted);
	if (t->kind == TREE_MAPPING)
		ok = yaml_mapping_start_event_initialize(&e, NULL, NULL, 1,
							 flow ? YAML_FLOW_MAPPING_STYLE
							      : YAML_BLOCK_MAPPING_STYLE);
	else
		ok = yaml_sequence_start_event_initialize(&e, NULL, NULL, 1,
							  flow ? YAML_FLOW_SEQUENCE_STYLE
							       : YAML_BLOCK_SEQUENCE_STYLE);
	if (!ok || !yaml_emitter_emit(y, &e))
		return false;
	for (size_t i = 0; i < t->count; i++) {
		const struct tree *child = t->children[i];

		if (t->kind == TREE_MAPPING && !emit_scalar(y, child->key, false))
			return false;
		if (!emit_node(y, child, depth + 1))
			return false;
	}
	ok = t->kind == TREE_MAPPING ? yaml_mapping_end_event_initialize(&e)
				     : yaml_sequence_end_event_initialize(&e);
	return ok && yaml_emitter_emit(y, &e);
}

static bool emit_document(yaml_emitter_t *y, const struct tree *t)
{
	yaml_event_t e;

	return yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(y, &e) &&
	       yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(y, &e) && emit_node(y, t, 0) &&
	       yaml_document_end_event_initialize(&e, 1) && yaml_emitter_emit(y, &e) &&
	       yaml_stream_end_event_initialize(&e) && yaml_emitter_emit(y, &e);
}

char *tree_emit(const struct tree *t)
{
	struct strbuf out;
	yaml_emitter_t y;
	bool ok;

	strbuf_init(&out);
	if (!yaml_emitter_initialize(&y))
		return NULL;
	yaml_emitter_set_output(&y, write_bytes, &out);
	yaml_emitter_set_unicode(&y, 1);
	yaml_emitter_set_width(&y, -1);
	yaml_emitter_set_indent(&y, 2);
	ok = emit_document(&y, t);
	yaml_emitter_delete(&y);
	if (!ok) {
		strbuf_deinit(&out);
		return NULL;
	}
	return strbuf_take(&out);
}
