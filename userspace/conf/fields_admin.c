/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of admin whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

#define UNIX_PREFIX "unix:"

/* ---- http ---- */

void field_read_admin_http(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct admin_conf *a = object;
	const char *text = value->kind == TREE_SCALAR ? value->text : "";
	const char *path = text + sizeof(UNIX_PREFIX) - 1;
	struct endpoint ep;

	if (!strncmp(text, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) && !field_refuse_socket(path))
		a->http_path = read_strdup(r, path);
	else if (!endpoint_parse(text, &ep) && ep.port)
		a->http = ep;
	else
		read_expected(r, k, value, k->form);
}

void field_format_admin_http(struct strbuf *b, const void *object)
{
	const struct admin_conf *a = object;
	char text[ENDPOINT_STRLEN];

	if (a->http_path)
		strbuf_printf(b, UNIX_PREFIX "%s", a->http_path);
	else if (a->http.port)
		strbuf_add(b, endpoint_format(&a->http, text, sizeof(text)));
}

/* ---- hosts ---- */

void field_read_admin_hosts(struct reader *r, const struct keyword *k, const struct tree *value,
			    void *object)
{
	struct admin_conf *a = object;
	const char **hosts = read_alloc(r, read_count(value), sizeof(*hosts));
	const struct tree *item;
	size_t count = 0, at = 0;

	if (!hosts)
		return;
	while ((item = read_next_scalar(r, k, value, &at))) {
		if (field_refuse_sni(item->text))
			read_expected(r, k, item, k->form);
		else if (!(hosts[count++] = read_strdup(r, item->text)))
			return;
	}
	a->hosts = hosts;
	a->host_count = count;
}

void field_format_admin_hosts(struct strbuf *b, const void *object)
{
	const struct admin_conf *a = object;

	for (size_t i = 0; i < a->host_count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "[", a->hosts[i]);
	if (a->host_count)
		strbuf_add(b, "]");
}
