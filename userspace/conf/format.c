/* SPDX-License-Identifier: BSD-2-Clause */
/* libyaml knows no comments: they are found in the text, and put back by the places of the values that
 * they belong to, in the text before and in the text after. See format.h. */
#include "conf/format.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/tree.h"
#include "core/strbuf.h"

/* A comment, or (len 0) an empty line. */
struct remark {
	const char *text; /* from its '#' on */
	size_t len;
	int line;
	bool trails; /* something stands before it on its line */
};

struct node {
	int from, to; /* its line before and after */
	bool first;   /* nothing begins before it on its line after */
};

struct format {
	struct remark *remarks;
	size_t remark_count;
	struct node *nodes; /* in the order of the document */
	size_t node_count;
	bool failed; /* out of memory */
};

/* ---- finding remarks ---- */

struct scan {
	char quote;	  /* of the scalar that the last line ended in; 0: none */
	int block_indent; /* lines that are indented more are text; -1: none are */
};

static int indent_of(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && line[i] == ' ')
		i++;
	return (int)i;
}

static bool is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\r')
			return false;
	return true;
}

/* Does a quote at i begin a scalar? Within words it is a letter like others. */
static bool begins_scalar(const char *line, size_t i)
{
	if (i >= 2 && line[i - 1] == ':') /* as in JSON: "key":"value" */
		return line[i - 2] == '"' || line[i - 2] == '\'';
	return i == 0 || strchr(" \t[{,", line[i - 1]) != NULL;
}

/* Where the comment of a line begins; len: it has none. The quotes that are open go on. */
static size_t find_comment(struct scan *s, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (s->quote == '"' && c == '\\')
			i++;
		else if (s->quote && c == s->quote && c == '\'' && i + 1 < len && line[i + 1] == c)
			i++;
		else if (s->quote && c == s->quote)
			s->quote = 0;
		else if (!s->quote && (c == '"' || c == '\'') && begins_scalar(line, i))
			s->quote = c;
		else if (!s->quote && c == '#' &&
			 (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
			return i;
	}
	return len;
}

/* A line that ends in "|" or ">", perhaps with a sign or a digit, begins a block of text. */
static bool begins_block(const char *line, size_t len)
{
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\r'))
		len--;
	while (len && strchr("+-123456789", line[len - 1]))
		len--;
	return len > 1 && (line[len - 1] == '|' || line[len - 1] == '>') && line[len - 2] == ' ';
}

static void add_remark(struct format *f, const struct remark *r)
{
	struct remark *more = realloc(f->remarks, (f->remark_count + 1) * sizeof(*more));

	f->failed |= !more;
	if (!more)
		return;
	f->remarks = more;
	f->remarks[f->remark_count++] = *r;
}

static void scan_line(struct format *f, struct scan *s, const char *line, size_t len, int number)
{
	bool in_text = s->quote != 0, blank = is_blank(line, len);
	struct remark r = {.line = number};
	size_t at;

	if (s->block_indent >= 0 && (blank || indent_of(line, len) > s->block_indent))
		return;
	s->block_indent = -1;
	if (blank && !in_text) {
		add_remark(f, &r);
		return;
	}
	at = find_comment(s, line, len);
	if (at < len) {
		r.text = line + at;
		r.len = len - at;
		r.trails = in_text || !is_blank(line, at);
		while (r.text[r.len - 1] == ' ' || r.text[r.len - 1] == '\r')
			r.len--;
		add_remark(f, &r);
	}
	if (!s->quote && begins_block(line, at))
		s->block_indent = indent_of(line, at);
}

static void scan_text(struct format *f, const char *text, size_t len)
{
	struct scan s = {.block_indent = -1};
	int number = 1;

	for (size_t at = 0; at < len; number++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - text) - at : len - at;

		scan_line(f, &s, text + at, line_len, number);
		at += line_len + 1;
	}
}

/* ---- placing them ---- */

static void add_node(struct format *f, const struct tree *before, const struct tree *after)
{
	int last = f->node_count ? f->nodes[f->node_count - 1].to : 0;
	struct node n = {.from = before->key ? before->key_pos.line : before->pos.line,
			 .to = after->key ? after->key_pos.line : after->pos.line};
	struct node *more = realloc(f->nodes, (f->node_count + 1) * sizeof(*more));

	n.first = last != n.to;
	f->failed |= !more;
	if (!more)
		return;
	f->nodes = more;
	f->nodes[f->node_count++] = n;
}

