/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of http services whose values are neither a number nor a word: see fields.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/prefix_list.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/strbuf.h"

/* ---- trusted_proxies ---- */

void field_read_trusted(struct reader *r, const struct keyword *k, const struct tree *value,
			void *object)
{
	struct service *s = object;

	(void)prefix_list_read(r, k, value, &s->trusted_proxies, &s->trusted_proxy_count);
}

void field_format_trusted(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	prefix_list_format(b, s->trusted_proxies, s->trusted_proxy_count);
}

/* ---- upgrades ---- */

#define PROTOCOL_MAX 63 /* bytes of a name */

/* A name, with or without a version, as it stands in an Upgrade field. */
static bool is_protocol(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~/";
	size_t len = strlen(text);

	return len > 0 && len <= PROTOCOL_MAX && strspn(text, bytes) == len;
}

/* The default comes first, then what is written: each begins anew. */
void field_read_upgrades(struct reader *r, const struct keyword *k, const struct tree *value,
			 void *object)
{
	struct service *s = object;
	const char **names = read_alloc(r, read_count(value), sizeof(*names));
	const struct tree *item;
	size_t count = 0, at = 0;

	s->upgrade_any = false;
	s->upgrade_count = 0;
	if (!names)
		return;
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "none"))
		return;
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "any")) {
		s->upgrade_any = true;
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at))) {
		if (!is_protocol(item->text))
			read_expected(r, k, item, k->form);
		else if (!strcasecmp(item->text, "h2c"))
			read_error(r, k, &item->pos, "h2c is never switched to");
		else if (!(names[count++] = read_strdup(r, item->text)))
			return;
	}
	s->upgrades = names;
	s->upgrade_count = count;
}

void field_format_upgrades(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	if (s->upgrade_any || !s->upgrade_count) {
		strbuf_add(b, s->upgrade_any ? "any" : "none");
		return;
	}
	strbuf_add(b, "[");
	for (size_t i = 0; i < s->upgrade_count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "", s->upgrades[i]);
	strbuf_add(b, "]");
}

/* ---- retry.on ---- */

static const struct {
	const char *word;
	enum retry_on on;
} retry_words[] = {
	{"connect-failure", RETRY_CONNECT}, {"reset", RETRY_RESET}, {"timeout", RETRY_TIMEOUT},
	{"gateway-error", RETRY_GATEWAY},   {"5xx", RETRY_5XX},
};
#define RETRY_WORDS (sizeof(retry_words) / sizeof(retry_words[0]))

/* False: it is none. */
static bool add_retry_word(struct retry_conf *conf, const char *text)
{
	uint64_t status;

	for (size_t i = 0; i < RETRY_WORDS; i++) {
		if (!strcmp(text, retry_words[i].word)) {
			conf->on |= retry_words[i].on;
			return true;
		}
	}
	if (value_number(text, &status) < 0 || status < 400 || status > 599 ||
	    conf->status_count == RETRY_STATUSES_MAX)
		return false;
	conf->statuses[conf->status_count++] = (uint16_t)status;
	conf->on |= RETRY_STATUS;
	return true;
}

void field_read_retry_on(struct reader *r, const struct keyword *k, const struct tree *value,
			 void *object)
{
	struct retry_conf *conf = object;
	const struct tree *item;
	size_t at = 0;

	conf->on = conf->status_count = 0;
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "none"))
		return;
	while ((item = read_next_scalar(r, k, value, &at)))
		if (!add_retry_word(conf, item->text))
			read_expected(r, k, item, k->form);
}

void field_format_retry_on(struct strbuf *b, const void *object)
{
	const struct retry_conf *conf = object;
	const char *between = "[";

	if (!conf->on) {
		strbuf_add(b, "none");
		return;
	}
	for (size_t i = 0; i < RETRY_WORDS; i++) {
		if (!(conf->on & retry_words[i].on))
			continue;
		strbuf_printf(b, "%s%s", between, retry_words[i].word);
		between = ", ";
	}
	for (unsigned i = 0; i < conf->status_count; i++) {
		strbuf_printf(b, "%s%u", between, conf->statuses[i]);
		between = ", ";
	}
	strbuf_add(b, "]");
}

/* ---- sticky ---- */

#define COOKIE_NAME_MAX 64U
#define COOKIE_PATH_MAX 256U

const char *field_refuse_cookie(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "!#$%&'*+-.^_`|~";
	size_t len = strlen(text);

	return len && len <= COOKIE_NAME_MAX && strspn(text, bytes) == len
		       ? NULL
		       : "the name of a cookie, of at most 64 bytes";
}

const char *field_refuse_cookie_path(const char *text)
{
	bool good = text[0] == '/' && strlen(text) <= COOKIE_PATH_MAX;

	for (const char *p = text; *p; p++)
		good = good && *p > ' ' && *p < 0x7f && *p != ';';
	return good ? NULL : "a path that starts with /, without spaces and semicolons";
}
