/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of TLS whose values are neither a number nor a word: see fields.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "core/strbuf.h"

void field_read_certificates(struct reader *r, const struct keyword *k, const struct tree *value,
			     void *object)
{
	struct service_tls *tls = object;
	size_t count;

	tls->certificates = read_sections(r, k, value, sizeof(*tls->certificates), &count);
	if (!tls->certificates)
		return;
	if (!count)
		read_expected(r, k, value, k->form);
	tls->loaded = read_alloc(r, count, sizeof(struct tls_cert *));
	tls->staples = read_alloc(r, count, sizeof(struct tls_staple *));
	tls->certificate_count = tls->loaded && tls->staples ? count : 0;
}

void field_format_certificates(struct strbuf *b, const void *object)
{
	const struct service_tls *tls = object;

	for (size_t i = 0; i < tls->certificate_count; i++) {
		const struct tls_files *c = &tls->certificates[i];

		strbuf_printf(b, "%s{cert: %s", i ? ", " : "[", c->cert);
		if (c->key)
			strbuf_printf(b, ", key: %s", c->key);
		if (c->ocsp)
			strbuf_printf(b, ", ocsp: %s", c->ocsp);
		strbuf_add(b, "}");
	}
	if (tls->certificate_count)
		strbuf_add(b, "]");
}

const char *field_refuse_ca(const char *text)
{
	return !strcmp(text, TLS_CA_NONE) || !field_refuse_path(text) ? NULL
								      : "an absolute path or none";
}

const char *field_refuse_sni(const char *text)
{
	struct addr addr;
	bool good = *text && strlen(text) <= 253 && addr_parse(text, &addr) < 0;

	for (const char *p = text; *p; p++)
		good = good && (isalnum((unsigned char)*p) || strchr("-._", *p));
	return good ? NULL : "a DNS name";
}
