/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of errors and warnings for people: see diag.h. */
#include "core/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void diag_init(struct diag *d)
{
	memset(d, 0, sizeof(*d));
}

void diag_deinit(struct diag *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->items[i].text);
	free(d->items);
	diag_init(d);
}

void diag_vadd(struct diag *d, enum diag_level level, const struct pos *pos, const char *fmt,
	       va_list ap)
{
	size_t *total = level == DIAG_ERROR ? &d->errors : &d->warnings;
	struct diag_item *items;
	char *text = NULL;

	if (++*total > DIAG_MAX_KEPT)
		return;
	items = realloc(d->items, (d->count + 1) * sizeof(*items));
	if (items)
		d->items = items;
	if (!items || vasprintf(&text, fmt, ap) < 0) {
		d->out_of_memory = true;
		return;
	}
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	items[d->count++] = (struct diag_item){
		.level = level, .pos = pos ? *pos : (struct pos){0}, .text = text};
}

void diag_error(struct diag *d, const struct pos *pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vadd(d, DIAG_ERROR, pos, fmt, ap);
	va_end(ap);
}

void diag_warning(struct diag *d, const struct pos *pos, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vadd(d, DIAG_WARNING, pos, fmt, ap);
	va_end(ap);
}

static bool is_before(const struct pos *a, const struct pos *b)
{
	int c;

	if (!a->line || !b->line)
		return a->line && !b->line;
	c = a->file && b->file ? strcmp(a->file, b->file) : 0;
	if (c)
		return c < 0;
	return a->line < b->line || (a->line == b->line && a->column < b->column);
}

/* By insertion: what is at one place stays in the order found, and there are at most 200. */
void diag_sort(struct diag *d, size_t first)
{
	for (size_t i = first; i < d->count; i++) {
		struct diag_item item = d->items[i];
		size_t j = i;

		for (; j > first && is_before(&item.pos, &d->items[j - 1].pos); j--)
			d->items[j] = d->items[j - 1];
		d->items[j] = item;
	}
}

int diag_refuse_warnings(struct diag *d)
{
	if (!d->warnings)
		return 0;
	diag_error(d, NULL, "warnings are errors (--strict): %zu", d->warnings);
	return -EINVAL;
}

const char *diag_level_name(enum diag_level level)
{
	return level == DIAG_ERROR ? "error" : "warning";
}

int diag_format(const struct diag_item *item, char *buf, size_t len)
{
	const struct pos *p = &item->pos;
	const char *level = diag_level_name(item->level);

	if (p->file && p->line)
		return snprintf(buf, len, "%s:%d:%d: %s: %s", p->file, p->line, p->column, level,
				item->text);
	if (p->file)
		return snprintf(buf, len, "%s: %s: %s", p->file, level, item->text);
	return snprintf(buf, len, "%s: %s", level, item->text);
}

static void print_hidden(size_t total, const char *what, FILE *out)
{
	if (total > DIAG_MAX_KEPT)
		fprintf(out, "and %zu more %s\n", total - DIAG_MAX_KEPT, what);
}

void diag_print(const struct diag *d, FILE *out)
{
	for (size_t i = 0; i < d->count; i++) {
		char buf[1024];

		diag_format(&d->items[i], buf, sizeof(buf));
		fprintf(out, "%s\n", buf);
	}
	print_hidden(d->errors, "errors", out);
	print_hidden(d->warnings, "warnings", out);
	if (d->out_of_memory)
		fprintf(out, "error: out of memory, some messages are missing\n");
}
