/* SPDX-License-Identifier: BSD-2-Clause */
/* From YAML text to a document: libyaml's events, each node with its place. See tree.h. */
#include "conf/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "conf/tree_dir.h"
#include "core/text.h"

/* What a configuration of the largest tables stays well under. */
#define DEPTH_MAX 32
#define NODES_MAX 500000
#define BYTES_MAX (16U << 20)

struct parse {
	yaml_parser_t yaml;
	const char *name;
	const char *text;
	size_t len;
	struct diag *diag;
	struct tree *root;
	struct tree *open[DEPTH_MAX]; /* sequences and mappings that have not ended */
	unsigned depth;
	size_t nodes;
	unsigned documents;
	char *key; /* of the next child of the innermost mapping */
	struct pos key_pos;
	bool done;
};

static struct pos pos_of(const struct parse *p, const yaml_mark_t *mark)
{
	return (struct pos){
		.file = p->name, .line = (int)mark->line + 1, .column = (int)mark->column + 1};
}

static int fail_memory(struct parse *p)
{
	diag_error(p->diag, NULL, "out of memory while reading %s", p->name);
	return -ENOMEM;
}

/* libyaml gives only an offset for bytes that are no text. */
static struct pos pos_at_offset(const struct parse *p, size_t offset)
{
	struct pos pos = {.file = p->name, .line = 1, .column = 1};

	for (size_t i = 0; i < offset && i < p->len; i++) {
		pos.column++;
		if (p->text[i] == '\n') {
			pos.line++;
			pos.column = 1;
		}
	}
	return pos;
}

/* Is there a tab at the mark? Marks count characters, not bytes. */
static bool is_tab(const struct parse *p, const yaml_mark_t *mark)
{
	size_t i = 0, characters = 0;

	for (; i < p->len; i++)
		if (((unsigned char)p->text[i] & 0xc0) != 0x80 && characters++ == mark->index)
			break;
	return i < p->len && p->text[i] == '\t';
}

static int fail_syntax(struct parse *p)
{
	const yaml_parser_t *y = &p->yaml;
	struct pos pos;

	if (y->error == YAML_MEMORY_ERROR)
		return fail_memory(p);
	if (y->error == YAML_READER_ERROR) {
		pos = pos_at_offset(p, y->problem_offset);
		diag_error(p->diag, &pos, "not UTF-8 text: %s", y->problem);
		return -EINVAL;
	}
	pos = pos_of(p, &y->problem_mark);
	if (is_tab(p, &y->problem_mark))
		diag_error(p->diag, &pos, "malformed YAML: a tab cannot indent, use spaces");
	else if (y->context)
		diag_error(p->diag, &pos, "malformed YAML: %s, %s that starts at line %zu",
			   y->problem, y->context, y->context_mark.line + 1);
	else
		diag_error(p->diag, &pos, "malformed YAML: %s", y->problem);
	return -EINVAL;
}

/* Put a finished or opened node where it belongs; takes it. */
static int place_node(struct parse *p, struct tree *node)
{
	struct tree *parent = p->depth ? p->open[p->depth - 1] : NULL;

	if (!parent) {
		p->root = node;
		return 0;
	}
	if (parent->kind == TREE_MAPPING) {
		node->key = p->key;
		node->key_pos = p->key_pos;
		p->key = NULL;
	}
	if (tree_append(parent, node) < 0) {
		tree_free(node);
		return fail_memory(p);
	}
	return 0;
}

/* Errors after which the rest can still be read. */
static void refuse_extras(struct parse *p, const struct pos *pos, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	if (anchor)
		diag_error(p->diag, pos, "anchors are not supported, write the value out: &%.40s",
			   (const char *)anchor);
	if (tag)
		diag_error(p->diag, pos, "tags are not supported, remove %s",
			   text_quote((const char *)tag).s);
}

static int count_node(struct parse *p, const struct pos *pos)
{
	if (++p->nodes <= NODES_MAX)
		return 0;
	diag_error(p->diag, pos, "too large: more than %d values", NODES_MAX);
	return -EINVAL;
}

