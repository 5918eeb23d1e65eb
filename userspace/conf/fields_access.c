/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of access logs whose values are neither a number nor a word: see fields.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/access_plan.h"
#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

#define NAME_BYTES 64U

const char *field_refuse_log_target(const char *text)
{
	if (!strcmp(text, "stdout") || !strcmp(text, "syslog") || !strcmp(text, "journald"))
		return NULL;
	return field_refuse_path(text) ? "an absolute path, stdout, syslog or journald" : NULL;
}

/* ---- sample ---- */

void field_read_sample(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	struct access_conf *a = object;
	const char *text = value->kind == TREE_SCALAR ? value->text : "";
	double parts;
	char *end;

	parts = strtod(text, &end) * (ACCESS_SAMPLE_ALL / 100.0);
	if (end == text || strcmp(end, "%") != 0 || strspn(text, "0123456789.%") != strlen(text) ||
	    !(parts >= 1) || parts > ACCESS_SAMPLE_ALL)
		read_expected(r, k, value, k->form);
	else
		a->sample = (unsigned)(parts + 0.5);
}

void field_format_sample(struct strbuf *b, const void *object)
{
	const struct access_conf *a = object;

	strbuf_printf(b, "%.10g%%", a->sample * 100.0 / ACCESS_SAMPLE_ALL);
}

/* ---- headers, redact ---- */

static bool is_name(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~";
	size_t len = strlen(text);

	return len > 0 && len <= NAME_BYTES && strspn(text, bytes) == len;
}

/* In lower case. */
static size_t read_names(struct reader *r, const struct keyword *k, const struct tree *value,
			 size_t max, const char *const **ret_names)
{
	char **names = read_alloc(r, read_count(value), sizeof(*names));
	const struct tree *item;
	size_t count = 0, at = 0;

	while (names && (item = read_next_scalar(r, k, value, &at))) {
		if (!is_name(item->text) || count == max) {
			read_expected(r, k, item, k->form);
			continue;
		}
		names[count] = (char *)read_strdup(r, item->text);
		if (!names[count])
			break;
		for (char *p = names[count++]; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p | 0x20);
	}
	*ret_names = (const char *const *)names;
	return count;
}

static void format_names(struct strbuf *b, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "[", names[i]);
	strbuf_add(b, count ? "]" : "[]");
}

void field_read_log_headers(struct reader *r, const struct keyword *k, const struct tree *value,
			    void *object)
{
	struct access_conf *a = object;

	a->header_count = read_names(r, k, value, ACCESS_HEADERS_MAX, &a->headers);
}

void field_format_log_headers(struct strbuf *b, const void *object)
{
	const struct access_conf *a = object;

	if (a->header_count)
		format_names(b, a->headers, a->header_count);
}

void field_read_redact(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	struct access_conf *a = object;

	a->redact_count = read_names(r, k, value, SIZE_MAX, &a->redact);
}

void field_format_redact(struct strbuf *b, const void *object)
{
	const struct access_conf *a = object;

	if (a->redact)
		format_names(b, a->redact, a->redact_count);
}
