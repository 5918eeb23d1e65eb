/* SPDX-License-Identifier: BSD-2-Clause */
/* Header blocks taken apart with llhttp: see http1_parse.h. The rules beside it are in
 * http1_rules.c. The only file that knows llhttp. */
#include "l7/http1_parse.h"

#include <llhttp.h>

#include "l7/http1_bytes.h"
#include "l7/http1_rules.h"

struct parse {
	llhttp_t llhttp;
	struct head *head;
	const char *end; /* of the span before */
	struct slice target;
	bool in_value;
	bool complete;
};

static struct parse *parse_of(llhttp_t *l)
{
	return l->data;
}

/* A span may come in pieces; then each begins where the one before ended. */
static int extend(struct parse *p, struct slice *s, const char *at, size_t len)
{
	if (s->len && at != p->end)
		return HPE_USER;
	if (!s->len)
		s->ptr = at;
	s->len += len;
	p->end = at + len;
	return 0;
}

static int on_url(llhttp_t *l, const char *at, size_t len)
{
	return extend(parse_of(l), &parse_of(l)->target, at, len);
}

static int on_field(llhttp_t *l, const char *at, size_t len)
{
	struct parse *p = parse_of(l);
	struct head *h = p->head;

	if (h->count == 0 || p->in_value) {
		if (h->count == h->cap)
			return HPE_USER;
		h->fields[h->count++] = (struct field){0};
		p->in_value = false;
	}
	return extend(p, &h->fields[h->count - 1].name, at, len);
}

static int on_value(llhttp_t *l, const char *at, size_t len)
{
	struct parse *p = parse_of(l);

	if (p->head->count == 0)
		return HPE_USER;
	p->in_value = true;
	return extend(p, &p->head->fields[p->head->count - 1].value, at, len);
}

/* The body is none of llhttp's business: stop here. */
static int on_headers_complete(llhttp_t *l)
{
	parse_of(l)->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
};

static void finish_fields(struct head *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct field *f = &h->fields[i];

		f->value = slice_trim(f->value);
		f->id = field_identify(f->name);
	}
}

static enum reason run(struct parse *p, llhttp_type_t type, const char *block, size_t len,
		       unsigned count)
{
	struct head *h = p->head;

	h->count = 0;
	llhttp_init(&p->llhttp, type, &settings);
	p->llhttp.data = p;
	llhttp_execute(&p->llhttp, block, len);
	if (!p->complete || h->count != count)
		return REASON_HEADER_SYNTAX;
	finish_fields(h);
	return REASON_NONE;
}

bool http1_method_is_known(struct slice method)
{
	static const struct slice names[] = {
#define X(num, name, string) SLICE(#string),
		HTTP_METHOD_MAP(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(method, names[i]))
			return true;
	return false;
}

enum reason http1_parse_request(const char *block, size_t len, unsigned count, struct head *h)
{
	struct parse p = {.head = h};
	enum reason r = http1_split_request_line(block, len, h);

	if (r != REASON_NONE)
		return r;
	r = run(&p, HTTP_REQUEST, block, len, count);
	if (r != REASON_NONE)
		return http1_method_is_known(h->method) ? r : REASON_METHOD_UNKNOWN;
	if (!slice_eq(p.target, h->target))
		return REASON_TARGET;
	return http1_check_request(h);
}

enum reason http1_parse_response(const char *block, size_t len, unsigned count,
				 bool request_is_head, struct head *h)
{
	struct parse p = {.head = h};
	enum reason r = http1_split_status_line(block, len, h);

	if (r == REASON_NONE)
		r = run(&p, HTTP_RESPONSE, block, len, count);
	if (r == REASON_NONE)
		r = http1_check_response(h, request_is_head);
	return r;
}