static bool wants_key(const struct parse *p)
{
	return p->depth && p->open[p->depth - 1]->kind == TREE_MAPPING && !p->key;
}

static int on_scalar(struct parse *p, const yaml_event_t *e)
{
	struct pos pos = pos_of(p, &e->start_mark);
	const char *text = (const char *)e->data.scalar.value;
	struct tree *node;

	refuse_extras(p, &pos, e->data.scalar.anchor, e->data.scalar.tag);
	if (count_node(p, &pos) < 0)
		return -EINVAL;
	if (strlen(text) != e->data.scalar.length)
		diag_error(p->diag, &pos, "text with a zero byte in it");
	if (wants_key(p)) {
		p->key = strdup(text);
		p->key_pos = pos;
		return p->key ? 0 : fail_memory(p);
	}
	node = tree_new_scalar(text);
	if (!node)
		return fail_memory(p);
	node->pos = pos;
	node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return place_node(p, node);
}

static int on_start(struct parse *p, const yaml_event_t *e, enum tree_kind kind)
{
	struct pos pos = pos_of(p, &e->start_mark);
	struct tree *node;

	if (kind == TREE_MAPPING)
		refuse_extras(p, &pos, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	else
		refuse_extras(p, &pos, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	if (wants_key(p)) {
		diag_error(p->diag, &pos, "expected a key, found a %s",
			   kind == TREE_MAPPING ? "mapping" : "list");
		return -EINVAL;
	}
	if (p->depth == DEPTH_MAX) {
		diag_error(p->diag, &pos, "too deep: more than %d levels", DEPTH_MAX);
		return -EINVAL;
	}
	if (count_node(p, &pos) < 0)
		return -EINVAL;
	node = tree_new(kind);
	if (!node)
		return fail_memory(p);
	node->pos = pos;
	if (place_node(p, node) < 0)
		return -ENOMEM;
	p->open[p->depth++] = node;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct tree *x = *(struct tree *const *)a, *y = *(struct tree *const *)b;
	int c = strcmp(x->key, y->key);

	if (c)
		return c;
	if (x->key_pos.line != y->key_pos.line)
		return x->key_pos.line < y->key_pos.line ? -1 : 1;
	return x->key_pos.column < y->key_pos.column ? -1 : 1;
}

/* A key twice is an error: what would hold is anybody's guess. */
static int on_mapping_end(struct parse *p)
{
	struct tree *t = p->open[--p->depth];
	struct tree **sorted;

	if (t->count < 2)
		return 0;
	sorted = malloc(t->count * sizeof(struct tree *));
	if (!sorted)
		return fail_memory(p);
	memcpy(sorted, t->children, t->count * sizeof(struct tree *));
	qsort(sorted, t->count, sizeof(struct tree *), compare_keys);
	for (size_t i = 1; i < t->count; i++)
		if (!strcmp(sorted[i - 1]->key, sorted[i]->key))
			diag_error(p->diag, &sorted[i]->key_pos,
				   "key %s is here twice, first at line %d",
				   text_quote(sorted[i]->key).s, sorted[i - 1]->key_pos.line);
	free(sorted);
	return 0;
}

static int on_document(struct parse *p, const yaml_event_t *e)
{
	struct pos pos = pos_of(p, &e->start_mark);

	if (++p->documents == 1)
		return 0;
	diag_error(p->diag, &pos, "a second document: a configuration is one");
	return -EINVAL;
}

static int on_alias(struct parse *p, const yaml_event_t *e)
{
	struct pos pos = pos_of(p, &e->start_mark);

	diag_error(p->diag, &pos, "aliases are not supported, write the value out: *%.40s",
		   (const char *)e->data.alias.anchor);
	return -EINVAL;
}

static int on_event(struct parse *p, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT: return on_document(p, e);
	case YAML_SCALAR_EVENT: return on_scalar(p, e);
	case YAML_ALIAS_EVENT: return on_alias(p, e);
	case YAML_MAPPING_START_EVENT: return on_start(p, e, TREE_MAPPING);
	case YAML_SEQUENCE_START_EVENT: return on_start(p, e, TREE_SEQUENCE);
	case YAML_MAPPING_END_EVENT: return on_mapping_end(p);
	case YAML_SEQUENCE_END_EVENT: p->depth--; return 0;
	case YAML_STREAM_END_EVENT: p->done = true; return 0;
	default: return 0;
	}
}

/* libyaml takes quadratic time over tag directives, and all of them before its first event. They
 * stand first in a line; lines end with CR, LF or one of three characters beyond ASCII. */
static int refuse_tag_directives(struct parse *p)
{
	const char *at = p->text, *end = p->text + p->len;

	while ((at = memmem(at, (size_t)(end - at), "%TAG", 4))) {
		unsigned char before = at > p->text ? (unsigned char)at[-1] : '\n';

		if (before == '\n' || before == '\r' || before >= 0x80) {
			struct pos pos = pos_at_offset(p, (size_t)(at - p->text));

			diag_error(p->diag, &pos, "tags are not supported, remove the directive");
			return -EINVAL;
		}
		at += 4;
	}
	return 0;
}

static int read_events(struct parse *p)
{
	int err = 0;

	while (!err && !p->done) {
		yaml_event_t event;

		if (!yaml_parser_parse(&p->yaml, &event))
			return fail_syntax(p);
		err = on_event(p, &event);
		yaml_event_delete(&event);
	}
	return err;
}

struct tree *tree_parse(const char *name, const char *text, size_t len, struct diag *d)
{
	struct parse p = {.name = name, .text = text ? text : "", .len = len, .diag = d};
	struct pos start = {.file = name, .line = 1, .column = 1};
	size_t errors = d->errors;

	if (len > BYTES_MAX) {
		diag_error(d, &start, "too large: more than %u bytes", BYTES_MAX);
		return NULL;
	}
	if (refuse_tag_directives(&p) < 0)
		return NULL;
	if (!yaml_parser_initialize(&p.yaml)) {
		(void)fail_memory(&p); /* the result is NULL either way */
		return NULL;
	}
	yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.yaml, (const unsigned char *)p.text, len);
	if (!read_events(&p) && tree_is_null(p.root))
		diag_error(d, &start, "the document is empty");
	yaml_parser_delete(&p.yaml);
	free(p.key);
	if (d->errors > errors) {
		tree_free(p.root);
		return NULL;
	}
	return p.root;
}

