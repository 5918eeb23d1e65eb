/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of errors, by the key error_pages of a service: see error_pages.h and fields.h. */
#include "conf/error_pages.h"

#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"
#include "tls/file.h"

#define STATUSES_MAX 64U

const struct error_page *error_pages_find(const struct error_pages *pages, unsigned status)
{
	for (size_t i = 0; i < pages->count; i++)
		for (size_t k = 0; k < pages->items[i].status_count; k++)
			if (pages->items[i].statuses[k] == status)
				return &pages->items[i];
	return NULL;
}

/* 400 to 599; 0: is none. */
static uint16_t read_status(const char *text)
{
	return strlen(text) == 3 && strspn(text, "0123456789") == 3 && text[0] >= '4' &&
			       text[0] <= '5'
		       ? (uint16_t)strtoul(text, NULL, 10)
		       : 0;
}

void field_read_page_statuses(struct reader *r, const struct keyword *k, const struct tree *value,
			      void *object)
{
	struct error_page *page = object;
	uint16_t *list = read_alloc(r, read_count(value), sizeof(*list));
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!list)
		return;
	if (read_count(value) > STATUSES_MAX) {
		read_error(r, k, &value->pos, "expected at most %u statuses", STATUSES_MAX);
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at))) {
		list[count] = read_status(item->text);
		if (!list[count++])
			read_expected(r, k, item, k->form);
	}
	if (!at && value->kind != TREE_MAPPING)
		read_expected(r, k, value, k->form);
	page->statuses = list;
	page->status_count = count;
}

void field_format_page_statuses(struct strbuf *b, const void *object)
{
	const struct error_page *page = object;

	for (size_t i = 0; i < page->status_count; i++)
		strbuf_printf(b, "%s%u", i ? ", " : "[", page->statuses[i]);
	if (page->status_count)
		strbuf_add(b, "]");
}

static void load(struct reader *r, const struct keyword *k, const struct tree *node,
		 struct error_page *page)
{
	const struct tree *file = tree_get(node, "file");
	char text[TLS_PROBLEM_MAX];
	struct tls_blob blob = {0};
	char *body;

	if (!page->file)
		return;
	if (tls_file_read(page->file, &blob, NULL, text) < 0) {
		read_error(r, k, &file->pos, "%s", text);
	} else if (blob.len > ERROR_PAGE_MAX) {
		read_error(r, k, &file->pos, "the file has %zu bytes, at most %u fit", blob.len,
			   ERROR_PAGE_MAX);
	} else if ((body = read_alloc(r, blob.len + 1, 1))) {
		memcpy(body, blob.data, blob.len);
		page->body = (struct slice){body, blob.len};
	}
	tls_blob_free(&blob);
}

void field_read_error_pages(struct reader *r, const struct keyword *k, const struct tree *value,
			    void *object)
{
	struct service *s = object;
	struct error_page *pages;
	size_t count;

	pages = read_sections(r, k, value, sizeof(*pages), &count);
	if (!pages)
		return;
	if (!count)
		read_expected(r, k, value, k->form);
	for (size_t i = 0; i < count; i++)
		load(r, k, value->children[i], &pages[i]);
	s->error_pages = (struct error_pages){pages, count};
}

void field_format_error_pages(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	for (size_t i = 0; i < s->error_pages.count; i++) {
		const struct error_page *page = &s->error_pages.items[i];

		strbuf_printf(b, "%s{status: ", i ? ", " : "[");
		field_format_page_statuses(b, page);
		strbuf_printf(b, ", file: %s, type: %s}", page->file, page->type);
	}
	if (s->error_pages.count)
		strbuf_add(b, "]");
}