/* Both have the same shape: one was read from what the other was written as. */
static void pair_nodes(struct format *f, const struct tree *before, const struct tree *after)
{
	for (size_t i = 0; i < before->count && i < after->count && !f->failed; i++) {
		add_node(f, before->children[i], after->children[i]);
		pair_nodes(f, before->children[i], after->children[i]);
	}
}

/* The first node that begins on the line or, for one of its own, after it; NULL: none does. */
static struct node *node_of(struct format *f, const struct remark *r)
{
	size_t low = 0, high = f->node_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->nodes[middle].from < r->line)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->node_count ? &f->nodes[low] : NULL;
}

static void add_line(struct strbuf *out, int indent, const struct remark *r)
{
	bool after_blank = out->len < 2 || out->text[out->len - 2] == '\n';

	if (!r->len && (!out->len || after_blank))
		return; /* one empty line is enough, and none at the top */
	for (int i = 0; r->len && i < indent; i++)
		strbuf_add(out, " ");
	strbuf_add_bytes(out, r->text, r->len);
	strbuf_add(out, "\n");
}

/* What is to be said at a line of the result: before it, and the one remark behind it. */
static const struct remark *write_remarks(struct format *f, struct strbuf *out, int line,
					  int indent, size_t *next)
{
	const struct remark *trail = NULL;

	for (; *next < f->remark_count; ++*next) {
		const struct remark *r = &f->remarks[*next];
		const struct node *n = node_of(f, r);

		if (!n || n->to > line)
			break;
		if (r->trails && n->from == r->line && !trail && n->first)
			trail = r;
		else if (r->len || n->first)
			add_line(out, indent, r);
	}
	return trail;
}

static void write_all(struct format *f, struct strbuf *out, const char *text)
{
	size_t next = 0;
	int line = 1;

	for (const char *at = text; *at; line++) {
		size_t len = strcspn(at, "\n");
		const struct remark *trail = write_remarks(f, out, line, indent_of(at, len), &next);

		strbuf_add_bytes(out, at, len);
		if (trail) {
			strbuf_add(out, " ");
			strbuf_add_bytes(out, trail->text, trail->len);
		}
		strbuf_add(out, "\n");
		at += len + (at[len] == '\n');
	}
	for (; next < f->remark_count; next++)
		if (f->remarks[next].len)
			add_line(out, 0, &f->remarks[next]);
}

/* Is the document the same with its comments? */
static bool says(const char *text, const char *plain, struct diag *d)
{
	struct tree *t = tree_parse("the formatted document", text, strlen(text), d);
	char *again = t ? tree_emit(t) : NULL;
	bool same = again && !strcmp(again, plain);

	if (t && !same)
		diag_error(d, NULL, "a comment stands where it cannot be kept");
	tree_free(t);
	free(again);
	return same;
}

static char *write_formatted(const struct tree *document, const char *text, size_t len,
			     struct diag *d)
{
	char *plain = tree_emit(document), *result = NULL;
	struct format f = {.failed = !plain};
	struct tree *after = NULL;
	struct strbuf out;

	strbuf_init(&out);
	if (plain)
		after = tree_parse("the formatted document", plain, strlen(plain), d);
	if (after) {
		scan_text(&f, text, len);
		pair_nodes(&f, document, after);
	}
	if (after && !f.failed) {
		write_all(&f, &out, plain);
		result = strbuf_take(&out);
	}
	if (!result && !d->errors)
		diag_error(d, NULL, "out of memory");
	if (result && !says(result, plain, d)) {
		free(result);
		result = NULL;
	}
	strbuf_deinit(&out);
	tree_free(after);
	free(plain);
	free(f.remarks);
	free(f.nodes);
	return result;
}

char *format_document(const char *name, const char *text, size_t len, struct diag *d)
{
	struct tree *document = tree_parse(name, text, len, d);
	char *result = document ? write_formatted(document, text, len, d) : NULL;

	tree_free(document);
	return result;
}
