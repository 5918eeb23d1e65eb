/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of health checks whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/strbuf.h"

#define STATUSES_MAX 64
#define BODY_MAX     1024 /* bytes of what is looked for, as of any regular expression */
#define SERVICE_MAX  255

const char *field_refuse_body(const char *text)
{
	return *text && strlen(text) <= BODY_MAX ? NULL : "some text of at most 1024 bytes";
}

const char *field_refuse_grpc_service(const char *text)
{
	bool good = *text && strlen(text) <= SERVICE_MAX;

	for (const char *p = text; good && *p; p++)
		good = *p > 0x20 && *p < 0x7f;
	return good ? NULL : "a service such as package.Service, of at most 255 bytes";
}

/* "200" or "200-299" */
static bool read_range(const char *text, struct status_range *ret_range)
{
	char first[4] = "";
	uint64_t low = 0, high = 0;

	if (strlen(text) != 3 && (strlen(text) != 7 || text[3] != '-'))
		return false;
	memcpy(first, text, 3);
	if (value_number(first, &low) < 0 || value_number(text[3] ? text + 4 : text, &high) < 0 ||
	    low < 100 || high > 599 || low > high)
		return false;
	*ret_range = (struct status_range){(unsigned)low, (unsigned)high};
	return true;
}

void field_read_statuses(struct reader *r, const struct keyword *k, const struct tree *value,
			 void *object)
{
	struct health_conf *h = object;
	struct status_range *list = read_alloc(r, read_count(value), sizeof(*list));
	const struct tree *item;
	size_t at = 0, count = 0;

	if (!list)
		return;
	if (read_count(value) > STATUSES_MAX) {
		read_error(r, k, &value->pos, "expected at most %u statuses", STATUSES_MAX);
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at))) {
		if (read_range(item->text, &list[count]))
			count++;
		else
			read_expected(r, k, item, k->form);
	}
	if (!at && value->kind != TREE_MAPPING)
		read_expected(r, k, value, k->form);
	if (!count)
		return;
	h->statuses = list;
	h->status_count = count;
}

void field_format_statuses(struct strbuf *b, const void *object)
{
	const struct health_conf *h = object;
	bool is_list = h->status_count > 1;

	for (size_t i = 0; i < h->status_count; i++) {
		const struct status_range *s = &h->statuses[i];

		strbuf_printf(b, "%s%u", i ? ", " : is_list ? "[" : "", s->low);
		if (s->high != s->low)
			strbuf_printf(b, "-%u", s->high);
	}
	if (is_list)
		strbuf_add(b, "]");
}