/* All of fd, at most BYTES_MAX + 1 bytes; malloc'ed. 0, or -errno. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, room = 0;
	char *text = NULL;
	int err;

	for (;;) {
		ssize_t n;

		if (len == room) {
			size_t more = room ? room * 2 : 16384;
			char *grown = realloc(text, more);

			err = -ENOMEM;
			if (!grown)
				goto fail;
			text = grown;
			room = more;
		}
		n = read(fd, text + len, room - len);
		err = -errno;
		if (n < 0 && err != -EINTR)
			goto fail;
		if (n == 0 || len > BYTES_MAX)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
fail:
	free(text);
	return err;
}

struct tree *tree_load(const char *path, struct diag *d)
{
	bool directory = tree_dir_is_one(path);

	return directory ? tree_dir_load(path, d) : tree_load_file(path, d);
}

struct tree *tree_load_file(const char *path, struct diag *d)
{
	bool from_stdin = !strcmp(path, "-");
	struct pos where = {.file = from_stdin ? "standard input" : path};
	struct tree *t = NULL;
	char *text = NULL;
	size_t len = 0;
	int fd, err;

	fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : read_all(fd, &text, &len);
	if (err < 0)
		diag_error(d, &where, "cannot read: %s", strerror(-err));
	else
		t = tree_parse(where.file, text, len, d);
	free(text);
	if (fd >= 0 && !from_stdin)
		close(fd);
	return t;
}
